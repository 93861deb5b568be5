//! The figures of a run: counted by the workers, seen by the display, the metrics and the summary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::Table;

/// A view into a run, to be given to it with its options. Clones look into the same run.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<OnceLock<Arc<Figures>>>);

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

/// What a run has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Rows stored, by table.
    pub rows: BTreeMap<Table, u64>,
    /// Files written.
    pub files: u64,
    /// Their size in bytes; in a database the bytes copied.
    pub bytes: u64,
    /// Records that were no rows, by reason.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// Offsets that retention had deleted before they were read.
    pub gap: u64,
    /// Rows that are read and not stored yet.
    pub waiting: u64,
    /// Records of the partitions held that are not read yet.
    pub lag: u64,
    /// How old the last record read is while others wait behind it, in seconds.
    pub lag_seconds: f64,
    /// Whether all workers are in the group.
    pub joined: bool,
    /// What keeps records from being read or rows from being stored, while it lasts.
    pub problem: Option<String>,
}

impl Progress {
    /// Rows stored, of all tables.
    pub fn all_rows(&self) -> u64 {
        self.rows.values().sum()
    }

    /// Records that were no rows.
    pub fn all_dead_letters(&self) -> u64 {
        self.dead_letters.values().sum()
    }

    fn add(&mut self, other: &Self) {
        for (table, rows) in &other.rows {
            *self.rows.entry(*table).or_default() += rows;
        }
        for (reason, count) in &other.dead_letters {
            *self.dead_letters.entry(reason).or_default() += count;
        }
        self.files += other.files;
        self.bytes += other.bytes;
        self.gap += other.gap;
        self.waiting += other.waiting;
        self.lag += other.lag;
        self.lag_seconds = self.lag_seconds.max(other.lag_seconds);
        self.joined &= other.joined;
        if self.problem.is_none() {
            self.problem.clone_from(&other.problem);
        }
    }
}

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
        all
    }
}
