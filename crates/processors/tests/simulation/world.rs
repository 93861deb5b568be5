//! The world of the simulation: a broker in memory, a group, workers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use engine::{Arrival, Plan, Verdict};
use kafka::TopicPartition;
use model::{EventTime, Reading};
use processors::driver::control::{Change, Control, read_key};
use processors::driver::recovery::{Candidates, Committed, Replay};
use processors::driver::snapshots::Collector;
use processors::driver::{Beginning, Lane, Outbox, Pace, Spot, Target, read_metadata};

use crate::calm::{assert_same, by_key, undisturbed};
use crate::plans::{TIMELESS, spec};

pub(crate) const TOPIC: &str = "sensor-data";
const PARTITIONS: i32 = 3;
/// Two input partitions share an internal one.
const INTERNAL: i32 = 2;
const WORKERS: usize = 3;
const STEPS: usize = 220;
const SENSORS: u64 = 5;
const SECOND: i64 = 1_000_000;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Nothing.
    None,
    /// Everything but other plans, under a plan that no clock decides anything in.
    Timeless,
    /// Everything.
    All,
}

/// A generator of numbers, the same for the same seed on every machine (splitmix64).
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) outputs: u64,
    pub(crate) commits: u64,
    pub(crate) crashes: u64,
    pub(crate) aborts: u64,
    pub(crate) lost_answers: u64,
    pub(crate) fenced: u64,
    pub(crate) restores: u64,
    pub(crate) replayed: u64,
    pub(crate) unusable: u64,
    pub(crate) plan_changes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.outputs += other.outputs;
        self.commits += other.commits;
        self.crashes += other.crashes;
        self.aborts += other.aborts;
        self.lost_answers += other.lost_answers;
        self.fenced += other.fenced;
        self.restores += other.restores;
        self.replayed += other.replayed;
        self.unusable += other.unusable;
        self.plan_changes += other.plan_changes;
    }
}

/// One input record; `None`: it cannot be decoded.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) offset: i64,
    /// When it was appended.
    appended: i64,
    pub(crate) reading: Option<(String, i64, f64)>,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<Input>,
    end: i64,
}

impl Log {
    fn from(&self, offset: i64) -> &[Input] {
        let start = self.records.partition_point(|record| record.offset < offset);
        &self.records[start..]
    }
}

pub(crate) type Written = (Target, Vec<u8>, Option<Vec<u8>>);
/// An input partition and an offset, with the reason.
pub(crate) type Letter = (i32, i64, &'static str);

/// What is committed.
#[derive(Default)]
struct Broker {
    inputs: Vec<Log>,
    /// Every output, control record and chunk of a snapshot, in the order of its commit.
    written: Vec<Written>,
    letters: Vec<Letter>,
    /// By input partition: position and text.
    offsets: BTreeMap<i32, (i64, String)>,
}

/// What a worker wants to commit: all of it or nothing.
#[derive(Default)]
pub(crate) struct Transaction {
    pub(crate) written: Vec<Written>,
    letters: Vec<Letter>,
}

pub(crate) struct Worker {
    lanes: Vec<Lane>,
    pub(crate) outbox: Outbox,
    pub(crate) transaction: Transaction,
    pace: Pace,
    /// The generation of the group that it knows of.
    generation: u64,
}

impl Worker {
    pub(crate) fn new() -> Self {
        Self {
            lanes: Vec::new(),
            outbox: Outbox::new(),
            transaction: Transaction::default(),
            pace: Pace::new(Duration::from_millis(100)),
            generation: 0,
        }
    }
}

pub(crate) struct World {
    random: Random,
    faults: Faults,
    broker: Broker,
    workers: Vec<Worker>,
    /// Which worker has which partition, as the group sees it.
    owners: Vec<usize>,
    generation: u64,
    now: i64,
    plan: Arc<Plan>,
    /// Whether neither the clock nor another plan decides what is said.
    is_timeless: bool,
    pub(crate) tally: Tally,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let mut random = Random(seed);
        let inputs = (0..PARTITIONS).map(|_| Log::default()).collect();
        let now = 1_700_000_000 * SECOND + random.below(1_000_000) as i64;
        let is_timeless = faults != Faults::All;
        let variant = if is_timeless { TIMELESS } else { 0 };
        let mut world = Self {
            random,
            faults,
            broker: Broker { inputs, ..Broker::default() },
            workers: (0..WORKERS).map(|_| Worker::new()).collect(),
            owners: vec![usize::MAX; PARTITIONS as usize],
            generation: 0,
            now,
            plan: Arc::new(Plan::compile(spec(variant)).unwrap()),
            is_timeless,
            tally: Tally::default(),
        };
        world.rebalance();
        world
    }

    pub(crate) fn run(&mut self) {
        for _ in 0..STEPS {
            let pause = if self.faults == Faults::All && self.random.one_in(40) { 9_000 } else { 120 };
            self.now += self.random.below(pause) as i64 * 1_000;
            self.produce();
            let worker = self.random.below(WORKERS as u64) as usize;
            self.work(worker);
            if self.faults != Faults::None {
                self.harm(worker);
            }
        }
        self.finish();
    }

    /// New readings come in, some late, some of the future, some that are none.
    fn produce(&mut self) {
        for _ in 0..self.random.below(6) {
            let partition = self.random.below(PARTITIONS as u64) as usize;
            let sensor = self.random.below(SENSORS);
            let age = match self.random.below(30) {
                0 => self.random.below(25_000) as i64,
                1 if self.faults == Faults::All => -70_000,
                _ => self.random.below(900) as i64,
            };
            let celsius = 20.0 + self.random.below(140) as f64 / 10.0;
            let time = self.now - age * 1_000;
            let reading = (!self.random.one_in(40)).then(|| (format!("S{partition}{sensor}"), time, celsius));
            // Markers of transactions take offsets too.
            let gap = i64::from(self.random.one_in(10));
            let log = &mut self.broker.inputs[partition];
            let offset = log.end + gap;
            log.records.push(Input { offset, appended: self.now, reading });
            log.end = offset + 1;
            self.tally.records += 1;
        }
    }

    /// A worker goes on: input, the clock, a commit if it is time.
    fn work(&mut self, number: usize) {
        if self.workers[number].generation == self.generation {
            self.look_at_assignment(number);
        }
        let limit = 1 + self.random.below(12) as usize;
        let again = self.faults != Faults::None && self.random.one_in(8);
        let (now, broker) = (self.now, &self.broker);
        let worker = &mut self.workers[number];
        let before = (worker.outbox.alarms(), worker.outbox.summaries());
        for lane in &mut worker.lanes {
            let partition = lane.place().partition;
            // Some records come twice: the engine knows them by their offsets.
            let from = if again { lane.position() - 4 } else { lane.position() };
            let records = broker.inputs[partition as usize].from(from);
            let is_live = lane.is_live();
            if is_live && !records.is_empty() {
                lane.before_input(now, &mut worker.outbox);
            }
            for record in &records[..records.len().min(limit)] {
                if record.offset < lane.position() && record.reading.is_none() {
                    continue;
                }
                if !is_live {
                    lane.before_input(record.appended.min(now), &mut worker.outbox);
                }
                let letter = process(lane, record, &mut worker.outbox);
                worker.transaction.letters.extend(letter.map(|reason| (partition, record.offset, reason)));
            }
            if records.len() <= limit {
                lane.caught_up();
            }
            if lane.idle(now, &mut worker.outbox) || lane.is_changed() {
                worker.pace.moved(now);
            }
        }
        if worker.outbox.alarms() > before.0 {
            worker.pace.alarmed(now);
        } else if worker.outbox.summaries() > before.1 {
            worker.pace.said(now);
        }
        worker.send();
        let is_drained = self.random.one_in(3);
        if self.workers[number].pace.wants_commit(now, is_drained) {
            self.commit(number);
        }
    }

    /// The group tells a worker what it has. It commits before it gives something up.
    fn look_at_assignment(&mut self, number: usize) {
        let owned: BTreeSet<i32> =
            (0..PARTITIONS).filter(|partition| self.owners[*partition as usize] == number).collect();
        let is_gone = |lane: &Lane| !owned.contains(&lane.place().partition);
        if self.workers[number].lanes.iter().any(is_gone) {
            let (now, worker) = (self.now, &mut self.workers[number]);
            for lane in worker.lanes.iter_mut().filter(|lane| is_gone(lane)) {
                lane.save_all(now, usize::MAX, &mut worker.outbox);
            }
            self.commit(number);
            self.workers[number].lanes.retain(|lane| !is_gone(lane));
        }
        let new: Vec<i32> = owned
            .into_iter()
            .filter(|partition| {
                self.workers[number].lanes.iter().all(|lane| lane.place().partition != *partition)
            })
            .collect();
        // Somebody who has to commit first gives it up only then.
        let is_free = |partition: &i32| {
            self.workers.iter().enumerate().all(|(other, worker)| {
                other == number
                    || worker.generation != self.generation
                    || worker.lanes.iter().all(|lane| lane.place().partition != *partition)
            })
        };
        let new: Vec<i32> = new.into_iter().filter(is_free).collect();
        if !new.is_empty() {
            self.commit(number);
            for partition in new {
                self.take_over(number, partition);
            }
            self.commit(number);
        }
    }

    fn take_over(&mut self, number: usize, partition: i32) {
        let spot = spot(partition);
        let (now, plan) = (self.now, Arc::clone(&self.plan));
        let committed = self.broker.offsets.get(&partition).cloned();
        let lane = match committed {
            None => {
                let at = Beginning { position: 0, sequence: 0 };
                Lane::begin(&spot, &plan, self.random.next(), at, now, &mut self.workers[number].outbox)
            }
            Some((offset, text)) => {
                let sequence = read_metadata(&text).unwrap();
                let mut lane = self.restore(&spot, Committed { offset, sequence });
                lane.change_plan(&plan, now, &mut self.workers[number].outbox);
                lane
            }
        };
        let worker = &mut self.workers[number];
        worker.lanes.push(lane);
        worker.send();
    }

    fn restore(&mut self, spot: &Spot, committed: Committed) -> Lane {
        self.tally.restores += 1;
        let partition = spot.place.partition;
        let mut collector = Collector::new([(TOPIC, partition)]);
        for (target, key, value) in &self.broker.written {
            if *target == Target::Snapshots(spot.internal()) {
                collector.add(key, value.as_deref());
            }
        }
        let plans = collector.plans().clone();
        let found = collector.take(TOPIC, partition);
        let mut candidates = Candidates::new(found, committed, true);
        let mut replay = loop {
            let from = candidates.needs().from_sequence;
            let controls = self.controls(partition).into_iter().filter(|control| control.sequence >= from);
            match Replay::new(spot.clone(), candidates, controls, &plans, &self.plan, 3) {
                Ok(replay) => break replay,
                Err((fewer, _)) => {
                    self.tally.unusable += 1;
                    candidates = fewer;
                }
            }
        };
        assert!(
            replay.notices().iter().all(|notice| notice.to_string().contains("shards have no snapshot")),
            "{:?}",
            replay.notices()
        );
        let (from, to) = replay.span();
        for record in self.broker.inputs[partition as usize].from(from) {
            if record.offset >= to {
                break;
            }
            self.tally.replayed += 1;
            if let Some(reading) = reading(record) {
                replay.reading(&reading, arrival(record));
            }
        }
        replay.finish(self.now)
    }

    fn controls(&self, partition: i32) -> Vec<Control> {
        let own = self.broker.written.iter().filter(|(target, key, _)| {
            matches!(target, Target::Control(_)) && read_key(key) == Some((TOPIC, partition))
        });
        own.map(|(_, _, value)| Control::decode(value.as_ref().unwrap()).unwrap()).collect()
    }

    fn commit(&mut self, number: usize) {
        let now = self.now;
        let worker = &mut self.workers[number];
        for lane in &mut worker.lanes {
            lane.save(now, &mut worker.outbox);
        }
        worker.send();
        let lanes = worker.lanes.iter().filter(|lane| lane.is_changed());
        let offsets: Vec<_> = lanes.map(Lane::offset).collect();
        let Transaction { written, letters } = std::mem::take(&mut worker.transaction);
        worker.pace.done(now);
        if offsets.is_empty() && written.is_empty() && letters.is_empty() {
            return;
        }
        let is_harmed = self.faults != Faults::None;
        if worker.generation != self.generation {
            // Fenced: the group has gone on. It goes back, and hears of it.
            self.tally.fenced += 1;
            self.go_back(number);
            return;
        }
        if is_harmed && self.random.one_in(25) {
            self.tally.aborts += 1;
            self.go_back(number);
            return;
        }
        self.tally.commits += 1;
        self.broker.written.extend(written);
        self.broker.letters.extend(letters);
        for offset in offsets {
            self.broker.offsets.insert(offset.place.partition, (offset.offset, offset.metadata));
        }
        if is_harmed && self.random.one_in(40) {
            // It was committed, but the answer got lost: whoever asks finds out.
            self.tally.lost_answers += 1;
            self.go_back(number);
            return;
        }
        self.workers[number].lanes.iter_mut().for_each(Lane::committed);
    }

    /// Throws away everything that is not committed; the partitions come back with the next assignment.
    fn go_back(&mut self, number: usize) {
        self.workers[number] = Worker::new();
        self.workers[number].generation = self.generation;
    }

    /// Something goes wrong, now and then.
    fn harm(&mut self, number: usize) {
        match self.random.below(60) {
            0 | 1 => {
                self.tally.crashes += 1;
                self.go_back(number);
                if self.random.one_in(2) {
                    self.rebalance();
                }
            }
            2 => self.rebalance(),
            3 => self.forsake(number),
            4 => self.spoil(),
            5 => self.compact(),
            6 if self.faults == Faults::All => {
                self.tally.plan_changes += 1;
                let plan = Arc::new(Plan::compile(spec(self.random.below(3))).unwrap());
                self.plan = Arc::clone(&plan);
                let now = self.now;
                for worker in &mut self.workers {
                    for lane in &mut worker.lanes {
                        lane.change_plan(&plan, now, &mut worker.outbox);
                        worker.pace.alarmed(now);
                    }
                    worker.send();
                }
            }
            _ => {}
        }
    }

    /// The group gives the partitions out anew; everybody hears of it.
    fn rebalance(&mut self) {
        for owner in &mut self.owners {
            *owner = self.random.below(WORKERS as u64) as usize;
        }
    }

    /// The group goes on without a worker that does not know it: it still processes, and must not be able to commit.
    fn forsake(&mut self, number: usize) {
        self.generation += 1;
        for (other, worker) in self.workers.iter_mut().enumerate() {
            // Who was left behind before does not know of this either.
            if other != number && worker.generation + 1 == self.generation {
                worker.generation = self.generation;
            }
        }
        for owner in &mut self.owners {
            while *owner == number {
                *owner = self.random.below(WORKERS as u64) as usize;
            }
        }
    }

    /// A chunk of a snapshot is damaged or deleted by hand; now and then all of them.
    fn spoil(&mut self) {
        let is_chunk =
            |(target, key, _): &Written| matches!(target, Target::Snapshots(_)) && !key.starts_with(b"plan/");
        let chunks: Vec<usize> =
            (0..self.broker.written.len()).filter(|at| is_chunk(&self.broker.written[*at])).collect();
        if chunks.is_empty() {
            return;
        }
        match self.random.below(6) {
            0 => self.broker.written.retain(|written| !is_chunk(written)),
            1 => {
                self.broker.written.remove(chunks[self.random.below(chunks.len() as u64) as usize]);
            }
            _ => {
                // One of the newest, so that it is likely to be used.
                let at = chunks[chunks.len() - 1 - self.random.below(chunks.len().min(100) as u64) as usize];
                let Some(value) = &mut self.broker.written[at].2 else { return };
                if self.random.one_in(4) {
                    value[0] = 99;
                } else {
                    value.truncate(value.len() - 1);
                }
            }
        }
    }

    /// Of each key in the snapshots' topic only the newest stays.
    fn compact(&mut self) {
        let mut seen = BTreeSet::new();
        let mut kept: Vec<Written> = Vec::new();
        for written in std::mem::take(&mut self.broker.written).into_iter().rev() {
            let is_old =
                matches!(written.0, Target::Snapshots(_)) && !seen.insert((written.0, written.1.clone()));
            if !is_old {
                kept.push(written);
            }
        }
        kept.reverse();
        self.broker.written = kept;
    }

    /// Everything is processed to the end by whoever is left.
    fn finish(&mut self) {
        self.faults = match self.faults {
            Faults::All | Faults::Timeless => {
                for number in 0..WORKERS {
                    self.go_back(number);
                }
                Faults::None
            }
            Faults::None => Faults::None,
        };
        let is_done = |world: &Self| {
            (0..PARTITIONS).all(|partition| {
                let end =
                    world.broker.inputs[partition as usize].records.last().map_or(0, |last| last.offset + 1);
                world.broker.offsets.get(&partition).is_some_and(|(offset, _)| *offset >= end)
            })
        };
        for round in 0.. {
            assert!(round < 10_000, "it never ends");
            for number in 0..WORKERS {
                self.work(number);
            }
            self.now += 50_000;
            if is_done(self) {
                break;
            }
        }
    }

    /// What was committed against what an undisturbed partition says.
    pub(crate) fn check(&mut self) {
        for partition in 0..PARTITIONS {
            let controls = self.controls(partition);
            let numbers: Vec<u64> = controls.iter().map(|control| control.sequence).collect();
            let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
            assert_eq!(numbers, expected, "control records of partition {partition}");
            let (outputs, letters) =
                undisturbed(&self.broker.inputs[partition as usize], partition, controls);
            let prefix = format!("S{partition}");
            let is_own = |key: &[u8]| String::from_utf8_lossy(key).contains(&prefix);
            let own = self.broker.written.iter().filter(|(_, key, _)| is_own(key));
            let committed = by_key(own.cloned());
            self.tally.outputs += committed.values().map(|values| values.len() as u64).sum::<u64>();
            assert_same(&committed, &by_key(outputs));
            let own = self.broker.letters.iter().filter(|letter| letter.0 == partition);
            let mut own: Vec<Letter> = own.copied().collect();
            own.sort_unstable();
            assert_eq!(own, letters, "dead letters of partition {partition}");
            if self.is_timeless {
                assert_same(&committed, &by_key(self.calm(partition)));
            }
        }
    }

    /// What a run says that no clock disturbs.
    fn calm(&self, partition: i32) -> Vec<Written> {
        let begin = Control { sequence: 1, after: -1, change: Change::Begin(Box::new(spec(TIMELESS))) };
        let now = EventTime::from_micros(self.now);
        let tick = Control { sequence: 2, after: -1, change: Change::Tick(now) };
        undisturbed(&self.broker.inputs[partition as usize], partition, vec![begin, tick]).0
    }
}

impl Worker {
    /// What was said goes into the open transaction.
    pub(crate) fn send(&mut self) {
        let written = &mut self.transaction.written;
        let done = self.outbox.drain(|target, key, value, _| {
            written.push((target, key.to_vec(), value.map(<[u8]>::to_vec)));
            Ok::<(), std::convert::Infallible>(())
        });
        done.unwrap();
    }
}

fn process(lane: &mut Lane, record: &Input, outbox: &mut Outbox) -> Option<&'static str> {
    let Some(reading) = reading(record) else {
        lane.pass(record.offset + 1);
        return Some("undecodable");
    };
    reason(lane.reading(&reading, arrival(record), outbox))
}

pub(crate) fn reading(record: &Input) -> Option<Reading<'_>> {
    let (sensor, time, celsius) = record.reading.as_ref()?;
    let mut reading = Reading::new(sensor, EventTime::from_micros(*time));
    reading.temperature = Some(*celsius);
    Some(reading)
}

pub(crate) fn arrival(record: &Input) -> Arrival {
    Arrival { offset: record.offset, sequence: None }
}

pub(crate) fn reason(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Taken | Verdict::Skipped => None,
        Verdict::Late => Some("late"),
        Verdict::Future => Some("future"),
        Verdict::Refused(refusal) => Some(refusal.label()),
    }
}

fn spot(partition: i32) -> Spot {
    Spot {
        place: TopicPartition { topic: TOPIC.into(), partition },
        internal_partitions: INTERNAL,
        snapshot_interval: Duration::from_secs(2),
    }
}
