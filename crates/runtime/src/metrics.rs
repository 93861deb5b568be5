//! A registry of metrics, owned by whoever makes it: counters, gauges and histograms, and their text form.
//!
//! Names follow Prometheus: base units, a unit suffix (`_seconds`, `_bytes`), counters ending in `_total`.
//! Asking twice for one name gives the same metric, so several workers of a kind may each ask.
//!
//! ```
//! let metrics = runtime::Metrics::new();
//! let rejected = metrics.counter_family("streamgauge_rejected_total", "Records sent to the dead-letter topic");
//! rejected.with(&[("reason", "not-json")]).inc_by(2);
//! assert!(metrics.encode().contains("streamgauge_rejected_total{reason=\"not-json\"} 2"));
//! ```
//!
//! Invariants: label names are constants and label values come from small sets (topics, partitions, reasons),
//! never a sensor id; a name has one kind for the life of the registry (a second kind is a bug and panics).

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, counter, gauge, histogram};
use prometheus_client::registry::{Metric, Registry};

use crate::process;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The labels of one member of a family, in the order given.
type LabelSet = Vec<(&'static str, String)>;
type FloatGauge = gauge::Gauge<f64, AtomicU64>;

/// A shared registry; clones share it.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    registry: Registry,
    /// Every metric by its full name, to hand out again.
    known: BTreeMap<&'static str, Box<dyn Any + Send>>,
}

impl Shared {
    fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string does not fail");
        out
    }
}

impl Metrics {
    /// A registry that holds `streamgauge_build_info` with the workspace's version and the process's own metrics: start
    /// time, processor time, resident memory, open files and threads.
    pub fn new() -> Self {
        let metrics = Self { shared: Arc::default() };
        let labels = [("version", env!("CARGO_PKG_VERSION").to_owned())].to_vec();
        metrics.lock().registry.register("streamgauge_build", "The program's version", Info::new(labels));
        let started = process::start_time_seconds();
        metrics.gauge("process_start_time_seconds", "When the process started, since the epoch").set(started);
        metrics.computed_counter(
            "process_cpu_seconds_total",
            "Processor time used in user and system mode",
            process::cpu_seconds,
        );
        metrics.computed_gauge(
            "process_resident_memory_bytes",
            "Memory held in RAM",
            process::resident_bytes,
        );
        metrics.computed_gauge("process_open_fds", "Open file descriptors", process::open_files);
        metrics.computed_gauge("process_threads", "Threads of the process", process::threads);
        metrics
    }

    /// The counter of this name. The name ends in `_total`.
    pub fn counter(&self, name: &'static str, help: &str) -> Counter {
        Counter(self.named(name, help, counter::Counter::default))
    }

    /// The counters of this name, told apart by labels. The name ends in `_total`.
    pub fn counter_family(&self, name: &'static str, help: &str) -> CounterFamily {
        CounterFamily(self.named(name, help, Family::default))
    }

    /// The gauge of this name.
    pub fn gauge(&self, name: &'static str, help: &str) -> Gauge {
        Gauge(self.named(name, help, FloatGauge::default))
    }

    /// The gauges of this name, told apart by labels.
    pub fn gauge_family(&self, name: &'static str, help: &str) -> GaugeFamily {
        GaugeFamily(self.named(name, help, Family::default))
    }

    /// The histogram of this name. `buckets` are upper bounds in rising order; the infinite one is added.
    pub fn histogram(&self, name: &'static str, help: &str, buckets: &[f64]) -> Histogram {
        Histogram(self.named(name, help, || histogram::Histogram::new(buckets.iter().copied())))
    }

    /// Registers a counter whose value is asked for at each scrape. The name ends in `_total` and is new.
    pub fn computed_counter(
        &self,
        name: &'static str,
        help: &str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.computed(name, help, MetricType::Counter, value);
    }

    /// Registers a gauge whose value is asked for at each scrape. The name is new.
    pub fn computed_gauge(
        &self,
        name: &'static str,
        help: &str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.computed(name, help, MetricType::Gauge, value);
    }

    /// Everything registered, as `OpenMetrics` text ([`CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        self.lock().encode()
    }

    fn computed(
        &self,
        name: &'static str,
        help: &str,
        kind: MetricType,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let metric = Computed { kind, value: Arc::new(value) };
        let mut shared = self.lock();
        let earlier = shared.known.insert(name, Box::new(metric.clone()));
        assert!(earlier.is_none(), "metric {name} is registered twice");
        shared.registry.register(registered_name(name, kind), help, metric);
    }

    fn named<M: Metric + Clone>(&self, name: &'static str, help: &str, new: impl FnOnce() -> M) -> M {
        let mut shared = self.lock();
        if let Some(known) = shared.known.get(name) {
            let known = known.downcast_ref::<M>();
            return known.unwrap_or_else(|| panic!("metric {name} is registered as two kinds")).clone();
        }
        let metric = new();
        let registered = registered_name(name, metric.metric_type());
        shared.registry.register(registered, help, metric.clone());
        shared.known.insert(name, Box::new(metric.clone()));
        metric
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("names", &self.lock().known.keys()).finish()
    }
}

/// The name as the encoder wants it: it adds the `_total` of a counter itself.
fn registered_name(name: &'static str, kind: MetricType) -> &'static str {
    if !matches!(kind, MetricType::Counter) {
        return name;
    }
    let base = name.strip_suffix("_total");
    base.unwrap_or_else(|| panic!("the name of counter {name} must end in _total"))
}

/// A number that only grows; clones share it.
#[derive(Debug, Clone)]
pub struct Counter(counter::Counter);

impl Counter {
    /// Adds to it.
    pub fn inc_by(&self, amount: u64) {
        self.0.inc_by(amount);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Counters of one name, told apart by labels.
#[derive(Debug, Clone)]
pub struct CounterFamily(Family<LabelSet, counter::Counter>);

impl CounterFamily {
    /// The counter with these labels. Keep it where it is used often: finding it takes a lock and allocates.
    pub fn with(&self, labels: &[(&'static str, &str)]) -> Counter {
        Counter(self.0.get_or_create_owned(&label_set(labels)))
    }
}

/// A number that goes up and down; clones share it.
#[derive(Debug, Clone)]
pub struct Gauge(FloatGauge);

impl Gauge {
    /// Replaces it.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Its value.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// Gauges of one name, told apart by labels.
#[derive(Debug, Clone)]
pub struct GaugeFamily(Family<LabelSet, FloatGauge>);

impl GaugeFamily {
    /// The gauge with these labels.
    pub fn with(&self, labels: &[(&'static str, &str)]) -> Gauge {
        Gauge(self.0.get_or_create_owned(&label_set(labels)))
    }

    /// Forgets the gauge with these labels, for instance of a partition that went to another worker.
    pub fn remove(&self, labels: &[(&'static str, &str)]) {
        self.0.remove(&label_set(labels));
    }
}

/// A distribution over fixed buckets; clones share it. Each observation takes a lock: observe batches.
#[derive(Debug, Clone)]
pub struct Histogram(histogram::Histogram);

impl Histogram {
    /// Counts one value.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

fn label_set(labels: &[(&'static str, &str)]) -> LabelSet {
    labels.iter().map(|&(name, value)| (name, value.to_owned())).collect()
}

/// A metric that is computed when it is read.
#[derive(Clone)]
struct Computed {
    kind: MetricType,
    value: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl EncodeMetric for Computed {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        let value = (self.value)();
        match self.kind {
            MetricType::Counter => counter::ConstCounter::new(value).encode(encoder),
            _ => gauge::ConstGauge::new(value).encode(encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }
}

impl fmt::Debug for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Computed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_metric() {
        let metrics = Metrics::new();
        metrics.counter("read_total", "Records read").inc_by(2);
        metrics.clone().counter("read_total", "Records read").inc();
        assert_eq!(metrics.counter("read_total", "Records read").get(), 3);
    }

    #[test]
    fn the_text_is_open_metrics() {
        let metrics = Metrics::new();
        metrics.counter_family("rejected_total", "Rejected").with(&[("reason", "a\"b")]).inc();
        let lag = metrics.gauge_family("lag", "Lag");
        lag.with(&[("topic", "t"), ("partition", "0")]).set(7.5);
        lag.with(&[("topic", "t"), ("partition", "1")]).set(1.0);
        lag.remove(&[("topic", "t"), ("partition", "1")]);
        metrics.histogram("batch_seconds", "Time of a batch", &[0.1, 1.0]).observe(0.5);
        metrics.computed_counter("asked_total", "Asked for", || 4.0);
        let text = metrics.encode();
        for line in [
            "# TYPE rejected counter\nrejected_total{reason=\"a\\\"b\"} 1\n",
            "# TYPE lag gauge\nlag{topic=\"t\",partition=\"0\"} 7.5\n# HELP",
            "batch_seconds_bucket{le=\"0.1\"} 0\nbatch_seconds_bucket{le=\"1.0\"} 1\n",
            "asked_total 4.0\n",
            "streamgauge_build_info{version=",
            "process_start_time_seconds 1",
        ] {
            assert!(text.contains(line), "{line:?} is not in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    #[should_panic(expected = "registered as two kinds")]
    fn a_name_has_one_kind() {
        let metrics = Metrics::new();
        metrics.gauge("size_total", "Size");
        metrics.counter("size_total", "Size");
    }
}
