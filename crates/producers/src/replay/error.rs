//! What is wrong with the input of a replay, or with its options: each error names the input and the fix.

use std::io;
use std::path::PathBuf;

use crate::error::ErrorKind;

/// Why a replay cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No input was named.
    #[error("name at least one FILE, or - for standard input")]
    NoInput,
    /// The same input twice.
    #[error("{input} is named twice; name it once, or add --loop to repeat the whole")]
    Twice {
        /// The input.
        input: String,
    },
    /// An option for which standard input will not do.
    #[error("{option} needs files: standard input can be read only once, from the beginning")]
    NeedsFiles {
        /// The option.
        option: &'static str,
    },
    /// An input that cannot be opened.
    #[error("cannot read {input}: {source}")]
    Open {
        /// The input.
        input: String,
        /// Why.
        source: io::Error,
    },
    /// An input that could be read only up to somewhere.
    #[error("cannot read on in {input}: {source}")]
    Read {
        /// The input.
        input: String,
        /// Why.
        source: io::Error,
    },
    /// An input whose columns do not make readings.
    #[error("{input}: {problem}")]
    Input {
        /// The input.
        input: String,
        /// What is wrong, with the fix.
        problem: String,
    },
    /// A malformed row.
    #[error(
        "{input}:{line}: {problem}; correct the row, or add --on-error skip to leave such rows out and count them"
    )]
    Row {
        /// The input.
        input: String,
        /// The line where the row begins, counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// Nothing could be replayed.
    #[error("there is nothing to replay in {inputs}{}", .without_values.then_some(": no row has a value").unwrap_or_default())]
    Nothing {
        /// All inputs.
        inputs: String,
        /// There were rows, but none with a measurement.
        without_values: bool,
    },
    /// The position file.
    #[error("position file {}: {problem}", .path.display())]
    PositionFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong, with the fix.
        problem: String,
    },
}

impl ReplayError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoInput | Self::Twice { .. } | Self::NeedsFiles { .. } => ErrorKind::Usage,
            _ => ErrorKind::Input,
        }
    }
}
