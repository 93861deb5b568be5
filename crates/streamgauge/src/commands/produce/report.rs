//! What all producers share at the edge: progress on the terminal, figures for the metrics, the summary at the end.

use std::io::Write as _;
use std::time::Duration;

use kafka::ProducerCounters;
use producers::{Display, Progress, Snapshot, Summary, Target};
use runtime::{Counter, Gauge, Metrics, Status};

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output;
use crate::service::Service;

/// How often progress is logged where there is no terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Runs a producer in the surroundings of a service, and prints its summary, whether it ended well or not.
pub(super) fn produce(
    context: &Context,
    topic: &str,
    run: impl FnOnce(Target, Progress, &Service) -> Result<Summary, producers::Error>,
) -> anyhow::Result<Ending> {
    let service = Service::start(&context.settings)?;
    let target = Target { topic: topic.to_owned(), flush_timeout: context.settings.shutdown_deadline };
    let progress = Progress { display: display(context.quiet), observer: Some(observer(topic, &service)) };
    let outcome = run(target, progress, &service);
    let summary = match &outcome {
        Ok(summary) => Some(summary),
        // Where nothing was sent there is nothing to sum up.
        Err(error) => error.summary().filter(|summary| summary.accepted > 0),
    };
    let printed = summary.map_or(Ok(()), |summary| print(summary, context.output));
    let ending = Ending::of(&service.shutdown);
    service.stop();
    outcome?;
    printed?;
    Ok(ending)
}

fn display(quiet: bool) -> Display {
    match (quiet, output::can_redraw_stderr()) {
        (true, _) => Display::Silent,
        (false, true) => Display::Terminal,
        (false, false) => Display::Log(LOG_INTERVAL),
    }
}

fn print(summary: &Summary, format: OutputFormat) -> anyhow::Result<()> {
    match format {
        OutputFormat::Table => output::print(|out| write!(out, "{summary}")),
        OutputFormat::Json => {
            let line = serde_json::to_string(summary)?;
            output::print(|out| writeln!(out, "{line}"))
        }
    }
}

/// Carries a producer's figures into the metrics and its brokers' state into readiness.
pub(crate) fn observer(topic: &str, service: &Service) -> producers::progress::Observer {
    let mut meters = Meters::new(topic, &service.metrics);
    let status = service.status.clone();
    Box::new(move |snapshot| {
        meters.update(snapshot);
        report_brokers(&status, snapshot);
    })
}

fn report_brokers(status: &Status, snapshot: &Snapshot) {
    match &snapshot.broker_problem {
        Some(problem) => status.set_unready("kafka", problem),
        None => status.set_ready("kafka"),
    }
}

struct Meters {
    acknowledged: Counter,
    failed: Counter,
    bytes: Counter,
    in_flight: Gauge,
    latency: [Gauge; 3],
    last: ProducerCounters,
}

impl Meters {
    fn new(topic: &str, metrics: &Metrics) -> Self {
        let records = metrics
            .counter_family("streamgauge_producer_records_total", "Records by how their delivery ended");
        let latency = metrics.gauge_family(
            "streamgauge_producer_latency_seconds",
            "From handing a record to the client until its acknowledgement, since the start",
        );
        let bytes = metrics
            .counter_family("streamgauge_producer_bytes_total", "Acknowledged bytes of keys and payloads")
            .with(&[("topic", topic)]);
        let in_flight = metrics
            .gauge_family(
                "streamgauge_producer_in_flight_records",
                "Records that wait for their acknowledgement",
            )
            .with(&[("topic", topic)]);
        Self {
            acknowledged: records.with(&[("topic", topic), ("result", "acknowledged")]),
            failed: records.with(&[("topic", topic), ("result", "failed")]),
            bytes,
            in_flight,
            latency: ["0.5", "0.95", "0.99"]
                .map(|quantile| latency.with(&[("topic", topic), ("quantile", quantile)])),
            last: ProducerCounters::default(),
        }
    }

    fn update(&mut self, snapshot: &Snapshot) {
        let (now, last) = (snapshot.counters, self.last);
        self.acknowledged.inc_by(now.acknowledged.saturating_sub(last.acknowledged));
        self.failed.inc_by(now.failed.saturating_sub(last.failed));
        self.bytes.inc_by(now.bytes.saturating_sub(last.bytes));
        self.in_flight.set(now.in_flight() as f64);
        let micros = [snapshot.latency.p50, snapshot.latency.p95, snapshot.latency.p99];
        for (gauge, micros) in self.latency.iter().zip(micros) {
            gauge.set(micros as f64 / 1e6);
        }
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use runtime::LatencySnapshot;

    use super::*;

    #[test]
    fn figures_reach_the_metrics_once() {
        let metrics = Metrics::new();
        let mut meters = Meters::new("sensor-data", &metrics);
        for acknowledged in [10, 25] {
            meters.update(&Snapshot {
                elapsed: Duration::from_secs(1),
                counters: ProducerCounters { accepted: 30, acknowledged, failed: 2, bytes: 1_000 },
                records_per_second: 15.0,
                latency: LatencySnapshot { count: 1, p50: 1_000, p95: 2_000, p99: 5_000, max: 6_000 },
                broker_problem: None,
            });
        }
        let text = metrics.encode();
        for line in [
            "streamgauge_producer_records_total{topic=\"sensor-data\",result=\"acknowledged\"} 25\n",
            "streamgauge_producer_records_total{topic=\"sensor-data\",result=\"failed\"} 2\n",
            "streamgauge_producer_in_flight_records{topic=\"sensor-data\"} 3.0\n",
            "streamgauge_producer_latency_seconds{topic=\"sensor-data\",quantile=\"0.99\"} 0.005\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in:\n{text}");
        }
    }
}
