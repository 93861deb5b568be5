//! The error of this crate. Each variant names the thing that failed; the binary adds the fix and the exit code.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

use crate::settings::SettingsError;

/// What can go wrong between a worker and the brokers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings themselves are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No broker answered in time.
    #[error("cannot reach Kafka at {bootstrap} within {} s: {detail}", .waited.as_secs_f64())]
    Unreachable {
        /// The bootstrap servers that were tried.
        bootstrap: String,
        /// How long was tried.
        waited: Duration,
        /// The last thing that the connection said.
        detail: String,
    },
    /// The brokers refused the credentials or the TLS handshake failed.
    #[error("Kafka at {bootstrap} refused the connection's credentials: {detail}")]
    Authentication {
        /// The bootstrap servers.
        bootstrap: String,
        /// What was refused.
        detail: String,
    },
    /// The topic does not exist, and topics are not created behind the user's back.
    #[error("topic {topic:?} does not exist on {bootstrap}")]
    MissingTopic {
        /// The topic.
        topic: String,
        /// The bootstrap servers.
        bootstrap: String,
    },
    /// The consumer group does not exist.
    #[error("consumer group {group:?} does not exist on {bootstrap}")]
    MissingGroup {
        /// The group.
        group: String,
        /// The bootstrap servers.
        bootstrap: String,
    },
    /// Records were accepted but the brokers have not acknowledged them in time.
    #[error("{count} records were not acknowledged within {} s{}", .waited.as_secs_f64(), because(.detail.as_ref()))]
    Unacknowledged {
        /// How many.
        count: u64,
        /// How long was waited.
        waited: Duration,
        /// The broker problem known at that time, if any.
        detail: Option<String>,
    },
    /// Rejected records could not be written to the dead-letter topic, so their offsets stay uncommitted.
    #[error("{count} rejected records could not be written to the dead-letter topic {topic:?}: {detail}")]
    DeadLetter {
        /// The dead-letter topic.
        topic: String,
        /// How many records.
        count: u64,
        /// The reason given for the last.
        detail: String,
    },
    /// The client can no longer do its work, for instance because it was fenced.
    #[error("the Kafka client had to stop: {detail}")]
    Fatal {
        /// librdkafka's reason.
        detail: String,
    },
    /// Any other refusal by the client library or a broker.
    #[error("{doing}: {detail} ({code:?})")]
    Kafka {
        /// What was being done, with the topic or group.
        doing: String,
        /// The code of the refusal.
        code: RDKafkaErrorCode,
        /// The refusal in words.
        detail: String,
    },
    /// One broker could not be asked about itself.
    #[error("cannot ask the broker at {address}: {detail}")]
    Broker {
        /// `host:port`, as the cluster advertises it.
        address: String,
        /// What went wrong.
        detail: String,
    },
    /// A thread of the client could not be started.
    #[error("cannot start the thread {name:?}")]
    Thread {
        /// The thread's name.
        name: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

fn because(detail: Option<&String>) -> String {
    detail.map(|text| format!(" ({text})")).unwrap_or_default()
}

/// What librdkafka says about a code, without the code's name, which the message has already.
pub(crate) fn words(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    let named = text.strip_prefix(&format!("{code:?} ("));
    named.and_then(|rest| rest.strip_suffix(')')).unwrap_or(&text).to_owned()
}

impl Error {
    pub(crate) fn kafka(doing: impl Into<String>, code: RDKafkaErrorCode) -> Self {
        Self::Kafka { doing: doing.into(), code, detail: words(code) }
    }

    pub(crate) fn wrap(doing: impl Into<String>, error: &rdkafka::error::KafkaError) -> Self {
        let Some(code) = error.rdkafka_error_code() else {
            return Self::Kafka {
                doing: doing.into(),
                code: RDKafkaErrorCode::Fail,
                detail: error.to_string(),
            };
        };
        Self::kafka(doing, code)
    }

    /// Whether trying again later, unchanged, can succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unacknowledged { .. } => true,
            Self::Kafka { code, .. } => matches!(
                code,
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::MessageTimedOut
                    | RDKafkaErrorCode::NotCoordinator
                    | RDKafkaErrorCode::CoordinatorNotAvailable
                    | RDKafkaErrorCode::CoordinatorLoadInProgress
                    | RDKafkaErrorCode::LeaderNotAvailable
                    | RDKafkaErrorCode::NotEnoughReplicas
                    | RDKafkaErrorCode::WaitingForCoordinator
                    | RDKafkaErrorCode::RebalanceInProgress
            ),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_code_once() {
        let error = Error::kafka("cannot create \"a/b\"", RDKafkaErrorCode::InvalidTopic);
        assert_eq!(error.to_string(), "cannot create \"a/b\": Broker: Invalid topic (InvalidTopic)");
    }
}
