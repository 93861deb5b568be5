//! The ends that partitions had at one time: is everything done that was there then (`--exit-at-end`)?
//!
//! The ends of all partitions are taken before the first record is read. A partition is done when a worker of this process
//! has committed a position at or behind its end, or, if another member of the group owns it, when the group has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Admin, Error, TopicPartition};

/// The partitions that are not done yet, each with the end that it had at the start.
#[derive(Debug)]
pub struct Ends {
    open: Mutex<BTreeMap<TopicPartition, i64>>,
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
        Self { open: Mutex::new(not_empty.map(|(place, _, high)| (place, high)).collect()) }
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

    /// The partitions that are not done.
    pub fn open(&self) -> Vec<TopicPartition> {
        self.lock().keys().cloned().collect()
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
        assert_eq!(end.open(), [place("a", 0)]);
        end.pass(&place("a", 0), 10);
        assert!(end.is_reached());
    }
}
