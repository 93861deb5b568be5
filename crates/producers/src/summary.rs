//! What a producer did, for people and for programs.
//!
//! Only what a broker acknowledged is counted as acknowledged; what it never did is named as such.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kafka::ProducerCounters;
use runtime::{LatencySnapshot, Shutdown, StopReason};
use serde::Serialize;

/// Why a producer stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoppedBy {
    /// The number of records that was asked for.
    Count,
    /// The time that was asked for.
    Duration,
    /// The end of the input.
    #[default]
    End,
    /// A signal, or whoever else asked the process to stop.
    Request,
    /// An error.
    Error,
}

/// The figures of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The topic written to.
    pub topic: String,
    /// Why the run stopped.
    pub stopped_by: StoppedBy,
    /// Records handed to the client.
    pub accepted: u64,
    /// Records that the brokers acknowledged.
    pub acknowledged: u64,
    /// Records that the client gave up; they may or may not have been written.
    pub failed: u64,
    /// Records whose acknowledgement did not come before the end; they may or may not have been written.
    pub unacknowledged: u64,
    /// Acknowledged bytes of keys and payloads.
    pub bytes: u64,
    /// Records that were made but not handed to the client, because there was no room before the end.
    pub unsent: u64,
    /// From when the stream began to flow until the last acknowledgement.
    pub elapsed_seconds: f64,
    /// Acknowledged records a second.
    pub records_per_second: f64,
    /// From handing a record to the client until its acknowledgement.
    pub latency_ms: LatencyMillis,
    /// Records by the fault that touched them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<&'static str, u64>,
    /// Readings that an injected dropout swallowed, on purpose.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_readings: u64,
    /// How far the schedule was moved because it lay too far behind to be caught up.
    pub moved_seconds: f64,
    /// The most that a record was late.
    pub max_lateness_seconds: f64,
    /// What was read, for a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSummary>,
}

/// Percentiles of the time to acknowledgement, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LatencyMillis {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// What a replay read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InputSummary {
    /// Rows that became records.
    pub rows: u64,
    /// The replay went on where an earlier one had stopped.
    pub resumed: bool,
    /// Rows without any measurement: nothing to send.
    pub rows_without_values: u64,
    /// Rows that could not be understood and were skipped as asked for.
    pub skipped_rows: u64,
    /// The first of them, as `file:line: problem`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_skipped: Vec<String>,
    /// Inputs that held no row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub empty_inputs: Vec<String>,
    /// How often the input was begun.
    pub passes: u64,
}

impl Summary {
    /// The figures of a producer that ran for `elapsed`.
    pub(crate) fn new(
        topic: &str,
        counters: ProducerCounters,
        latency: LatencySnapshot,
        elapsed: Duration,
    ) -> Self {
        let elapsed_seconds = elapsed.as_secs_f64();
        Self {
            topic: topic.to_owned(),
            accepted: counters.accepted,
            acknowledged: counters.acknowledged,
            failed: counters.failed,
            unacknowledged: counters.in_flight(),
            bytes: counters.bytes,
            elapsed_seconds,
            records_per_second: if elapsed_seconds > 0.0 {
                counters.acknowledged as f64 / elapsed_seconds
            } else {
                0.0
            },
            latency_ms: latency.into(),
            ..Self::default()
        }
    }
}

impl StoppedBy {
    /// For a run that saw that the end was asked for.
    pub(crate) fn request(shutdown: &Shutdown) -> Self {
        match shutdown.reason() {
            Some(StopReason::Failed) => Self::Error,
            _ => Self::Request,
        }
    }
}

impl From<LatencySnapshot> for LatencyMillis {
    fn from(micros: LatencySnapshot) -> Self {
        let millis = |value: u64| value as f64 / 1_000.0;
        Self {
            p50: millis(micros.p50),
            p95: millis(micros.p95),
            p99: millis(micros.p99),
            max: millis(micros.max),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} records acknowledged by {:?} in {:.1} s: {} records/s, {:.1} MB/s",
            thousands(self.acknowledged),
            self.topic,
            self.elapsed_seconds,
            thousands(self.records_per_second.round() as u64),
            self.bytes as f64 / 1e6 / self.elapsed_seconds.max(1e-9),
        )?;
        let LatencyMillis { p50, p95, p99, max } = self.latency_ms;
        writeln!(f, "latency       p50 {p50:.1} ms   p95 {p95:.1} ms   p99 {p99:.1} ms   max {max:.1} ms")?;
        if self.failed + self.unacknowledged > 0 {
            writeln!(
                f,
                "not counted   {} failed, {} without acknowledgement (each may or may not have been written)",
                thousands(self.failed),
                thousands(self.unacknowledged),
            )?;
        }
        if self.unsent > 0 {
            writeln!(
                f,
                "not sent      {}: the client had no room for them before the end",
                thousands(self.unsent)
            )?;
        }
        if !self.faults.is_empty() || self.dropped_readings > 0 {
            let faults: Vec<String> =
                self.faults.iter().map(|(name, count)| format!("{name} {}", thousands(*count))).collect();
            writeln!(f, "faults        {}", faults.join(", "))?;
            if self.dropped_readings > 0 {
                writeln!(f, "dropped       {} readings, on purpose", thousands(self.dropped_readings))?;
            }
        }
        if self.moved_seconds > 0.0 {
            writeln!(
                f,
                "schedule      moved by {:.1} s: it lay too far behind to be caught up",
                self.moved_seconds
            )?;
        }
        self.input.as_ref().map_or(Ok(()), |input| input.fmt(f))
    }
}

impl fmt::Display for InputSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input         {}", rows(self.rows))?;
        if self.passes > 1 {
            write!(f, " in {} passes", thousands(self.passes))?;
        }
        if self.resumed {
            write!(f, " behind those of an earlier run")?;
        }
        if self.rows_without_values > 0 {
            write!(f, ", {} more without a value", thousands(self.rows_without_values))?;
        }
        writeln!(f)?;
        if self.skipped_rows > 0 {
            writeln!(f, "skipped       {} that could not be understood:", rows(self.skipped_rows))?;
            for row in &self.first_skipped {
                writeln!(f, "              {row}")?;
            }
        }
        if !self.empty_inputs.is_empty() {
            writeln!(f, "empty         {}", self.empty_inputs.join(", "))?;
        }
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", thousands(count)) }
}

/// A number with commas between groups of three digits.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups() {
        for (value, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(value), expected);
        }
    }

    #[test]
    fn the_summary_is_readable_and_serialises() {
        let counters = ProducerCounters { accepted: 1_500, acknowledged: 1_200, failed: 100, bytes: 300_000 };
        let latency = LatencySnapshot { count: 1_200, p50: 1_500, p95: 4_000, p99: 8_250, max: 20_000 };
        let mut summary = Summary::new("sensor-data", counters, latency, Duration::from_secs(2));
        summary.faults.insert("spike", 3);
        summary.stopped_by = StoppedBy::Duration;
        summary.input = Some(InputSummary {
            rows: 1_500,
            skipped_rows: 1,
            first_skipped: vec!["a.csv:7: no number".into()],
            passes: 1,
            ..InputSummary::default()
        });
        let text = "\
1,200 records acknowledged by \"sensor-data\" in 2.0 s: 600 records/s, 0.1 MB/s
latency       p50 1.5 ms   p95 4.0 ms   p99 8.2 ms   max 20.0 ms
not counted   100 failed, 200 without acknowledgement (each may or may not have been written)
faults        spike 3
input         1,500 rows
skipped       1 row that could not be understood:
              a.csv:7: no number
";
        assert_eq!(summary.to_string(), text);
        let json = serde_json::to_value(&summary).expect("it serialises");
        assert_eq!(json["stopped_by"], "duration");
        assert_eq!(json["latency_ms"]["p99"], 8.25);
        assert_eq!(json["faults"]["spike"], 3);
        assert_eq!((&json["acknowledged"], &json["unacknowledged"]), (&1_200.into(), &200.into()));
        assert!(json.get("dropped_readings").is_none());
    }
}
