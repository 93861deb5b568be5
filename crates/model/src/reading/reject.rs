//! Why a payload is no reading, for people (a sentence) and for counters (a label).

use thiserror::Error;

use super::decode::{MAX_DEPTH, MAX_FIELDS, MAX_PAYLOAD_BYTES};
use crate::json::Flaw;

/// Why a payload is no reading. Positions are bytes from the start of the payload, counted from 0.
///
/// Fields named in a message are cut after 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reject {
    /// Over [`MAX_PAYLOAD_BYTES`].
    #[error("the payload has {bytes} bytes, more than the {MAX_PAYLOAD_BYTES} allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("the payload is not UTF-8: invalid byte sequence at byte {at}")]
    InvalidUtf8 {
        /// Where the first invalid sequence begins.
        at: usize,
    },
    /// Not JSON.
    #[error("the payload is not JSON: {flaw} at byte {at}")]
    NotJson {
        /// What is wrong.
        flaw: Flaw,
        /// Where.
        at: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the payload is nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// Where the level too many begins.
        at: usize,
    },
    /// A number beyond `f64` such as 1e400, or one of Python's NaN, Infinity and -Infinity, in any field.
    #[error("{field} has a number that is not finite at byte {at}")]
    NonFiniteNumber {
        /// The field.
        field: String,
        /// Where the number begins.
        at: usize,
    },
    /// JSON, but not an object.
    #[error("the payload is {found}, not an object")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A known field of the wrong type.
    #[error("{field} must be {expected}, but is {found} at byte {at}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
        /// Where the value begins.
        at: usize,
    },
    /// A key twice in the reading or in its location.
    #[error("{key} occurs twice, again at byte {at}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it occurs again.
        at: usize,
    },
    /// More than [`MAX_FIELDS`] unknown fields in the reading or in its location.
    #[error("the payload has more than {MAX_FIELDS} further fields at byte {at}")]
    TooManyFields {
        /// Where the first beyond the limit begins.
        at: usize,
    },
    /// An empty sensor id.
    #[error("sensor_id is empty at byte {at}")]
    EmptySensorId {
        /// Where the value begins.
        at: usize,
    },
    /// A timestamp that names no time in the years 0001 to 9999.
    #[error(
        "timestamp {found} at byte {at} is neither ISO 8601 nor integer milliseconds in years 0001 to 9999"
    )]
    UnreadableTimestamp {
        /// What it says.
        found: String,
        /// Where the value begins.
        at: usize,
    },
    /// A location with one coordinate.
    #[error("location has no {missing} at byte {at}")]
    IncompleteLocation {
        /// The other one.
        missing: &'static str,
        /// Where the location begins.
        at: usize,
    },
    /// No sensor id.
    #[error("sensor_id is missing")]
    MissingSensorId,
    /// No timestamp.
    #[error("timestamp is missing")]
    MissingTimestamp,
    /// No number that could be a measurement.
    #[error("the payload has no measurement")]
    NoMeasurement,
}

impl Reject {
    /// Every label that [`Reject::reason`] gives.
    pub const REASONS: &[&str] = &[
        "too-large",
        "invalid-utf8",
        "not-json",
        "too-deep",
        "non-finite-number",
        "not-an-object",
        "wrong-type",
        "duplicate-key",
        "too-many-fields",
        "empty-sensor-id",
        "unreadable-timestamp",
        "incomplete-location",
        "missing-sensor-id",
        "missing-timestamp",
        "no-measurement",
    ];

    /// A stable label for metrics and the dead letter's header.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::InvalidUtf8 { .. } => "invalid-utf8",
            Self::NotJson { .. } => "not-json",
            Self::TooDeep { .. } => "too-deep",
            Self::NonFiniteNumber { .. } => "non-finite-number",
            Self::NotAnObject { .. } => "not-an-object",
            Self::WrongType { .. } => "wrong-type",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::TooManyFields { .. } => "too-many-fields",
            Self::EmptySensorId { .. } => "empty-sensor-id",
            Self::UnreadableTimestamp { .. } => "unreadable-timestamp",
            Self::IncompleteLocation { .. } => "incomplete-location",
            Self::MissingSensorId => "missing-sensor-id",
            Self::MissingTimestamp => "missing-timestamp",
            Self::NoMeasurement => "no-measurement",
        }
    }
}
