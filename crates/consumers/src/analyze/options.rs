//! What `analyze` is told: validated by whoever makes it, used as it is.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kafka::CommitMode;

use super::watch::Watch;

/// Options of [`run`](super::run).
#[derive(Clone, Debug)]
pub struct AnalyzeOptions {
    /// The topic to read, usually `sensor-data`.
    pub topic: String,
    /// The consumer group, usually `analytics-group`.
    pub group: String,
    /// A reading with a temperature above this is an alert, in °C.
    pub high_temperature: f64,
    /// How many worker threads; `None`: one for each core, at most one for each partition.
    pub workers: Option<NonZeroUsize>,
    /// When offsets are committed.
    pub commit: CommitMode,
    /// The most records in one batch.
    pub max_batch: NonZeroUsize,
    /// How long unread records may lie without progress before a consumer is rebuilt.
    pub stall_timeout: Duration,
    /// How long the workers may take to commit and leave once the end is asked for.
    pub drain_timeout: Duration,
    /// Whether to stop at the end of what was there at the start.
    pub exit_at_end: bool,
    /// What is shown.
    pub show: Show,
    /// A file for the statistics of every sensor, written at the end.
    pub stats_file: Option<PathBuf>,
    /// Lets the caller look at the figures while the run goes on.
    pub watch: Watch,
}

/// What is shown while records come, and how the summary at the end is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A live table on the terminal, then a summary for people.
    Table(TableLook),
    /// A line for each reading.
    Readings(Format),
    /// A line for each alert.
    Alerts(Format),
    /// Nothing, and no summary: for a caller that shows what [`Watch`] and the returned summary say.
    Nothing,
}

impl Show {
    /// How the summary is written.
    pub(super) fn format(self) -> Option<Format> {
        match self {
            Self::Table(_) => Some(Format::Text),
            Self::Readings(format) | Self::Alerts(format) => Some(format),
            Self::Nothing => None,
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How the live table begins and looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLook {
    /// The order of the sensors at first.
    pub sort: SortOrder,
    /// Whether colours are used.
    pub color: bool,
}

/// An order of the live table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortOrder {
    /// By which column.
    pub column: SortColumn,
    /// Whether the largest (or last) comes first.
    pub descending: bool,
}

/// A column of the live table that it can be sorted by. The figures are those of the measurement on show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortColumn {
    /// The sensor's id.
    Sensor,
    /// How many readings.
    Readings,
    /// Readings per second of event time.
    Rate,
    /// The newest value.
    Last,
    /// The mean.
    Mean,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The population standard deviation.
    Stddev,
    /// How many warnings.
    Warnings,
    /// How many alerts.
    Alerts,
    /// How many readings with an implausible measurement.
    Faults,
    /// The newest event time.
    Seen,
}

impl SortColumn {
    /// All columns in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::Sensor,
        Self::Readings,
        Self::Rate,
        Self::Last,
        Self::Mean,
        Self::Min,
        Self::Max,
        Self::Stddev,
        Self::Warnings,
        Self::Alerts,
        Self::Faults,
        Self::Seen,
    ];

    /// The name, as `--sort` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Readings => "readings",
            Self::Rate => "rate",
            Self::Last => "last",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Stddev => "stddev",
            Self::Warnings => "warnings",
            Self::Alerts => "alerts",
            Self::Faults => "faults",
            Self::Seen => "seen",
        }
    }

    /// The order that is wanted first when this column is chosen: names from A, figures from the largest.
    pub fn natural_order(self) -> SortOrder {
        SortOrder { column: self, descending: self != Self::Sensor }
    }
}

/// A sort order that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "cannot sort by {given:?}; use one of {}, with + before it for rising or - for falling order",
    column_names()
)]
pub struct UnknownSortOrder {
    /// What was given.
    pub given: String,
}

fn column_names() -> String {
    SortColumn::ALL.map(SortColumn::name).join(", ")
}

impl FromStr for SortOrder {
    type Err = UnknownSortOrder;

    /// A column's name in its natural order, or `+name` for rising and `-name` for falling order.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (descending, name) = match text.as_bytes().first() {
            Some(b'+') => (Some(false), &text[1..]),
            Some(b'-') => (Some(true), &text[1..]),
            _ => (None, text),
        };
        let column = SortColumn::ALL.into_iter().find(|column| column.name() == name);
        let column = column.ok_or_else(|| UnknownSortOrder { given: text.to_owned() })?;
        let natural = column.natural_order();
        Ok(Self { column, descending: descending.unwrap_or(natural.descending) })
    }
}

impl fmt::Display for SortOrder {
    /// In the form that [`SortOrder::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.descending { '-' } else { '+' }, self.column.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let got = text.parse::<SortOrder>().map(|order| order.to_string()).map_err(|error| error.given);
        assert_eq!(got.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn a_column_has_a_natural_order_and_a_sign_overrules_it() {
        check("sensor", Ok("+sensor"));
        check("mean", Ok("-mean"));
        check("+mean", Ok("+mean"));
        check("-sensor", Ok("-sensor"));
        check("Mean", Err("Mean"));
        check("", Err(""));
        check("-", Err("-"));
    }

    #[test]
    fn the_error_names_the_columns() {
        let error = "colour".parse::<SortOrder>().expect_err("no such column").to_string();
        assert!(error.starts_with("cannot sort by \"colour\"; use one of sensor, readings,"), "{error}");
    }
}
