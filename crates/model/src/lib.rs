//! The records that flow through streamgauge: sensor readings, application events, window summaries and alarms, their
//! JSON, their validation, and the catalogue of topics they flow through.
//!
//! ```
//! let payload = br#"{"sensor_id":"SENSOR_001","timestamp":"2024-11-07T10:15:30","temperature":23.5}"#;
//! let mut scratch = model::Scratch::new();
//! let reading = model::decode(payload, &mut scratch)?;
//! assert_eq!((reading.sensor_id, reading.temperature), ("SENSOR_001", Some(23.5)));
//!
//! let mut encoded = Vec::new();
//! model::encode(&reading, &mut encoded);
//! assert_eq!(encoded, payload);
//! # Ok::<(), model::Reject>(())
//! ```
//!
//! The map: [`reading`] owns the reading's wire format, [`event`] that of events, [`summary`] that of window summaries,
//! [`alert`] that of alarms, [`time`] the text of times, [`json`] the bytes beneath; [`topics`] and [`headers`] hold names.
//!
//! Invariants: no I/O, no clock, no async, no thread; whatever the bytes, decoding returns a value or a reason and
//! never panics; memory is bounded by named constants.

pub mod alert;
pub mod event;
pub mod headers;
pub mod json;
mod quoted;
pub mod reading;
pub mod summary;
pub mod time;
pub mod topics;

pub use alert::{Alert, AlertRecord, AlertState, PersonRecord, Severity};
pub use event::{Event, EventReject};
pub use json::write::{write_number, write_string};
pub use reading::{
    Implausible, Location, MAX_DEPTH, MAX_FIELDS, MAX_PAYLOAD_BYTES, Reading, Reject, Scratch, decode, encode,
};
pub use summary::{EventCount, Summary};
pub use time::EventTime;
pub use topics::{TopicSpec, catalogue, dead_letter_topic, is_dead_letter_topic};
