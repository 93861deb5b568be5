//! The state of one input partition, and what becomes of its records.
//!
//! A [`Partition`] is a deterministic machine: what it says is a function of the records, ticks and plans that it was given,
//! in their order. It consists of [`SHARDS`] shards; a sensor belongs to one by its id, and shards never look at each other.
//! Each can be written down and read back by itself.

mod cell;
mod counters;
mod selections;
mod sensor;
mod shard;
mod snapshot;
mod window;

use std::sync::Arc;

use model::{EventTime, Reading};

pub use counters::Counters;

use crate::metric_names::MetricNames;
use crate::output::Output;
use crate::plan::Plan;
use crate::rules::RuleBook;
use selections::Selections;
use shard::{Shard, Shared};

/// How many shards a partition has. A stored quantity: another number makes snapshots unreadable.
pub const SHARDS: usize = 64;

/// Where a partition's records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition of the topic.
    pub partition: i32,
}

/// How a record arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The record's offset.
    pub offset: i64,
    /// The reading's sequence number among its sensor's, if the record has one; looked at only if
    /// [`Plan::needs_sequence`].
    pub sequence: Option<u64>,
}

/// A moment of the clock, recorded so that a replay sees it at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The number among the ticks and plan changes of the partition, counted from 1.
    pub sequence: u64,
    /// The offset of the last record before it; -1 before the first.
    pub after: i64,
    /// The time. A clock that went back does not: the later time stays.
    pub time: EventTime,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not taken is a dead letter"]
pub enum Verdict {
    /// It counts.
    Taken,
    /// Its shard has seen it already: a replay.
    Skipped,
    /// Every window that selects it is past its grace.
    Late,
    /// Its time is further ahead of the clock than the plan allows.
    Future,
    /// A bound of the plan's [`Limits`](crate::plan::Limits) keeps it out.
    Refused(Refusal),
}

/// The bound that kept a record out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The id of the sensor, or type and source of the event together, is longer than `max_id_bytes`; or it has a control
    /// character of which the engine makes its own use.
    IdTooLong,
    /// There are `max_sensors` already, and this is a further one.
    TooManySensors,
    /// The sensor would have more than `max_windows` open windows.
    TooManyWindows,
}

impl Refusal {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::IdTooLong, Self::TooManySensors, Self::TooManyWindows];

    /// A stable label for dead letters and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::IdTooLong => "id-too-long",
            Self::TooManySensors => "too-many-sensors",
            Self::TooManyWindows => "too-many-windows",
        }
    }
}

/// How far a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardState {
    /// The first offset that it has not seen.
    pub next_offset: i64,
    /// The sequence number of the last tick or plan change that it has seen; 0 before the first.
    pub last_sequence: u64,
    /// Whether it differs from what [`Partition::snapshot`] wrote last, or [`Partition::restore`] read.
    pub dirty: bool,
}

/// Why a snapshot cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// It is of a version that is not known.
    Version(u32),
    /// It was written under another plan, of this fingerprint.
    OtherPlan(u64),
    /// It is of another shard.
    OtherShard(usize),
    /// It is damaged.
    Damaged {
        /// What was being read.
        what: &'static str,
        /// How many bytes were left.
        left: usize,
    },
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "a snapshot of version {version} is not known"),
            Self::OtherPlan(fingerprint) => {
                write!(f, "the snapshot was written under another plan, {fingerprint:016x}")
            }
            Self::OtherShard(shard) => write!(f, "the snapshot is of shard {shard}"),
            Self::Damaged { what, left } => {
                write!(f, "the snapshot is damaged: {what}, {left} bytes before its end")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

/// Between the type and the source of an event in the id under which both are kept. No sensor's id with it is taken, see
/// [`Refusal::IdTooLong`].
const EVENT_ID_SEPARATOR: char = '\u{1f}';

/// The state of one input partition.
#[derive(Debug)]
pub struct Partition {
    plan: Arc<Plan>,
    book: RuleBook,
    selections: Selections,
    names: MetricNames,
    source: Source,
    shards: Vec<Shard>,
    seed: u64,
    /// The first offset that was not shown yet to every shard.
    shown: i64,
    /// No shard takes a later event time without a tick.
    horizon: i64,
    counters: Counters,
    newest: Option<EventTime>,
    room: Vec<Vec<cell::Cell>>,
    event_id: String,
}

impl Partition {
    /// A partition that has seen nothing. `seed` decides the order of hash tables and nothing that can be seen; random per
    /// process, it keeps whoever chooses sensor ids from choosing ones that collide.
    pub fn new(plan: Arc<Plan>, source: Source, seed: u64) -> Self {
        let mut partition = Self {
            book: plan.rules.clone(),
            selections: Selections::default(),
            names: MetricNames::with_named(seed),
            source,
            shards: (0..SHARDS).map(|_| Shard::new(seed)).collect(),
            seed,
            shown: 0,
            horizon: i64::MIN,
            counters: Counters::of(&plan),
            newest: None,
            room: Vec::new(),
            event_id: String::new(),
            plan,
        };
        partition.find_horizon();
        partition
    }

    /// Whether a record of this time can only be judged after a tick: it is further ahead of the last recorded clock than
    /// the plan allows, which may be the clock's fault.
    #[inline]
    pub fn wants_tick(&self, time: EventTime) -> bool {
        time.micros() > self.horizon
    }

    /// Takes a reading in. Must be called in the order of offsets.
    pub fn observe<O: Output>(&mut self, reading: &Reading<'_>, arrival: Arrival, out: &mut O) -> Verdict {
        let verdict = if reading.sensor_id.contains(EVENT_ID_SEPARATOR) {
            Verdict::Refused(Refusal::IdTooLong)
        } else {
            let (shards, mut shared) = self.parts();
            shards[shard::of_id(reading.sensor_id)].observe(&mut shared, reading, arrival, out)
        };
        self.count(verdict, reading.time);
        verdict
    }

    /// Takes an event in. Must be called in the order of offsets.
    pub fn observe_event<O: Output>(
        &mut self,
        event_type: &str,
        source: &str,
        time: EventTime,
        arrival: Arrival,
        out: &mut O,
    ) -> Verdict {
        if event_type.contains(EVENT_ID_SEPARATOR) {
            let verdict = Verdict::Refused(Refusal::IdTooLong);
            self.count(verdict, time);
            return verdict;
        }
        let mut id = std::mem::take(&mut self.event_id);
        id.clear();
        id.push_str(event_type);
        id.push(EVENT_ID_SEPARATOR);
        id.push_str(source);
        let (shards, mut shared) = self.parts();
        let verdict = shards[shard::of_id(&id)].observe_event(&mut shared, &id, time, arrival, out);
        self.event_id = id;
        self.count(verdict, time);
        verdict
    }

    fn count(&mut self, verdict: Verdict, time: EventTime) {
        if verdict == Verdict::Taken {
            self.newest = self.newest.max(Some(time));
        }
        self.counters.count(verdict);
    }

    /// Whether a tick at this time would do something. Looks at all sensors of a shard now and then.
    pub fn due(&mut self, now: EventTime) -> bool {
        let (shards, shared) = self.parts();
        shards.iter_mut().any(|shard| shard.due(&shared, now.micros()))
    }

    /// Moves the clock on, and does what is due by it. A shard that has seen the tick already ignores it.
    pub fn tick<O: Output>(&mut self, tick: Tick, out: &mut O) {
        let (shards, mut shared) = self.parts();
        for shard in shards {
            shard.tick(&mut shared, tick, out);
        }
        self.find_horizon();
    }

    /// Sets the clock of shards that are behind it, for a replay of which the ticks are lost. Nothing is done by it.
    pub fn assume_clock(&mut self, time: EventTime) {
        for shard in &mut self.shards {
            shard.clock = shard.clock.max(time.micros());
        }
        self.find_horizon();
    }

    /// Goes on under another plan. Windows of a definition that both plans have are kept; open windows of others are told
    /// as they are, if they were not, and dropped. Detectors and alarms of a rule that did not change are kept.
    pub fn change_plan<O: Output>(&mut self, plan: Arc<Plan>, sequence: u64, out: &mut O) {
        let old = std::mem::replace(&mut self.plan, plan);
        let old_book = std::mem::replace(&mut self.book, self.plan.rules.clone());
        self.selections = Selections::default();
        self.counters.change_plan(&self.plan);
        let new = &self.plan.spec.windows;
        let definition = |window| new.iter().position(|other| other == window).map(|at| at as u16);
        let definitions: Vec<Option<u16>> = old.spec.windows.iter().map(definition).collect();
        let (shards, mut shared) = self.parts();
        for shard in shards {
            shard.change_plan(&mut shared, (&old, &old_book), &definitions, sequence, out);
        }
        self.find_horizon();
    }

    /// Appends the bytes of one shard, from which [`Partition::restore`] makes the same state.
    pub fn snapshot(&self, shard: usize, out: &mut Vec<u8>) {
        let next_offset = self.shard_state(shard).next_offset;
        let of = (shard, &self.shards[shard]);
        snapshot::write(&self.plan, &self.book, &self.names, of, next_offset, out);
    }

    /// Notes that the last snapshot of a shard is kept, so that the shard is no longer dirty.
    pub fn saved(&mut self, shard: usize) {
        self.shards[shard].dirty = false;
    }

    /// Replaces the state of one shard by a snapshot's. On an error the shard is as if new.
    pub fn restore(&mut self, shard: usize, bytes: &[u8]) -> Result<(), SnapshotError> {
        let seed = self.seed;
        let (shards, mut shared) = self.parts();
        let mut restored = Shard::new(seed);
        let read = snapshot::read(&mut shared, shard, bytes, &mut restored);
        shards[shard] = if read.is_ok() { restored } else { Shard::new(seed) };
        self.find_horizon();
        read
    }

    fn parts(&mut self) -> (&mut [Shard], Shared<'_>) {
        let shared = Shared {
            plan: &self.plan,
            book: &mut self.book,
            selections: &mut self.selections,
            names: &mut self.names,
            source: &self.source,
            counters: &mut self.counters,
            room: &mut self.room,
        };
        (&mut self.shards, shared)
    }

    fn find_horizon(&mut self) {
        let horizons = self.shards.iter().map(|shard| shard.horizon(&self.plan));
        self.horizon = horizons.min().unwrap_or(i64::MIN);
    }

    /// How far a shard is.
    pub fn shard_state(&self, shard: usize) -> ShardState {
        let Shard { next_offset, last_sequence, dirty, .. } = self.shards[shard];
        ShardState { next_offset: next_offset.max(self.shown), last_sequence, dirty }
    }

    /// Notes that all records before this offset were shown to the partition, so that a shard which none of them was for
    /// need not see them again either.
    pub fn advance(&mut self, next_offset: i64) {
        self.shown = self.shown.max(next_offset);
    }

    /// The plan in force.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Where the records come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What became of the records since the partition was made; not a part of snapshots.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many sensors are known; for events, how many pairs of type and source.
    pub fn sensors(&self) -> usize {
        self.shards.iter().map(|shard| shard.sensors.len()).sum()
    }

    /// About how many bytes of memory the state takes. Looks at every sensor.
    pub fn state_bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum()
    }

    /// The newest event time that was taken in; `None` before the first.
    pub fn newest(&self) -> Option<EventTime> {
        self.newest
    }

    /// The sensors with the most readings since this was asked last, and how many those were, the busiest first. Looks at
    /// every sensor.
    pub fn busiest(&mut self, most: usize) -> Vec<(String, u64)> {
        let sensors = self.shards.iter_mut().flat_map(|shard| &mut shard.sensors);
        let mut all: Vec<(u32, &str)> =
            sensors.map(|sensor| (std::mem::take(&mut sensor.recent), &*sensor.id)).collect();
        let order = |a: &(u32, &str), b: &(u32, &str)| b.0.cmp(&a.0).then(a.1.cmp(b.1));
        if all.len() > most {
            all.select_nth_unstable_by(most, order);
            all.truncate(most);
        }
        all.sort_unstable_by(order);
        let shown = |id: &str| id.replace(EVENT_ID_SEPARATOR, " ");
        all.into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, id)| (shown(id), u64::from(count)))
            .collect()
    }
}
