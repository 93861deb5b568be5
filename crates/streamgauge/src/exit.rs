//! How the program ends: the one place where an error is printed and an exit code chosen.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failure |
//! | 2 | usage: unknown flags, bad arguments |
//! | 69 | Kafka, or a topic or group in it, is not there, or refuses |
//! | 74 | input or output failed |
//! | 78 | configuration |
//! | 130, 143 | ended by SIGINT, SIGTERM (128 + the signal's number), after draining |
//!
//! An error is one line: what failed, why, and what to do about it. When standard output is a pipe that its reader has
//! closed, the program ends quietly with 0, as the reader has what it wanted.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use broker::BrokerError;
use consumers::analyze;
use kafka::TransactionError;
use monitor::{PageError, ServeError};
use producers::ErrorKind;
use runtime::{Shutdown, StopReason};

use crate::settings::SettingsError;

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const UNAVAILABLE: u8 = 69;
const IO: u8 = 74;
const CONFIG: u8 = 78;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It did what it was asked to.
    Done,
    /// It did, and its answer is no: something that it was to look for is wrong, as its output says.
    Unsatisfied,
    /// It did, and what it looked at is settings that are wrong, as its output says.
    Misconfigured,
    /// A signal ended it, after draining.
    Signal(i32),
}

impl Ending {
    /// The ending of work that went well under this shutdown: by a signal, or done.
    pub(crate) fn of(shutdown: &Shutdown) -> Self {
        match shutdown.reason() {
            Some(StopReason::Signal(signal)) => Self::Signal(signal),
            _ => Self::Done,
        }
    }
}

/// A mistake in the arguments that the parser cannot see by itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Reports the outcome of the program on standard error and turns it into the exit code.
pub(crate) fn report(outcome: &anyhow::Result<Ending>) -> ExitCode {
    match outcome {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Unsatisfied) => FAILURE.into(),
        Ok(Ending::Misconfigured) => CONFIG.into(),
        Ok(Ending::Signal(signal)) => {
            ExitCode::from(128u8.saturating_add(u8::try_from(*signal).unwrap_or(0)))
        }
        Err(error) if is_broken_pipe(error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&describe(error));
            ExitCode::from(code(error))
        }
    }
}

/// Reports what the argument parser says: help and version are answers, the rest is a usage error.
pub(crate) fn report_parse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => report(&Err(anyhow::Error::new(failure))),
        };
    }
    let text = error.render().to_string();
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = write!(io::stderr(), "{text}");
        return USAGE.into();
    }
    complain(text.trim_start_matches("error: ").trim_end());
    USAGE.into()
}

/// One line for an error with its causes and, where one is known, the fix.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let part = cause.to_string();
        // A wrapper that already prints its cause would say it twice.
        if !text.ends_with(&part) {
            let colon = if text.is_empty() { "" } else { ": " };
            let _ = write!(text, "{colon}{part}");
        }
    }
    let advice = error.chain().find_map(|cause| {
        if cause.is::<ServeError>() {
            return Some("choose another address with --metrics-listen (metrics.listen)".to_owned());
        }
        if let Some(processors::Error::Transaction(TransactionError::Fenced { .. })) = cause.downcast_ref() {
            return Some("give every copy a name of its own with --instance (process.instance)".to_owned());
        }
        match cause.downcast_ref::<BrokerError>() {
            Some(error) => broker_advice(error).map(str::to_owned),
            None => advice(kafka_error(cause)?),
        }
    });
    if let Some(advice) = advice {
        let _ = write!(text, "; {advice}");
    }
    text.replace('\n', " ")
}

fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(cause_code).unwrap_or(FAILURE)
}

fn cause_code(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if cause.is::<UsageError>() {
        return Some(USAGE);
    }
    if cause.is::<SettingsError>()
        || cause.is::<kafka::SettingsError>()
        || cause.is::<runtime::TelemetryError>()
    {
        return Some(CONFIG);
    }
    if let Some(ServeError::Listen { source, .. }) = cause.downcast_ref() {
        return Some(if source.kind() == io::ErrorKind::InvalidInput { CONFIG } else { IO });
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(match error {
            BrokerError::Open { .. } => CONFIG,
            _ => IO,
        });
    }
    if let Some(error) = kafka_error(cause) {
        return Some(kafka_code(error));
    }
    if let Some(error) = cause.downcast_ref::<producers::Error>() {
        return Some(match error.kind() {
            ErrorKind::Usage => USAGE,
            ErrorKind::Unavailable => UNAVAILABLE,
            ErrorKind::Input => IO,
            ErrorKind::Failure => FAILURE,
        });
    }
    if let Some(error) = cause.downcast_ref::<analyze::Error>() {
        return match error {
            analyze::Error::Task(_) | analyze::Error::Kafka(_) => None,
            _ => Some(IO),
        };
    }
    if let Some(error) = cause.downcast_ref::<PageError>() {
        return Some(if matches!(error, PageError::NotLoopback { .. }) { CONFIG } else { IO });
    }
    if let Some(error) = cause.downcast_ref::<storage::Error>() {
        return store_code(error);
    }
    cause.is::<io::Error>().then_some(IO)
}

fn store_code(error: &storage::Error) -> Option<u8> {
    use storage::Error as Store;
    match error {
        Store::Kafka(_) | Store::Task(_) => None,
        Store::NotAStore { .. }
        | Store::NoStore { .. }
        | Store::Newer { .. }
        | Store::Tls { .. }
        | Store::OtherColumns { .. }
        | Store::NewerTables { .. } => Some(CONFIG),
        Store::Database(_) => Some(UNAVAILABLE),
        Store::File { .. } | Store::Damaged { .. } | Store::InTheWay { .. } | Store::Thread { .. } => {
            Some(IO)
        }
        _ => Some(FAILURE),
    }
}

/// The error of the Kafka client in this one, be it in a wrapper that shows nothing of its own.
fn kafka_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a kafka::Error> {
    if let Some(producers::Error::Kafka(error)) = cause.downcast_ref() {
        return Some(error);
    }
    if let Some(analyze::Error::Kafka(error)) = cause.downcast_ref() {
        return Some(error);
    }
    if let Some(processors::Error::Kafka(error)) = cause.downcast_ref() {
        return Some(error);
    }
    if let Some(storage::Error::Kafka(error)) = cause.downcast_ref() {
        return Some(error);
    }
    cause.downcast_ref()
}

fn kafka_code(error: &kafka::Error) -> u8 {
    match error {
        kafka::Error::Settings(_) => CONFIG,
        kafka::Error::Unreachable { .. }
        | kafka::Error::Authentication { .. }
        | kafka::Error::MissingTopic { .. }
        | kafka::Error::MissingGroup { .. }
        | kafka::Error::Unacknowledged { .. } => UNAVAILABLE,
        kafka::Error::Thread { .. } => IO,
        error if error.is_retryable() => UNAVAILABLE,
        _ => FAILURE,
    }
}

/// What to do about an error of the brokers' side.
pub(crate) fn advice(error: &kafka::Error) -> Option<String> {
    match error {
        kafka::Error::Unreachable { .. } => Some(
            "start Kafka there, or name the right brokers with -b HOST:PORT (streamgauge doctor looks closer)"
                .to_owned(),
        ),
        kafka::Error::Authentication { .. } => Some(
            "check security.protocol, sasl.mechanism, sasl.username, sasl.password and ssl.ca.location".to_owned(),
        ),
        kafka::Error::MissingTopic { topic, .. } => {
            Some(format!("create it with: streamgauge topics create {topic}"))
        }
        kafka::Error::MissingGroup { .. } => Some("see streamgauge groups list".to_owned()),
        _ => None,
    }
}

/// What to do about a broker of our own that cannot start.
fn broker_advice(error: &BrokerError) -> Option<&'static str> {
    match error {
        BrokerError::PortTaken { .. } => Some(
            "choose another one with --listen (broker.listen), or use the Kafka that is there with -b HOST:PORT",
        ),
        BrokerError::Listen { .. } => Some("choose another address with --listen (broker.listen)"),
        BrokerError::Locked { .. } => {
            Some("stop it, or choose another directory with --data-dir (broker.data_dir)")
        }
        BrokerError::Directory { .. } => Some("choose another directory with --data-dir (broker.data_dir)"),
        _ => None,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn complain(text: &str) {
    // When standard error is gone too there is nobody left to tell; the exit code still says it.
    let _ = writeln!(io::stderr(), "streamgauge: error: {text}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::{Context as _, anyhow};

    use super::*;

    fn check(error: impl Into<anyhow::Error>, expected_code: u8, expected_text: &str) {
        let error = error.into();
        assert_eq!(describe(&error), expected_text);
        assert_eq!(code(&error), expected_code, "{expected_text}");
    }

    fn unreachable() -> kafka::Error {
        let waited = Duration::from_secs(5);
        kafka::Error::Unreachable { bootstrap: "h:1".into(), waited, detail: "refused".into() }
    }

    const UNREACHABLE: &str = "cannot reach Kafka at h:1 within 5 s: refused; start Kafka there, or name the right \
                               brokers with -b HOST:PORT (streamgauge doctor looks closer)";

    #[test]
    fn every_kind_of_error_has_its_code_and_its_line() {
        check(anyhow!("one\ntwo"), FAILURE, "one two");
        check(UsageError("add --yes".into()), USAGE, "add --yes");
        check(unreachable(), UNAVAILABLE, UNREACHABLE);
        check(producers::Error::Kafka(unreachable()), UNAVAILABLE, UNREACHABLE);
        check(analyze::Error::Kafka(unreachable()), UNAVAILABLE, UNREACHABLE);
        let full = || io::Error::new(io::ErrorKind::StorageFull, "disk full");
        check(anyhow::Error::new(full()).context("cannot write"), IO, "cannot write: disk full");
        check(analyze::Error::Output { source: full() }, IO, "cannot write to standard output: disk full");
        let missing = kafka::Error::MissingTopic { topic: "t".into(), bootstrap: "h:1".into() };
        let text = "topic \"t\" does not exist on h:1; create it with: streamgauge topics create t";
        check(missing, UNAVAILABLE, text);
        let unknown = kafka::SettingsError::Unknown { key: "lingerms".into(), nearest: None };
        let text = "-X lingerms: unknown Kafka property \"lingerms\"";
        let origin = Some(crate::settings::Origin::Flag("-X lingerms".into()));
        check(SettingsError::Kafka { origin, verdict: unknown }, CONFIG, text);
    }

    #[test]
    fn a_taken_port_is_input_output_and_a_bad_address_configuration() {
        let listen = |kind| ServeError::Listen { address: "h:1".into(), source: io::Error::new(kind, "no") };
        let text = "cannot listen on h:1: no; choose another address with --metrics-listen (metrics.listen)";
        check(listen(io::ErrorKind::AddrInUse), IO, text);
        check(listen(io::ErrorKind::InvalidInput), CONFIG, text);
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let broken =
            Err(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write to standard output");
        assert_eq!(report(&broken), ExitCode::SUCCESS);
        assert_eq!(report(&Ok(Ending::Signal(15))), ExitCode::from(143));
    }
}
