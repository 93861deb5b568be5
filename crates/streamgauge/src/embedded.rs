//! The embedded broker inside this process: on threads of its own, watched by whoever started it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use broker::{Broker, BrokerError, Figures, StatsHandle};
use runtime::{Metrics, Shutdown, StopReason, TaskError, Tasks};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Threads that serve connections; beside them the clients need the processors too.
const MAX_SERVING_THREADS: usize = 4;

/// A running broker.
pub(crate) struct EmbeddedBroker {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Requested when the broker fails.
    pub(crate) failed: Shutdown,
    stop: oneshot::Sender<()>,
    tasks: Tasks,
}

impl EmbeddedBroker {
    /// Opens the data, listens, and serves from then on.
    pub(crate) fn start(settings: broker::Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        let runtime = serving_threads().context("cannot start the broker's threads")?;
        let broker = runtime.block_on(Broker::bind(settings))?;
        let address = broker.address();
        show_figures(&broker.stats(), metrics);
        let (stop, stopped) = oneshot::channel::<()>();
        let failed = Shutdown::new();
        let mut tasks = Tasks::new(failed.clone());
        let work = move || {
            // Whoever dropped the sender wants the end as well.
            runtime.block_on(broker.run(async { drop(stopped.await) }))
        };
        tasks.spawn::<BrokerError>("broker", work).context("cannot start the broker's thread")?;
        Ok(Self { address, failed, stop, tasks })
    }

    /// Ends it: requests in hand are answered, the data is closed.
    pub(crate) fn stop(self, deadline: Duration) -> Result<(), TaskError> {
        // A broker that has ended already does not listen for it.
        let _ = self.stop.send(());
        self.failed.request(StopReason::Requested);
        self.tasks.join(deadline)
    }
}

/// Lets the broker's figures be asked for at each scrape.
fn show_figures(stats: &StatsHandle, metrics: &Metrics) {
    let counter = |name, help, figure: fn(&Figures) -> u64| {
        let stats = stats.clone();
        metrics.computed_counter(name, help, move || figure(&stats.figures()) as f64);
    };
    counter("streamgauge_broker_requests_total", "Requests of all kinds", |figures| {
        figures.requests.iter().map(|(_, count)| count).sum()
    });
    counter("streamgauge_broker_received_bytes_total", "Bytes of requests", |figures| figures.bytes_in);
    counter("streamgauge_broker_sent_bytes_total", "Bytes of responses", |figures| figures.bytes_out);
    counter("streamgauge_broker_records_total", "Records taken into logs", |figures| {
        figures.records_appended
    });
    counter(
        "streamgauge_broker_connections_refused_total",
        "Connections closed at once because there were too many",
        |figures| figures.connections_refused,
    );
    counter(
        "streamgauge_broker_connections_failed_total",
        "Connections closed for what their clients did",
        |figures| figures.connections_failed,
    );
    let stats = stats.clone();
    metrics.computed_gauge("streamgauge_broker_connections", "Connections that are open", move || {
        stats.figures().connections as f64
    });
}

fn serving_threads() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    Builder::new_multi_thread()
        .worker_threads(processors.min(MAX_SERVING_THREADS))
        .thread_name("broker-serve")
        .enable_all()
        .build()
}
