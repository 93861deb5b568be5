//! A run of the processor: threads that share the partitions, and the summary at the end.

use std::sync::Arc;
use std::time::Instant;

use kafka::{Admin, CONNECT_TIMEOUT, KafkaSettings};
use runtime::{Metrics, Shutdown, Status};

use crate::figures::Figures;
use crate::{Error, ProcessOptions, ProcessSummary};

/// Processes until the end is asked for or, with `exit_at_end`, reached.
pub fn run(
    options: &ProcessOptions,
    settings: &KafkaSettings,
    _metrics: &Metrics,
    _status: &Status,
    _shutdown: &Shutdown,
) -> Result<ProcessSummary, Error> {
    let start = Instant::now();
    let figures = Arc::new(Figures::new(1));
    options.watch.begin(&figures);
    tracing::debug!(plan = options.plan.version(), "starting");
    figures.of(0).joined = false;
    Admin::connect(settings, CONNECT_TIMEOUT)?;
    Ok(ProcessSummary { elapsed: start.elapsed(), ..ProcessSummary::default() })
}
