//! Named threads with an owner: an error or a panic in one is seen, stops the others, and is what the owner gets.
//!
//! Invariants: a task that fails asks for the end ([`StopReason::Failed`]) before its outcome can be read; the
//! first failure is the one reported, later ones are logged; a task that does not end within the deadline is
//! named and left behind, since a thread cannot be stopped from outside and the process is about to end.

use std::any::Any;
use std::error::Error;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::shutdown::{Shutdown, StopReason};

/// Why a set of tasks did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The task returned an error.
    #[error("task {task} failed")]
    Failed {
        /// The thread's name.
        task: String,
        /// What it returned.
        source: BoxedError,
    },
    /// The task panicked: a bug.
    #[error("task {task} panicked: {message}")]
    Panicked {
        /// The thread's name.
        task: String,
        /// The panic's message.
        message: String,
    },
    /// Tasks were still running when the deadline for the end had passed.
    #[error("still running after {} s of shutdown: {}", .deadline.as_secs_f64(), .names.join(", "))]
    Stragglers {
        /// The names of their threads.
        names: Vec<String>,
        /// How long they were given.
        deadline: Duration,
    },
}

impl TaskError {
    /// What the task returned, where it returned an error of this type.
    pub fn downcast<E: Error + Send + Sync + 'static>(self) -> Result<E, Self> {
        match self {
            Self::Failed { task, source } => match source.downcast::<E>() {
                Ok(own) => Ok(*own),
                Err(source) => Err(Self::Failed { task, source }),
            },
            other => Err(other),
        }
    }
}

/// How many workers share so many partitions: as many as are wanted, or one for each processor but no more than there are
/// partitions.
pub fn worker_count(wanted: Option<NonZeroUsize>, partitions: usize) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    wanted.map_or_else(|| cores().min(partitions.max(1)), NonZeroUsize::get)
}

/// Any error a task may return.
pub type BoxedError = Box<dyn Error + Send + Sync>;

/// A set of named threads that end together.
#[derive(Debug)]
pub struct Tasks {
    shutdown: Shutdown,
    names: Vec<String>,
    ended: Arc<Mutex<Vec<Ended>>>,
}

/// How one task ended.
#[derive(Debug)]
struct Ended {
    index: usize,
    failure: Option<TaskError>,
}

impl Tasks {
    /// An empty set whose tasks stop when `shutdown` is requested, and which requests it when one fails.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, names: Vec::new(), ended: Arc::default() }
    }

    /// Starts `work` on a thread of this name (the system shows its first 15 bytes).
    pub fn spawn<E: Error + Send + Sync + 'static>(
        &mut self,
        name: impl Into<String>,
        work: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> io::Result<()> {
        let name = name.into();
        let (shutdown, ended, index, task) =
            (self.shutdown.clone(), Arc::clone(&self.ended), self.names.len(), name.clone());
        std::thread::Builder::new().name(name.clone()).spawn(move || {
            // Nothing of `work` is looked at after a panic, so nothing half-changed can be seen.
            let failure = match catch_unwind(AssertUnwindSafe(work)) {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(TaskError::Failed { task, source: Box::new(error) }),
                Err(panic) => Some(TaskError::Panicked { task, message: panic_message(panic.as_ref()) }),
            };
            if failure.is_some() {
                shutdown.request(StopReason::Failed);
            }
            lock(&ended).push(Ended { index, failure });
            shutdown.wake();
        })?;
        self.names.push(name);
        Ok(())
    }

    /// Waits until every task has ended; once the end is asked for, at most `deadline` more, counted from the
    /// request. The first failure is returned.
    pub fn join(self, deadline: Duration) -> Result<(), TaskError> {
        let all = self.names.len();
        let done = || lock(&self.ended).len() == all;
        self.shutdown.wait_for(None, done);
        let in_time = self.shutdown.drain(deadline, done);

        let ended = std::mem::take(&mut *lock(&self.ended));
        let mut running: Vec<bool> = vec![true; all];
        let mut failures = Vec::new();
        for task in ended {
            running[task.index] = false;
            failures.extend(task.failure);
        }
        let mut failures = failures.into_iter();
        let first = failures.next();
        for later in failures {
            log(&later);
        }
        if !in_time {
            let names = self.names.into_iter().zip(running).filter_map(|(name, runs)| runs.then_some(name));
            let stragglers = TaskError::Stragglers { names: names.collect(), deadline };
            let Some(first) = first else { return Err(stragglers) };
            tracing::error!(error = %stragglers, "tasks did not end in time");
            return Err(first);
        }
        first.map_or(Ok(()), Err)
    }
}

/// Logs a failure that is not the one reported, often an effect of that one.
fn log(failure: &TaskError) {
    match failure {
        TaskError::Failed { task, source } => tracing::warn!(task, error = %source, "another task failed"),
        other => tracing::error!(error = %other, "another task failed"),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

fn lock(ended: &Mutex<Vec<Ended>>) -> MutexGuard<'_, Vec<Ended>> {
    ended.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    fn until_shutdown(shutdown: &Shutdown) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        let shutdown = shutdown.clone();
        move || {
            shutdown.wait_forever();
            Ok(())
        }
    }

    #[test]
    fn join_waits_for_tasks_that_finish_on_their_own() {
        let shutdown = Shutdown::new();
        let mut tasks = Tasks::new(shutdown.clone());
        for number in 0..3 {
            tasks.spawn(format!("worker-{number}"), || Ok::<(), io::Error>(())).expect("spawn");
        }
        tasks.join(Duration::ZERO).expect("all end well");
        assert!(!shutdown.is_requested());
    }

    #[test]
    fn an_error_stops_the_others_and_is_reported() {
        let shutdown = Shutdown::new();
        let mut tasks = Tasks::new(shutdown.clone());
        tasks.spawn("waits", until_shutdown(&shutdown)).expect("spawn");
        tasks.spawn("fails", || Err(io::Error::other("disk full"))).expect("spawn");
        let error = tasks.join(DEADLINE).expect_err("one task failed");
        assert!(matches!(&error, TaskError::Failed { task, .. } if task == "fails"), "{error:?}");
        assert_eq!(error.to_string(), "task fails failed");
        assert_eq!(error.source().expect("has a source").to_string(), "disk full");
        assert_eq!(shutdown.reason(), Some(StopReason::Failed));
    }

    #[test]
    fn a_panic_stops_the_others_and_keeps_its_message() {
        let shutdown = Shutdown::new();
        let mut tasks = Tasks::new(shutdown.clone());
        tasks.spawn("waits", until_shutdown(&shutdown)).expect("spawn");
        tasks.spawn("bug", || -> io::Result<()> { panic!("offset {} is wrong", 7) }).expect("spawn");
        let error = tasks.join(DEADLINE).expect_err("one task panicked");
        assert_eq!(error.to_string(), "task bug panicked: offset 7 is wrong");
    }

    #[test]
    fn stragglers_are_named() {
        let shutdown = Shutdown::new();
        let never = Shutdown::new();
        let mut tasks = Tasks::new(shutdown.clone());
        tasks.spawn("stuck", until_shutdown(&never)).expect("spawn");
        tasks.spawn("good", until_shutdown(&shutdown)).expect("spawn");
        shutdown.request(StopReason::Requested);
        let error = tasks.join(Duration::from_millis(200)).expect_err("one task is stuck");
        assert_eq!(error.to_string(), "still running after 0.2 s of shutdown: stuck");
        never.request(StopReason::Finished);
    }
}
