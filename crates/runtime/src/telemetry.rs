//! Logs: structured events with fields on standard error, as text for people or as JSON lines for machines.
//!
//! Standard output belongs to a command's results alone. [`init_logging`] is called once, by the binary.

use std::io;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(TelemetryError::UnknownFormat { format: other.to_owned() }),
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The format is neither `text` nor `json`.
    #[error("unknown log format {format:?}; use text or json")]
    UnknownFormat {
        /// What was asked for.
        format: String,
    },
    /// The filter cannot be read.
    #[error(
        "log level {filter:?} cannot be read ({reason}); use error, warn, info, debug, trace, or module=level,…"
    )]
    Filter {
        /// What was asked for.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A subscriber is there already.
    #[error("logging is already set up in this process")]
    AlreadySet,
}

/// Sends log events to standard error.
///
/// `filter` is a level (`info`) or a list of directives (`info,kafka=debug`). `ansi` colours text lines; JSON
/// lines are never coloured.
pub fn init_logging(format: LogFormat, filter: &str, ansi: bool) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| TelemetryError::Filter { filter: filter.to_owned(), reason: error.to_string() })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_timer(SystemTime)
        .with_thread_names(true)
        .with_target(true);
    let outcome = match format {
        LogFormat::Text => builder.with_ansi(ansi).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    outcome.map_err(|_| TelemetryError::AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_named_exactly() {
        assert_eq!("json".parse::<LogFormat>().expect("known"), LogFormat::Json);
        let error = "JSON".parse::<LogFormat>().expect_err("names are in lower case");
        assert_eq!(error.to_string(), "unknown log format \"JSON\"; use text or json");
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = init_logging(LogFormat::Text, "kafka=loud", false).expect_err("no such level");
        assert!(error.to_string().starts_with("log level \"kafka=loud\" cannot be read"), "{error}");
    }
}
