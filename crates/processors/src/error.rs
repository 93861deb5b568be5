//! Why a run failed.

use std::io;

use kafka::TransactionError;
use runtime::TaskError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka: unreachable, a missing topic, wrong credentials, …
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// A transaction failed for good; most often another instance runs under the same name.
    #[error(transparent)]
    Transaction(TransactionError),
    /// An internal topic is not as it was made, so that state cannot be found by it.
    #[error("the internal topic {topic:?} cannot be used: {problem}")]
    InternalTopic {
        /// The topic.
        topic: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A thread cannot be started.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A worker panicked or did not end in time.
    #[error(transparent)]
    Task(TaskError),
}

impl From<TransactionError> for Error {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Failed(error) => Self::Kafka(error),
            other => Self::Transaction(other),
        }
    }
}
