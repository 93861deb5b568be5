//! A producer under way that can be asked how far it is.

use std::net::TcpListener;

use super::http::get;
use super::process::Running;
use super::stage::Stage;

/// `produce sensors` with its metrics.
pub(crate) struct Load {
    pub(crate) running: Running,
    pub(crate) metrics: Metrics,
}

impl Load {
    /// Starts it at `rate` records a second and waits for the first acknowledged records.
    pub(crate) fn start(stage: &Stage<'_>, rate: u32, flags: &[&str]) -> Self {
        let (metrics, rate) = (Metrics::on_free_port(), rate.to_string());
        let fixed = ["produce", "sensors", "--topic", &stage.topic, "--num-sensors", "50", "--rate", &rate];
        let own = ["--metrics-listen", &metrics.address, "-o", "json"];
        let mut load = Self { running: stage.start(&[&fixed[..], &own, flags].concat()), metrics };
        load.wait_for_more(1);
        load
    }

    /// Waits until this many more records are acknowledged than now.
    pub(crate) fn wait_for_more(&mut self, more: u64) {
        let metrics = &self.metrics;
        let before = metrics.acknowledged().unwrap_or(0);
        let what = format!("{more} more acknowledged records");
        self.running.wait_until(&what, |_| metrics.acknowledged().filter(|count| *count >= before + more));
    }
}

/// The endpoint of a running program.
pub(crate) struct Metrics {
    /// host:port
    pub(crate) address: String,
}

impl Metrics {
    /// For a program that is yet to be started with `--metrics-listen`.
    pub(crate) fn on_free_port() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self { address: listener.local_addr().expect("it is bound").to_string() }
    }

    /// How many records the brokers have acknowledged to a producer.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        self.sum("streamgauge_producer_records_total", "result=\"acknowledged\"").map(|count| count as u64)
    }

    /// How many records wait for their acknowledgement.
    pub(crate) fn in_flight(&self) -> Option<u64> {
        self.sum("streamgauge_producer_in_flight_records", "").map(|count| count as u64)
    }

    /// How many readings were counted.
    pub(crate) fn readings(&self) -> Option<u64> {
        self.sum("streamgauge_readings_total", "").map(|count| count as u64)
    }

    /// A metric, summed over its series with this label; `None` while there is none.
    pub(crate) fn sum(&self, name: &str, label: &str) -> Option<f64> {
        let answer = get(&self.address, "/metrics").ok()?;
        let values = answer.body.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            let own = (labels.is_empty() || labels.starts_with('{')) && labels.contains(label);
            own.then(|| value.parse::<f64>().expect("a metric has a number"))
        });
        values.reduce(|sum, value| sum + value)
    }

    /// The status of `/readyz`; `None` while nobody answers.
    pub(crate) fn readiness(&self) -> Option<u16> {
        get(&self.address, "/readyz").ok().map(|answer| answer.status)
    }
}
