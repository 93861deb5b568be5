//! What a command that runs on stands on: signals, metrics, readiness, and the endpoint that shows them.

use anyhow::Context as _;
use monitor::{Endpoint, MetricsServer, serve_metrics};
use runtime::{HangUps, Metrics, Shutdown, Status};

use crate::settings::Settings;

/// The surroundings of one long-running command.
#[derive(Debug)]
pub(crate) struct Service {
    /// Requested by SIGINT and SIGTERM, by a failed task, or by the command itself.
    pub(crate) shutdown: Shutdown,
    /// Shown by the endpoint.
    pub(crate) metrics: Metrics,
    /// Shown by the endpoint.
    pub(crate) status: Status,
    server: Option<MetricsServer>,
}

impl Service {
    /// Takes over the signals and opens the endpoint, if the settings ask for one.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        Self::open(settings, Shutdown::on_signals().context("cannot handle signals")?)
    }

    /// The same for a command that reads its settings again at SIGHUP.
    pub(crate) fn start_reloading(settings: &Settings) -> anyhow::Result<(Self, HangUps)> {
        let (shutdown, hang_ups) = Shutdown::on_signals_but_hang_ups().context("cannot handle signals")?;
        Ok((Self::open(settings, shutdown)?, hang_ups))
    }

    fn open(settings: &Settings, shutdown: Shutdown) -> anyhow::Result<Self> {
        let (metrics, status) = (Metrics::new(), Status::new());
        let mut service = Self { shutdown, metrics, status, server: None };
        if let Some(listen) = &settings.metrics_listen {
            service.server = Some(serve_metrics(listen, service.endpoint())?);
        }
        Ok(service)
    }

    /// What is shown of it over HTTP.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            metrics: self.metrics.clone(),
            status: self.status.clone(),
            shutdown: self.shutdown.clone(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Closes the endpoint, after the work has ended: until then a draining process can be watched.
    pub(crate) fn stop(self) {
        if let Some(server) = self.server {
            server.stop();
        }
    }
}
