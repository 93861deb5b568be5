//! The metrics of a run. Each is updated once per batch, or about once a second, never per record.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runtime::{Counter, CounterFamily, Gauge, GaugeFamily, Histogram, Latency, LatencySnapshot, Metrics};

use crate::watch::{PartitionProgress, Progress};

/// Upper bounds of the latency histogram, in seconds.
const LATENCY_BUCKETS: [f64; 12] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0, 3_600.0];

/// The metrics of the processor.
pub(crate) struct Meters {
    group: String,
    records: Counter,
    taken: Counter,
    dead_letters: CounterFamily,
    windows: CounterFamily,
    alarms: CounterFamily,
    commits: CounterFamily,
    sensors: Gauge,
    state: Gauge,
    restores: Counter,
    restore_seconds: Gauge,
    restored: Counter,
    lag: GaugeFamily,
    delay: GaugeFamily,
    commit_seconds: Histogram,
    latency_seconds: Histogram,
    latency: Latency,
    spans: Mutex<Spans>,
}

/// What took how long.
#[derive(Clone, Copy, Debug, Default)]
struct Spans {
    /// When the first batch came and when the last one was done.
    active: Option<(Instant, Instant)>,
    restore: Duration,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics, group: &str) -> Self {
        Self {
            group: group.to_owned(),
            records: metrics.counter("streamgauge_process_records_total", "Records read, of all inputs"),
            taken: metrics.counter("streamgauge_process_taken_total", "Records that count"),
            dead_letters: metrics.counter_family(
                "streamgauge_dead_letters_total",
                "Records that went to the dead-letter topic",
            ),
            windows: metrics.counter_family("streamgauge_process_windows_total", "Window summaries, by kind"),
            alarms: metrics
                .counter_family("streamgauge_process_alarms_total", "Alarms, by what became of them"),
            commits: metrics.counter_family("streamgauge_process_commits_total", "Transactions, by outcome"),
            sensors: metrics.gauge("streamgauge_process_sensors", "Sensors known in the partitions held"),
            state: metrics.gauge("streamgauge_process_state_bytes", "Memory that the state takes, about"),
            restores: metrics.counter("streamgauge_process_restores_total", "Recoveries of state"),
            restore_seconds: metrics
                .gauge("streamgauge_process_last_restore_seconds", "How long the last recovery took"),
            restored: metrics
                .counter("streamgauge_process_restored_records_total", "Records read for recoveries"),
            lag: metrics.gauge_family("kafka_consumergroup_lag", "Records between position and end"),
            delay: metrics.gauge_family(
                "streamgauge_process_watermark_delay_seconds",
                "From the newest event time that was taken to now",
            ),
            commit_seconds: metrics.histogram(
                "streamgauge_process_commit_seconds",
                "How long a commit took",
                &LATENCY_BUCKETS,
            ),
            latency_seconds: metrics.histogram(
                "streamgauge_append_to_commit_seconds",
                "From the oldest record's timestamp until what it led to was committed, once per commit",
                &LATENCY_BUCKETS,
            ),
            latency: Latency::new(),
            spans: Mutex::default(),
        }
    }

    /// The counts went from `before` to `after`.
    pub(crate) fn counts(&self, before: &Progress, after: &Progress) {
        self.records.inc_by(after.records - before.records);
        self.taken.inc_by(after.taken - before.taken);
        for (family, label, before, after) in [
            (&self.windows, "closed", before.windows_closed, after.windows_closed),
            (&self.windows, "revised", before.revisions, after.revisions),
            (&self.alarms, "fired", before.alarms_fired, after.alarms_fired),
            (&self.alarms, "cleared", before.alarms_cleared, after.alarms_cleared),
            (&self.alarms, "held-back", before.alarms_held_back, after.alarms_held_back),
        ] {
            if after > before {
                family.with(&[("kind", label)]).inc_by(after - before);
            }
        }
    }

    /// A batch that was taken at `began` is done.
    pub(crate) fn batch(&self, began: Instant) {
        let now = Instant::now();
        let mut spans = self.spans();
        let (first, last) = spans.active.unwrap_or((began, now));
        spans.active = Some((first.min(began), last.max(now)));
    }

    /// A record was handed to the dead-letter topic for this reason.
    pub(crate) fn dead_letter(&self, topic: &str, reason: &'static str) {
        self.dead_letters.with(&[("topic", topic), ("reason", reason)]).inc();
    }

    /// Output was committed in `took`; the oldest record among what led to it had waited for `micros`.
    pub(crate) fn committed(&self, took: Duration, micros: Option<u64>) {
        self.commits.with(&[("outcome", "committed")]).inc();
        self.commit_seconds.observe(took.as_secs_f64());
        if let Some(micros) = micros {
            self.latency.record(micros);
            self.latency_seconds.observe(micros as f64 / 1e6);
        }
    }

    pub(crate) fn went_back(&self) {
        self.commits.with(&[("outcome", "aborted")]).inc();
    }

    pub(crate) fn restored(&self, took: Duration, records: u64) {
        self.restores.inc();
        self.restored.inc_by(records);
        self.restore_seconds.set(took.as_secs_f64());
        self.spans().restore += took;
    }

    /// Figures that are looked at now and then.
    pub(crate) fn state(&self, all: &Progress) {
        self.sensors.set(all.sensors as f64);
        self.state.set(all.state_bytes as f64);
        for partition in &all.partitions {
            let number = partition.partition.to_string();
            let labels = self.labels(&partition.topic, &number);
            self.lag.with(&labels).set(partition.lag as f64);
            if let Some(delay) = partition.delay_seconds {
                self.delay.with(&labels[1..]).set(delay);
            }
        }
    }

    /// These partitions went to another worker, whose metrics tell about them from now on.
    pub(crate) fn forget(&self, gone: &[PartitionProgress]) {
        for partition in gone {
            let number = partition.partition.to_string();
            let labels = self.labels(&partition.topic, &number);
            self.lag.remove(&labels);
            self.delay.remove(&labels[1..]);
        }
    }

    fn labels<'l>(&'l self, topic: &'l str, partition: &'l str) -> [(&'static str, &'l str); 3] {
        [("consumergroup", &self.group), ("topic", topic), ("partition", partition)]
    }

    pub(crate) fn latency(&self) -> LatencySnapshot {
        self.latency.snapshot()
    }

    /// From the first batch to the end of the last, and how long recoveries took in all.
    pub(crate) fn spent(&self) -> (Duration, Duration) {
        let spans = self.spans();
        (spans.active.map_or(Duration::ZERO, |(first, last)| last - first), spans.restore)
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
