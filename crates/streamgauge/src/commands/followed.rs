//! A worker that runs on a thread of its own until the end, while this one shows its figures.

use std::time::Duration;

use anyhow::Context as _;
use runtime::{Shutdown, StopReason, Tasks};

use super::Context;
use super::status_line::StatusLine;
use crate::service::Service;

/// How often it is looked whether the run has ended.
const WATCH: Duration = Duration::from_millis(50);

/// Runs `work`, which ends when the end is asked for and within `deadline` of that, and returns its summary. Meanwhile `show`
/// writes figures whenever the line is due.
pub(crate) fn follow<T, E>(
    name: &'static str,
    deadline: Duration,
    context: &Context,
    service: &Service,
    work: impl FnOnce(&Shutdown) -> Result<T, E> + Send + 'static,
    mut show: impl FnMut(&mut StatusLine),
) -> anyhow::Result<T>
where
    T: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let (shutdown, asked) = (service.shutdown.clone(), service.shutdown.clone());
    let (summary, done) = std::sync::mpsc::channel();
    let mut tasks = Tasks::new(shutdown.clone());
    let work = move || {
        let outcome = work(&asked)?;
        // Whoever waits for it is there until this thread has ended.
        drop(summary.send(outcome));
        asked.request(StopReason::Finished);
        Ok::<(), E>(())
    };
    tasks.spawn(name, work).with_context(|| format!("cannot start the thread {name}"))?;
    let mut line = StatusLine::new(context);
    while !shutdown.wait(WATCH) {
        show(&mut line);
    }
    line.wipe();
    // The run drains within its own deadline; the thread needs a moment more.
    tasks.join(deadline + WATCH)?;
    done.try_recv().with_context(|| format!("{name} ended without a summary"))
}
