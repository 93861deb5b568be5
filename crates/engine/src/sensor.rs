//! What is known of one sensor: counters, times, and the running statistics of each of its measurements.
//!
//! The three named measurements lie inside the [`Sensor`] itself, next to its counters, so that a usual reading
//! touches one stretch of memory; further ones are in a small list that is searched by number.

use model::EventTime;
use model::reading::{HUMIDITY, PRESSURE, TEMPERATURE};

use crate::metric_names::{MetricId, MetricNames};
use crate::running::Running;

/// How many different further measurements one sensor may have; more are counted and dropped.
pub const MAX_FURTHER_METRICS: usize = 32;

/// The named measurements in the order of [`Sensor::named`].
const NAMES: [&str; 3] = [TEMPERATURE, HUMIDITY, PRESSURE];

/// One measurement of one sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measurement {
    running: Running,
    /// Without meaning while `running` is empty.
    last: f64,
}

impl Measurement {
    /// The running statistics.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The value with the newest event time (the later to arrive of two with the same); `None` if there is none.
    pub fn last(&self) -> Option<f64> {
        (self.running.count() > 0).then_some(self.last)
    }

    pub(crate) fn add(&mut self, value: f64, newest: bool) {
        if newest || self.running.count() == 0 {
            self.last = value;
        }
        self.running.add(value);
    }

    fn merge(&mut self, other: &Self, newest: bool) {
        if other.running.count() > 0 && (newest || self.running.count() == 0) {
            self.last = other.last;
        }
        self.running.merge(&other.running);
    }
}

/// Everything known of one sensor.
#[derive(Clone, Debug)]
pub struct Sensor {
    id: Box<str>,
    readings: u64,
    warnings: u64,
    alerts: u64,
    faults: u64,
    oldest: EventTime,
    newest: EventTime,
    named: [Measurement; 3],
    further: Vec<(MetricId, Measurement)>,
}

/// How one reading counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) warning: bool,
    pub(crate) alert: bool,
    pub(crate) fault: bool,
}

impl Sensor {
    pub(crate) fn new(id: &str, time: EventTime) -> Self {
        Self {
            id: id.into(),
            readings: 0,
            warnings: 0,
            alerts: 0,
            faults: 0,
            oldest: time,
            newest: time,
            named: [Measurement::default(); 3],
            further: Vec::new(),
        }
    }

    /// The sensor's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many readings came in.
    pub fn readings(&self) -> u64 {
        self.readings
    }

    /// How many readings had the status `warning`.
    pub fn warnings(&self) -> u64 {
        self.warnings
    }

    /// How many readings had a temperature above the bound.
    pub fn alerts(&self) -> u64 {
        self.alerts
    }

    /// How many readings had a value that cannot be true, in a measurement or in the location.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The oldest event time.
    pub fn oldest(&self) -> EventTime {
        self.oldest
    }

    /// The newest event time.
    pub fn newest(&self) -> EventTime {
        self.newest
    }

    /// Readings per second of event time between the oldest and the newest; `None` until they differ.
    pub fn rate(&self) -> Option<f64> {
        let micros = self.newest.micros() - self.oldest.micros();
        (micros > 0).then(|| (self.readings - 1) as f64 * 1e6 / micros as f64)
    }

    /// Temperature, in the unit of the readings (°C by contract).
    pub fn temperature(&self) -> &Measurement {
        &self.named[0]
    }

    /// Relative humidity, in percent.
    pub fn humidity(&self) -> &Measurement {
        &self.named[1]
    }

    /// Air pressure, in hPa by contract.
    pub fn pressure(&self) -> &Measurement {
        &self.named[2]
    }

    /// The measurement of this name, if the sensor ever had it. `names` belong to the sensor's table.
    pub fn measurement<'s>(&'s self, name: &str, names: &'s MetricNames) -> Option<&'s Measurement> {
        self.measurements(names).find_map(|(known, measurement)| (known == name).then_some(measurement))
    }

    /// All measurements that the sensor ever had: the named ones first, then the further ones as they appeared.
    /// `names` belong to the sensor's table.
    pub fn measurements<'s>(
        &'s self,
        names: &'s MetricNames,
    ) -> impl Iterator<Item = (&'s str, &'s Measurement)> {
        let fixed = NAMES.into_iter().zip(&self.named);
        let further = self.further.iter().map(|(id, measurement)| (names.name(*id), measurement));
        fixed.chain(further).filter(|(_, measurement)| measurement.running.count() > 0)
    }

    /// Takes notice of a reading's time. True if it is the newest so far.
    pub(crate) fn see(&mut self, time: EventTime) -> bool {
        self.oldest = self.oldest.min(time);
        let newest = time >= self.newest;
        if newest {
            self.newest = time;
        }
        newest
    }

    /// Counts a reading in.
    pub(crate) fn count(&mut self, marks: Marks) {
        self.readings += 1;
        self.warnings += u64::from(marks.warning);
        self.alerts += u64::from(marks.alert);
        self.faults += u64::from(marks.fault);
    }

    /// Temperature, humidity, pressure.
    pub(crate) fn named_mut(&mut self) -> &mut [Measurement; 3] {
        &mut self.named
    }

    /// The place for a further measurement, made now if it is new; `None` if the sensor has too many already.
    pub(crate) fn further_mut(&mut self, id: MetricId) -> Option<&mut Measurement> {
        let place = match self.further.iter().position(|(known, _)| *known == id) {
            Some(place) => place,
            None if self.further.len() >= MAX_FURTHER_METRICS => return None,
            None => {
                self.further.push((id, Measurement::default()));
                self.further.len() - 1
            }
        };
        Some(&mut self.further[place].1)
    }

    /// Adds what another table knows of the same sensor. `translate` gives this table's number for a further
    /// measurement of the other. Returns how many values had no place here.
    pub(crate) fn merge(&mut self, other: &Self, translate: impl Fn(MetricId) -> Option<MetricId>) -> u64 {
        let newest = self.readings == 0 || other.newest >= self.newest;
        self.readings += other.readings;
        self.warnings += other.warnings;
        self.alerts += other.alerts;
        self.faults += other.faults;
        self.oldest = self.oldest.min(other.oldest);
        self.newest = self.newest.max(other.newest);
        for (own, others) in self.named.iter_mut().zip(&other.named) {
            own.merge(others, newest);
        }
        let mut untracked = 0;
        for (id, others) in &other.further {
            match translate(*id).and_then(|id| self.further_mut(id)) {
                Some(own) => own.merge(others, newest),
                None => untracked += others.running.count(),
            }
        }
        untracked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensor_takes_a_few_hundred_bytes() {
        // The id and the further measurements come on top.
        assert!(size_of::<Sensor>() <= 256, "{} bytes", size_of::<Sensor>());
    }
}
