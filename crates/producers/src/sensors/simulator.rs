//! The simulator: a fleet of sensors, read in turn, one record at a time.
//!
//! It does no I/O and knows no clock. Its output is a function of its options alone, byte for byte, unless it is asked
//! for *live* readings, whose time the caller sets. Sensors share nothing but the weather, and their generators of
//! noise are their own; so a healthy reading is the same whether or not faults are injected.
//!
//! Every sensor reports once per interval. Within the interval the sensors follow one another at even distances, so
//! that the load is smooth. With [`Cadence::Mixed`] some sensors report only every second, fifth or tenth time.
//!
//! After warm-up nothing is allocated: all buffers are used again.

use std::collections::VecDeque;
use std::time::Duration;

use model::reading::encode_with_tail;
use model::{EventTime, Reading};

use super::SensorsError;
use super::climate::Climate;
use super::condition::{Condition, Fate, Measured};
use super::faults::{Fault, FaultPlan};
use super::key_format::KeyFormat;
use super::malformed::break_payload;
use super::sensor::{Drifts, Sensor};
use super::timing::{Timing, TimingFlags};
use crate::noise::{Noise, Purpose};

/// The most sensors one simulator drives; each takes about half a kilobyte.
pub const MAX_SENSORS: usize = 1_000_000;

/// How many intervals pass between two readings of a sensor with mixed cadence.
const CADENCES: [u32; 4] = [1, 2, 5, 10];

/// How often the sensors report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cadence {
    /// Every sensor once per interval.
    #[default]
    Same,
    /// Each sensor once in 1, 2, 5 or 10 intervals, always the same.
    Mixed,
}

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorOptions {
    /// How many sensors there are, 1 to [`MAX_SENSORS`].
    pub num_sensors: usize,
    /// How their ids are made.
    pub key_format: KeyFormat,
    /// How often they report.
    pub cadence: Cadence,
    /// The faults.
    pub faults: FaultPlan,
    /// The seed of everything random.
    pub seed: u64,
    /// Interval, rate, speed and start.
    pub timing: TimingFlags,
    /// The number of records after which the stream ends.
    pub count: Option<u64>,
}

/// One record, borrowed from the simulator until the next one is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Emission<'a> {
    /// The sensor's index, counted from 0.
    pub sensor: usize,
    /// The record's key: the sensor's id.
    pub key: &'a [u8],
    /// The encoded reading, or its remains.
    pub payload: &'a [u8],
    /// The number of the reading among those that the sensor took, counted from 1.
    pub sequence: u64,
    /// The fault that touched the record.
    pub fault: Option<Fault>,
    /// The time in the payload.
    pub time: EventTime,
}

/// What the simulator did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulatorCounts {
    /// Records that bear each fault's label, in the order of [`Fault::ALL`].
    pub labelled: [u64; Fault::ALL.len()],
    /// Readings that dropouts swallowed.
    pub dropped: u64,
}

/// A fleet of simulated sensors; see the module's text.
#[derive(Debug, Clone)]
pub struct Simulator {
    sensors: Vec<Sensor>,
    drifts: Drifts,
    climate: Climate,
    faults: Faults,
    timeline: Timeline,
    /// The sensor whose turn is next.
    turn: usize,
    /// The number of the present interval.
    cycle: u64,
    /// For each sensor, how many intervals lie between its readings, and in which of them it reports. Empty: in all.
    cadences: Vec<(u32, u32)>,
    pending: VecDeque<Pending>,
    /// Readings that were taken and will be sent later.
    held: u64,
    emitted: u64,
    count: Option<u64>,
    draining: bool,
    payload: Vec<u8>,
    counts: SimulatorCounts,
}

/// What is needed to inject faults; all empty if there are none.
#[derive(Debug, Clone)]
struct Faults {
    plan: FaultPlan,
    total: f64,
    conditions: Vec<(Condition, Noise)>,
    /// Buffers of outages that are over.
    spare: Vec<Vec<Measured>>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    sensor: usize,
    reading: Measured,
    fault: Option<Fault>,
}

/// The event time of each turn.
#[derive(Debug, Clone)]
struct Timeline {
    start_micros: i64,
    /// Simulated nanoseconds between two turns; zero if live.
    step_nanos: f64,
    live: bool,
    /// The present turn's distance from the start.
    offset_nanos: u64,
    now_micros: i64,
}

impl Simulator {
    /// A simulator whose first reading is at `options.timing.start_time`, or else at `now`.
    pub fn new(options: &SimulatorOptions, now: EventTime) -> Result<Self, SensorsError> {
        Ok(Self::with_timing(options, now)?.0)
    }

    /// The same, and how its stream is to be timed.
    pub(super) fn with_timing(
        options: &SimulatorOptions,
        now: EventTime,
    ) -> Result<(Self, Timing), SensorsError> {
        let &SimulatorOptions { num_sensors, seed, count, .. } = options;
        if !(1..=MAX_SENSORS).contains(&num_sensors) {
            return Err(SensorsError::NumSensors(num_sensors));
        }
        let cadences = match options.cadence {
            Cadence::Same => Vec::new(),
            Cadence::Mixed => (0..num_sensors).map(|index| mixed_cadence(seed, index)).collect(),
        };
        let reports = match options.cadence {
            Cadence::Same => num_sensors as f64,
            Cadence::Mixed => cadences.iter().map(|(every, _)| 1.0 / f64::from(*every)).sum(),
        };
        let timing = options.timing.resolve(reports)?;
        let start = timing.start.unwrap_or(now);
        let climate = Climate::new(seed, seconds_of(start.micros()));
        let drifts = Drifts::new();
        let sensor = |index: usize| {
            Sensor::new(seed, index, options.key_format.key(index as u64 + 1), &drifts, &climate)
        };
        let simulator = Self {
            sensors: (0..num_sensors).map(sensor).collect(),
            drifts,
            faults: Faults::new(&options.faults, seed, num_sensors),
            timeline: Timeline::new(start, timing, num_sensors),
            climate,
            turn: 0,
            cycle: 0,
            cadences,
            pending: VecDeque::new(),
            held: 0,
            emitted: 0,
            count,
            draining: false,
            payload: Vec::with_capacity(512),
            counts: SimulatorCounts::default(),
        };
        Ok((simulator, timing))
    }

    /// Simulated time from the start until the next turn, or until the records that still wait; `None` at the end.
    pub fn next_due(&mut self) -> Option<Duration> {
        if self.pending.is_empty() {
            if self.room() == 0 {
                self.drain();
            }
            if self.draining {
                return self.pending.front().map(|_| self.timeline.offset());
            }
            self.skip_silent();
            self.timeline.move_to(self.cycle, self.turn, self.sensors.len());
        }
        Some(self.timeline.offset())
    }

    /// The next record that waits, or else that of the sensor whose turn it is. `None` if that sensor sends nothing
    /// this time; the end is what [`Simulator::next_due`] tells.
    pub fn next_emission(&mut self) -> Option<Emission<'_>> {
        if self.pending.is_empty() {
            self.next_due()?;
            if !self.draining {
                self.take_turn();
            }
        }
        let pending = self.pending.pop_front()?;
        self.emitted += 1;
        Some(self.encode(pending))
    }

    /// Ends the stream: no more readings are taken, and those held back come out next.
    pub fn drain(&mut self) {
        if self.draining {
            return;
        }
        self.draining = true;
        for (sensor, (condition, _)) in self.faults.conditions.iter_mut().enumerate() {
            let newest = self.sensors[sensor].sequence;
            // If no later reading has passed it yet, it is in order after all.
            let overtaken = condition
                .take_held_back()
                .map(|reading| (reading, (reading.sequence < newest).then_some(Fault::OutOfOrder)));
            let late = |reading| (reading, Some(Fault::LateBurst));
            let buffered = condition.take_buffer().into_iter().map(late);
            for (reading, fault) in overtaken.into_iter().chain(buffered) {
                self.pending.push_back(Pending { sensor, reading, fault });
                self.held -= 1;
            }
        }
    }

    /// Sets the time of live readings, microseconds since the epoch. Their time never runs backwards.
    pub fn set_now(&mut self, micros: i64) {
        self.timeline.now_micros = micros;
    }

    /// Moves the event time of all further readings on: the sensors slept that long.
    pub fn sleep(&mut self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.timeline.start_micros = self.timeline.start_micros.saturating_add(micros);
    }

    /// What was done so far.
    pub fn counts(&self) -> SimulatorCounts {
        self.counts
    }

    /// Records of readings that were taken and not sent yet.
    pub fn waiting(&self) -> u64 {
        self.held + self.pending.len() as u64
    }

    /// How many more readings may be taken.
    fn room(&self) -> u64 {
        self.count.map_or(u64::MAX, |count| count.saturating_sub(self.emitted + self.held))
    }

    /// Reads the sensor whose turn it is; the timeline stands there.
    fn take_turn(&mut self) {
        let index = self.turn;
        let micros = self.timeline.take_time();
        self.pass_turn();
        let seconds = seconds_of(micros);
        self.climate.advance(seconds);
        let sensor = &mut self.sensors[index];
        let Faults { plan, total, conditions, spare } = &mut self.faults;
        let Some((condition, chance)) = conditions.get_mut(index) else {
            let values = sensor.measure(seconds, &self.climate, &self.drifts, 1.0);
            let reading =
                Measured { time: EventTime::from_micros(micros), sequence: sensor.sequence, values };
            self.pending.push_back(Pending { sensor: index, reading, fault: None });
            return;
        };
        let gain = condition.begin(plan, *total, chance);
        let values = sensor.measure(seconds, &self.climate, &self.drifts, gain);
        let reading = Measured { time: EventTime::from_micros(micros), sequence: sensor.sequence, values };
        let fate = condition.take(reading, chance, || spare.pop().unwrap_or_default());
        self.apply(index, fate);
    }

    fn apply(&mut self, sensor: usize, fate: Fate) {
        let room = self.room();
        let mut push = |reading, fault| self.pending.push_back(Pending { sensor, reading, fault });
        match fate {
            Fate::Send(reading, fault) => push(reading, fault),
            Fate::SendTwice(reading) => {
                push(reading, None);
                if room > 1 {
                    push(reading, Some(Fault::Duplicate));
                }
            }
            Fate::Drop => self.counts.dropped += 1,
            Fate::HoldBack => self.held += 1,
            Fate::SendThenHeld(reading, held) => {
                push(reading, None);
                push(held, Some(Fault::OutOfOrder));
                self.held -= 1;
            }
            Fate::SendAfterBuffer(reading) => {
                let mut buffer = self.faults.conditions[sensor].0.take_buffer();
                for held in buffer.drain(..) {
                    push(held, Some(Fault::LateBurst));
                    self.held -= 1;
                }
                self.faults.spare.push(buffer);
                self.pending.push_back(Pending { sensor, reading, fault: None });
            }
        }
    }

    fn encode(&mut self, pending: Pending) -> Emission<'_> {
        let Pending { sensor: index, reading: Measured { time, sequence, values }, fault } = pending;
        let sensor = &self.sensors[index];
        let values = values.rounded();
        self.payload.clear();
        let mut reading = Reading::new(&sensor.id, time);
        reading.temperature = Some(values.temperature);
        reading.humidity = Some(values.humidity);
        reading.pressure = Some(values.pressure);
        encode_with_tail(&reading, sensor.tail(values.temperature), &mut self.payload);
        if let Some(fault) = fault {
            self.counts.labelled[fault.index()] += 1;
            if fault == Fault::Malformed {
                break_payload(&mut self.payload, &mut self.faults.conditions[index].1);
            }
        }
        Emission { sensor: index, key: sensor.id.as_bytes(), payload: &self.payload, sequence, fault, time }
    }

    /// Passes the turns of sensors that do not report in this interval. Ends, because each reports in one of ten.
    fn skip_silent(&mut self) {
        while let Some(&(every, phase)) = self.cadences.get(self.turn) {
            if self.cycle % u64::from(every) == u64::from(phase) {
                return;
            }
            self.pass_turn();
        }
    }

    fn pass_turn(&mut self) {
        self.turn += 1;
        if self.turn == self.sensors.len() {
            self.turn = 0;
            self.cycle += 1;
        }
    }
}

impl Faults {
    fn new(plan: &FaultPlan, seed: u64, num_sensors: usize) -> Self {
        let faulty = if plan.is_empty() { 0 } else { num_sensors as u64 };
        let healthy = |index| (Condition::default(), Noise::new(seed, Purpose::Faults, index));
        Self {
            plan: plan.clone(),
            total: plan.total(),
            conditions: (0..faulty).map(healthy).collect(),
            spare: Vec::new(),
        }
    }
}

impl Timeline {
    fn new(start: EventTime, timing: Timing, num_sensors: usize) -> Self {
        Self {
            start_micros: start.micros(),
            step_nanos: timing.interval_seconds.unwrap_or(0.0) * 1e9 / num_sensors as f64,
            live: timing.interval_seconds.is_none(),
            offset_nanos: 0,
            now_micros: start.micros(),
        }
    }

    /// Moves on to a turn. Its distance is computed from the start, so that nothing adds up.
    fn move_to(&mut self, cycle: u64, turn: usize, num_sensors: usize) {
        let turns = cycle as f64 * num_sensors as f64 + turn as f64;
        self.offset_nanos = (turns * self.step_nanos + 0.5) as u64;
    }

    fn offset(&self) -> Duration {
        Duration::from_nanos(self.offset_nanos)
    }

    /// The event time of the present turn.
    fn take_time(&mut self) -> i64 {
        if self.live {
            // A microsecond apart at least, so that a sensor's readings have an order.
            self.start_micros = self.now_micros.max(self.start_micros + 1);
            return self.start_micros;
        }
        self.start_micros.saturating_add((self.offset_nanos / 1_000) as i64)
    }
}

fn mixed_cadence(seed: u64, index: usize) -> (u32, u32) {
    let mut traits = Noise::new(seed, Purpose::Cadence, index as u64);
    let every = CADENCES[traits.whole(0, CADENCES.len() as u32 - 1) as usize];
    (every, traits.whole(0, every - 1))
}

fn seconds_of(micros: i64) -> f64 {
    micros as f64 * 1e-6
}

#[cfg(test)]
mod tests;
