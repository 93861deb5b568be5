//! What was counted of partitions that went: kept for the summary, and given back if the partition comes back as it
//! was left.
//!
//! When the members of a group change, the group may take every partition from every member and give most of them
//! back at once. The figures of a partition go on if it comes back, to any worker of this process, at the very
//! offset to which they reach: nobody else has processed anything in between. Otherwise the partition begins
//! afresh. In either case the summary covers everything that this run processed, once for each time that it did.

use std::collections::BTreeMap;

use engine::{SensorTable, TableOptions, Totals};

use super::tally::Held;

/// The figures of partitions that no worker of this process holds.
#[derive(Debug)]
pub(super) struct Archive {
    options: TableOptions,
    /// As they were left last.
    left: BTreeMap<i32, Held>,
    /// Of partitions that came back in another state, all in one.
    closed: SensorTable,
}

impl Archive {
    pub(super) fn new(options: TableOptions) -> Self {
        Self { options, left: BTreeMap::new(), closed: SensorTable::new(options) }
    }

    /// Takes over what was counted of a partition that went.
    pub(super) fn leave(&mut self, held: Held) {
        if let Some(before) = self.left.insert(held.partition, held) {
            self.closed.absorb(before.table);
        }
    }

    /// The figures with which a partition begins that is read from `offset` on (`None`: from where is not known).
    pub(super) fn enter(&mut self, partition: i32, offset: Option<i64>) -> Held {
        match self.left.remove(&partition) {
            Some(left) if left.next.is_some() && left.next == offset => left,
            before => {
                if let Some(before) = before {
                    self.closed.absorb(before.table);
                }
                Held { partition, table: SensorTable::new(self.options), next: offset }
            }
        }
    }

    /// The counts of everything in here.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = *self.closed.totals();
        for left in self.left.values() {
            totals.add(left.table.totals());
        }
        totals
    }

    /// Gives away the figures of everything in here, in one.
    pub(super) fn take_all(&mut self) -> SensorTable {
        for left in std::mem::take(&mut self.left).into_values() {
            self.closed.absorb(left.table);
        }
        std::mem::replace(&mut self.closed, SensorTable::new(self.options))
    }
}

#[cfg(test)]
mod tests {
    use model::{EventTime, Reading};

    use super::*;

    fn count(held: &mut Held, celsius: f64) {
        let mut reading = Reading::new("A", EventTime::from_micros(0));
        reading.temperature = Some(celsius);
        held.table.update(&reading);
        held.next = Some(held.next.unwrap_or(0) + 1);
    }

    /// Counts two readings from offset 0, leaves, comes back at `offset`, counts a third.
    #[track_caller]
    fn check(offset: Option<i64>, live_mean: f64) {
        let mut archive = Archive::new(TableOptions::default());
        let mut held = archive.enter(3, Some(0));
        count(&mut held, 20.0);
        count(&mut held, 22.0);
        archive.leave(held);
        assert_eq!(archive.totals().readings, 2);

        let mut held = archive.enter(3, offset);
        count(&mut held, 27.0);
        let live = held.table.get("A").expect("counted").temperature().running().mean();
        assert_eq!(live, Some(live_mean));
        archive.leave(held);

        let all = archive.take_all();
        let sensor = all.get("A").expect("counted");
        assert_eq!((sensor.readings(), sensor.temperature().running().mean()), (3, Some(23.0)));
        assert_eq!(archive.totals(), Totals::default());
    }

    #[test]
    fn a_partition_that_comes_back_as_it_was_left_goes_on() {
        check(Some(2), 23.0);
    }

    #[test]
    fn a_partition_that_somebody_else_has_read_begins_afresh() {
        check(Some(5), 27.0);
    }

    #[test]
    fn a_partition_whose_progress_was_not_committed_begins_afresh() {
        check(Some(0), 27.0);
        check(None, 27.0);
    }
}
