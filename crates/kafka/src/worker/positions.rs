//! Where a worker stands in each of its partitions: handed out, processed, committed.
//!
//! Pure bookkeeping. Invariant for each partition: committed ≤ processed ≤ handed out.

use std::sync::Arc;

use crate::TopicPartition;

#[derive(Debug)]
struct Position {
    place: TopicPartition,
    /// The first offset given to the owner, or the one that reading began at, if the group had one.
    first: Option<i64>,
    /// The offset after the last one given to the owner; `None` before the first, if the group had none.
    handed_out: Option<i64>,
    processed: Option<i64>,
    committed: Option<i64>,
    /// Whether the end of the partition was told after the last record.
    at_end: bool,
    /// The position from which a record that did not follow on was asked for again.
    asked_again: Option<i64>,
}

/// The partitions of one worker: a handful, so a list that is searched from the one met last.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    positions: Vec<Position>,
    /// Index of the partition met last: records come in runs of one partition.
    last: usize,
}

impl Positions {
    /// A partition was assigned; reading begins at `offset`, if the group has one.
    pub(crate) fn begin(&mut self, place: &TopicPartition, offset: Option<i64>) {
        self.end(std::slice::from_ref(place));
        self.positions.push(Position {
            place: place.clone(),
            first: offset,
            handed_out: offset,
            processed: offset,
            committed: offset,
            at_end: false,
            asked_again: None,
        });
    }

    /// Partitions are gone.
    pub(crate) fn end(&mut self, places: &[TopicPartition]) {
        self.positions.retain(|position| !places.contains(&position.place));
    }

    /// Records from `first` to before `next` were given to the owner. Unknown partitions (lost meanwhile) are passed over.
    #[inline]
    pub(crate) fn hand_out(&mut self, topic: &Arc<str>, partition: i32, first: i64, next: i64) {
        let Some(position) = self.find(topic, partition) else { return };
        position.first.get_or_insert(first);
        position.handed_out = position.handed_out.max(Some(next));
        position.at_end = false;
    }

    /// The owner was told of the end of a partition, before `next`.
    pub(crate) fn reach_end(&mut self, topic: &Arc<str>, partition: i32, next: i64) {
        self.hand_out(topic, partition, next, next);
        if let Some(position) = self.find(topic, partition) {
            position.at_end = true;
        }
    }

    /// Whether a record that comes after the end of its partition was told follows on. If not, the offset from which to read
    /// again; a second time it is believed.
    ///
    /// librdkafka takes the notice of the end for a record and goes on behind it: when fetching is interrupted just then, by a
    /// rebalance or a pause, the record at the end is passed over, or if there is none, the partition begins anew.
    #[inline]
    pub(crate) fn does_not_follow(&mut self, topic: &Arc<str>, partition: i32, offset: i64) -> Option<i64> {
        let position = self.find(topic, partition)?;
        let expected = position.handed_out.filter(|expected| position.at_end && *expected != offset)?;
        if position.asked_again == Some(expected) {
            return None;
        }
        position.asked_again = Some(expected);
        Some(expected)
    }

    /// The record that did not follow on could not be asked for again.
    pub(crate) fn ask_once_more(&mut self, place: &TopicPartition) {
        if let Some(position) = self.find(&place.topic, place.partition) {
            position.asked_again = None;
        }
    }

    #[inline]
    fn find(&mut self, topic: &Arc<str>, partition: i32) -> Option<&mut Position> {
        let same = |position: &Position| {
            position.place.partition == partition
                && (Arc::ptr_eq(&position.place.topic, topic) || position.place.topic == *topic)
        };
        if !self.positions.get(self.last).is_some_and(same) {
            self.last = self.positions.iter().position(same)?;
        }
        self.positions.get_mut(self.last)
    }

    /// Back to the offsets given: what was handed out from there on will be handed out again.
    pub(crate) fn rewind(&mut self, offsets: &[(TopicPartition, i64)]) {
        for (place, offset) in offsets {
            self.begin(place, Some(*offset));
        }
    }

    /// Where a partition begins for this worker, if that is known.
    pub(crate) fn first(&self, place: &TopicPartition) -> Option<i64> {
        self.positions.iter().find(|position| position.place == *place)?.first
    }

    /// Every partition with the next offset to be given to the owner, if known.
    pub(crate) fn handed_out(&self) -> impl Iterator<Item = (&TopicPartition, Option<i64>)> {
        self.positions.iter().map(|position| (&position.place, position.handed_out))
    }

    /// Everything handed out has been processed. Whether that moved any position.
    pub(crate) fn finish(&mut self) -> bool {
        let mut moved = false;
        for position in &mut self.positions {
            moved |= position.processed != position.handed_out;
            position.processed = position.handed_out;
        }
        moved
    }

    /// Processed offsets that are not committed yet.
    pub(crate) fn uncommitted(&self) -> Vec<(TopicPartition, i64)> {
        self.positions
            .iter()
            .filter(|position| position.processed > position.committed)
            .filter_map(|position| Some((position.place.clone(), position.processed?)))
            .collect()
    }

    /// The coordinator has taken these offsets. Those of partitions that are gone are passed over.
    pub(crate) fn committed(&mut self, offsets: &[(TopicPartition, i64)]) {
        for (place, offset) in offsets {
            if let Some(position) = self.positions.iter_mut().find(|position| position.place == *place) {
                position.committed = position.committed.max(Some(*offset));
            }
        }
    }

    /// Every partition with the next offset to be processed, if known.
    pub(crate) fn current(&self) -> impl Iterator<Item = (&TopicPartition, Option<i64>)> {
        self.positions.iter().map(|position| (&position.place, position.processed))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    #[test]
    fn only_what_was_processed_is_to_be_committed() {
        let mut positions = Positions::default();
        positions.begin(&place(0), Some(5));
        positions.begin(&place(1), None);
        positions.hand_out(&"t".into(), 0, 5, 8);
        assert_eq!(positions.uncommitted(), []);
        assert!(positions.finish());
        assert!(!positions.finish(), "nothing moved since");
        assert_eq!(positions.uncommitted(), [(place(0), 8)]);
        positions.committed(&[(place(0), 8)]);
        assert_eq!(positions.uncommitted(), []);
        positions.hand_out(&"t".into(), 1, 0, 1);
        positions.finish();
        assert_eq!(positions.uncommitted(), [(place(1), 1)]);
    }

    #[test]
    fn a_late_answer_never_moves_a_commit_back() {
        let mut positions = Positions::default();
        positions.begin(&place(0), None);
        positions.hand_out(&"t".into(), 0, 9, 10);
        positions.finish();
        positions.committed(&[(place(0), 10)]);
        positions.committed(&[(place(0), 4)]);
        assert_eq!(positions.uncommitted(), []);
    }

    #[test]
    fn a_partition_that_comes_back_starts_anew() {
        let mut positions = Positions::default();
        positions.begin(&place(0), Some(3));
        positions.hand_out(&"t".into(), 0, 3, 9);
        positions.end(&[place(0)]);
        positions.hand_out(&"t".into(), 0, 9, 11);
        assert!(positions.is_empty());
        positions.begin(&place(0), Some(9));
        positions.finish();
        assert_eq!(positions.current().collect::<Vec<_>>(), [(&place(0), Some(9))]);
    }

    #[test]
    fn a_record_that_does_not_follow_the_end_is_asked_for_again_once() {
        let (topic, mut positions): (Arc<str>, _) = ("t".into(), Positions::default());
        positions.begin(&TopicPartition { topic: Arc::clone(&topic), partition: 0 }, Some(5));
        // Before an end was told, gaps are those of the topic.
        assert_eq!(positions.does_not_follow(&topic, 0, 7), None);
        positions.hand_out(&topic, 0, 7, 8);
        positions.reach_end(&topic, 0, 8);
        assert_eq!(positions.does_not_follow(&topic, 0, 8), None);
        assert_eq!(positions.does_not_follow(&topic, 0, 9), Some(8));
        assert_eq!(positions.does_not_follow(&topic, 0, 9), None);
        positions.hand_out(&topic, 0, 9, 10);
        positions.reach_end(&topic, 0, 10);
        assert_eq!(positions.does_not_follow(&topic, 0, 0), Some(10));
    }
}
