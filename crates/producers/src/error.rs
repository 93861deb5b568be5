//! The errors of this crate, each naming the thing and, where there is one, the fix.

use crate::events::EventsError;
use crate::replay::ReplayError;
use crate::sensors::SensorsError;
use crate::summary::{Summary, thousands};

/// Why a producer could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection to Kafka, or its settings.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// Options of the simulator.
    #[error(transparent)]
    Sensors(#[from] SensorsError),
    /// Options of the event stream.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The input of a replay.
    #[error(transparent)]
    Replay(ReplayError),
    /// The run ended early or could not be finished, after records had been sent. The summary says how far it came.
    #[error("{detail}")]
    Incomplete {
        /// What happened, and what it means for the records.
        detail: String,
        /// What kind of failure it was.
        kind: ErrorKind,
        /// What was acknowledged until then.
        summary: Box<Summary>,
    },
    /// A thread could not be started.
    #[error("cannot start the thread {name:?}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

/// What an error means for whoever started the program; the binary makes its exit code of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Flags that cannot work, alone or together.
    Usage,
    /// A broker could not be reached or did not acknowledge in time.
    Unavailable,
    /// A file could not be read or written, or what is in it cannot be replayed.
    Input,
    /// Anything else.
    Failure,
}

impl Error {
    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Kafka(error) if error.is_retryable() => ErrorKind::Unavailable,
            Self::Kafka(_) | Self::Thread { .. } => ErrorKind::Failure,
            Self::Sensors(_) | Self::Events(_) => ErrorKind::Usage,
            Self::Replay(error) => error.kind(),
            Self::Incomplete { kind, .. } => *kind,
        }
    }

    /// The error with the figures of the run. What was missing at the end is in its text, because that may be all that
    /// is read.
    pub(crate) fn incomplete(error: &Self, summary: Summary) -> Self {
        let kind = error.kind();
        let mut detail = error.to_string();
        if summary.unacknowledged > 0 && !matches!(error, Self::Kafka(kafka::Error::Unacknowledged { .. })) {
            let count = thousands(summary.unacknowledged);
            detail = format!("{detail}; {count} more were not acknowledged");
        }
        Self::Incomplete { detail, kind, summary: Box::new(summary) }
    }

    /// What was done before the error, if anything was sent.
    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Incomplete { summary, .. } => Some(summary),
            _ => None,
        }
    }
}

impl From<ReplayError> for Error {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}
