//! Who waits for a log to grow.
//!
//! Invariant: a waiter is there once for every time it was added; there are at most as many as requests are waiting,
//! which the server bounds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<Vec<Arc<Notify>>>,
    /// The length of `waiting`, so that an append that nobody waits for takes no lock.
    count: AtomicUsize,
}

impl Waiters {
    pub(super) fn add(&self, waiter: &Arc<Notify>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(Arc::clone(waiter));
        self.count.store(waiting.len(), Ordering::SeqCst);
    }

    pub(super) fn remove(&self, waiter: &Arc<Notify>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = waiting.iter().position(|known| Arc::ptr_eq(known, waiter)) {
            waiting.swap_remove(found);
        }
        self.count.store(waiting.len(), Ordering::SeqCst);
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Wakes all of them. The offsets must have been published before: whoever was added later sees them.
    pub(super) fn notify(&self) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        for waiter in self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waiter.notify_one();
        }
    }
}
