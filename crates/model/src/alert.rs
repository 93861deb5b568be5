//! Alarms and what people did about them (topic `alerts`).
//!
//! # Wire format
//! One JSON object. What the processor says of an alarm has the key `RULE/SENSOR`, so the newest record of a key is the
//! alarm's current state:
//!
//! ```json
//! {"id":"high-temperature-1f3a90c2b4d5e6f7","sensor_id":"SENSOR_001","rule":"high-temperature","rule_version":"5d41402a",
//!  "severity":"warning","state":"firing","since":"2024-11-07T10:15:30","at":"2024-11-07T10:15:30",
//!  "evidence":{"when":"temperature > 30","value":31.2,"bound":30.0,"values":{"temperature":31.2}},
//!  "source":{"topic":"sensor-data","partition":1,"offset":3350}}
//! ```
//!
//! One life of an alarm has one id: `firing`, perhaps `escalated`, `cleared`. What people do is a record of its own under
//! the same id, with the key `RULE/SENSOR/STATE` (so it never hides the alarm's state) and `by` instead of evidence:
//!
//! ```json
//! {"id":"high-temperature-1f3a90c2b4d5e6f7","sensor_id":"SENSOR_001","rule":"high-temperature","state":"snoozed",
//!  "by":"anna","at":"2024-11-07T10:20:00","until":"2024-11-07T11:20:00","text":"fan on order"}
//! ```
//!
//! A rule's name has no slash, so a key can be taken apart.

mod fold;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::EventTime;

pub use fold::{Alarm, Alarms};

/// How bad it is. The order is that of growing urgency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look.
    #[default]
    Warning,
    /// Worth getting up for.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// Where an alarm is in its life, as the processor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its rule holds.
    Firing,
    /// Its rule has held for so long, or so clearly, that the severity was raised.
    Escalated,
    /// Its rule holds no longer; this id is at its end.
    Cleared,
}

/// What the processor says of an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for one life of an alarm, never used again.
    pub id: String,
    /// The sensor.
    pub sensor_id: String,
    /// The rule's name.
    pub rule: String,
    /// Changes when the rule does.
    pub rule_version: String,
    /// How bad it is now.
    pub severity: Severity,
    /// Where it is in its life.
    pub state: AlertState,
    /// The event time from which the rule held.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub since: EventTime,
    /// The event time of this record's change of state (the wall clock's, if no reading but the clock brought it).
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub at: EventTime,
    /// Why.
    pub evidence: Evidence,
    /// The reading that decided.
    pub source: AlertSource,
}

/// Why an alarm fired, escalated or cleared: enough to check it by hand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rule's condition as it is written.
    pub when: String,
    /// What the condition compared, in the unit of its left side; `None` if there was nothing to compare (a rule that was
    /// removed, for instance).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<f64>,
    /// What it was compared with: the bound for firing, or for clearing where that is another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bound: Option<f64>,
    /// The figures behind the value by name: measurements, means, deviations, seconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub values: BTreeMap<String, f64>,
    /// The stretch of event time that the figures are of, if they are of more than one reading.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window: Option<EvidenceWindow>,
    /// In words, where figures do not say it: why it was cleared by no reading, how many alarms were held back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// A stretch of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceWindow {
    /// Its first moment.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub start: EventTime,
    /// Its last moment.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub end: EventTime,
}

/// The record that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSource {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// What a person did about an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonState {
    /// Somebody looks after it.
    Acknowledged,
    /// Nobody wants to hear of it until a time.
    Snoozed,
    /// Something was written down.
    Note,
}

/// What a person did about an alarm: a record beside the alarm's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRecord {
    /// The alarm's id.
    pub id: String,
    /// The sensor.
    pub sensor_id: String,
    /// The rule's name.
    pub rule: String,
    /// What was done.
    pub state: PersonState,
    /// By whom.
    pub by: String,
    /// When, by the wall clock.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub at: EventTime,
    /// Until when it is snoozed.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        serialize_with = "write_optional_time",
        deserialize_with = "read_optional_time"
    )]
    pub until: Option<EventTime>,
    /// What was written down.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
}

/// A record of the topic `alerts`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum AlertRecord {
    /// The processor's.
    Alert(Box<Alert>),
    /// A person's.
    Person(PersonRecord),
}

/// The key of an alarm's records, under which the newest is the current state.
pub fn alert_key(rule: &str, sensor_id: &str) -> String {
    format!("{rule}/{sensor_id}")
}

/// The key of what people do about an alarm.
pub fn person_key(record: &PersonRecord) -> String {
    let state = match record.state {
        PersonState::Acknowledged => "acknowledged",
        PersonState::Snoozed => "snoozed",
        PersonState::Note => "note",
    };
    format!("{}/{}/{state}", record.rule, record.sensor_id)
}

/// Reads a record of `alerts`.
pub fn decode_alert(payload: &[u8]) -> Result<AlertRecord, serde_json::Error> {
    serde_json::from_slice(payload)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
fn write_time<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    EventTime::parse(text.as_bytes())
        .ok_or_else(|| serde::de::Error::custom(format_args!("{text:?} is not a time")))
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn write_optional_time<S: Serializer>(time: &Option<EventTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => write_time(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn read_optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EventTime>, D::Error> {
    read_time(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn alert() -> Alert {
        Alert {
            id: "hot-1".into(),
            sensor_id: "S".into(),
            rule: "hot".into(),
            rule_version: "5d41402a".into(),
            severity: Severity::Critical,
            state: AlertState::Firing,
            since: EventTime::from_millis(1_000),
            at: EventTime::from_millis(31_500),
            evidence: Evidence {
                when: "temperature > 30".into(),
                value: Some(31.2),
                bound: Some(30.0),
                values: BTreeMap::from([("temperature".into(), 31.2)]),
                window: Some(EvidenceWindow {
                    start: EventTime::from_millis(0),
                    end: EventTime::from_millis(1),
                }),
                note: None,
            },
            source: AlertSource { topic: "sensor-data".into(), partition: 1, offset: 3350 },
        }
    }

    #[test]
    fn alerts_are_read_back() {
        let text = serde_json::to_vec(&alert()).expect("plain data");
        assert_eq!(decode_alert(&text).expect("ours"), AlertRecord::Alert(Box::new(alert())));
        let shown = String::from_utf8(text).expect("UTF-8");
        assert!(
            shown.contains(r#""since":"1970-01-01T00:00:01","at":"1970-01-01T00:00:31.500000""#),
            "{shown}"
        );
    }

    #[test]
    fn what_people_do_is_read_back() {
        let mut record = PersonRecord {
            id: "hot-1".into(),
            sensor_id: "S/1".into(),
            rule: "hot".into(),
            state: PersonState::Snoozed,
            by: "anna".into(),
            at: EventTime::from_millis(5),
            until: Some(EventTime::from_millis(6)),
            text: None,
        };
        for until in [record.until, None] {
            record.until = until;
            let text = serde_json::to_vec(&record).expect("plain data");
            assert_eq!(decode_alert(&text).expect("ours"), AlertRecord::Person(record.clone()));
        }
        assert_eq!(person_key(&record), "hot/S/1/snoozed");
        assert_eq!(alert_key("hot", "S/1"), "hot/S/1");
    }

    #[test]
    fn severities_have_an_order() {
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Critical);
    }
}
