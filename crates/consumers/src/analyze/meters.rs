//! The metrics of a run. Each is updated once per batch, or about once a second, never per record.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::Totals;
use kafka::{PartitionLag, TopicPartition};
use runtime::{Counter, CounterFamily, Gauge, GaugeFamily, Histogram, Latency, LatencySnapshot, Metrics};

/// Upper bounds of the latency histogram, in seconds.
const LATENCY_BUCKETS: [f64; 12] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0, 3_600.0];

/// The metrics of `analyze`.
pub(super) struct Meters {
    group: String,
    topic: String,
    readings: Counter,
    warnings: Counter,
    alerts: Counter,
    faults: Counter,
    dead_letters: CounterFamily,
    sensors: Gauge,
    lag: GaugeFamily,
    latency_seconds: Histogram,
    latency: Latency,
    /// When the first batch came and when the last one was done.
    active: Mutex<Option<(Instant, Instant)>>,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics, group: &str, topic: &str) -> Self {
        Self {
            group: group.to_owned(),
            topic: topic.to_owned(),
            readings: metrics.counter("streamgauge_readings_total", "Readings counted"),
            warnings: metrics.counter("streamgauge_warnings_total", "Readings with the status warning"),
            alerts: metrics
                .counter("streamgauge_alerts_total", "Readings with a temperature above the bound"),
            faults: metrics
                .counter("streamgauge_sensor_faults_total", "Readings with a value that cannot be true"),
            dead_letters: metrics.counter_family(
                "streamgauge_dead_letters_total",
                "Records that went to the dead-letter topic",
            ),
            sensors: metrics
                .gauge("streamgauge_sensors", "Sensors in the partitions held, in each partition"),
            lag: metrics.gauge_family("kafka_consumergroup_lag", "Records between position and end"),
            latency_seconds: metrics.histogram(
                "streamgauge_append_to_statistics_seconds",
                "From a record's timestamp until it was in the statistics; the first record of each batch",
                &LATENCY_BUCKETS,
            ),
            latency: Latency::new(),
            active: Mutex::new(None),
        }
    }

    /// A batch that was taken at `began` is done; the counts went from `before` to `after`. `latency_micros` is
    /// that of its first record, if it has a timestamp.
    pub(super) fn batch(&self, began: Instant, before: &Totals, after: &Totals, latency_micros: Option<u64>) {
        self.readings.inc_by(after.readings - before.readings);
        self.warnings.inc_by(after.warnings - before.warnings);
        self.alerts.inc_by(after.alerts - before.alerts);
        self.faults.inc_by(after.faults - before.faults);
        if let Some(micros) = latency_micros {
            self.latency.record(micros);
            self.latency_seconds.observe(micros as f64 / 1e6);
        }
        let now = Instant::now();
        let mut active = self.active_span();
        let (first, last) = active.unwrap_or((began, now));
        *active = Some((first.min(began), last.max(now)));
    }

    /// A record was handed to the dead-letter topic for this reason.
    pub(super) fn dead_letter(&self, reason: &'static str) {
        self.dead_letters.with(&[("topic", &self.topic), ("reason", reason)]).inc();
    }

    pub(super) fn sensors(&self, count: usize) {
        self.sensors.set(count as f64);
    }

    pub(super) fn lag(&self, lag: &[PartitionLag]) {
        for partition in lag {
            let number = partition.place.partition.to_string();
            self.lag.with(&self.lag_labels(&number)).set(partition.records() as f64);
        }
    }

    /// These partitions went to another worker, whose metrics tell their lag from now on.
    pub(super) fn forget(&self, places: &[TopicPartition]) {
        for place in places {
            self.lag.remove(&self.lag_labels(&place.partition.to_string()));
        }
    }

    fn lag_labels<'l>(&'l self, partition: &'l str) -> [(&'static str, &'l str); 3] {
        [("consumergroup", &self.group), ("topic", &self.topic), ("partition", partition)]
    }

    /// The latencies of all batches so far.
    pub(super) fn latency(&self) -> LatencySnapshot {
        self.latency.snapshot()
    }

    /// From the first batch to the end of the last.
    pub(super) fn active(&self) -> Duration {
        self.active_span().map_or(Duration::ZERO, |(first, last)| last - first)
    }

    fn active_span(&self) -> MutexGuard<'_, Option<(Instant, Instant)>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
