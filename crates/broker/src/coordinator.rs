//! Groups, committed offsets and transactions: Kafka's group coordinator and transaction coordinator for one node.
//!
//! One [`State`] behind one lock, changed by synchronous code that is told the time; what must survive is in the
//! [`journal`] before it is true. A request that waits for others (`JoinGroup`, `SyncGroup`) takes a channel out of the
//! lock and waits there. [`Coordinator::run`] is the only task: it sleeps until the next deadline.
//!
//! The map: `join`, `sync`, `rebalance` and `group` are the classic group protocol, `offsets` and `offset_fetch` the
//! committed offsets, `producer`, `transaction` and `end_txn` the transactions, `listing` what operators ask, `sweep`
//! what expires. How each answers is after `kafka.coordinator.group.GroupCoordinator` and
//! `kafka.coordinator.transaction.TransactionCoordinator` of Apache Kafka.
//!
//! Invariants: what was acknowledged survives the process; there is one assignment a generation; a transaction's
//! offsets and markers are all or nothing; a fenced member or producer changes nothing; the lock is never held across
//! an await. The KIP-848 group protocol and transaction protocol 2 of KIP-890 are deliberately absent.

mod end_txn;
mod entry;
mod group;
mod join;
mod journal;
mod listing;
mod offset_fetch;
mod offsets;
mod partitions;
mod producer;
mod rebalance;
mod requests;
mod state;
mod subscription;
mod sweep;
mod sync;
#[cfg(test)]
mod tests;
mod timers;
mod transaction;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use tokio::sync::{Notify, oneshot};

use self::group::{join_failed, sync_failed};
pub use self::journal::JournalError;
pub(crate) use self::partitions::Partitions;
use self::state::State;
use self::timers::Timer;
use crate::settings::Settings;

/// Groups at once, with and without members. A client that would found one more is told that there is no room.
const MAX_GROUPS: usize = 100_000;

/// Transactional ids at once; they expire.
const MAX_TRANSACTIONAL_IDS: usize = 100_000;

/// The protocol type of groups of consumers.
const CONSUMER_PROTOCOL: &str = "consumer";

/// Why the coordinator cannot start or stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// Its journal cannot be used.
    #[error("the journal of groups and transactions: {0}")]
    Journal(#[from] JournalError),
}

/// The coordinator of all groups and transactions.
pub(crate) struct Coordinator {
    state: Mutex<State>,
    /// The next deadline may be earlier than the timer task knows.
    earlier: Notify,
    clock: Clock,
}

/// The time that the state is told: it begins with the wall clock's and then goes on evenly, so that members do not
/// die, nor live forever, when somebody sets the clock.
struct Clock {
    began: Instant,
    began_ms: i64,
}

impl Clock {
    fn now_ms(&self) -> i64 {
        self.began_ms + i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX / 2)
    }
}

/// The answer to a request that may have to wait for others.
enum Answer<T> {
    /// It is there.
    Now(T),
    /// It will come; the sender is dropped if the member is removed before.
    Later(oneshot::Receiver<T>),
}

impl Coordinator {
    /// The coordinator whose journal is in `directory`, which is created if it is missing. Transactions that were
    /// decided are completed in `partitions`, and those that nobody knows of are aborted there. `now_ms` is the wall
    /// clock's time.
    pub(crate) fn open(
        settings: &Settings,
        directory: &Path,
        partitions: Arc<dyn Partitions>,
        now_ms: i64,
    ) -> Result<Self, CoordinatorError> {
        let mut state = State::open(settings, directory, partitions, now_ms)?;
        state.resume(now_ms);
        let clock = Clock { began: Instant::now(), began_ms: now_ms };
        Ok(Self { state: Mutex::new(state), earlier: Notify::new(), clock })
    }

    /// Does what time brings, until `stop` is ready.
    pub(crate) async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let next_ms = {
                let mut state = self.lock();
                state.tick(self.clock.now_ms());
                state.timers.next_ms()
            };
            let rest =
                next_ms.map(|at_ms| Duration::from_millis((at_ms - self.clock.now_ms()).max(0) as u64));
            tokio::select! {
                () = &mut stop => return,
                () = self.earlier.notified() => {}
                () = tokio::time::sleep(rest.unwrap_or(Duration::MAX)), if rest.is_some() => {}
            }
        }
    }

    /// Forgets the offsets of a topic that was deleted.
    pub(crate) fn topic_deleted(&self, topic: &str) {
        if let Err(error) = self.lock().forget_partitions(|name, _| name == topic) {
            tracing::error!(topic, %error, "offsets of a deleted topic stay until the next start");
        }
    }

    /// Answers those who wait for other members, and lets nobody wait any longer: the broker is about to stop.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.closing = true;
        for member in state.groups.values_mut().flat_map(|group| group.members.values_mut()) {
            if let Some(waiter) = member.joining.take() {
                let id = member.record.id.as_str();
                drop(waiter.send(join_failed(ResponseError::CoordinatorNotAvailable, id)));
            }
            if let Some(waiter) = member.syncing.take() {
                drop(waiter.send(sync_failed(ResponseError::CoordinatorNotAvailable)));
            }
        }
    }

    /// Brings the journal to the disk. Nothing may be asked for after that.
    pub(crate) fn close(&self) -> Result<(), CoordinatorError> {
        Ok(self.lock().flush()?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a panic while the state was changed must not be followed by more changes")
    }

    /// Changes the state, and wakes the timer task if something is due earlier than it knows.
    fn change<T>(&self, change: impl FnOnce(&mut State, i64) -> T) -> T {
        let mut state = self.lock();
        let before = state.timers.next_ms();
        let result = change(&mut state, self.clock.now_ms());
        let after = state.timers.next_ms();
        drop(state);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.earlier.notify_one();
        }
        result
    }
}

impl State {
    /// What a start does once the journal is read.
    fn resume(&mut self, now_ms: i64) {
        self.resume_transactions(now_ms);
        self.abort_orphans();
        let partitions = Arc::clone(&self.partitions);
        if let Err(error) = self.forget_partitions(|topic, partition| !partitions.exists(topic, partition)) {
            tracing::error!(%error, "offsets of deleted topics stay until the next start");
        }
        self.watch_sweep(now_ms);
    }

    /// Does everything that is due.
    fn tick(&mut self, now_ms: i64) {
        while let Some(timer) = self.timers.take_due(now_ms) {
            match timer {
                Timer::Group(name) => self.tick_group(&name, now_ms),
                Timer::Transaction(id) => self.tick_transaction(&id, now_ms),
                Timer::Sweep => {
                    self.sweep(now_ms);
                    self.watch_sweep(now_ms);
                }
            }
        }
    }
}

/// The protocol's code of a result.
fn code(result: Result<(), ResponseError>) -> i16 {
    result.map_or_else(|error| error.code(), |()| 0)
}
