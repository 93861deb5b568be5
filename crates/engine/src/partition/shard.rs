//! A part of a partition's sensors.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{EventTime, Reading};

use super::counters::Counters;
use super::sensor::Sensor;
use super::{Arrival, Refusal, SHARDS, Tick, Verdict};
use crate::output::Output;
use crate::plan::Plan;

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) next_offset: i64,
    pub(super) last_sequence: u64,
    pub(super) dirty: bool,
    clock: EventTime,
    hasher: FixedState,
    places: HashTable<u32>,
    sensors: Vec<Sensor>,
}

/// The shard of a sensor.
pub(super) fn of_id(id: &str) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 32)) as usize % SHARDS
}

impl Shard {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            next_offset: 0,
            last_sequence: 0,
            dirty: false,
            clock: EventTime::MIN,
            hasher: FixedState::with_seed(seed),
            places: HashTable::new(),
            sensors: Vec::new(),
        }
    }

    pub(super) fn is_future(&self, plan: &Plan, time: EventTime) -> bool {
        let ahead = plan.spec.time.max_future.as_micros() as i64;
        time.micros() > self.clock.micros().saturating_add(ahead)
    }

    pub(super) fn observe<O: Output>(
        &mut self,
        plan: &Plan,
        counters: &mut Counters,
        reading: &Reading<'_>,
        arrival: Arrival,
        out: &mut O,
    ) -> Verdict {
        if arrival.offset < self.next_offset {
            return Verdict::Skipped;
        }
        (self.next_offset, self.dirty) = (arrival.offset + 1, true);
        if self.is_future(plan, reading.time) {
            return Verdict::Future;
        }
        if reading.sensor_id.len() > plan.spec.limits.max_id_bytes as usize {
            return Verdict::Refused(Refusal::IdTooLong);
        }
        let hash = self.hasher.hash_one(reading.sensor_id);
        let sensors = &mut self.sensors;
        let found = self.places.find(hash, |place| *sensors[*place as usize].id == *reading.sensor_id);
        let place = match found {
            Some(place) => *place,
            None if sensors.len() > plan.spec.limits.max_sensors as usize / SHARDS => {
                return Verdict::Refused(Refusal::TooManySensors);
            }
            None => {
                let place = sensors.len() as u32;
                sensors.push(Sensor::new(reading.sensor_id));
                self.places
                    .insert_unique(hash, place, |place| self.hasher.hash_one(&*sensors[*place as usize].id));
                place
            }
        };
        if sensors[place as usize].observe(plan, counters, reading, out) {
            Verdict::Taken
        } else {
            Verdict::Late
        }
    }

    pub(super) fn tick(&mut self, tick: Tick) {
        if tick.sequence > self.last_sequence {
            (self.last_sequence, self.dirty) = (tick.sequence, true);
            self.clock = self.clock.max(tick.time);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sensors.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.sensors.capacity() * size_of::<Sensor>()
    }
}
