//! Logs: structured events with fields on standard error, as text for people or as JSON lines for machines.
//!
//! Standard output belongs to a command's results alone. [`init_logging`] is called once, by the binary. While a
//! command draws on the whole terminal, [`hold_back`] keeps log lines from disturbing the picture.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        .with_writer(|| LogWriter)
        .with_timer(SystemTime)
        .with_thread_names(true)
        .with_target(true);
    let outcome = match format {
        LogFormat::Text => builder.with_ansi(ansi).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    outcome.map_err(|_| TelemetryError::AlreadySet)
}

/// How many log lines are held back at most; the oldest go first.
const MAX_HELD: usize = 500;

/// The lines held back, while they are.
static HELD: Mutex<Option<Held>> = Mutex::new(None);

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<Vec<u8>>,
    dropped: u64,
}

/// As long as this lives, log lines are held back; then they are written, the newest 500 of them.
#[derive(Debug)]
#[must_use = "lines are held back only as long as this lives"]
pub struct HeldBack(());

/// Holds log lines back from now on. There is one terminal, so one of these at a time.
pub fn hold_back() -> HeldBack {
    *held() = Some(Held::default());
    HeldBack(())
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        let Some(held) = held().take() else { return };
        let mut stderr = io::stderr().lock();
        // When standard error is gone there is nobody left to tell.
        if held.dropped > 0 {
            let _ = writeln!(stderr, "({} earlier log lines were dropped)", held.dropped);
        }
        for line in held.lines {
            let _ = stderr.write_all(&line);
        }
    }
}

/// Standard error, or the lines held back. The subscriber writes each line in one call.
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *held() {
            None => return io::stderr().write(line),
            Some(held) => held.keep(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Held {
    fn keep(&mut self, line: &[u8]) {
        if self.lines.len() == MAX_HELD {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line.to_owned());
    }
}

fn held() -> MutexGuard<'static, Option<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_held_back() {
        let guard = hold_back();
        for number in 0..=MAX_HELD {
            LogWriter.write_all(format!("line {number}\n").as_bytes()).expect("held in memory");
        }
        let kept = held().as_ref().map(|held| (held.lines[0].clone(), held.lines.len(), held.dropped));
        assert_eq!(kept, Some((b"line 1\n".to_vec(), MAX_HELD, 1)));
        // The test's own output is not the place for five hundred lines.
        held().take();
        drop(guard);
        assert!(held().is_none());
    }

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
