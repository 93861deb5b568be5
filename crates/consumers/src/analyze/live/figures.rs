//! What the live table shows: a copy of the workers' figures at one moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use engine::{SensorTable, TableOptions, Totals};
use model::reading::{HUMIDITY, PRESSURE, TEMPERATURE};
use runtime::RateMeter;

use crate::analyze::Shared;
use crate::analyze::tally::Alert;

/// The rate of readings is that of so much time.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// A copy of the workers' figures.
pub(super) struct Figures {
    pub(super) topic: String,
    pub(super) group: String,
    /// The bound of the alerts, in °C.
    pub(super) bound: f64,
    /// How many partitions the topic has.
    pub(super) partitions: usize,
    start: Instant,
    meter: RateMeter,
    pub(super) uptime: Duration,
    /// Readings per second.
    pub(super) rate: f64,
    /// The sensors of the partitions held.
    pub(super) table: SensorTable,
    /// The counts of everything that this run processed.
    pub(super) totals: Totals,
    pub(super) dead_letters: BTreeMap<&'static str, u64>,
    /// The partitions held, each with its unread records, if known.
    pub(super) lag: BTreeMap<i32, Option<u64>>,
    /// The latest alerts, the newest first.
    pub(super) alerts: Vec<Alert>,
    /// What is wrong with the connection, if something is.
    pub(super) problem: Option<String>,
    /// Whether all workers are in the group.
    pub(super) joined: bool,
}

impl Figures {
    pub(super) fn new(
        topic: &str,
        group: &str,
        table_options: TableOptions,
        partitions: usize,
        start: Instant,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            group: group.to_owned(),
            bound: table_options.high_temperature,
            partitions,
            start,
            meter: RateMeter::new(RATE_WINDOW),
            uptime: Duration::ZERO,
            rate: 0.0,
            table: SensorTable::new(table_options),
            totals: Totals::default(),
            dead_letters: BTreeMap::new(),
            lag: BTreeMap::new(),
            alerts: Vec::new(),
            problem: None,
            joined: false,
        }
    }

    /// Copies the figures as they are now.
    pub(super) fn gather(&mut self, shared: &Shared, now: Instant) {
        self.table.clear();
        self.totals = Totals::default();
        self.dead_letters.clear();
        self.lag.clear();
        self.alerts.clear();
        self.problem = None;
        self.joined = true;
        for tally in shared.tallies() {
            for table in tally.tables() {
                self.table.merge(table);
            }
            self.totals.add(&tally.totals());
            for (reason, count) in &tally.dead_letters {
                *self.dead_letters.entry(reason).or_default() += count;
            }
            self.lag.extend(tally.partitions().into_iter().map(|partition| (partition, None)));
            self.lag.extend(tally.lag.iter().map(|lag| (lag.place.partition, Some(lag.records()))));
            self.alerts.extend(tally.recent().cloned());
            self.joined &= tally.joined;
            if self.problem.is_none() {
                self.problem.clone_from(&tally.problem);
            }
        }
        self.totals.add(&shared.archive().totals());
        // Stable, so that alerts of one batch stay in their order once the whole is turned round.
        self.alerts.sort_by_key(|alert| alert.arrived);
        self.alerts.reverse();
        self.uptime = now - self.start;
        self.rate = self.meter.sample(now, self.totals.readings);
    }

    /// The names of all measurements: the named ones, then the further ones by name.
    pub(super) fn measurements(&self) -> Vec<&str> {
        let mut further: Vec<&str> = self.table.names().iter().collect();
        further.sort_unstable();
        [TEMPERATURE, HUMIDITY, PRESSURE].into_iter().chain(further).collect()
    }

    /// All unread records of the partitions held, as far as known.
    pub(super) fn total_lag(&self) -> u64 {
        self.lag.values().flatten().sum()
    }
}
