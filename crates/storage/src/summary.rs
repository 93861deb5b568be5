//! What is said at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// The totals of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoreSummary {
    /// Rows stored.
    pub rows: u64,
    /// The same by table.
    pub rows_by_table: BTreeMap<&'static str, u64>,
    /// Files written.
    pub files: u64,
    /// Their size in bytes; in a database the bytes copied.
    pub bytes: u64,
    /// Records that went to a dead-letter topic.
    pub dead_letters: u64,
    /// The same by reason.
    pub dead_letters_by_reason: BTreeMap<&'static str, u64>,
    /// Offsets that retention had deleted before they were read.
    pub gap: u64,
    /// From the start of the run to its end.
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// From the first batch to the last row stored.
    #[serde(rename = "active_seconds", serialize_with = "seconds")]
    pub active: Duration,
    /// Rows per second of `active`.
    pub active_rate: f64,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl StoreSummary {
    /// The summary as one line of JSON, with the line's end.
    pub fn to_json(&self) -> String {
        // Names are strings, and a number that is not finite becomes null: there is always a JSON form.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

impl fmt::Display for StoreSummary {
    /// A table of two columns for people, with a line's end at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = format!("{:.0}/s over {:.1} s", self.active_rate, self.active.as_secs_f64());
        line(f, "rows", self.rows, &rate)?;
        for (table, rows) in &self.rows_by_table {
            line(f, &format!("  {table}"), *rows, "")?;
        }
        line(f, "files", self.files, &format!("{:.1} MB", self.bytes as f64 / 1e6))?;
        let reasons = self.dead_letters_by_reason.iter().map(|(reason, count)| format!("{reason} {count}"));
        line(f, "dead letters", self.dead_letters, &reasons.collect::<Vec<_>>().join(", "))?;
        if self.gap > 0 {
            line(f, "gap", self.gap, "offsets that retention had deleted before they were read")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, count: u64, note: &str) -> fmt::Result {
    let text = format!("{name:<14} {count:>15}  {note}");
    writeln!(f, "{}", text.trim_end())
}
