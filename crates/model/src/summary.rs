//! What windows say: summaries of a sensor's measurement and counts of events (topic `analytics`).
//!
//! # Wire format
//! One JSON object. A summary of readings has the sensor id as its key:
//!
//! ```json
//! {"sensor_id":"SENSOR_001","metric":"temperature","window":"1m","start":"2024-11-07T10:15:00","end":"2024-11-07T10:16:00",
//!  "count":60,"mean":23.4,"min":22.9,"max":24.1,"stddev":0.31,"first":23.0,"last":24.0,
//!  "p50":23.4,"p95":24.0,"p99":24.1,"warnings":0,"revision":1}
//! ```
//!
//! The quantiles are there only if the window asks for them. `stddev` is that of the population, `first` and `last` are by
//! event time, `warnings` counts the readings of the window whose status was `warning`. `end` is the first moment after
//! the window; of a session, that of its last reading.
//!
//! `revision` is 0 for what is told before the window closes, 1 when it closes, and one more each time that a late reading
//! changes it: the newest revision is the one that counts. A `count` of 0 withdraws the window, which happens to a session
//! that a late reading has joined to an earlier one.
//!
//! Events are counted by type and source; the key is the type. A count is of one partition of `events`, so the counts of
//! all partitions add up to the whole:
//!
//! ```json
//! {"event_type":"com.example.order.created","source":"/shop","window":"1m","start":"2024-11-07T10:15:00",
//!  "end":"2024-11-07T10:16:00","partition":0,"count":42,"rate":0.7,"revision":1}
//! ```

use std::borrow::Cow;

use serde::Deserialize;

use crate::json::write::{write_number, write_string};
use crate::time::EventTime;

/// One sensor's measurement over one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary<'a> {
    /// The sensor.
    pub sensor_id: Cow<'a, str>,
    /// The measurement's name.
    pub metric: Cow<'a, str>,
    /// The name of the window's definition.
    pub window: Cow<'a, str>,
    /// The first moment of the window.
    pub start: EventTime,
    /// The first moment after the window; of a session, that of its last reading.
    pub end: EventTime,
    /// How many values there were; 0 withdraws the window.
    pub count: u64,
    /// Mean, extremes and ends; without meaning while `count` is 0.
    pub figures: Figures,
    /// p50, p95 and p99, if the window asks for them.
    pub quantiles: Option<Quantiles>,
    /// Readings with the status `warning`.
    pub warnings: u64,
    /// 0 before the window closes, 1 when it closes, more after late readings.
    pub revision: u32,
}

/// The figures of a window's values, in the measurement's unit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// The arithmetic mean.
    pub mean: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The population standard deviation.
    pub stddev: f64,
    /// The value with the earliest event time.
    pub first: f64,
    /// The value with the latest event time.
    pub last: f64,
}

/// Quantiles of a window's values, in the measurement's unit, within the relative error that the engine states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// Events of one type and source over one window, in one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct EventCount<'a> {
    /// The events' type.
    pub event_type: Cow<'a, str>,
    /// The events' source.
    pub source: Cow<'a, str>,
    /// The name of the window's definition.
    pub window: Cow<'a, str>,
    /// The first moment of the window.
    pub start: EventTime,
    /// The first moment after the window; of a session, that of its last event.
    pub end: EventTime,
    /// The partition of `events` that was counted.
    pub partition: i32,
    /// How many events; 0 withdraws the window.
    pub count: u64,
    /// Events a second over the window's length; 0 for a session of one moment.
    pub rate: f64,
    /// As of a [`Summary`].
    pub revision: u32,
}

/// A record of the topic `analytics`.
#[derive(Debug, Clone, PartialEq)]
pub enum Analytic {
    /// Readings.
    Summary(Summary<'static>),
    /// Events.
    Events(EventCount<'static>),
}

/// Why a payload is no record of `analytics`.
#[derive(Debug, thiserror::Error)]
pub enum SummaryReject {
    /// It is not the JSON that it should be.
    #[error("not a window summary: {0}")]
    Json(#[from] serde_json::Error),
    /// A time cannot be read.
    #[error("{field} is not a time: {text:?}")]
    Time {
        /// The field.
        field: &'static str,
        /// What it holds.
        text: String,
    },
}

/// Appends the JSON of a summary.
pub fn encode_summary(summary: &Summary<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"sensor_id\":");
    write_string(&summary.sensor_id, out);
    out.extend_from_slice(b",\"metric\":");
    write_string(&summary.metric, out);
    window(&summary.window, summary.start, summary.end, out);
    integer("count", summary.count, out);
    if summary.count > 0 {
        let Figures { mean, min, max, stddev, first, last } = summary.figures;
        let figures = [
            ("mean", mean),
            ("min", min),
            ("max", max),
            ("stddev", stddev),
            ("first", first),
            ("last", last),
        ];
        for (name, value) in figures {
            number(name, value, out);
        }
        if let Some(Quantiles { p50, p95, p99 }) = summary.quantiles {
            for (name, value) in [("p50", p50), ("p95", p95), ("p99", p99)] {
                number(name, value, out);
            }
        }
    }
    integer("warnings", summary.warnings, out);
    integer("revision", u64::from(summary.revision), out);
    out.push(b'}');
}

/// Appends the JSON of a count of events.
pub fn encode_event_count(count: &EventCount<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"event_type\":");
    write_string(&count.event_type, out);
    out.extend_from_slice(b",\"source\":");
    write_string(&count.source, out);
    window(&count.window, count.start, count.end, out);
    integer("partition", u64::try_from(count.partition).unwrap_or(0), out);
    integer("count", count.count, out);
    number("rate", count.rate, out);
    integer("revision", u64::from(count.revision), out);
    out.push(b'}');
}

fn window(name: &str, start: EventTime, end: EventTime, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"window\":");
    write_string(name, out);
    out.extend_from_slice(b",\"start\":\"");
    start.write(out);
    out.extend_from_slice(b"\",\"end\":\"");
    end.write(out);
    out.push(b'"');
}

fn name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(field: &str, value: f64, out: &mut Vec<u8>) {
    name(field, out);
    write_number(value, out);
}

fn integer(field: &str, value: u64, out: &mut Vec<u8>) {
    name(field, out);
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[derive(Deserialize)]
struct Raw {
    sensor_id: Option<String>,
    metric: Option<String>,
    event_type: Option<String>,
    source: Option<String>,
    window: String,
    start: String,
    end: String,
    count: u64,
    #[serde(default)]
    partition: i32,
    rate: Option<f64>,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    stddev: Option<f64>,
    first: Option<f64>,
    last: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    #[serde(default)]
    warnings: u64,
    revision: u32,
}

/// Reads a record of `analytics`.
pub fn decode_analytic(payload: &[u8]) -> Result<Analytic, SummaryReject> {
    let raw: Raw = serde_json::from_slice(payload)?;
    let (start, end) = (time("start", &raw.start)?, time("end", &raw.end)?);
    if let Some(event_type) = raw.event_type {
        return Ok(Analytic::Events(EventCount {
            event_type: event_type.into(),
            source: raw.source.unwrap_or_default().into(),
            window: raw.window.into(),
            start,
            end,
            partition: raw.partition,
            count: raw.count,
            rate: raw.rate.unwrap_or(0.0),
            revision: raw.revision,
        }));
    }
    let missing = |name: &'static str| <serde_json::Error as serde::de::Error>::missing_field(name);
    let quantiles = match (raw.p50, raw.p95, raw.p99) {
        (Some(p50), Some(p95), Some(p99)) => Some(Quantiles { p50, p95, p99 }),
        _ => None,
    };
    let figure = |value: Option<f64>, name| match value {
        Some(value) => Ok(value),
        None if raw.count == 0 => Ok(0.0),
        None => Err(missing(name)),
    };
    Ok(Analytic::Summary(Summary {
        sensor_id: raw.sensor_id.ok_or_else(|| missing("sensor_id"))?.into(),
        metric: raw.metric.ok_or_else(|| missing("metric"))?.into(),
        window: raw.window.into(),
        start,
        end,
        count: raw.count,
        figures: Figures {
            mean: figure(raw.mean, "mean")?,
            min: figure(raw.min, "min")?,
            max: figure(raw.max, "max")?,
            stddev: figure(raw.stddev, "stddev")?,
            first: figure(raw.first, "first")?,
            last: figure(raw.last, "last")?,
        },
        quantiles,
        warnings: raw.warnings,
        revision: raw.revision,
    }))
}

fn time(field: &'static str, text: &str) -> Result<EventTime, SummaryReject> {
    EventTime::parse(text.as_bytes()).ok_or_else(|| SummaryReject::Time { field, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary<'static> {
        Summary {
            sensor_id: "S \"1\"".into(),
            metric: "temperature".into(),
            window: "1m".into(),
            start: EventTime::from_millis(0),
            end: EventTime::from_millis(60_000),
            count: 60,
            figures: Figures { mean: 23.4, min: 22.9, max: 24.1, stddev: 0.31, first: 23.0, last: 24.0 },
            quantiles: Some(Quantiles { p50: 23.4, p95: 24.0, p99: 24.1 }),
            warnings: 2,
            revision: 1,
        }
    }

    #[track_caller]
    fn check(summary: &Summary<'static>) {
        let mut payload = Vec::new();
        encode_summary(summary, &mut payload);
        assert_eq!(decode_analytic(&payload).expect("ours"), Analytic::Summary(summary.clone()));
    }

    #[test]
    fn what_is_written_is_read() {
        check(&summary());
        check(&Summary { quantiles: None, ..summary() });
        check(&Summary { count: 0, figures: Figures::default(), quantiles: None, ..summary() });
    }

    #[test]
    fn the_text_is_the_one_documented() {
        let mut payload = Vec::new();
        encode_summary(&Summary { sensor_id: "SENSOR_001".into(), warnings: 0, ..summary() }, &mut payload);
        let expected = r#"{"sensor_id":"SENSOR_001","metric":"temperature","window":"1m","start":"1970-01-01T00:00:00","end":"1970-01-01T00:01:00","count":60,"mean":23.4,"min":22.9,"max":24.1,"stddev":0.31,"first":23.0,"last":24.0,"p50":23.4,"p95":24.0,"p99":24.1,"warnings":0,"revision":1}"#;
        assert_eq!(String::from_utf8(payload).expect("UTF-8"), expected);
    }

    #[test]
    fn counts_of_events_are_read_back() {
        let count = EventCount {
            event_type: "com.example.order.created".into(),
            source: "/shop".into(),
            window: "1m".into(),
            start: EventTime::from_millis(0),
            end: EventTime::from_millis(60_000),
            partition: 2,
            count: 42,
            rate: 0.7,
            revision: 1,
        };
        let mut payload = Vec::new();
        encode_event_count(&count, &mut payload);
        assert_eq!(decode_analytic(&payload).expect("ours"), Analytic::Events(count));
    }

    #[test]
    fn what_is_no_summary_is_named() {
        for payload in
            [&b"nonsense"[..], b"{}", br#"{"window":"w","start":"x","end":"y","count":1,"revision":1}"#]
        {
            assert!(decode_analytic(payload).is_err());
        }
    }
}
