//! How transactions end: `EndTxn`, timeouts, and what a restart finds.
//!
//! The decision is in the journal before the first marker is written, and `TransactionCompleted` follows the last one.
//! So, whenever the process ends: without the decision the transaction is open still; with it, all markers are written
//! again (a log that has its marker does nothing) and the offsets of the transaction count or are forgotten, at once
//! with its completion.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::code;
use super::entry::{Entry, TransactionState};
use super::state::State;
use super::timers::Timer;
use super::transaction::{Producer, for_version};
use crate::server::Context;

/// When markers are written again that could not be written.
const RETRY_MS: i64 = 1_000;

impl State {
    /// `EndTxn`.
    pub(super) fn end_txn(
        &mut self,
        request: &EndTxnRequest,
        context: &Context,
        now_ms: i64,
    ) -> EndTxnResponse {
        let producer = Producer {
            transactional_id: &request.transactional_id,
            id: request.producer_id.0,
            epoch: request.producer_epoch,
        };
        let ended = self.try_end(producer, request.committed, now_ms);
        EndTxnResponse::default().with_error_code(code(for_version(ended, context.api_version)))
    }

    fn try_end(&mut self, producer: Producer<'_>, commit: bool, now_ms: i64) -> Result<(), ResponseError> {
        let state = self.settled(producer, now_ms)?.state;
        match (state, commit) {
            (TransactionState::Ongoing, _) => {
                self.decide(producer.transactional_id, commit, producer.epoch, now_ms)?;
                // The decision is what the producer waits for; markers that cannot be written now will be.
                if let Err(error) = self.complete(producer.transactional_id, now_ms) {
                    let id = producer.transactional_id;
                    tracing::warn!(transactional_id = id, %error, "a decided transaction is completed later");
                }
                Ok(())
            }
            // The answer got lost and the producer asks again.
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => Ok(()),
            _ => Err(ResponseError::InvalidTxnState),
        }
    }

    /// Decides an open transaction. Its markers have `epoch`, which fences the producer if it is not the producer's.
    pub(super) fn decide(
        &mut self,
        id: &str,
        commit: bool,
        epoch: i16,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        self.commit(vec![Entry::TransactionPrepared { id: id.to_owned(), commit, epoch, at_ms: now_ms }])
    }

    /// Completes a transaction that is decided, and does nothing to any other. If a marker cannot be written it is
    /// tried again later, and until then the producer is told to wait.
    pub(super) fn complete(&mut self, id: &str, now_ms: i64) -> Result<(), ResponseError> {
        let Some(transaction) = self.transactions.get(id) else { return Ok(()) };
        let Some(commit) = transaction.decided() else { return Ok(()) };
        let (producer_id, epoch) = (transaction.producer_id, transaction.epoch);
        let partitions = transaction
            .partitions
            .iter()
            .flat_map(|(topic, indexes)| indexes.iter().map(move |partition| (topic.as_str(), *partition)));
        let mut failure = None;
        for (topic, partition) in partitions {
            match self.partitions.end_transaction(topic, partition, producer_id, epoch, commit) {
                // A deleted topic took what the transaction did to it along.
                Ok(()) | Err(ResponseError::UnknownTopicOrPartition) => {}
                // A log that knows a newer producer will never take the marker, however often it is tried.
                Err(
                    error @ (ResponseError::InvalidProducerEpoch
                    | ResponseError::TransactionCoordinatorFenced),
                ) => {
                    tracing::warn!(transactional_id = id, topic, partition, %error, "a log has a newer producer");
                }
                Err(error) => {
                    tracing::error!(transactional_id = id, topic, partition, %error, "cannot write a marker");
                    failure = Some(error);
                }
            }
        }
        let completed = match failure {
            Some(error) => Err(error),
            None => self.commit(vec![Entry::TransactionCompleted { id: id.to_owned(), at_ms: now_ms }]),
        };
        completed.map_err(|_| {
            self.timers.arm(Timer::Transaction(id.to_owned()), now_ms + RETRY_MS);
            ResponseError::ConcurrentTransactions
        })
    }

    /// Aborts an open transaction with the next epoch, so that its producer can do nothing more.
    pub(super) fn fence(&mut self, id: &str, now_ms: i64) -> Result<(), ResponseError> {
        let Some(transaction) = self.transactions.get(id) else { return Ok(()) };
        // The last epoch is never given to a producer, so there is always one more to fence with.
        let epoch = transaction.epoch.saturating_add(1);
        self.decide(id, false, epoch, now_ms)?;
        self.complete(id, now_ms)
    }

    /// Does what is due to a transaction.
    pub(super) fn tick_transaction(&mut self, id: &str, now_ms: i64) {
        let Some(transaction) = self.transactions.get(id) else { return };
        let done = match transaction.times_out_ms() {
            Some(timeout_ms) if timeout_ms <= now_ms => {
                tracing::info!(transactional_id = id, "a transaction timed out and is aborted");
                self.fence(id, now_ms)
            }
            Some(_) => Ok(()),
            None => self.complete(id, now_ms),
        };
        match done {
            Ok(()) => self.watch_transaction(id),
            Err(_) => self.timers.arm(Timer::Transaction(id.to_owned()), now_ms + RETRY_MS),
        }
    }

    /// Looks after the transactions that the journal knows of when the broker starts.
    pub(super) fn resume_transactions(&mut self, now_ms: i64) {
        let ids: Vec<String> = self.transactions.keys().cloned().collect();
        for id in ids {
            if let Err(error) = self.complete(&id, now_ms) {
                tracing::warn!(transactional_id = %id, %error, "a decided transaction is completed later");
            }
            self.permit(&id);
            self.watch_transaction(&id);
        }
    }

    /// Lets the logs take batches of an open transaction.
    fn permit(&self, id: &str) {
        let Some(transaction) = self.transactions.get(id) else { return };
        if transaction.state != TransactionState::Ongoing {
            return;
        }
        for (topic, indexes) in &transaction.partitions {
            for partition in indexes {
                let (producer_id, epoch) = (transaction.producer_id, transaction.epoch);
                if let Err(error) = self.partitions.begin_transaction(topic, *partition, producer_id, epoch) {
                    // The producer's next batch is refused, and it aborts.
                    tracing::warn!(transactional_id = id, topic, partition, %error, "cannot resume a transaction");
                }
            }
        }
    }

    /// Aborts what is open in the logs although no transaction here has it: nobody else would ever end it.
    pub(super) fn abort_orphans(&self) {
        for (topic, partition, producer_id, epoch) in self.partitions.open_transactions() {
            let mut transactions = self.transactions.values();
            let known = transactions.any(|transaction| {
                transaction.producer_id == producer_id && transaction.has(&topic, partition)
            });
            if known {
                continue;
            }
            tracing::warn!(topic, partition, producer_id, "aborting a transaction that nobody knows of");
            if let Err(error) = self.partitions.end_transaction(&topic, partition, producer_id, epoch, false)
            {
                tracing::error!(topic, partition, producer_id, %error, "cannot abort it; it is tried again later");
            }
        }
    }
}
