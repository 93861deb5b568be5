//! `--exit-at-end`: is everything read that was there at the start?
//!
//! The ends of all partitions are taken before the first record is read. A partition is done when a worker of
//! this process has passed its end, or, if another member of the group owns it, when the group has committed up
//! to it. The workers tell what they passed; the watch asks the group about the rest.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The partitions that are not done yet, each with the end that it had at the start.
#[derive(Debug)]
pub(super) struct End {
    open: Mutex<BTreeMap<i32, i64>>,
}

impl End {
    /// From the partitions with the first and the next offset of each. An empty partition is done.
    pub(super) fn new(watermarks: impl IntoIterator<Item = (i32, i64, i64)>) -> Self {
        let not_empty = watermarks.into_iter().filter(|(_, low, high)| low < high);
        Self { open: Mutex::new(not_empty.map(|(partition, _, high)| (partition, high)).collect()) }
    }

    /// Everything before `next` is processed.
    pub(super) fn pass(&self, partition: i32, next: i64) {
        let mut open = self.lock();
        if open.get(&partition).is_some_and(|end| next >= *end) {
            open.remove(&partition);
        }
    }

    /// Whether every partition is done.
    pub(super) fn is_reached(&self) -> bool {
        self.lock().is_empty()
    }

    /// The partitions that are not done and not owned here.
    pub(super) fn open_elsewhere(&self, own: impl Fn(i32) -> bool) -> Vec<i32> {
        self.lock().keys().copied().filter(|partition| !own(*partition)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, i64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_reached_when_every_partition_has_passed_its_end() {
        let end = End::new([(0, 0, 10), (1, 5, 5), (2, 0, 3)]);
        end.pass(0, 9);
        end.pass(2, 4);
        assert!(!end.is_reached());
        assert_eq!(end.open_elsewhere(|_| false), [0]);
        assert!(end.open_elsewhere(|partition| partition == 0).is_empty());
        end.pass(0, 10);
        assert!(end.is_reached());
    }

    #[test]
    fn an_empty_topic_is_at_its_end() {
        assert!(End::new([(0, 0, 0), (1, 7, 7)]).is_reached());
    }
}
