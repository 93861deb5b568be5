//! The ends that partitions had at one time: is everything done that was there then (`--exit-at-end`)?
//!
//! The ends of all partitions are taken before the first record is read. A partition is done when a worker of this process
//! has committed a position at or behind its end, or, if another member of the group owns it, when the group has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

use crate::{Admin, Error, TopicPartition, Worker};

/// The partitions that are not done yet, each with the end that it had at the start.
#[derive(Debug)]
pub struct Ends {
    open: Mutex<BTreeMap<TopicPartition, i64>>,
    /// The partitions that workers of this process have.
    held: Mutex<BTreeSet<TopicPartition>>,
}

impl Ends {
    /// The ends that all partitions of these topics have now. A topic that is not there has none.
    pub fn now(admin: &Admin, topics: &[String]) -> Result<Self, Error> {
        let cluster = admin.cluster()?;
        let mut ends = Vec::new();
        for topic in topics.iter().filter_map(|name| cluster.topic(name)) {
            let name: Arc<str> = topic.name.as_str().into();
            for info in &topic.partitions {
                let place = TopicPartition { topic: Arc::clone(&name), partition: info.partition };
                let (low, high) = admin.watermarks(&place)?;
                ends.push((place, low, high));
            }
        }
        Ok(Self::new(ends))
    }

    /// Whether everything of this partition is done before `next`.
    pub fn is_behind(&self, place: &TopicPartition, next: i64) -> bool {
        self.lock().get(place).is_some_and(|end| next >= *end)
    }

    /// From the partitions with the first and the next offset of each. An empty partition is done.
    pub fn new(watermarks: impl IntoIterator<Item = (TopicPartition, i64, i64)>) -> Self {
        let not_empty = watermarks.into_iter().filter(|(_, low, high)| low < high);
        let open = not_empty.map(|(place, _, high)| (place, high)).collect();
        Self { open: Mutex::new(open), held: Mutex::default() }
    }

    /// Everything before `next` is committed.
    pub fn pass(&self, place: &TopicPartition, next: i64) {
        let mut open = self.lock();
        if open.get(place).is_some_and(|end| next >= *end) {
            open.remove(place);
        }
    }

    /// Whether every partition is done.
    pub fn is_reached(&self) -> bool {
        self.lock().is_empty()
    }

    /// Notes that a worker of this process has these partitions.
    pub fn hold<'a>(&self, places: impl Iterator<Item = &'a TopicPartition>) {
        self.held().extend(places.cloned());
    }

    /// Notes that a worker of this process has these partitions no more.
    pub fn release<'a>(&self, places: impl Iterator<Item = &'a TopicPartition>) {
        let mut held = self.held();
        places.for_each(|place| drop(held.take(place)));
    }

    /// Asks the group how far it is in the partitions that are not done and that no worker of this process has. To be called
    /// when all of them are in the group, now and then.
    pub fn look_elsewhere(&self, worker: &Worker) -> Result<(), Error> {
        let elsewhere = self.open_elsewhere();
        if elsewhere.is_empty() {
            return Ok(());
        }
        match worker.committed(&elsewhere) {
            Ok(committed) => {
                let known = committed.into_iter().filter_map(|(place, offset)| Some((place, offset?)));
                known.for_each(|(place, offset)| self.pass(&place, offset));
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                warn!(%error, "the group's progress in other partitions is not known, asking again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The partitions that are not done and that no worker of this process has.
    fn open_elsewhere(&self) -> Vec<TopicPartition> {
        let held = self.held();
        self.lock().keys().filter(|place| !held.contains(place)).cloned().collect()
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<TopicPartition>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, i64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    #[test]
    fn it_is_reached_when_every_partition_has_passed_its_end() {
        let end = Ends::new([(place("a", 0), 0, 10), (place("b", 0), 5, 5), (place("b", 1), 0, 3)]);
        end.pass(&place("a", 0), 9);
        end.pass(&place("b", 0), 99);
        end.pass(&place("b", 1), 4);
        assert!(!end.is_reached());
        assert_eq!(end.open_elsewhere(), [place("a", 0)]);
        end.hold([place("a", 0)].iter());
        assert!(end.open_elsewhere().is_empty());
        end.release([place("a", 0)].iter());
        assert_eq!(end.open_elsewhere(), [place("a", 0)]);
        end.pass(&place("a", 0), 10);
        assert!(end.is_reached());
    }
}
