//! How a lane is made again from what was committed: snapshots, control records, input.
//!
//! 1. [`Collector`](super::snapshots::Collector) finds the snapshots; [`Candidates`] takes the newest of each shard.
//! 2. [`Candidates::needs`] says which control records and which input have to be read again.
//! 3. [`Replay`] takes the input with the control records between, under the plans that they name, and says nothing: all of
//!    it was said already. A snapshot that was made under a later plan than the oldest one is put in when that plan comes.
//! 4. [`Replay::finish`] is the lane as it was.
//!
//! A snapshot that cannot be used is given up, and the one before it or, without one, everything from the beginning is
//! read: [`Unusable`] says so, and 2 is tried again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use engine::partition::SHARDS;
use engine::{Arrival, Partition, Plan, PlanSpec, Suppressed, Tick};
use kafka::TopicPartition;
use model::{EventTime, Reading};

use super::control::{Change, Control};
use super::lane::{Lane, Position, Spot, source};
use super::snapshots::{Found, FoundShard, Plans, Snapshot};

/// What the group has committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the next record to process.
    pub offset: i64,
    /// The number of the last control record that was committed with it.
    pub sequence: u64,
}

/// The snapshots to recover from.
#[derive(Debug)]
pub struct Candidates {
    found: Found,
    committed: Committed,
}

/// What has to be read for a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The first control record that is needed.
    pub from_sequence: u64,
    /// The timestamp, in milliseconds since the epoch, from which control records have to be read; `None`: all.
    pub control_from_ms: Option<i64>,
}

/// Something about a recovery that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Shards without a snapshot, for which everything is read again.
    WithoutSnapshot {
        /// How many.
        shards: usize,
    },
    /// Control records that are gone: what they changed is lost.
    MissingControls {
        /// How many.
        count: u64,
    },
    /// The plan in force at the beginning of the replay is not known, so that the configured one takes its place.
    PlanUnknown,
    /// A recorded plan is not understood any more and was passed over.
    PlanNotUnderstood {
        /// The control record's number.
        sequence: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutSnapshot { shards } => {
                write!(f, "{shards} of {SHARDS} shards have no snapshot, all that is there is read again")
            }
            Self::MissingControls { count } => {
                write!(f, "{count} control records are gone, what they changed is lost")
            }
            Self::PlanUnknown => f.write_str("the plan of that time is not known, today's takes its place"),
            Self::PlanNotUnderstood { sequence } => {
                write!(f, "the plan of control record {sequence} is not understood any more")
            }
        }
    }
}

/// A snapshot that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The shard.
    pub shard: usize,
    /// Why.
    pub problem: String,
}

impl Candidates {
    /// From what was found. Snapshots of a later time than the committed position are left out where `exact`: they are of
    /// a transaction whose position is not seen yet, which then must not be counted.
    pub fn new(mut found: Found, committed: Committed, exact: bool) -> Self {
        found.shards.resize_with(SHARDS, FoundShard::default);
        if exact {
            for shard in &mut found.shards {
                shard.snapshots.retain(|snapshot| {
                    let header = &snapshot.header;
                    header.next_offset <= committed.offset && header.last_sequence <= committed.sequence
                });
            }
        }
        Self { found, committed }
    }

    /// Gives up the newest snapshot of a shard.
    pub fn give_up(&mut self, shard: usize) {
        self.found.shards[shard].snapshots.pop();
    }

    /// Gives up all snapshots from before a control record.
    fn forget_before(&mut self, sequence: u64) {
        for shard in &mut self.found.shards {
            shard.snapshots.retain(|snapshot| snapshot.header.last_sequence >= sequence);
        }
    }

    fn newest(&self) -> impl Iterator<Item = Option<&Snapshot>> {
        self.found.shards.iter().map(|shard| shard.snapshots.last())
    }

    /// What has to be read.
    pub fn needs(&self) -> Needs {
        let seen = self.newest().map(|snapshot| snapshot.map(|found| &found.header));
        let (mut from_sequence, mut clock) = (u64::MAX, Some(i64::MAX));
        for header in seen {
            from_sequence = from_sequence.min(header.map_or(1, |header| header.last_sequence + 1));
            clock = clock.and_then(|clock| Some(clock.min(header?.clock)));
        }
        Needs { from_sequence, control_from_ms: clock.map(|clock| clock.div_euclid(1_000)) }
    }
}

/// A recovery under way.
#[derive(Debug)]
pub struct Replay {
    spot: Spot,
    partition: Partition,
    configured: Arc<Plan>,
    /// Those that are still to come, in order.
    controls: VecDeque<Control>,
    /// Snapshots that were made under the plan of a control record that is still to come, by its number.
    pending: Vec<(u64, usize, Vec<u8>)>,
    found: Found,
    from: i64,
    committed: Committed,
    sequence: u64,
    clock: i64,
    notices: Vec<Notice>,
}

impl Replay {
    /// Begins with the control records that were read, in any order, and the plans that were found.
    ///
    /// # Errors
    /// If a snapshot cannot be used: the candidates come back without it.
    pub fn new(
        spot: Spot,
        candidates: Candidates,
        controls: impl IntoIterator<Item = Control>,
        plans: &Plans,
        configured: &Arc<Plan>,
        seed: u64,
    ) -> Result<Self, (Candidates, Unusable)> {
        let mut candidates = candidates;
        let committed = candidates.committed.clone();
        let mut controls = in_order(controls, committed.sequence);
        let begun = controls.iter().rposition(|control| matches!(control.change, Change::Begin(_)));
        if let Some(begun) = begun {
            controls.drain(..begun);
            candidates.forget_before(controls[0].sequence);
        }
        let mut notices = Vec::new();
        let first = candidates
            .needs()
            .from_sequence
            .max(controls.front().filter(|_| begun.is_some()).map_or(0, |begin| begin.sequence));
        controls.retain(|control| control.sequence >= first);
        let wanted = (committed.sequence + 1).saturating_sub(first);
        if let count @ 1.. = wanted.saturating_sub(controls.len() as u64) {
            notices.push(Notice::MissingControls { count });
        }
        let governing = |sequence: u64| {
            let plans = controls.iter().filter(|control| !matches!(control.change, Change::Tick(_)));
            plans.map(|control| control.sequence).filter(|plan| *plan <= sequence).max().unwrap_or(0)
        };
        let without = candidates.newest().filter(Option::is_none).count();
        if without > 0 {
            notices.push(Notice::WithoutSnapshot { shards: without });
        }
        // Those that no plan of the replay precedes were made under the plan that it begins with.
        let first = |snapshot: &&Snapshot| governing(snapshot.header.last_sequence) == 0;
        let base = candidates.newest().flatten().find(first).map(|snapshot| snapshot.header.fingerprint);
        let base = match base {
            Some(fingerprint) => known(fingerprint, plans, configured),
            None => controls.front().and_then(plan_of),
        };
        let base = base.unwrap_or_else(|| {
            notices.push(Notice::PlanUnknown);
            Arc::clone(configured)
        });
        let mut partition = Partition::new(base, source(&spot.place), seed);
        let (mut pending, mut failed) = (Vec::new(), None);
        for (shard, snapshot) in candidates.newest().enumerate() {
            let Some(snapshot) = snapshot else { continue };
            match governing(snapshot.header.last_sequence) {
                0 => {
                    if let Err(error) = partition.restore(shard, &snapshot.bytes) {
                        failed = Some(Unusable { shard, problem: error.to_string() });
                        break;
                    }
                    partition.saved(shard);
                }
                plan => pending.push((plan, shard, snapshot.bytes.clone())),
            }
        }
        let failed = failed.or_else(|| try_out(&pending, &controls, &spot.place, seed));
        if let Some(unusable) = failed {
            candidates.give_up(unusable.shard);
            return Err((candidates, unusable));
        }
        let clock = candidates.newest().flatten().map(|found| found.header.clock).max().unwrap_or(i64::MIN);
        let newest = candidates.newest().flatten().map(|found| found.header.last_sequence).max().unwrap_or(0);
        let from = candidates.newest().map(|found| found.map(|found| found.header.next_offset));
        let from = from.min().flatten();
        // Without a snapshot it begins where the group began, which the first control record knows.
        let start =
            controls.front().filter(|control| control.sequence == 1).map_or(0, |first| first.after + 1);
        Ok(Self {
            from: from.unwrap_or(start),
            partition,
            configured: Arc::clone(configured),
            controls,
            pending,
            found: candidates.found,
            sequence: newest.max(committed.sequence),
            clock,
            committed,
            spot,
            notices,
        })
    }

    /// Takes the time for what control records would have said that are gone: without a clock, every reading would be in the
    /// future. Does nothing where none is missing.
    pub fn assume_clock(&mut self, now: i64) {
        if self.notices.iter().any(|notice| matches!(notice, Notice::MissingControls { .. })) {
            self.clock = self.clock.max(now);
            self.partition.assume_clock(EventTime::from_micros(now));
        }
    }

    /// The input partition.
    pub fn place(&self) -> &TopicPartition {
        &self.spot.place
    }

    /// What people should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The first and the next offset of the input to be read again.
    pub fn span(&self) -> (i64, i64) {
        (self.from.min(self.committed.offset), self.committed.offset)
    }

    /// Whether the plan in force looks at sequence numbers.
    #[inline]
    pub fn wants_sequence(&self) -> bool {
        self.partition.plan().needs_sequence()
    }

    /// Takes a reading in again. To be called in the order of offsets.
    pub fn reading(&mut self, reading: &Reading<'_>, arrival: Arrival) {
        self.before(arrival.offset);
        let _ = self.partition.observe(reading, arrival, &mut Suppressed);
    }

    /// Takes an event in again. To be called in the order of offsets.
    pub fn event(&mut self, (event_type, source): (&str, &str), time: EventTime, arrival: Arrival) {
        self.before(arrival.offset);
        let _ = self.partition.observe_event(event_type, source, time, arrival, &mut Suppressed);
    }

    /// Does what the control records before this offset say.
    #[inline]
    fn before(&mut self, offset: i64) {
        while self.controls.front().is_some_and(|control| control.after < offset) {
            if let Some(control) = self.controls.pop_front() {
                self.go_by(control);
            }
        }
    }

    fn go_by(&mut self, control: Control) {
        let Control { sequence, after, change } = control;
        match change {
            Change::Tick(time) => {
                self.clock = self.clock.max(time.micros());
                self.partition.tick(Tick { sequence, after, time }, &mut Suppressed);
            }
            Change::Plan(spec) | Change::Begin(spec) => match compiled(*spec, &self.configured) {
                Some(plan) => self.partition.change_plan(plan, sequence, &mut Suppressed),
                None => self.notices.push(Notice::PlanNotUnderstood { sequence }),
            },
        }
        let partition = &mut self.partition;
        for (_, shard, bytes) in self.pending.extract_if(.., |(plan, ..)| *plan == sequence) {
            // It was tried out at the beginning.
            if partition.restore(shard, &bytes).is_ok() {
                partition.saved(shard);
            }
        }
    }

    /// Ends the replay: the lane as it was when its position was committed.
    pub fn finish(mut self, now: i64) -> Lane {
        while let Some(control) = self.controls.pop_front() {
            self.go_by(control);
        }
        let Self { committed, sequence, clock, .. } = self;
        let at = Position { next: committed.offset, sequence, clock };
        let mut lane = Lane::at(&self.spot, self.partition, at, now);
        lane.learn(&self.found);
        lane
    }
}

/// The control records up to `last`, each number once: the last that was written.
fn in_order(controls: impl IntoIterator<Item = Control>, last: u64) -> VecDeque<Control> {
    let wanted = controls.into_iter().filter(|control| control.sequence <= last);
    let mut by_number: Vec<_> = wanted.collect();
    // Stable: of those with the same number the last written stays last.
    by_number.sort_by_key(|control| control.sequence);
    by_number.reverse();
    by_number.dedup_by_key(|control| control.sequence);
    by_number.into_iter().rev().collect()
}

fn compiled(spec: PlanSpec, configured: &Arc<Plan>) -> Option<Arc<Plan>> {
    if spec == configured.spec {
        return Some(Arc::clone(configured));
    }
    Plan::compile(spec).ok().map(Arc::new)
}

fn known(fingerprint: u64, plans: &Plans, configured: &Arc<Plan>) -> Option<Arc<Plan>> {
    if fingerprint == configured.fingerprint() {
        return Some(Arc::clone(configured));
    }
    compiled(plans.get(&fingerprint)?.clone(), configured)
}

fn plan_of(control: &Control) -> Option<Arc<Plan>> {
    match &control.change {
        Change::Plan(spec) | Change::Begin(spec) => Plan::compile((**spec).clone()).ok().map(Arc::new),
        Change::Tick(_) => None,
    }
}

/// Reads the snapshots that have to wait for their plan once for trial, so that it is known now if one cannot be used.
fn try_out(
    pending: &[(u64, usize, Vec<u8>)],
    controls: &VecDeque<Control>,
    place: &TopicPartition,
    seed: u64,
) -> Option<Unusable> {
    let mut trial: Option<(u64, Partition)> = None;
    for (sequence, shard, bytes) in pending {
        if trial.as_ref().is_none_or(|(plan, _)| plan != sequence) {
            let control = controls.iter().find(|control| control.sequence == *sequence);
            let Some(plan) = control.and_then(plan_of) else {
                let problem = "its plan is not understood any more".to_owned();
                return Some(Unusable { shard: *shard, problem });
            };
            trial = Some((*sequence, Partition::new(plan, source(place), seed)));
        }
        let (_, partition) = trial.as_mut()?;
        if let Err(error) = partition.restore(*shard, bytes) {
            return Some(Unusable { shard: *shard, problem: error.to_string() });
        }
    }
    None
}
