//! What one worker counts: a table of sensors for each partition that it holds.
//!
//! A [`Tally`] lies behind a mutex that its worker takes once per batch; the display takes it a few times per
//! second to copy the figures. So a record costs no lock. What becomes of a partition's figures when it goes is up
//! to the [`Archive`](super::archive::Archive).

use std::collections::{BTreeMap, VecDeque};

use engine::{SensorTable, TableOptions, Totals};
use kafka::PartitionLag;
use model::{EventTime, Reading};

/// How many of the latest alerts a worker remembers.
pub(super) const RECENT_ALERTS: usize = 16;

/// One alert, for the display.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    pub(super) sensor_id: String,
    /// Event time.
    pub(super) time: EventTime,
    /// In °C.
    pub(super) temperature: f64,
    /// When its batch came, in microseconds since the epoch.
    pub(super) arrived: i64,
}

/// The figures of one partition and how far they reach.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) partition: i32,
    pub(super) table: SensorTable,
    /// The offset of the next record to be counted; `None` while that is not known.
    pub(super) next: Option<i64>,
}

/// The counts and figures of one worker.
#[derive(Debug)]
pub(super) struct Tally {
    options: TableOptions,
    /// A handful, searched from the one met last.
    held: Vec<Held>,
    /// Index of the partition met last: records come in runs of one partition.
    last: usize,
    /// The latest alerts, oldest first.
    recent: VecDeque<Alert>,
    /// Records in the dead-letter topic, by reason.
    pub(super) dead_letters: BTreeMap<&'static str, u64>,
    /// How far behind this worker was when it last looked.
    pub(super) lag: Vec<PartitionLag>,
    /// What is wrong with the connection, while no broker is up.
    pub(super) problem: Option<String>,
    /// Whether the group has given this worker its partitions, which may be none.
    pub(super) joined: bool,
}

impl Tally {
    pub(super) fn new(options: TableOptions) -> Self {
        Self {
            options,
            held: Vec::new(),
            last: 0,
            recent: VecDeque::with_capacity(RECENT_ALERTS),
            dead_letters: BTreeMap::new(),
            lag: Vec::new(),
            problem: None,
            joined: false,
        }
    }

    /// A partition is this worker's from now on. Gives back what was held of it before, if anything.
    pub(super) fn begin(&mut self, held: Held) -> Option<Held> {
        let before = self.end(held.partition);
        self.held.push(held);
        before
    }

    /// A partition is no longer this worker's.
    pub(super) fn end(&mut self, partition: i32) -> Option<Held> {
        let index = self.held.iter().position(|held| held.partition == partition)?;
        Some(self.held.swap_remove(index))
    }

    /// The figures of a partition.
    pub(super) fn of(&mut self, partition: i32) -> &mut Held {
        if self.held.get(self.last).is_none_or(|held| held.partition != partition) {
            self.last = self.held.iter().position(|held| held.partition == partition).unwrap_or_else(|| {
                // Records come only of assigned partitions; were that ever untrue, they would still count.
                self.held.push(Held { partition, table: SensorTable::new(self.options), next: None });
                self.held.len() - 1
            });
        }
        &mut self.held[self.last]
    }

    /// Remembers an alert, in the place of the oldest.
    pub(super) fn remember(&mut self, reading: &Reading<'_>, temperature: f64, arrived: i64) {
        let mut sensor_id = if self.recent.len() < RECENT_ALERTS {
            String::new()
        } else {
            self.recent.pop_front().map(|oldest| oldest.sensor_id).unwrap_or_default()
        };
        sensor_id.clear();
        sensor_id.push_str(reading.sensor_id);
        self.recent.push_back(Alert { sensor_id, time: reading.time, temperature, arrived });
    }

    /// The latest alerts, oldest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = &Alert> {
        self.recent.iter()
    }

    /// The partitions that are this worker's.
    pub(super) fn partitions(&self) -> Vec<i32> {
        self.held.iter().map(|held| held.partition).collect()
    }

    /// The tables of the partitions held.
    pub(super) fn tables(&self) -> impl Iterator<Item = &SensorTable> {
        self.held.iter().map(|held| &held.table)
    }

    /// The counts of the partitions held.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for table in self.tables() {
            totals.add(table.totals());
        }
        totals
    }

    /// Gives away the figures of all partitions.
    pub(super) fn take_all(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_figures_of_its_own() {
        let mut tally = Tally::new(TableOptions::default());
        let reading = Reading::new("A", EventTime::from_micros(0));
        for partition in [0, 1, 1, 0, 1] {
            tally.of(partition).table.update(&reading);
        }
        assert_eq!(tally.partitions(), [0, 1]);
        assert_eq!(tally.tables().map(|table| table.totals().readings).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(tally.totals().readings, 5);
        let gone = tally.end(0).expect("held");
        assert_eq!((gone.partition, gone.table.totals().readings), (0, 2));
        assert!(tally.end(0).is_none());
        tally.of(1).table.update(&reading);
        assert_eq!(tally.totals().readings, 4);
    }

    #[test]
    fn only_the_latest_alerts_are_remembered() {
        let mut tally = Tally::new(TableOptions::default());
        for number in 0..RECENT_ALERTS + 5 {
            let id = format!("S{number}");
            tally.remember(&Reading::new(&id, EventTime::from_micros(0)), 31.0, 0);
        }
        let ids: Vec<&str> = tally.recent().map(|alert| alert.sensor_id.as_str()).collect();
        assert_eq!(ids.len(), RECENT_ALERTS);
        assert_eq!((ids[0], ids[RECENT_ALERTS - 1]), ("S5", "S20"));
    }
}
