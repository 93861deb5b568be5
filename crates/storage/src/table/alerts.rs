//! Alarms and what people did about them: one row for each change of state, and for each thing done.
//!
//! | column | |
//! |---|---|
//! | `sensor_id`, `rule`, `id` | text; the id is that of one life of the alarm |
//! | `state` | `firing`, `escalated`, `cleared`; `acknowledged`, `snoozed`, `note` |
//! | `at`, `since` | when the state changed, from when the rule held |
//! | `severity`, `rule_version` | text, of alarms |
//! | `condition`, `value`, `bound` | the rule as written, what it compared, and with what |
//! | `figures` | the figures behind the value, by name |
//! | `window_start`, `window_end` | the stretch of event time that they are of |
//! | `note` | text |
//! | `source_topic`, `source_partition`, `source_offset` | the reading that decided |
//! | `by`, `until` | of what a person did: who, and until when it is snoozed |

use arrow_array::ArrayRef;
use arrow_array::builder::{
    Float64Builder, Int32Builder, Int64Builder, MapBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_schema::{DataType, Field};
use kafka::Record;
use model::alert::{AlertState, PersonState, decode_alert};
use model::{AlertRecord, EventTime, Severity};

use super::rows::{Columns, Row, Words, append_key, finished, names_and_values, utc};
use super::{Reject, extra, map, number, text, time, whole, words};

/// The fields of a record that have a column.
const KNOWN: [&str; 13] = [
    "id",
    "sensor_id",
    "rule",
    "rule_version",
    "severity",
    "state",
    "since",
    "at",
    "evidence",
    "source",
    "by",
    "until",
    "text",
];

pub(super) fn fields() -> Vec<Field> {
    vec![
        words("sensor_id", false),
        words("rule", false),
        Field::new("id", DataType::Utf8, false),
        words("state", false),
        time("at", false),
        time("since", true),
        words("severity", true),
        words("rule_version", true),
        words("condition", true),
        number("value"),
        number("bound"),
        map("figures", DataType::Float64),
        time("window_start", true),
        time("window_end", true),
        text("note"),
        words("source_topic", true),
        Field::new("source_partition", DataType::Int32, true),
        whole("source_offset"),
        words("by", true),
        time("until", true),
    ]
}

pub(super) struct Alerts {
    sensors: Words,
    rules: Words,
    ids: StringBuilder,
    states: Words,
    at: TimestampMicrosecondBuilder,
    since: TimestampMicrosecondBuilder,
    severities: Words,
    versions: Words,
    conditions: Words,
    values: Float64Builder,
    bounds: Float64Builder,
    figures: MapBuilder<StringBuilder, Float64Builder>,
    window_starts: TimestampMicrosecondBuilder,
    window_ends: TimestampMicrosecondBuilder,
    notes: StringBuilder,
    source_topics: Words,
    source_partitions: Int32Builder,
    source_offsets: Int64Builder,
    by: Words,
    until: TimestampMicrosecondBuilder,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            sensors: Words::new(),
            rules: Words::new(),
            ids: StringBuilder::new(),
            states: Words::new(),
            at: utc(),
            since: utc(),
            severities: Words::new(),
            versions: Words::new(),
            conditions: Words::new(),
            values: Float64Builder::new(),
            bounds: Float64Builder::new(),
            figures: names_and_values(Float64Builder::new()),
            window_starts: utc(),
            window_ends: utc(),
            notes: StringBuilder::new(),
            source_topics: Words::new(),
            source_partitions: Int32Builder::new(),
            source_offsets: Int64Builder::new(),
            by: Words::new(),
            until: utc(),
        }
    }
}

impl Columns for Alerts {
    fn append(&mut self, _: &Record<'_>, payload: &[u8]) -> Result<Row, Reject> {
        let record = decode_alert(payload)
            .map_err(|error| Reject { class: "not-an-alert", message: error.to_string() })?;
        let (person, alert) = match &record {
            AlertRecord::Alert(alert) => (None, Some(alert)),
            AlertRecord::Person(person) => (Some(person), None),
        };
        let (sensor, rule, id, state, at) = match &record {
            AlertRecord::Alert(alert) => {
                (&alert.sensor_id, &alert.rule, &alert.id, alert_state(alert.state), alert.at)
            }
            AlertRecord::Person(person) => {
                (&person.sensor_id, &person.rule, &person.id, person_state(person.state), person.at)
            }
        };
        let key = append_key(&mut self.sensors, sensor);
        append_key(&mut self.rules, rule);
        self.ids.append_value(id);
        append_key(&mut self.states, state);
        self.at.append_value(at.micros());
        self.since.append_option(alert.map(|alert| alert.since.micros()));
        self.severities.append_option(alert.map(|alert| severity(alert.severity)));
        self.versions.append_option(alert.map(|alert| &alert.rule_version));
        let evidence = alert.map(|alert| &alert.evidence);
        self.conditions.append_option(evidence.map(|evidence| &evidence.when));
        self.values.append_option(evidence.and_then(|evidence| evidence.value));
        self.bounds.append_option(evidence.and_then(|evidence| evidence.bound));
        let figures = evidence.map(|evidence| &evidence.values).filter(|figures| !figures.is_empty());
        for (name, value) in figures.into_iter().flatten() {
            self.figures.keys().append_value(name);
            self.figures.values().append_value(*value);
        }
        self.figures.append(figures.is_some()).expect("as many names as values");
        let window = evidence.and_then(|evidence| evidence.window);
        self.window_starts.append_option(window.map(|window| window.start.micros()));
        self.window_ends.append_option(window.map(|window| window.end.micros()));
        let note = evidence
            .and_then(|evidence| evidence.note.as_ref())
            .or_else(|| person.and_then(|person| person.text.as_ref()));
        self.notes.append_option(note);
        let source = alert.map(|alert| &alert.source);
        self.source_topics.append_option(source.map(|source| &source.topic));
        self.source_partitions.append_option(source.map(|source| source.partition));
        self.source_offsets.append_option(source.map(|source| source.offset));
        self.by.append_option(person.map(|person| &person.by));
        self.until.append_option(person.and_then(|person| person.until).map(EventTime::micros));
        let bytes = id.len() + note.map_or(0, String::len) + figures.map_or(0, |figures| figures.len() * 40);
        Ok(Row { key: Some(key), time: Some(at.micros()), extra: extra::beyond(payload, &KNOWN), bytes })
    }

    fn row_bytes(&self) -> usize {
        // Eight keys and a partition of 4 bytes, eight numbers and times of 8, the offsets of two texts and a map.
        112
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            finished(&mut self.sensors),
            finished(&mut self.rules),
            finished(&mut self.ids),
            finished(&mut self.states),
            finished(&mut self.at),
            finished(&mut self.since),
            finished(&mut self.severities),
            finished(&mut self.versions),
            finished(&mut self.conditions),
            finished(&mut self.values),
            finished(&mut self.bounds),
            finished(&mut self.figures),
            finished(&mut self.window_starts),
            finished(&mut self.window_ends),
            finished(&mut self.notes),
            finished(&mut self.source_topics),
            finished(&mut self.source_partitions),
            finished(&mut self.source_offsets),
            finished(&mut self.by),
            finished(&mut self.until),
        ]
    }
}

fn alert_state(state: AlertState) -> &'static str {
    match state {
        AlertState::Firing => "firing",
        AlertState::Escalated => "escalated",
        AlertState::Cleared => "cleared",
    }
}

fn person_state(state: PersonState) -> &'static str {
    match state {
        PersonState::Acknowledged => "acknowledged",
        PersonState::Snoozed => "snoozed",
        PersonState::Note => "note",
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}
