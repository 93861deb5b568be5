//! One orderly end for the whole process: who asks for it, why, and since when.
//!
//! Any thread may ask; the first reason is kept. Whoever works looks with [`Shutdown::is_requested`] (one atomic
//! load, fit for a hot loop) or sleeps with [`Shutdown::wait`], which returns at once when the end is asked for.
//! Asking cancels nothing by itself: each worker drains, commits and returns.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Why the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A signal with this number arrived.
    Signal(i32),
    /// The work is done.
    Finished,
    /// A task failed; [`crate::Tasks::join`] says which and why.
    Failed,
    /// Somebody asked, for instance over HTTP or by pressing `q`.
    Requested,
}

/// Whether a SIGHUP came that nobody has looked at yet; clones share it.
#[derive(Debug, Clone, Default)]
pub struct HangUps(Arc<AtomicBool>);

impl HangUps {
    /// Whether one came since this was asked last.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// A handle on the end of the process; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// A copy of `state.is_some()` that can be read without the lock.
    requested: AtomicBool,
    state: Mutex<Option<Request>>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    reason: StopReason,
    at: Instant,
}

impl Shutdown {
    /// A shutdown that only [`Shutdown::request`] triggers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that SIGINT, SIGTERM or SIGHUP triggers too. The first signal asks for the end; the second ends
    /// the process at once with status 128 + its number.
    ///
    /// SIGHUP stays ignored where it was ignored at start (`nohup`).
    pub fn on_signals() -> io::Result<Self> {
        Self::listen(None)
    }

    /// The same, but SIGHUP asks for something else than the end, as the custom is for programs that run on: for settings
    /// to be read again.
    pub fn on_signals_but_hang_ups() -> io::Result<(Self, HangUps)> {
        let hang_ups = HangUps::default();
        Ok((Self::listen(Some(hang_ups.clone()))?, hang_ups))
    }

    fn listen(hang_ups: Option<HangUps>) -> io::Result<Self> {
        let shutdown = Self::new();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        if hang_ups.is_some() || !crate::process::ignores_signal(SIGHUP) {
            signals.add_signal(SIGHUP)?;
        }
        let asked = shutdown.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut seen = false;
            for signal in signals.forever() {
                if let (SIGHUP, Some(hang_ups)) = (signal, &hang_ups) {
                    hang_ups.0.store(true, Ordering::Release);
                    continue;
                }
                // On a terminal in raw mode the first Ctrl-C is a key and only its reason tells of it.
                if seen || matches!(asked.reason(), Some(StopReason::Signal(_))) {
                    tracing::warn!(signal, "second signal: aborting without draining");
                    signal_hook::low_level::exit(128 + signal);
                }
                seen = true;
                tracing::info!(signal, "stopping: draining, a second signal aborts");
                asked.request(StopReason::Signal(signal));
            }
        })?;
        Ok(shutdown)
    }

    /// Asks for the end. Only the first call counts; later reasons are dropped.
    pub fn request(&self, reason: StopReason) {
        let mut state = self.lock();
        if state.is_none() {
            *state = Some(Request { reason, at: Instant::now() });
            self.shared.requested.store(true, Ordering::Release);
            self.shared.changed.notify_all();
        }
    }

    /// True once the end was asked for.
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::Acquire)
    }

    /// The first reason given, if any.
    pub fn reason(&self) -> Option<StopReason> {
        self.lock().map(|request| request.reason)
    }

    /// Sleeps for `timeout` or until the end is asked for, whichever comes first. True if it was asked for.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.is_requested() || self.wait_for(Some(timeout), || false)
    }

    /// Sleeps until the end is asked for.
    pub fn wait_forever(&self) {
        self.wait_for(None, || false);
    }

    /// Sleeps until the end is asked for, `done` holds, or the timeout is over. True if the end was asked for.
    /// `done` is looked at again after each [`Shutdown::wake`]; it runs under the lock and must not call back.
    pub(crate) fn wait_for(&self, timeout: Option<Duration>, mut done: impl FnMut() -> bool) -> bool {
        self.wait_while(timeout, |request| request.is_none() && !done())
    }

    /// Sleeps until `done` holds or `deadline` has passed since the end was asked for. True if `done` holds.
    /// Only meant for after the request; without one the deadline counts from now.
    pub(crate) fn drain(&self, deadline: Duration, mut done: impl FnMut() -> bool) -> bool {
        let since = self.lock().map_or_else(Instant::now, |request| request.at);
        let left = deadline.saturating_sub(since.elapsed());
        let mut finished = false;
        self.wait_while(Some(left), |_| {
            finished = done();
            !finished
        });
        finished
    }

    /// Makes every waiting thread look at its condition again.
    pub(crate) fn wake(&self) {
        // Taking the lock first means that a waiter is either asleep, and hears this, or has yet to look.
        drop(self.lock());
        self.shared.changed.notify_all();
    }

    fn wait_while(&self, timeout: Option<Duration>, mut go_on: impl FnMut(Option<Request>) -> bool) -> bool {
        let state = self.lock();
        let state = match timeout {
            None => self
                .shared
                .changed
                .wait_while(state, |request| go_on(*request))
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.shared
                    .changed
                    .wait_timeout_while(state, timeout, |request| go_on(*request))
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        state.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Request>> {
        // The state is a plain value, never left half-written, so a panic elsewhere does not spoil it.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_wins() {
        let shutdown = Shutdown::new();
        assert_eq!((shutdown.is_requested(), shutdown.reason()), (false, None));
        shutdown.request(StopReason::Signal(15));
        shutdown.clone().request(StopReason::Failed);
        assert_eq!((shutdown.is_requested(), shutdown.reason()), (true, Some(StopReason::Signal(15))));
    }

    #[test]
    fn wait_ends_by_timeout_or_request() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.wait(Duration::from_millis(1)));
        let other = shutdown.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_mins(1)));
        shutdown.request(StopReason::Finished);
        assert!(waiter.join().expect("the waiter does not panic"));
        assert!(shutdown.wait(Duration::from_mins(1)), "a request made earlier ends the wait at once");
    }

    #[test]
    fn a_signal_requests_the_end() {
        let shutdown = Shutdown::on_signals().expect("signals can be handled");
        signal_hook::low_level::raise(SIGTERM).expect("raise");
        shutdown.wait_forever();
        assert_eq!(shutdown.reason(), Some(StopReason::Signal(SIGTERM)));
    }
}
