//! One input partition under way.
//!
//! # The clock
//! A lane that has not caught up with its input goes by when the records were appended: had it run then, this would have
//! been the time. So neither an outage nor a long way behind makes sensors look silent that were not. When it has caught up
//! ([`Lane::caught_up`]) the clock is that of the wall, also without input. It never goes back, and moves in steps of a
//! second at least.

use std::sync::Arc;
use std::time::Duration;

use engine::{Arrival, Counters, Partition, Plan, Tick, Verdict};
use kafka::{OffsetCommit, TopicPartition};
use model::{EventTime, Reading};

use super::control::{self, Change, Control};
use super::outbox::{Outbox, Target};
use super::saver::Saver;
use super::snapshots::{Found, write_plan_key};

/// So far the clock has to move for a tick, in microseconds. The engine relies on it: rules are not looked at more often.
const TICK: i64 = 1_000_000;

/// One input partition: the engine's state, the position, the clock. All times are in microseconds since the epoch.
#[derive(Debug)]
pub struct Lane {
    place: TopicPartition,
    /// The partition of the internal topics.
    internal: i32,
    partition: Partition,
    /// The offset of the next record.
    position: i64,
    /// The number of the last control record.
    sequence: u64,
    /// The time of the last tick.
    clock: i64,
    saver: Saver,
    /// Whether something is to be committed.
    is_changed: bool,
    /// Whether it has caught up with its input since it was made.
    is_live: bool,
}

/// Where a lane is.
#[derive(Clone, Debug)]
pub struct Spot {
    /// The input partition.
    pub place: TopicPartition,
    /// How many partitions the internal topics have.
    pub internal_partitions: i32,
    /// In how long each shard is written down once.
    pub snapshot_interval: Duration,
}

impl Spot {
    /// The partition of the internal topics that the input partition's records are in.
    pub fn internal(&self) -> i32 {
        self.place.partition.rem_euclid(self.internal_partitions.max(1))
    }
}

/// Where a lane begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The offset of the first record that it will see.
    pub position: i64,
    /// The number of the last control record that is there from before; 0 if there is none.
    pub sequence: u64,
}

impl Lane {
    /// A lane that begins without state, at a position that nothing was committed for, or that was set by hand.
    pub fn begin(
        spot: &Spot,
        plan: &Arc<Plan>,
        seed: u64,
        at: Beginning,
        now: i64,
        out: &mut Outbox,
    ) -> Self {
        let partition = Partition::new(Arc::clone(plan), source(&spot.place), seed);
        let Beginning { position, sequence } = at;
        let mut lane = Self::at(spot, partition, Position { next: position, sequence, clock: i64::MIN }, now);
        lane.record_plan(plan, Change::Begin(Box::new(plan.spec.clone())), now, out);
        lane
    }

    /// A lane that goes on.
    pub(super) fn at(spot: &Spot, mut partition: Partition, at: Position, now: i64) -> Self {
        let Position { next: position, sequence, clock } = at;
        partition.advance(position);
        Self {
            saver: Saver::new(spot.place.clone(), spot.internal(), spot.snapshot_interval, now),
            place: spot.place.clone(),
            internal: spot.internal(),
            partition,
            position,
            sequence,
            clock,
            is_changed: false,
            is_live: false,
        }
    }

    pub(super) fn learn(&mut self, found: &Found) {
        self.saver.learn(found);
    }

    /// The input partition.
    pub fn place(&self) -> &TopicPartition {
        &self.place
    }

    /// The offset of the next record.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The plan in force.
    pub fn plan(&self) -> &Arc<Plan> {
        self.partition.plan()
    }

    /// What became of the records since the lane was made.
    pub fn counters(&self) -> &Counters {
        self.partition.counters()
    }

    /// The engine's state, to be looked at.
    pub fn partition(&mut self) -> &mut Partition {
        &mut self.partition
    }

    /// Notes that all input there was is processed: from here on the clock is that of the wall.
    pub fn caught_up(&mut self) {
        self.is_live = true;
    }

    /// Whether the clock is that of the wall.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// To be called before input: lets the engine know what time it is, if that is news. For a lane that is not live that is
    /// when the record was appended, and to be called before each; for one that is, it is now, once for a run of records.
    #[inline]
    pub fn before_input(&mut self, now: i64, out: &mut Outbox) {
        if self.may_tick(now) {
            self.tick(now, out);
        }
    }

    #[inline]
    fn may_tick(&self, now: i64) -> bool {
        now.saturating_sub(self.clock) >= TICK
    }

    /// Takes a reading in. To be called in the order of offsets.
    #[inline]
    pub fn reading(&mut self, reading: &Reading<'_>, arrival: Arrival, out: &mut Outbox) -> Verdict {
        self.pass(arrival.offset + 1);
        self.partition.observe(reading, arrival, out)
    }

    /// Takes an event in. To be called in the order of offsets.
    pub fn event(
        &mut self,
        (event_type, source): (&str, &str),
        time: EventTime,
        arrival: Arrival,
        out: &mut Outbox,
    ) -> Verdict {
        self.pass(arrival.offset + 1);
        self.partition.observe_event(event_type, source, time, arrival, out)
    }

    /// Notes that everything before this offset was processed, whatever it was.
    #[inline]
    pub fn pass(&mut self, next: i64) {
        if next > self.position {
            (self.position, self.is_changed) = (next, true);
        }
    }

    /// To be called now and then, also without input: closes what the clock closes. Whether there was something. Does nothing
    /// before the lane has caught up.
    pub fn idle(&mut self, now: i64, out: &mut Outbox) -> bool {
        let is_due = self.is_live && self.may_tick(now) && self.partition.due(EventTime::from_micros(now));
        if is_due {
            self.tick(now, out);
        }
        is_due
    }

    fn tick(&mut self, now: i64, out: &mut Outbox) {
        self.sequence += 1;
        self.clock = self.clock.max(now);
        let tick = Tick {
            sequence: self.sequence,
            after: self.position - 1,
            time: EventTime::from_micros(self.clock),
        };
        self.control(Change::Tick(tick.time), now, out);
        self.partition.tick(tick, out);
    }

    /// Goes on under another plan; what that ends is told.
    pub fn change_plan(&mut self, plan: &Arc<Plan>, now: i64, out: &mut Outbox) {
        if plan.fingerprint() == self.partition.plan().fingerprint() {
            return;
        }
        let sequence = self.record_plan(plan, Change::Plan(Box::new(plan.spec.clone())), now, out);
        self.partition.change_plan(Arc::clone(plan), sequence, out);
    }

    fn record_plan(&mut self, plan: &Plan, change: Change, now: i64, out: &mut Outbox) -> u64 {
        self.sequence += 1;
        self.control(change, now, out);
        let key = |out: &mut Vec<u8>| write_plan_key(plan.fingerprint(), out);
        let value = |out: &mut Vec<u8>| {
            serde_json::to_writer(out, &plan.spec).expect("plain data has a JSON form");
        };
        out.put(Target::Snapshots(self.internal), None, key, Some(value));
        self.sequence
    }

    fn control(&mut self, change: Change, now: i64, out: &mut Outbox) {
        self.is_changed = true;
        let control = Control { sequence: self.sequence, after: self.position - 1, change };
        let timestamp_ms = self.clock.max(now).div_euclid(1_000);
        let key = |out: &mut Vec<u8>| control::write_key(&self.place.topic, self.place.partition, out);
        let value = |out: &mut Vec<u8>| control.encode(out);
        out.put(Target::Control(self.internal), Some(timestamp_ms), key, Some(value));
    }

    /// Whether a commit for snapshots alone is worth it.
    pub fn wants_save(&mut self, now: i64) -> bool {
        self.saver.is_due(&self.partition, now)
    }

    /// Writes down the shards whose turn it is. To be called right before a commit.
    pub fn save(&mut self, now: i64, out: &mut Outbox) {
        let before = out.bytes();
        self.partition.advance(self.position);
        self.saver.save(&mut self.partition, self.clock, now, out);
        // The position goes with them, so that a worker that the group has gone on without cannot write any.
        self.is_changed |= out.bytes() != before;
    }

    /// Writes down all shards that changed, as long as what waits in `out` stays below `most` bytes: so that whoever gets
    /// the partition next has little to read again. To be called right before a commit.
    pub fn save_all(&mut self, now: i64, most: usize, out: &mut Outbox) {
        let before = out.bytes();
        self.partition.advance(self.position);
        self.saver.save_all(&mut self.partition, self.clock, now, most, out);
        self.is_changed |= out.bytes() != before;
    }

    /// Whether its position is to be committed.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The position to be committed, with the number of the last control record beside it.
    pub fn offset(&self) -> OffsetCommit {
        OffsetCommit {
            place: self.place.clone(),
            offset: self.position,
            metadata: format!("c={}", self.sequence),
        }
    }

    /// Notes that its position was committed.
    pub fn committed(&mut self) {
        self.is_changed = false;
    }
}

/// Where a lane is in its input and control records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) next: i64,
    pub(super) sequence: u64,
    pub(super) clock: i64,
}

/// The number of the last control record, from what was committed beside a position; `None` if it is not ours.
pub fn read_metadata(metadata: &str) -> Option<u64> {
    metadata.strip_prefix("c=")?.parse().ok()
}

pub(super) fn source(place: &TopicPartition) -> engine::Source {
    engine::Source { topic: Arc::clone(&place.topic), partition: place.partition }
}
