//! The long poll: wait until there is enough to answer with.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{self, Instant};

use super::{Limits, Partition, read_all};
use crate::log::Log;

/// The longest wait, whatever the client asks for.
const LONGEST: Duration = Duration::from_secs(300);

/// Reads all partitions until `min_bytes` were read, one of them failed, or the time is over, or waiting is.
pub(super) async fn read_enough(
    partitions: &mut [Partition<'_>],
    limits: &Limits,
    min_bytes: i32,
    max_wait_ms: i32,
    released: impl Future<Output = ()>,
) {
    let enough = usize::try_from(min_bytes).unwrap_or(0);
    let wait = Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0)).min(LONGEST);
    let pass = read_all(partitions, limits);
    if pass.failed || pass.bytes >= enough || wait.is_zero() {
        return;
    }
    let deadline = Instant::now() + wait;
    let waiter = Waiter::new(partitions);
    // What came before the waiter was registered would not wake it, so look once more.
    let mut seen = None;
    let mut released = pin!(released);
    loop {
        let state = State::of(partitions);
        if seen.is_none_or(|seen: Seen| seen.may_suffice(state, limits, enough)) {
            let pass = read_all(partitions, limits);
            if pass.failed || pass.bytes >= enough {
                return;
            }
            seen = Some(Seen { read: pass.bytes, state });
        }
        tokio::select! {
            () = waiter.notify.notified() => {}
            () = time::sleep_until(deadline) => break,
            () = &mut released => break,
        }
    }
    // What is there by now is better than what was there at the last look.
    read_all(partitions, limits);
}

/// What all logs together looked like at one moment.
#[derive(Debug, Clone, Copy)]
struct State {
    /// In bytes.
    size: u64,
    /// The sum of the last stable offsets.
    stable: i64,
}

impl State {
    fn of(partitions: &[Partition<'_>]) -> Self {
        logs(partitions).fold(Self { size: 0, stable: 0 }, |state, log| Self {
            size: state.size + log.size_bytes(),
            stable: state.stable.wrapping_add(log.offsets().stable),
        })
    }
}

/// What the last pass saw: how many bytes it read, and the state before it did.
#[derive(Debug, Clone, Copy)]
struct Seen {
    read: usize,
    state: State,
}

impl Seen {
    /// Whether reading again can give enough. Many small appends must not have everything read over and over, so their
    /// sizes are looked at first.
    fn may_suffice(&self, now: State, limits: &Limits, enough: usize) -> bool {
        if limits.read_committed {
            return now.stable != self.state.stable;
        }
        match now.size.checked_sub(self.state.size) {
            // Woken, but nothing was appended: whatever it was, it has to be looked at.
            None | Some(0) => true,
            Some(grown) => self.read as u64 + grown >= enough as u64,
        }
    }
}

fn logs<'a>(partitions: &'a [Partition<'_>]) -> impl Iterator<Item = &'a Arc<Log>> {
    partitions.iter().filter_map(|partition| partition.log.as_ref().ok())
}

/// Is woken by every one of the logs, until it is dropped.
struct Waiter {
    notify: Arc<Notify>,
    logs: Vec<Arc<Log>>,
}

impl Waiter {
    fn new(partitions: &[Partition<'_>]) -> Self {
        let notify = Arc::new(Notify::new());
        let logs: Vec<_> = logs(partitions).cloned().collect();
        for log in &logs {
            log.add_waiter(&notify);
        }
        Self { notify, logs }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        for log in &self.logs {
            log.remove_waiter(&self.notify);
        }
    }
}
