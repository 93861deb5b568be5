//! Window summaries and counts of events: one row for each revision, the newest of which counts.
//!
//! | column | |
//! |---|---|
//! | `sensor_id`, `metric` | text, of a summary |
//! | `event_type`, `event_source`, `event_partition` | of a count of events |
//! | `window` | the name of the window's definition |
//! | `start`, `end` | its first moment, the first moment after it |
//! | `count`, `revision`, `warnings` | whole numbers |
//! | `mean`, `min`, `max`, `stddev`, `first`, `last`, `p50`, `p95`, `p99` | in the measurement's unit |
//! | `rate` | events a second |

use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, Int32Builder, Int64Builder, TimestampMicrosecondBuilder};
use arrow_schema::{DataType, Field};
use kafka::Record;
use model::summary::{Analytic, decode_analytic};

use super::rows::{self, Columns, Row, Words, append_key, finished, utc};
use super::{Reject, extra, number, time, whole, words};

/// The figures of a summary, in the order of the columns.
const FIGURES: [&str; 9] = ["mean", "min", "max", "stddev", "first", "last", "p50", "p95", "p99"];
/// The other fields of a record that have a column.
const KNOWN: [&str; 12] = [
    "sensor_id",
    "metric",
    "event_type",
    "source",
    "partition",
    "window",
    "start",
    "end",
    "count",
    "revision",
    "warnings",
    "rate",
];

pub(super) fn fields() -> Vec<Field> {
    let mut fields = vec![
        words("sensor_id", true),
        words("metric", true),
        words("event_type", true),
        words("event_source", true),
        Field::new("event_partition", DataType::Int32, true),
        words("window", false),
        time("start", false),
        time("end", false),
        whole("count"),
        whole("revision"),
        whole("warnings"),
    ];
    fields.extend(FIGURES.map(number));
    fields.push(number("rate"));
    fields
}

pub(super) struct Analytics {
    sensors: Words,
    metrics: Words,
    event_types: Words,
    event_sources: Words,
    event_partitions: Int32Builder,
    windows: Words,
    starts: TimestampMicrosecondBuilder,
    ends: TimestampMicrosecondBuilder,
    counts: Int64Builder,
    revisions: Int64Builder,
    warnings: Int64Builder,
    figures: [Float64Builder; FIGURES.len()],
    rates: Float64Builder,
    known: Vec<&'static str>,
}

impl Default for Analytics {
    fn default() -> Self {
        Self {
            sensors: Words::new(),
            metrics: Words::new(),
            event_types: Words::new(),
            event_sources: Words::new(),
            event_partitions: Int32Builder::new(),
            windows: Words::new(),
            starts: utc(),
            ends: utc(),
            counts: Int64Builder::new(),
            revisions: Int64Builder::new(),
            warnings: Int64Builder::new(),
            figures: Default::default(),
            rates: Float64Builder::new(),
            known: KNOWN.into_iter().chain(FIGURES).collect(),
        }
    }
}

impl Columns for Analytics {
    fn append(&mut self, _: &Record<'_>, payload: &[u8]) -> Result<Row, Reject> {
        let analytic = decode_analytic(payload)
            .map_err(|error| Reject { class: "not-a-summary", message: error.to_string() })?;
        let (summary, events) = match &analytic {
            Analytic::Summary(summary) => (Some(summary), None),
            Analytic::Events(events) => (None, Some(events)),
        };
        let (window, start, end, count, revision) = match &analytic {
            Analytic::Summary(it) => (&it.window, it.start, it.end, it.count, it.revision),
            Analytic::Events(it) => (&it.window, it.start, it.end, it.count, it.revision),
        };
        let key = summary.map(|summary| append_key(&mut self.sensors, &summary.sensor_id));
        if key.is_none() {
            self.sensors.append_null();
        }
        self.metrics.append_option(summary.map(|summary| &summary.metric));
        self.event_types.append_option(events.map(|events| &events.event_type));
        self.event_sources.append_option(events.map(|events| &events.source));
        self.event_partitions.append_option(events.map(|events| events.partition));
        append_key(&mut self.windows, window);
        self.starts.append_value(start.micros());
        self.ends.append_value(end.micros());
        rows::whole(&mut self.counts, Some(count));
        rows::whole(&mut self.revisions, Some(u64::from(revision)));
        rows::whole(&mut self.warnings, summary.map(|summary| summary.warnings));
        let figures = summary.filter(|summary| summary.count > 0).map(|summary| summary.figures);
        let quantiles = summary.and_then(|summary| summary.quantiles);
        let values = [
            figures.map(|it| it.mean),
            figures.map(|it| it.min),
            figures.map(|it| it.max),
            figures.map(|it| it.stddev),
            figures.map(|it| it.first),
            figures.map(|it| it.last),
            quantiles.map(|it| it.p50),
            quantiles.map(|it| it.p95),
            quantiles.map(|it| it.p99),
        ];
        for (column, value) in self.figures.iter_mut().zip(values) {
            column.append_option(value);
        }
        self.rates.append_option(events.map(|events| events.rate));
        Ok(Row { key, time: Some(start.micros()), extra: extra::beyond(payload, &self.known), bytes: 0 })
    }

    fn row_bytes(&self) -> usize {
        // Five keys and a partition of 4 bytes, fifteen numbers and times of 8.
        144
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut columns = vec![
            finished(&mut self.sensors),
            finished(&mut self.metrics),
            finished(&mut self.event_types),
            finished(&mut self.event_sources),
            finished(&mut self.event_partitions),
            finished(&mut self.windows),
            finished(&mut self.starts),
            finished(&mut self.ends),
            finished(&mut self.counts),
            finished(&mut self.revisions),
            finished(&mut self.warnings),
        ];
        columns.extend(self.figures.iter_mut().map(|column| finished(column)));
        columns.push(finished(&mut self.rates));
        columns
    }
}
