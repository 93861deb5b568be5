//! The figures of a run for somebody outside of it, who looks a few times per second.

use std::sync::{Arc, OnceLock};

use super::Shared;

/// A view into a run, to be given to it with its options. Clones look into the same run.
#[derive(Clone, Default)]
pub struct Watch(Arc<OnceLock<Arc<Shared>>>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("running", &self.0.get().is_some()).finish()
    }
}

/// What a run has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Readings counted.
    pub readings: u64,
    /// Sensors in the partitions held, counted in each of them.
    pub sensors: u64,
    /// Readings with a temperature above the bound.
    pub alerts: u64,
    /// Readings with a value that cannot be true.
    pub sensor_faults: u64,
    /// Records that went to the dead-letter topic.
    pub dead_letters: u64,
    /// Records of the partitions held that are not read yet.
    pub lag: u64,
    /// Whether all workers are in the group.
    pub joined: bool,
    /// What is wrong with the connection, while no broker is up.
    pub problem: Option<String>,
}

impl Watch {
    pub(super) fn begin(&self, shared: &Arc<Shared>) {
        // A second run with the same view would be the caller's mistake: the view stays with the first.
        self.0.get_or_init(|| Arc::clone(shared));
    }

    /// The figures now; `None` before the run has begun.
    pub fn progress(&self) -> Option<Progress> {
        let shared = self.0.get()?;
        let mut progress = Progress { joined: true, ..Progress::default() };
        let mut totals = engine::Totals::default();
        for tally in shared.tallies() {
            totals.add(&tally.totals());
            progress.sensors += tally.tables().map(|table| table.len() as u64).sum::<u64>();
            progress.dead_letters += tally.dead_letters.values().sum::<u64>();
            progress.lag += tally.lag.iter().map(kafka::PartitionLag::records).sum::<u64>();
            progress.joined &= tally.joined;
            if progress.problem.is_none() {
                progress.problem.clone_from(&tally.problem);
            }
        }
        totals.add(&shared.archive().totals());
        progress.readings = totals.readings;
        progress.alerts = totals.alerts;
        progress.sensor_faults = totals.faults;
        Some(progress)
    }
}
