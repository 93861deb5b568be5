//! What the processor is told: validated by whoever makes it, used as it is.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::Plan;

use crate::watch::Watch;

/// Options of [`run`](crate::run).
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// The consumer group. The names of the internal topics and the transactional ids are made of it.
    pub group: String,
    /// What is promised of the output.
    pub guarantee: Guarantee,
    /// How many worker threads; `None`: one for each core, at most one for each partition of the inputs.
    pub workers: Option<NonZeroUsize>,
    /// This instance's name among those of the group: the same after a restart, another than that of every other instance.
    pub instance: String,
    /// Whether a warm copy of the state of partitions that other instances have is kept.
    pub standby: bool,
    /// How long output may wait for its commit while no alarm is among it.
    pub commit_interval: Duration,
    /// In how long each shard is written down once.
    pub snapshot_interval: Duration,
    /// After how long the brokers abort what a worker left open.
    pub transaction_timeout: Duration,
    /// The most records in one batch.
    pub max_batch: NonZeroUsize,
    /// How long unread records may lie without progress before a consumer is rebuilt.
    pub stall_timeout: Duration,
    /// How long the workers may take to commit and leave once the end is asked for.
    pub drain_timeout: Duration,
    /// Whether to stop at the end of what was there at the start. Open windows stay in the state.
    pub exit_at_end: bool,
    /// The topics.
    pub topics: Topics,
    /// Windows, rules, event time and bounds; can be replaced while the processor runs.
    pub plan: PlanHandle,
    /// Lets the caller look at the figures while the run goes on.
    pub watch: Watch,
}

/// What is promised of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Each effect is visible once to whoever reads what is committed.
    ExactlyOnce,
    /// Nothing is lost; after a crash some of it is there twice.
    AtLeastOnce,
}

/// The topics that the processor reads and writes. Internal ones are named after the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Readings, read if a window over readings or a rule needs them.
    pub readings: String,
    /// Events, read if a window over events needs them.
    pub events: String,
    /// Where window summaries go.
    pub analytics: String,
    /// Where alarms go.
    pub alerts: String,
}

impl Default for Topics {
    /// The topics of the catalogue.
    fn default() -> Self {
        use model::topics::{ALERTS, ANALYTICS, EVENTS, SENSOR_DATA};
        Self {
            readings: SENSOR_DATA.into(),
            events: EVENTS.into(),
            analytics: ANALYTICS.into(),
            alerts: ALERTS.into(),
        }
    }
}

/// The plan in force, which can be replaced while workers run. Clones share it.
#[derive(Clone, Debug)]
pub struct PlanHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    plan: Mutex<Arc<Plan>>,
    /// How often it was replaced: what workers look at, so that they lock only when there is something new.
    replaced: AtomicU64,
}

impl PlanHandle {
    /// A handle on a plan.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self(Arc::new(Shared { plan: Mutex::new(plan), replaced: AtomicU64::new(0) }))
    }

    /// The plan.
    pub fn current(&self) -> Arc<Plan> {
        Arc::clone(&self.0.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another plan in force: every worker records the change with its next transaction and goes on under the new
    /// plan. `false`: it is the same as the one in force, and nothing happens.
    pub fn replace(&self, plan: Arc<Plan>) -> bool {
        let mut current = self.0.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if current.fingerprint() == plan.fingerprint() {
            return false;
        }
        *current = plan;
        self.0.replaced.fetch_add(1, Ordering::Release);
        true
    }

    /// How often the plan was replaced.
    pub(crate) fn version(&self) -> u64 {
        self.0.replaced.load(Ordering::Acquire)
    }
}
