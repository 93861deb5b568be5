//! What the workers of a run count, where the display, the metrics and the summary find it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::watch::Progress;

/// The figures of all workers. Each worker locks its own, once per batch at most.
#[derive(Debug)]
pub(crate) struct Figures {
    workers: Vec<Mutex<Progress>>,
}

impl Figures {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| Mutex::default()).collect() }
    }

    /// The figures of one worker.
    pub(crate) fn of(&self, worker: usize) -> MutexGuard<'_, Progress> {
        self.workers[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them together.
    pub(crate) fn progress(&self) -> Progress {
        let mut all = Progress { joined: true, ..Progress::default() };
        for worker in 0..self.workers.len() {
            all.add(&self.of(worker));
        }
        all.partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        all.busiest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }
}

impl Progress {
    fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.records, other.records),
            (&mut self.taken, other.taken),
            (&mut self.late, other.late),
            (&mut self.dead_letters, other.dead_letters),
            (&mut self.windows_closed, other.windows_closed),
            (&mut self.revisions, other.revisions),
            (&mut self.alarms_fired, other.alarms_fired),
            (&mut self.alarms_cleared, other.alarms_cleared),
            (&mut self.alarms_held_back, other.alarms_held_back),
            (&mut self.commits, other.commits),
            (&mut self.aborts, other.aborts),
            (&mut self.sensors, other.sensors),
            (&mut self.state_bytes, other.state_bytes),
            (&mut self.lag, other.lag),
        ] {
            *to += from;
        }
        for (reason, count) in &other.dead_letters_by_reason {
            *self.dead_letters_by_reason.entry(reason).or_default() += count;
        }
        self.partitions.extend_from_slice(&other.partitions);
        self.busiest.extend_from_slice(&other.busiest);
        self.joined &= other.joined;
        if let Some(restoring) = &other.restoring {
            let all = self.restoring.get_or_insert_default();
            all.partitions += restoring.partitions;
            all.records += restoring.records;
            all.total += restoring.total;
            all.seconds = all.seconds.max(restoring.seconds);
        }
        if self.problem.is_none() {
            self.problem.clone_from(&other.problem);
        }
    }
}
