//! Rules tried on what is in a topic: reads a range of it, writes nothing.
//!
//! The clock is that of the records' timestamps: what would have been said had the processor run when they were written.
//! Each partition is read from its first record in the range, with no state before it, and its clock stands still at its
//! last record.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{Counters, Output, Partition, Plan, Source, Tick};
use kafka::{Admin, CONNECT_TIMEOUT, KafkaSettings, PartitionReader, ReadAt, Record, TopicPartition};
use model::{Alert, EventCount, EventTime, Reading, Scratch, Summary, headers};
use runtime::Shutdown;

use crate::{Error, intake};

/// The clock moves on in steps of so much, as the processor's does.
const TICK: i64 = 1_000_000;

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
    /// The event times of the oldest and the newest reading that count.
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

/// Keeps the alarms alone: there may be a summary for every few readings.
#[derive(Debug, Default)]
struct Alarms(Vec<Alert>);

impl Output for Alarms {
    fn summary(&mut self, _: &Summary<'_>) {}
    fn event_count(&mut self, _: &EventCount<'_>) {}
    fn alarm(&mut self, alert: Alert) {
        self.0.push(alert);
    }
}

/// One partition under way.
struct Track {
    partition: Partition,
    clock: i64,
    sequence: u64,
    out: Alarms,
    /// The label under way of each sensor.
    open: HashMap<String, LabelSpan>,
    labels: Vec<LabelSpan>,
}

/// Reads the range, calls `progress` with the number of records read now and then, and reports.
pub fn backtest(
    options: &BacktestOptions,
    settings: &KafkaSettings,
    shutdown: &Shutdown,
    mut progress: impl FnMut(u64),
) -> Result<BacktestReport, Error> {
    let start = Instant::now();
    let cluster = Admin::connect(settings, CONNECT_TIMEOUT)?.cluster()?;
    let Some(info) = cluster.topic(&options.topic) else {
        let bootstrap = settings.bootstrap().to_owned();
        return Err(kafka::Error::MissingTopic { topic: options.topic.clone(), bootstrap }.into());
    };
    let name: Arc<str> = options.topic.as_str().into();
    let at = options.from_ms.map_or(ReadAt::Beginning, ReadAt::Time);
    let place = |partition| TopicPartition { topic: Arc::clone(&name), partition };
    let parts: Vec<_> = info.partitions.iter().map(|info| (place(info.partition), at, None)).collect();
    let mut reader = PartitionReader::open(settings, &parts)?;
    let mut tracks: HashMap<i32, Track> = HashMap::new();
    let mut report = BacktestReport::default();
    let mut scratch = Scratch::new();
    while let Some(batch) = reader.next_batch()? {
        for record in batch.iter() {
            let track = tracks.entry(record.partition).or_insert_with(|| Track::new(options, &name, &record));
            track.take(&record, options.to_ms, &mut scratch, &mut report);
        }
        progress(report.records);
        if shutdown.is_requested() {
            report.interrupted = true;
            break;
        }
    }
    let mut tracks: Vec<(i32, Track)> = tracks.into_iter().collect();
    tracks.sort_by_key(|(partition, _)| *partition);
    for (number, track) in tracks {
        report.sensors += track.partition.sensors();
        report.counters.push((number, track.partition.counters().clone()));
        report.alarms.extend(track.out.0);
        report.labels.extend(track.labels.into_iter().chain(track.open.into_values()));
    }
    report.alarms.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    report.labels.sort_by(|a, b| (a.from, &a.sensor_id).cmp(&(b.from, &b.sensor_id)));
    report.elapsed = start.elapsed();
    Ok(report)
}

impl Track {
    fn new(options: &BacktestOptions, topic: &Arc<str>, record: &Record<'_>) -> Self {
        let source = Source { topic: Arc::clone(topic), partition: record.partition };
        Self {
            // A seed that is always the same: nobody who chooses sensor ids can wait for this.
            partition: Partition::new(Arc::clone(&options.plan), source, 0),
            clock: i64::MIN,
            sequence: 0,
            out: Alarms::default(),
            open: HashMap::new(),
            labels: Vec::new(),
        }
    }

    fn take(
        &mut self,
        record: &Record<'_>,
        to_ms: Option<i64>,
        scratch: &mut Scratch,
        report: &mut BacktestReport,
    ) {
        let appended = record.timestamp_ms().unwrap_or(0);
        if to_ms.is_some_and(|to| appended >= to) {
            return;
        }
        report.records += 1;
        let Some(Ok(reading)) = record.value.map(|value| model::decode(value, scratch)) else {
            report.undecodable += 1;
            return;
        };
        let appended = appended.saturating_mul(1_000);
        if appended.saturating_sub(self.clock) >= TICK {
            self.clock = appended;
            self.sequence += 1;
            let time = EventTime::from_micros(appended);
            self.partition
                .tick(Tick { sequence: self.sequence, after: record.offset - 1, time }, &mut self.out);
        }
        let arrival = intake::arrival(record, self.partition.plan().needs_sequence());
        if self.partition.observe(&reading, arrival, &mut self.out) == engine::Verdict::Taken {
            let (oldest, newest) = report.span.unwrap_or((reading.time, reading.time));
            report.span = Some((oldest.min(reading.time), newest.max(reading.time)));
        }
        self.label(record, &reading);
    }

    fn label(&mut self, record: &Record<'_>, reading: &Reading<'_>) {
        let label = record.header(headers::FAULT).and_then(|label| std::str::from_utf8(label).ok());
        if let Some(open) = self.open.get_mut(reading.sensor_id) {
            if label == Some(open.label.as_str()) {
                (open.from, open.to) = (open.from.min(reading.time), open.to.max(reading.time));
                open.readings += 1;
                return;
            }
            self.labels.extend(self.open.remove(reading.sensor_id));
        }
        if let Some(label) = label {
            let span = LabelSpan {
                sensor_id: reading.sensor_id.to_owned(),
                label: label.to_owned(),
                from: reading.time,
                to: reading.time,
                readings: 1,
            };
            self.open.insert(span.sensor_id.clone(), span);
        }
    }
}
