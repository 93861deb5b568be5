//! Control records: what a lane went by beside its input, numbered.
//!
//! # Format
//! The key is `<topic>/<partition>` of the input. The value is one JSON object, with the fields of every record first:
//!
//! ```json
//! {"v":1,"sequence":17,"after":3349,"tick":1732638783000000}
//! {"v":1,"sequence":18,"after":3349,"plan":{"time":{…},"windows":[…],"rules":[…],"limits":{…}}}
//! {"v":1,"sequence":1,"after":-1,"begin":{"time":{…},"windows":[…],"rules":[…],"limits":{…}}}
//! ```
//!
//! `v` is the version of the format. `sequence` counts from 1 in each input partition, without gaps. `after` is the offset
//! before which (and including which) all input comes first; -1 before the first record. `tick` is a time of the clock in
//! microseconds since the epoch, never less than that of an earlier tick. `plan` is an [`engine::PlanSpec`] that is in force
//! from here on. `begin` is one too, and says that all state before it counts for nothing: the group begins to read behind
//! `after`, for the first time or because its positions were set by hand.
//!
//! The record's timestamp is the clock in milliseconds, which never goes back within an input partition: so the records
//! behind a snapshot are found by the time of the snapshot's last tick.

use engine::PlanSpec;
use model::EventTime;
use serde::{Deserialize, Serialize};

/// The version of the format.
const VERSION: u32 = 1;

/// One control record.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Its number among those of the input partition, from 1.
    pub sequence: u64,
    /// The offset of the last input before it; -1 if there is none.
    pub after: i64,
    /// What it says.
    pub change: Change,
}

/// What a control record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The clock moved to this time.
    Tick(EventTime),
    /// This plan is in force from here on.
    Plan(Box<PlanSpec>),
    /// This plan is in force, and nothing was before it.
    Begin(Box<PlanSpec>),
}

/// Why a control record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ControlReject {
    /// It is no JSON, or a field is not as it should be.
    #[error("it is not a control record: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("a control record of version {0} is not known")]
    Version(u32),
    /// It says nothing, or two things.
    #[error("it holds neither one tick nor one plan")]
    NotOneChange,
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    sequence: u64,
    after: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a PlanSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin: Option<&'a PlanSpec>,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Read {
    sequence: u64,
    after: i64,
    tick: Option<i64>,
    plan: Option<Box<PlanSpec>>,
    begin: Option<Box<PlanSpec>>,
}

impl Control {
    /// Appends the record's value.
    ///
    /// # Panics
    /// Never: plain data in memory has a JSON form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self { sequence, after, ref change } = *self;
        let mut written = Written { v: VERSION, sequence, after, tick: None, plan: None, begin: None };
        match change {
            Change::Tick(time) => written.tick = Some(time.micros()),
            Change::Plan(spec) => written.plan = Some(spec),
            Change::Begin(spec) => written.begin = Some(spec),
        }
        serde_json::to_writer(out, &written).expect("plain data has a JSON form");
    }

    /// Reads a record's value.
    pub fn decode(value: &[u8]) -> Result<Self, ControlReject> {
        let Version { v } = serde_json::from_slice(value)?;
        if v != VERSION {
            return Err(ControlReject::Version(v));
        }
        let Read { sequence, after, tick, plan, begin } = serde_json::from_slice(value)?;
        let change = match (tick.map(EventTime::checked_from_micros), plan, begin) {
            (Some(Some(time)), None, None) => Change::Tick(time),
            (None, Some(spec), None) => Change::Plan(spec),
            (None, None, Some(spec)) => Change::Begin(spec),
            _ => return Err(ControlReject::NotOneChange),
        };
        Ok(Self { sequence, after, change })
    }
}

/// Appends the key of an input partition's control records.
pub fn write_key(topic: &str, partition: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(topic.as_bytes());
    out.push(b'/');
    out.extend_from_slice(partition.to_string().as_bytes());
}

/// The topic and partition that a key names.
pub fn read_key(key: &[u8]) -> Option<(&str, i32)> {
    let (topic, partition) = std::str::from_utf8(key).ok()?.rsplit_once('/')?;
    Some((topic, partition.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::driver::tests::spec;

    #[track_caller]
    fn check(control: &Control) {
        let mut value = Vec::new();
        control.encode(&mut value);
        assert_eq!(Control::decode(&value).expect("ours"), *control);
    }

    #[test]
    fn the_format_is_as_documented() {
        let tick = Control { sequence: 17, after: -1, change: Change::Tick(EventTime::from_micros(1_732)) };
        let mut value = Vec::new();
        tick.encode(&mut value);
        assert_eq!(value, br#"{"v":1,"sequence":17,"after":-1,"tick":1732}"#);
        check(&tick);
        check(&Control { sequence: 2, after: 5, change: Change::Plan(Box::new(spec())) });
        check(&Control { sequence: 1, after: -1, change: Change::Begin(Box::new(spec())) });
    }

    #[test]
    fn another_version_is_told_by_its_number() {
        let error = Control::decode(br#"{"v":9,"much":"else"}"#).expect_err("not known");
        assert_eq!(error.to_string(), "a control record of version 9 is not known");
        let neither = Control::decode(br#"{"v":1,"sequence":1,"after":0}"#);
        assert!(matches!(neither, Err(ControlReject::NotOneChange)));
    }

    #[test]
    fn keys_are_read_back() {
        let mut key = Vec::new();
        write_key("sensor-data", 12, &mut key);
        assert_eq!(key, b"sensor-data/12");
        assert_eq!(read_key(&key), Some(("sensor-data", 12)));
        assert_eq!(read_key(b"sensor-data"), None);
        assert_eq!(read_key(b"sensor-data/x"), None);
    }

    proptest! {
        #[test]
        fn ticks_are_read_back(sequence: u64, after: i64, micros in -1_000_000_000_i64..1_000_000_000) {
            check(&Control { sequence, after, change: Change::Tick(EventTime::from_micros(micros)) });
        }

        #[test]
        fn garbage_is_refused(bytes: Vec<u8>) {
            let _ = Control::decode(&bytes);
            let _ = read_key(&bytes);
        }
    }
}
