//! What collector and poller write and the page reads. Locks are held for one batch or one answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka::KafkaSettings;
use model::alert::Alarms;
use runtime::Shutdown;
use tokio::sync::watch;

use super::cluster::Cluster;
use super::fleet::Fleet;
use super::letters::Letters;
use super::overview::Pulse;

pub(super) struct State {
    pub(super) settings: KafkaSettings,
    pub(super) shutdown: Shutdown,
    /// The topic of readings, and that of alarms.
    pub(super) readings: String,
    pub(super) alerts: String,
    fleet: Mutex<Fleet>,
    alarms: Mutex<Alarms>,
    letters: Mutex<Letters>,
    cluster: Mutex<Cluster>,
    pulse: Mutex<Pulse>,
    problems: Mutex<BTreeMap<&'static str, String>>,
    /// The newest overview as JSON: what a browser has not taken yet is replaced, never queued.
    pub(super) live: watch::Sender<Arc<str>>,
}

impl State {
    pub(super) fn new(settings: KafkaSettings, shutdown: Shutdown, readings: String, alerts: String) -> Self {
        Self {
            settings,
            shutdown,
            readings,
            alerts,
            fleet: Mutex::default(),
            alarms: Mutex::default(),
            letters: Mutex::default(),
            cluster: Mutex::default(),
            pulse: Mutex::default(),
            problems: Mutex::default(),
            live: watch::Sender::new("{}".into()),
        }
    }

    pub(super) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        lock(&self.fleet)
    }

    pub(super) fn alarms(&self) -> MutexGuard<'_, Alarms> {
        lock(&self.alarms)
    }

    pub(super) fn letters(&self) -> MutexGuard<'_, Letters> {
        lock(&self.letters)
    }

    pub(super) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        lock(&self.cluster)
    }

    pub(super) fn pulse(&self) -> MutexGuard<'_, Pulse> {
        lock(&self.pulse)
    }

    /// Notes what keeps a part from seeing anything new, or that nothing does.
    pub(super) fn set_problem(&self, part: &'static str, problem: Option<String>) {
        let mut problems = lock(&self.problems);
        match problem {
            Some(problem) => problems.insert(part, problem),
            None => problems.remove(part),
        };
    }

    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.problems).values().next().cloned()
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicked thread had written until then is still worth showing.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
