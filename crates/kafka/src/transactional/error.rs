//! What can go wrong with a transaction, told by what its owner must do next.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

use crate::Error;
use crate::error::words;
use crate::native::transactions::Refusal;

/// Why a transactional call failed. The variant says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The transaction cannot be committed: abort it, rewind the worker to the committed offsets and go on.
    #[error("the transaction has to be aborted: {detail} ({code:?})")]
    Abort {
        /// Why.
        code: RDKafkaErrorCode,
        /// Why, in words, with the topic and partition where one is concerned.
        detail: String,
    },
    /// This producer is of no more use, and whether its transaction was committed is not known. Drop it, connect another
    /// one with the same id (which settles the transaction one way or the other), rewind the worker and go on.
    #[error("the transactional producer {id:?} has to be made anew: {detail}")]
    Renew {
        /// The transactional id.
        id: String,
        /// Why.
        detail: String,
    },
    /// Another producer has taken over the transactional id: end, or leave the partitions to it.
    #[error(
        "another producer has taken over transactional.id {id:?}; only one instance may have the id at a time: {detail}"
    )]
    Fenced {
        /// The transactional id.
        id: String,
        /// What the broker said.
        detail: String,
    },
    /// The record is larger than its topic takes. It was not sent, and the transaction can go on without it.
    #[error(
        "a record of {bytes} bytes is larger than topic {topic:?} takes ({limit} bytes, max.message.bytes)"
    )]
    TooLarge {
        /// The topic.
        topic: String,
        /// The record's size as it would be sent, uncompressed.
        bytes: usize,
        /// The topic's limit.
        limit: usize,
    },
    /// Shutdown was requested while waiting.
    #[error("shutdown was requested while the transactional producer {id:?} waited for the brokers")]
    Interrupted {
        /// The transactional id.
        id: String,
    },
    /// Anything that neither aborting nor connecting again mends: settings, a missing topic, missing rights, or brokers
    /// that were not there at the start.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl TransactionError {
    /// Whether [`Transactional::abort`](super::Transactional::abort) and a rewind are the way on.
    pub fn wants_abort(&self) -> bool {
        matches!(self, Self::Abort { .. })
    }
}

/// What a refusal means, for the producer `id` whose transaction has been open for `open` of at most `timeout`.
pub(super) fn judge(
    doing: &str,
    refusal: &Refusal,
    id: &str,
    open: Option<Duration>,
    timeout: Duration,
) -> TransactionError {
    use RDKafkaErrorCode as Code;
    let detail = format!("cannot {doing}: {}", refusal.text);
    match refusal.code {
        // The coordinator ends a transaction that is open for too long by fencing its producer: nobody else is there.
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch
            if open.is_some_and(|open| open >= timeout) =>
        {
            let limit = timeout.as_millis();
            let detail =
                format!("its transaction was open longer than transaction.timeout.ms={limit}: {detail}");
            TransactionError::Renew { id: id.to_owned(), detail }
        }
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => {
            TransactionError::Fenced { id: id.to_owned(), detail }
        }
        Code::TransactionalIdAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::TopicAuthorizationFailed
        | Code::InvalidTransactionTimeout
        | Code::UnsupportedFeature => {
            let doing = format!("cannot {doing} with transactional.id {id:?}");
            TransactionError::Failed(Error::Kafka { doing, code: refusal.code, detail: words(refusal.code) })
        }
        code if refusal.wants_abort => TransactionError::Abort { code, detail },
        _ => TransactionError::Renew { id: id.to_owned(), detail },
    }
}
