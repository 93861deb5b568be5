//! From a record's bytes to what the engine takes.

use std::fmt::Display;

use engine::{Arrival, Verdict};
use kafka::Record;
use kafka::dead_letters::Rejection;
use model::{Event, EventTime, headers};

/// The stage that a dead letter names that cannot be read.
pub(crate) const DECODE: &str = "decode";
/// The stage that a dead letter names that cannot be used.
const PROCESS: &str = "process";
/// The reason under which a record without value goes to the dead-letter topic.
pub(crate) const NULL_VALUE: &str = "null-value";
/// The reason under which an event without any time goes to the dead-letter topic.
const NO_TIME: &str = "no-time";

/// Why a record is a dead letter.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) stage: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Letter {
    pub(crate) fn undecodable(reason: &'static str, message: &dyn Display) -> Self {
        Self { stage: DECODE, reason, message: message.to_string() }
    }

    pub(crate) fn without_value() -> Self {
        Self::undecodable(NULL_VALUE, &"the record has no value")
    }

    /// What becomes of a record that the engine did not take; `None` if it did.
    pub(crate) fn of(verdict: Verdict) -> Option<Self> {
        let (reason, message) = match verdict {
            Verdict::Taken | Verdict::Skipped => return None,
            Verdict::Late => ("late", "every window that it belongs to is past its grace"),
            Verdict::Future => ("future", "its time is further ahead of the clock than max_future allows"),
            Verdict::Refused(refusal) => (refusal.label(), "a bound of the state keeps it out"),
        };
        Some(Self { stage: PROCESS, reason, message: message.to_owned() })
    }

    pub(crate) fn rejection(&self) -> Rejection<'_> {
        Rejection { stage: self.stage, class: self.reason, message: &self.message }
    }
}

/// How a record arrived; its sequence number is read only where it is wanted.
#[inline]
pub(crate) fn arrival(record: &Record<'_>, wants_sequence: bool) -> Arrival {
    let sequence = if wants_sequence { record.header(headers::SEQ).and_then(number) } else { None };
    Arrival { offset: record.offset, sequence }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads an event and its time: its own or, without one, that of the record.
pub(crate) fn event<'a>(record: &Record<'a>) -> Result<(Event<'a>, EventTime), Letter> {
    let headers = record.headers();
    let headers = headers.iter().map(|(name, value)| (&**name, *value));
    let event = Event::from_record(headers, record.value)
        .map_err(|reject| Letter::undecodable(reject.reason(), &reject))?;
    let appended = || record.timestamp_ms().and_then(EventTime::checked_from_millis);
    match event.time.or_else(appended) {
        Some(time) => Ok((event, time)),
        None => Err(Letter::undecodable(NO_TIME, &"neither the event nor its record has a time")),
    }
}
