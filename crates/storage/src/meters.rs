//! The metrics of a run, and how long it was at work. Updated once per batch or flush, never per record.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka::{PartitionLag, TopicPartition};
use runtime::{Counter, CounterFamily, Gauge, GaugeFamily, Histogram, Metrics};

use crate::sink::Stored;

/// Upper bounds of the histogram of flushes, in seconds.
const FLUSH_BUCKETS: [f64; 10] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0];

pub(crate) struct Meters {
    group: String,
    rows: CounterFamily,
    files: Counter,
    bytes: Counter,
    dead_letters: CounterFamily,
    retries: Counter,
    waiting: Gauge,
    lag: GaugeFamily,
    lag_seconds: Gauge,
    flush_seconds: Histogram,
    /// When the first batch came and when the last rows were stored.
    active: Mutex<Option<(Instant, Instant)>>,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics, group: &str) -> Self {
        Self {
            group: group.to_owned(),
            rows: metrics.counter_family("streamgauge_stored_rows_total", "Rows stored, by table"),
            files: metrics.counter("streamgauge_stored_files_total", "Files written"),
            bytes: metrics.counter("streamgauge_stored_bytes_total", "Bytes of the files written"),
            dead_letters: metrics.counter_family(
                "streamgauge_dead_letters_total",
                "Records that went to the dead-letter topic",
            ),
            retries: metrics
                .counter("streamgauge_store_retries_total", "Attempts to store that failed and are repeated"),
            waiting: metrics.gauge("streamgauge_store_waiting_rows", "Rows that are read and not stored yet"),
            lag: metrics.gauge_family("kafka_consumergroup_lag", "Records between position and end"),
            lag_seconds: metrics.gauge(
                "streamgauge_store_lag_seconds",
                "How old the last record read is while others wait behind it",
            ),
            flush_seconds: metrics.histogram(
                "streamgauge_store_flush_seconds",
                "How long it took to store what had gathered of a partition",
                &FLUSH_BUCKETS,
            ),
            active: Mutex::default(),
        }
    }

    /// A batch has come.
    pub(crate) fn batch(&self) {
        let now = Instant::now();
        self.span().get_or_insert((now, now));
    }

    /// Rows were stored, in `took`.
    pub(crate) fn stored(&self, table: &'static str, rows: u64, stored: Stored, took: Duration) {
        self.rows.with(&[("table", table)]).inc_by(rows);
        self.files.inc_by(stored.files);
        self.bytes.inc_by(stored.bytes);
        self.flush_seconds.observe(took.as_secs_f64());
        if let Some((_, last)) = self.span().as_mut() {
            *last = Instant::now();
        }
    }

    pub(crate) fn dead_letter(&self, topic: &str, reason: &'static str) {
        self.dead_letters.with(&[("topic", topic), ("reason", reason)]).inc();
    }

    pub(crate) fn retry(&self) {
        self.retries.inc();
    }

    pub(crate) fn behind(&self, waiting: u64, lag_seconds: f64, lag: &[PartitionLag]) {
        self.waiting.set(waiting as f64);
        self.lag_seconds.set(lag_seconds);
        for of in lag {
            self.lag.with(&self.labels(&of.place, &of.place.partition.to_string())).set(of.records() as f64);
        }
    }

    /// This partition went to another worker, whose metrics tell its lag from now on.
    pub(crate) fn forget(&self, place: &TopicPartition) {
        self.lag.remove(&self.labels(place, &place.partition.to_string()));
    }

    fn labels<'l>(&'l self, place: &'l TopicPartition, partition: &'l str) -> [(&'static str, &'l str); 3] {
        [("consumergroup", &self.group), ("topic", &place.topic), ("partition", partition)]
    }

    /// From the first batch until the last rows were stored.
    pub(crate) fn active(&self) -> Duration {
        self.span().map_or(Duration::ZERO, |(first, last)| last - first)
    }

    fn span(&self) -> MutexGuard<'_, Option<(Instant, Instant)>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
