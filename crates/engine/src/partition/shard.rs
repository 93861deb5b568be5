//! A part of a partition's sensors, with its own clock and its own place in the input.

use std::hash::BuildHasher;
use std::ops::ControlFlow;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{EventTime, Reading};

use super::cell::Cell;
use super::counters::Counters;
use super::selections::Selections;
use super::sensor::{Input, NEVER, Sensor, Taken, Telling};
use super::{Arrival, Refusal, SHARDS, Source, Tick, Verdict};
use crate::hash::fnv1a;
use crate::metric_names::MetricNames;
use crate::output::Output;
use crate::plan::Plan;
use crate::rules::{Fault, Previous, RuleBook, Sample, SourceRef};

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) next_offset: i64,
    pub(super) last_sequence: u64,
    pub(super) dirty: bool,
    /// The time of the last tick.
    pub(super) clock: i64,
    /// Before this time no tick does anything: a lower bound, found again by looking at every sensor. Not stored.
    pub(super) due_at: i64,
    hasher: FixedState,
    places: HashTable<u32>,
    pub(super) sensors: Vec<Sensor>,
}

/// What the shards of a partition share while one of them works.
pub(super) struct Shared<'a> {
    pub(super) plan: &'a Plan,
    pub(super) book: &'a mut RuleBook,
    pub(super) selections: &'a mut Selections,
    pub(super) names: &'a mut MetricNames,
    pub(super) source: &'a Source,
    pub(super) counters: &'a mut Counters,
    /// Lists of cells to be used again.
    pub(super) room: &'a mut Vec<Vec<Cell>>,
}

impl Shared<'_> {
    fn telling<'b, O>(
        plan: &'b Plan,
        source: &'b Source,
        counters: &'b mut Counters,
        out: &'b mut O,
    ) -> Telling<'b, O> {
        Telling { plan, source, counters, out }
    }
}

/// The shard of a sensor. A stored quantity.
pub(super) fn of_id(id: &str) -> usize {
    let hash = fnv1a(id.as_bytes());
    (hash ^ (hash >> 32)) as usize % SHARDS
}

/// The deadline where the next tick has to look at every sensor: rules that are new may have been due before, at a time of
/// the clock that they were not asked at.
pub(super) const AT_ONCE: i64 = i64::MIN;

/// How soon after a reading a tick can do something, where rules look at the time: the driver's ticks are not closer.
const RULES_LOOK_AFTER: i64 = 1_000_000;

impl Shard {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            next_offset: 0,
            last_sequence: 0,
            dirty: false,
            clock: EventTime::MIN.micros(),
            due_at: i64::MAX,
            hasher: FixedState::with_seed(seed),
            places: HashTable::new(),
            sensors: Vec::new(),
        }
    }

    /// The latest event time that is not in the future.
    pub(super) fn horizon(&self, plan: &Plan) -> i64 {
        self.clock.saturating_add(plan.time.max_future)
    }

    pub(super) fn observe<O: Output>(
        &mut self,
        shared: &mut Shared<'_>,
        reading: &Reading<'_>,
        arrival: Arrival,
        out: &mut O,
    ) -> Verdict {
        if !self.begin(arrival.offset) {
            return Verdict::Skipped;
        }
        let place = match self.place(shared, reading.sensor_id, false) {
            Ok(place) => place,
            Err(refusal) => return Verdict::Refused(refusal),
        };
        let (time, clock, horizon) = (reading.time.micros(), self.clock, self.horizon(shared.plan));
        let sensor = &mut self.sensors[place];
        let newest = sensor.newest;
        let source = SourceRef { topic: &shared.source.topic, partition: shared.source.partition };
        let fault = Fault::of(reading);
        let sample = Sample {
            reading,
            offset: arrival.offset,
            sequence: arrival.sequence,
            previous: (newest != NEVER)
                .then(|| Previous { time: EventTime::from_micros(newest), offset: sensor.newest_offset }),
            cadence: sensor.cadence(),
            clock: EventTime::from_micros(clock),
            fault,
        };
        if time > horizon {
            let ahead = (time - clock) as f64 / 1e6;
            let bound = shared.plan.time.max_future as f64 / 1e6;
            let alarms = &mut shared.counters.alarms;
            shared.book.raise_clock_skew(&mut sensor.rules, &sample, ahead, bound, source, out, alarms);
            return Verdict::Future;
        }
        let input = Input::Reading { reading, faulty: fault.is_some() };
        let definitions = shared.selections.definitions(sensor.selection);
        let mut to = Shared::telling(shared.plan, shared.source, shared.counters, out);
        match sensor.take(definitions, time, &input, shared.names, shared.room, &mut to) {
            Taken::Yes => {}
            Taken::Late => return Verdict::Late,
            Taken::TooMany => {
                // Windows were closed by its time: that must not go back.
                if time >= sensor.newest {
                    sensor.move_on(time, arrival.offset, clock);
                }
                return Verdict::Refused(Refusal::TooManyWindows);
            }
        }
        if time >= newest {
            let alarms = &mut shared.counters.alarms;
            shared.book.observe(sensor.class, &mut sensor.rules, &sample, source, out, alarms);
            sensor.move_on(time, arrival.offset, clock);
        } else {
            shared.counters.out_of_order += 1;
        }
        shared.counters.implausible += u64::from(fault.is_some());
        sensor.recent = sensor.recent.saturating_add(1);
        let seen = sensor.seen;
        self.look_again(shared, seen);
        Verdict::Taken
    }

    /// Takes an event in; `id` is made of its type and source.
    pub(super) fn observe_event<O: Output>(
        &mut self,
        shared: &mut Shared<'_>,
        id: &str,
        time: EventTime,
        arrival: Arrival,
        out: &mut O,
    ) -> Verdict {
        if !self.begin(arrival.offset) {
            return Verdict::Skipped;
        }
        let (time, clock) = (time.micros(), self.clock);
        if time > self.horizon(shared.plan) {
            return Verdict::Future;
        }
        let place = match self.place(shared, id, true) {
            Ok(place) => place,
            Err(refusal) => return Verdict::Refused(refusal),
        };
        let sensor = &mut self.sensors[place];
        let definitions = shared.selections.definitions(sensor.selection);
        let mut to = Shared::telling(shared.plan, shared.source, shared.counters, out);
        match sensor.take(definitions, time, &Input::Event, shared.names, shared.room, &mut to) {
            Taken::Yes => {}
            Taken::Late => return Verdict::Late,
            Taken::TooMany => {
                // Windows were closed by its time: that must not go back.
                if time >= sensor.newest {
                    sensor.move_on(time, arrival.offset, clock);
                }
                return Verdict::Refused(Refusal::TooManyWindows);
            }
        }
        if time >= sensor.newest {
            sensor.move_on(time, arrival.offset, clock);
        } else {
            shared.counters.out_of_order += 1;
        }
        sensor.recent = sensor.recent.saturating_add(1);
        let seen = sensor.seen;
        self.look_again(shared, seen);
        Verdict::Taken
    }

    /// Whether a record is new to the shard.
    fn begin(&mut self, offset: i64) -> bool {
        if offset < self.next_offset {
            return false;
        }
        (self.next_offset, self.dirty) = (offset + 1, true);
        true
    }

    /// Notes that a sensor has changed, so that its deadline may be sooner than what is known. A reading out of order leaves
    /// `seen` where it was: what it changed may be due already.
    fn look_again(&mut self, shared: &Shared<'_>, seen: i64) {
        let idle = seen.saturating_add(shared.plan.time.idle_timeout);
        let rules =
            if shared.book.needs_ticks() { self.clock.saturating_add(RULES_LOOK_AFTER) } else { idle };
        self.due_at = self.due_at.min(idle).min(rules);
    }

    /// The place of a sensor, made if it is new.
    fn place(&mut self, shared: &mut Shared<'_>, id: &str, event: bool) -> Result<usize, Refusal> {
        let limits = &shared.plan.spec.limits;
        if id.len() > limits.max_id_bytes as usize {
            return Err(Refusal::IdTooLong);
        }
        if let Some(place) = self.find(id) {
            return Ok(place);
        }
        // The limit is the partition's. Ids are spread evenly, so each shard has its part of it.
        if self.sensors.len() >= (limits.max_sensors as usize).div_ceil(SHARDS) {
            return Err(Refusal::TooManySensors);
        }
        let selection = shared.selections.of(shared.plan, id, event);
        let class = if event { 0 } else { shared.book.class_of(id) };
        // Whatever becomes of its first reading, it is to be forgotten some day.
        self.due_at = self.due_at.min(self.clock.saturating_add(shared.plan.time.forget_after));
        Ok(self.insert(Sensor::new(id, selection, class, self.clock)))
    }

    fn find(&self, id: &str) -> Option<usize> {
        let sensors = &self.sensors;
        let found = self
            .places
            .find(self.hasher.hash_one(id.as_bytes()), |place| *sensors[*place as usize].id == *id);
        found.map(|place| *place as usize)
    }

    /// Appends a sensor that is not there yet.
    pub(super) fn insert(&mut self, sensor: Sensor) -> usize {
        let hash = self.hasher.hash_one(sensor.id.as_bytes());
        let place = self.sensors.len();
        if place == self.sensors.capacity() {
            // By an eighth, not by double: there may be a million.
            self.sensors.reserve_exact(place / 8 + 4);
        }
        self.sensors.push(sensor);
        let (sensors, hasher) = (&self.sensors, &self.hasher);
        self.places.insert_unique(hash, place as u32, |place| {
            hasher.hash_one(sensors[*place as usize].id.as_bytes())
        });
        place
    }

    /// Takes a sensor out; the last one takes its place.
    fn remove(&mut self, place: usize) {
        let hash = self.hasher.hash_one(self.sensors[place].id.as_bytes());
        if let Ok(entry) = self.places.find_entry(hash, |found| *found as usize == place) {
            entry.remove();
        }
        self.sensors.swap_remove(place);
        if let Some(moved) = self.sensors.get(place) {
            let (hash, from) = (self.hasher.hash_one(moved.id.as_bytes()), self.sensors.len() as u32);
            if let Some(found) = self.places.find_mut(hash, |found| *found == from) {
                *found = place as u32;
            }
        }
    }

    /// Whether a tick at this time would do something.
    pub(super) fn due(&mut self, shared: &Shared<'_>, now: i64) -> bool {
        if self.due_at > now {
            return false;
        }
        if self.due_at == AT_ONCE {
            return !self.sensors.is_empty();
        }
        self.find_due(shared);
        self.due_at <= now
    }

    fn find_due(&mut self, shared: &Shared<'_>) {
        let due = |sensor: &Sensor| {
            let forgotten = sensor.seen.saturating_add(shared.plan.time.forget_after);
            let idle = if sensor.windows.iter().any(|window| !window.told) {
                sensor.seen.saturating_add(shared.plan.time.idle_timeout)
            } else {
                forgotten
            };
            let rules = shared.book.deadline(sensor.class, &sensor.rules, &sensor.quiet(self.clock));
            forgotten.min(idle).min(rules.map_or(i64::MAX, EventTime::micros))
        };
        self.due_at = self.sensors.iter().map(due).min().unwrap_or(i64::MAX);
    }

    pub(super) fn tick<O: Output>(&mut self, shared: &mut Shared<'_>, tick: Tick, out: &mut O) {
        if tick.sequence <= self.last_sequence {
            return;
        }
        (self.last_sequence, self.dirty) = (tick.sequence, true);
        self.clock = self.clock.max(tick.time.micros());
        if self.due_at > self.clock {
            return;
        }
        let mut place = 0;
        while place < self.sensors.len() {
            match tick_sensor(&mut self.sensors[place], shared, self.clock, out) {
                ControlFlow::Continue(()) => place += 1,
                ControlFlow::Break(()) => {
                    shared.counters.forgotten += 1;
                    self.remove(place);
                }
            }
        }
        self.find_due(shared);
    }

    /// Goes on under the plan of `shared`; `definitions` says for each window of the old one which it is now.
    pub(super) fn change_plan<O: Output>(
        &mut self,
        shared: &mut Shared<'_>,
        (old, old_book): (&Plan, &RuleBook),
        definitions: &[Option<u16>],
        sequence: u64,
        out: &mut O,
    ) {
        if sequence <= self.last_sequence {
            return;
        }
        (self.last_sequence, self.dirty, self.due_at) = (sequence, true, AT_ONCE);
        for sensor in &mut self.sensors {
            let event = sensor.id.contains(super::EVENT_ID_SEPARATOR);
            // What has no place in the new plan is told under the old one.
            let (kept, mut dropped): (Vec<_>, Vec<_>) = std::mem::take(&mut sensor.windows)
                .into_iter()
                .partition(|window| definitions[usize::from(window.definition)].is_some());
            let mut ended = Counters::of(old);
            let mut to = Shared::telling(old, shared.source, &mut ended, out);
            for window in dropped.iter_mut().filter(|window| !window.told) {
                window.tell(&sensor.id, &mut to.with(shared.names));
            }
            sensor.windows = kept;
            for window in &mut sensor.windows {
                if let Some(definition) = definitions[usize::from(window.definition)] {
                    window.definition = definition;
                }
            }
            sensor.find_deadline(shared.plan);
            sensor.selection = shared.selections.of(shared.plan, &sensor.id, event);
            if !event {
                let class = shared.book.class_of(&sensor.id);
                let old_class = std::mem::replace(&mut sensor.class, class);
                let mut rules = std::mem::take(&mut sensor.rules);
                let source = SourceRef { topic: &shared.source.topic, partition: shared.source.partition };
                let (quiet, alarms) = (sensor.quiet(self.clock), &mut shared.counters.alarms);
                shared.book.migrate(class, old_book, old_class, &mut rules, &quiet, source, out, alarms);
                sensor.rules = rules;
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.sensors.capacity() * size_of::<Sensor>()
            + self.sensors.iter().map(Sensor::heap_bytes).sum::<usize>()
            + self.places.capacity() * (size_of::<u32>() + 1)
    }
}

/// Lets the time pass for a sensor; breaks if it is to be forgotten.
fn tick_sensor<O: Output>(
    sensor: &mut Sensor,
    shared: &mut Shared<'_>,
    clock: i64,
    out: &mut O,
) -> ControlFlow<()> {
    let silent = clock.saturating_sub(sensor.seen);
    if silent >= shared.plan.time.idle_timeout && sensor.windows.iter().any(|window| !window.told) {
        sensor
            .close_all(shared.names, &mut Shared::telling(shared.plan, shared.source, shared.counters, out));
    }
    let source = SourceRef { topic: &shared.source.topic, partition: shared.source.partition };
    let (class, mut rules) = (sensor.class, std::mem::take(&mut sensor.rules));
    let (quiet, alarms) = (sensor.quiet(clock), &mut shared.counters.alarms);
    let ends = if silent >= shared.plan.time.forget_after {
        shared.book.forget(class, &mut rules, &quiet, source, out, alarms);
        ControlFlow::Break(())
    } else {
        shared.book.tick(class, &mut rules, &quiet, source, out, alarms);
        ControlFlow::Continue(())
    };
    sensor.rules = rules;
    ends
}
