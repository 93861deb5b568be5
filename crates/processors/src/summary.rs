//! What is said at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use runtime::LatencySnapshot;
use serde::{Serialize, Serializer};

/// The totals of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProcessSummary {
    /// Records read, of all inputs.
    pub records: u64,
    /// Records that count.
    pub taken: u64,
    /// Records that were too late for every window.
    pub late: u64,
    /// Records that went to a dead-letter topic, the late ones among them.
    pub dead_letters: u64,
    /// The same by reason.
    pub dead_letters_by_reason: BTreeMap<&'static str, u64>,
    /// Windows that were told for the first time.
    pub windows_closed: u64,
    /// Windows that were told again because of late records.
    pub revisions: u64,
    /// Alarms that fired.
    pub alarms_fired: u64,
    /// Alarms that were cleared.
    pub alarms_cleared: u64,
    /// Alarms held back by their limit.
    pub alarms_held_back: u64,
    /// Transactions committed; with at-least-once, rounds of commits.
    pub commits: u64,
    /// Transactions aborted.
    pub aborts: u64,
    /// Sensors known at the end in the partitions held.
    pub sensors: u64,
    /// From the start of the run to its end.
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// From the first batch to the last.
    #[serde(rename = "active_seconds", serialize_with = "seconds")]
    pub active: Duration,
    /// Records per second of `active`.
    pub active_rate: f64,
    /// How long recoveries took in all.
    #[serde(rename = "restore_seconds", serialize_with = "seconds")]
    pub restore: Duration,
    /// From the timestamp of a batch's first record until what it led to was committed.
    #[serde(rename = "append_to_commit_ms", serialize_with = "latency_ms")]
    pub latency: LatencySnapshot,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn latency_ms<S: Serializer>(latency: &LatencySnapshot, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = |micros: u64| micros as f64 / 1e3;
    let LatencySnapshot { p50, p95, p99, max, .. } = *latency;
    let figures = [("p50", p50), ("p95", p95), ("p99", p99), ("max", max)];
    serializer.collect_map(figures.map(|(name, micros)| (name, millis(micros))))
}

impl ProcessSummary {
    /// The summary as one line of JSON, with the line's end.
    pub fn to_json(&self) -> String {
        // Names are strings, and a number that is not finite becomes null: there is always a JSON form.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

impl fmt::Display for ProcessSummary {
    /// A table of two columns for people, with a line's end at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = format!("{:.0}/s over {:.1} s", self.active_rate, self.active.as_secs_f64());
        line(f, "records", self.records, &rate)?;
        line(f, "sensors", self.sensors, "")?;
        line(f, "windows", self.windows_closed, &format!("and {} revisions", self.revisions))?;
        let alarms = format!("{} cleared, {} held back", self.alarms_cleared, self.alarms_held_back);
        line(f, "alarms", self.alarms_fired, &alarms)?;
        let reasons = self.dead_letters_by_reason.iter().map(|(reason, count)| format!("{reason} {count}"));
        line(f, "dead letters", self.dead_letters, &reasons.collect::<Vec<_>>().join(", "))?;
        line(f, "commits", self.commits, &format!("{} aborted", self.aborts))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, count: u64, note: &str) -> fmt::Result {
    let text = format!("{name:<14} {count:>15}  {note}");
    writeln!(f, "{}", text.trim_end())
}
