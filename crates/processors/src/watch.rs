//! The figures of a run for somebody outside of it, who looks a few times per second.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::figures::Figures;

/// A view into a run, to be given to it with its options. Clones look into the same run.
#[derive(Clone, Default)]
pub struct Watch(Arc<OnceLock<Arc<Figures>>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("running", &self.0.get().is_some()).finish()
    }
}

impl Watch {
    pub(crate) fn begin(&self, figures: &Arc<Figures>) {
        // A second run with the same view would be the caller's mistake: the view stays with the first.
        self.0.get_or_init(|| Arc::clone(figures));
    }

    /// The figures now; `None` before the run has begun.
    pub fn progress(&self) -> Option<Progress> {
        self.0.get().map(|figures| figures.progress())
    }
}

/// What a run has done so far. Counts are of what was processed, also where its transaction was aborted and it was
/// processed again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Records read, of all inputs.
    pub records: u64,
    /// Records that count.
    pub taken: u64,
    /// Records that were too late for every window.
    pub late: u64,
    /// Records that went to the dead-letter topic, the late ones among them.
    pub dead_letters: u64,
    /// The same by reason.
    pub dead_letters_by_reason: BTreeMap<&'static str, u64>,
    /// Windows that were told for the first time.
    pub windows_closed: u64,
    /// Windows that were told again because of late records.
    pub revisions: u64,
    /// Alarms that fired.
    pub alarms_fired: u64,
    /// Alarms that were cleared.
    pub alarms_cleared: u64,
    /// Alarms held back by their limit.
    pub alarms_held_back: u64,
    /// Transactions committed; with at-least-once, rounds of commits.
    pub commits: u64,
    /// Transactions aborted.
    pub aborts: u64,
    /// Sensors known, and pairs of type and source of events, in the partitions held.
    pub sensors: u64,
    /// About how many bytes of memory the state takes.
    pub state_bytes: u64,
    /// Records of the partitions held that are not read yet.
    pub lag: u64,
    /// Partitions held, each with how far it is.
    pub partitions: Vec<PartitionProgress>,
    /// The sensors with the most readings of late, and how many those were, the busiest first.
    pub busiest: Vec<(String, u64)>,
    /// Whether all workers are in the group.
    pub joined: bool,
    /// The recovery under way, if one is.
    pub restoring: Option<RestoreProgress>,
    /// What is wrong with the connection, while no broker is up.
    pub problem: Option<String>,
}

/// How far one partition is.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionProgress {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to be processed.
    pub position: i64,
    /// Records not read yet.
    pub lag: u64,
    /// Seconds from the newest event time that was taken to now; `None` before the first.
    pub delay_seconds: Option<f64>,
}

/// How far a recovery is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestoreProgress {
    /// Partitions that are being restored.
    pub partitions: u64,
    /// Records read so far, of snapshots and input.
    pub records: u64,
    /// Records to be read again of the input in all; 0 while it is not known.
    pub total: u64,
    /// For how long it has been going on, in seconds.
    pub seconds: f64,
}
