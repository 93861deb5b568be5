//! The table of sensors: finds a sensor by its id and updates it in place.
//!
//! Sensors lie in one array in order of arrival; a hash table holds their places in it. A reading of a known
//! sensor costs one hash of its id, one look into that table and the update: nothing is allocated and nothing
//! is moved, however many sensors there are. Only memory caches make more sensors dearer.
//!
//! Alerts here are without memory: each reading whose temperature is above the bound is one alert. So the
//! counts of several tables, and of several runs, add up.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::reading::{HUMIDITY, PRESSURE, TEMPERATURE};
use model::{EventTime, Implausible, Reading};

use crate::metric_names::{MetricId, MetricNames};
use crate::running::Running;
use crate::sensor::{Marks, Sensor};

/// How many sensors a table keeps by default: at about 300 bytes each, 1.2 GB.
pub const MAX_SENSORS: usize = 4_000_000;

/// How a [`SensorTable`] works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableOptions {
    /// Decides the order of the hash table, and nothing that can be seen. Random per process, it keeps whoever
    /// chooses sensor ids from choosing ones that collide.
    pub seed: u64,
    /// A reading with a temperature above this (°C) is an alert.
    pub high_temperature: f64,
    /// How many sensors are kept; readings of further ones are counted in the totals alone. At most 2^32 - 1.
    pub max_sensors: usize,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { seed: 0, high_temperature: 30.0, max_sensors: MAX_SENSORS }
    }
}

/// Counts over all sensors of a table, including those that found no place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All readings.
    pub readings: u64,
    /// Readings with the status `warning`.
    pub warnings: u64,
    /// Readings with a temperature above the bound.
    pub alerts: u64,
    /// Readings with at least one value that cannot be true, in a measurement or in the location.
    pub faults: u64,
    /// Readings of sensors beyond the bound on sensors: counted above, in no average.
    pub untracked_readings: u64,
    /// Values of further measurements beyond the bounds on those: in no average.
    pub untracked_values: u64,
}

impl Totals {
    fn count(&mut self, marks: Marks) {
        self.readings += 1;
        self.warnings += u64::from(marks.warning);
        self.alerts += u64::from(marks.alert);
        self.faults += u64::from(marks.fault);
    }

    /// Adds the counts of another table.
    pub fn add(&mut self, other: &Self) {
        self.readings += other.readings;
        self.warnings += other.warnings;
        self.alerts += other.alerts;
        self.faults += other.faults;
        self.untracked_readings += other.untracked_readings;
        self.untracked_values += other.untracked_values;
    }
}

/// What one reading led to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'t> {
    /// The sensor with the reading counted in; `None` beyond the bound on sensors.
    pub sensor: Option<&'t Sensor>,
    /// The names of the sensor's further measurements.
    pub names: &'t MetricNames,
    /// The temperature, if it is above the bound.
    pub high_temperature: Option<f64>,
    /// Whether the reading has a value that cannot be true.
    pub fault: bool,
}

/// The sensors of one input partition, or of several merged.
#[derive(Clone, Debug)]
pub struct SensorTable {
    options: TableOptions,
    hasher: FixedState,
    /// Places in `sensors`.
    places: HashTable<u32>,
    sensors: Vec<Sensor>,
    names: MetricNames,
    totals: Totals,
}

impl SensorTable {
    /// A table without sensors.
    pub fn new(options: TableOptions) -> Self {
        Self {
            hasher: FixedState::with_seed(options.seed),
            places: HashTable::new(),
            sensors: Vec::new(),
            names: MetricNames::new(options.seed),
            totals: Totals::default(),
            options,
        }
    }

    /// Counts a reading in. A measurement that cannot be true stays out of the averages and raises no alert; one
    /// that is too large to be summed up ([`Running::accepts`]) counts as such.
    pub fn update(&mut self, reading: &Reading<'_>) -> Outcome<'_> {
        let implausible = reading.implausible().is_some();
        let place = self.find_or_insert(reading.sensor_id, reading.time);
        let too_large = match place {
            Some(place) => self.measure(place, reading, implausible),
            None => reading.measurements().any(|(_, value)| !Running::accepts(value)),
        };
        let high_temperature = reading.temperature.filter(|celsius| {
            *celsius > self.options.high_temperature && usable(TEMPERATURE, *celsius, implausible)
        });
        let fault = implausible || too_large;
        let marks = Marks { warning: reading.is_warning(), alert: high_temperature.is_some(), fault };
        self.totals.count(marks);
        match place {
            Some(place) => self.sensors[place].count(marks),
            None => self.totals.untracked_readings += 1,
        }
        let sensor = place.map(|place| &self.sensors[place]);
        Outcome { sensor, names: &self.names, high_temperature, fault }
    }

    /// Takes the measurements into their statistics. True if one is too large to be summed up.
    fn measure(&mut self, place: usize, reading: &Reading<'_>, implausible: bool) -> bool {
        let sensor = &mut self.sensors[place];
        let newest = sensor.see(reading.time);
        let mut too_large = false;
        let named =
            [(TEMPERATURE, reading.temperature), (HUMIDITY, reading.humidity), (PRESSURE, reading.pressure)];
        for ((name, value), measurement) in named.into_iter().zip(sensor.named_mut()) {
            let Some(value) = value else { continue };
            if usable(name, value, implausible) {
                measurement.add(value, newest);
            } else {
                too_large |= !Running::accepts(value);
            }
        }
        for (name, value) in reading.further() {
            if !Running::accepts(value) {
                too_large = true;
                continue;
            }
            match self.names.intern(name).and_then(|id| sensor.further_mut(id)) {
                Some(measurement) => measurement.add(value, newest),
                None => self.totals.untracked_values += 1,
            }
        }
        too_large
    }

    /// The place of a sensor in `sensors`, made now if it is new; `None` if there are too many already.
    fn find_or_insert(&mut self, id: &str, time: EventTime) -> Option<usize> {
        let hash = hash_of(&self.hasher, id);
        let sensors = &mut self.sensors;
        if let Some(place) = self.places.find(hash, |place| sensors[*place as usize].id() == id) {
            return Some(*place as usize);
        }
        if sensors.len() >= self.options.max_sensors {
            return None;
        }
        let place = u32::try_from(sensors.len()).ok()?;
        sensors.push(Sensor::new(id, time));
        self.places.insert_unique(hash, place, |place| hash_of(&self.hasher, sensors[*place as usize].id()));
        Some(place as usize)
    }

    /// Adds everything that another table knows.
    pub fn merge(&mut self, other: &Self) {
        self.totals.add(&other.totals);
        let ids: Vec<Option<MetricId>> = other.names.iter().map(|name| self.names.intern(name)).collect();
        for sensor in &other.sensors {
            match self.find_or_insert(sensor.id(), sensor.oldest()) {
                Some(place) => {
                    let untracked = self.sensors[place].merge(sensor, |id| ids[id.index()]);
                    self.totals.untracked_values += untracked;
                }
                None => self.totals.untracked_readings += sensor.readings(),
            }
        }
    }

    /// Takes over everything that another table knows; what moves into an empty table is not copied.
    pub fn absorb(&mut self, other: Self) {
        if self.totals == Totals::default() && self.options == other.options {
            *self = other;
        } else {
            self.merge(&other);
        }
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.places.clear();
        self.sensors.clear();
        self.names.clear();
        self.totals = Totals::default();
    }

    /// The counts over all sensors.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many sensors there are.
    pub fn len(&self) -> usize {
        self.sensors.len()
    }

    /// Whether there is no sensor.
    pub fn is_empty(&self) -> bool {
        self.sensors.is_empty()
    }

    /// The sensor of this id.
    pub fn get(&self, id: &str) -> Option<&Sensor> {
        let place =
            self.places.find(hash_of(&self.hasher, id), |place| self.sensors[*place as usize].id() == id);
        place.map(|place| &self.sensors[*place as usize])
    }

    /// The sensors in order of their first reading.
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// The sensors in order of their ids.
    pub fn sorted(&self) -> Vec<&Sensor> {
        let mut sorted: Vec<&Sensor> = self.sensors.iter().collect();
        sorted.sort_unstable_by(|left, right| left.id().cmp(right.id()));
        sorted
    }

    /// The names of further measurements.
    pub fn names(&self) -> &MetricNames {
        &self.names
    }
}

/// Whether a value of a named measurement can go into its statistics. `implausible` says whether anything in the
/// reading is, so that the bounds are gone through again only in the rare case.
#[inline]
fn usable(metric: &str, value: f64, implausible: bool) -> bool {
    Running::accepts(value) && !(implausible && Implausible::check(metric, value).is_some())
}

fn hash_of(hasher: &FixedState, id: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(id.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric_names::MAX_METRIC_NAMES;
    use crate::sensor::MAX_FURTHER_METRICS;

    fn at(second: i64) -> EventTime {
        EventTime::from_millis(second * 1_000)
    }

    fn reading(sensor: &str, second: i64, temperature: f64) -> Reading<'_> {
        let mut reading = Reading::new(sensor, at(second));
        reading.temperature = Some(temperature);
        reading
    }

    fn table() -> SensorTable {
        SensorTable::new(TableOptions::default())
    }

    #[test]
    fn counts_what_a_reading_is() {
        let mut table = table();
        let mut warning = reading("A", 0, 20.0);
        warning.status = Some("warning");
        assert!(table.update(&warning).high_temperature.is_none());
        assert!(
            table.update(&reading("A", 1, 30.0)).high_temperature.is_none(),
            "the bound itself is no alert"
        );
        assert_eq!(table.update(&reading("A", 2, 30.1)).high_temperature, Some(30.1));
        table.update(&reading("B", 2, -5.0));
        let expected = Totals { readings: 4, warnings: 1, alerts: 1, ..Totals::default() };
        assert_eq!((*table.totals(), table.len()), (expected, 2));
        let a = table.get("A").expect("read");
        assert_eq!((a.readings(), a.warnings(), a.alerts(), a.faults()), (3, 1, 1, 0));
        assert_eq!((a.oldest(), a.newest(), a.rate()), (at(0), at(2), Some(1.0)));
        assert_eq!(table.get("B").expect("read").rate(), None);
        assert!(table.get("C").is_none());
    }

    #[test]
    fn implausible_measurements_stay_out_of_the_averages() {
        let mut table = table();
        let mut wet = reading("A", 0, 20.0);
        wet.humidity = Some(140.0);
        wet.pressure = Some(1e101);
        assert!(table.update(&wet).fault);
        let outcome = table.update(&reading("A", 1, 1e300));
        assert!(
            outcome.fault && outcome.high_temperature.is_none(),
            "too large to be true, so no alert either"
        );
        assert!(table.update(&reading("A", 2, -300.0)).fault);
        assert!(!table.update(&reading("A", 3, 22.0)).fault);
        let a = table.get("A").expect("read");
        assert_eq!((a.readings(), a.faults(), a.alerts()), (4, 3, 0));
        assert_eq!(a.temperature().running().mean(), Some(21.0));
        assert_eq!((a.humidity().running().count(), a.pressure().running().count()), (0, 0));
        assert_eq!(a.measurements(table.names()).map(|(name, _)| name).collect::<Vec<_>>(), ["temperature"]);
    }

    #[test]
    fn the_last_value_is_that_of_the_newest_time() {
        let mut table = table();
        for (second, celsius) in [(5, 20.0), (3, 18.0), (5, 21.0), (4, 19.0)] {
            table.update(&reading("A", second, celsius));
        }
        let a = table.get("A").expect("read");
        assert_eq!((a.temperature().last(), a.newest(), a.oldest()), (Some(21.0), at(5), at(3)));
    }

    #[test]
    fn further_measurements_are_treated_alike() {
        let mut table = table();
        let further = [("voltage", 3.0), ("light", 100.0)];
        table.update(&reading("A", 0, 20.0).with_further(&further));
        table.update(&Reading::new("A", at(1)).with_further(&[("voltage", 4.0)]));
        let a = table.get("A").expect("read");
        let means: Vec<_> =
            a.measurements(table.names()).map(|(name, m)| (name, m.running().mean())).collect();
        assert_eq!(means, [("temperature", Some(20.0)), ("voltage", Some(3.5)), ("light", Some(100.0))]);
        assert_eq!(a.measurement("light", table.names()).expect("known").running().count(), 1);
    }

    #[test]
    fn what_is_beyond_a_bound_is_counted() {
        let mut table = SensorTable::new(TableOptions { max_sensors: 2, ..TableOptions::default() });
        for sensor in ["A", "B", "C", "A", "C"] {
            let tracked = table.update(&reading(sensor, 0, 31.0)).sensor.is_some();
            assert_eq!(tracked, sensor != "C");
        }
        let expected = Totals { readings: 5, alerts: 5, untracked_readings: 2, ..Totals::default() };
        assert_eq!((*table.totals(), table.len()), (expected, 2));

        let names: Vec<String> = (0..MAX_FURTHER_METRICS + 3).map(|number| format!("m{number}")).collect();
        let further: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        table.update(&Reading::new("A", at(0)).with_further(&further));
        assert_eq!(table.totals().untracked_values, 3);
        assert!(table.names().len() < MAX_METRIC_NAMES);
    }

    #[test]
    fn output_is_in_order_of_the_ids() {
        let mut table = table();
        for sensor in ["S10", "S2", "S1"] {
            table.update(&reading(sensor, 0, 20.0));
        }
        assert_eq!(table.sorted().iter().map(|sensor| sensor.id()).collect::<Vec<_>>(), ["S1", "S10", "S2"]);
    }

    #[test]
    fn a_merge_keeps_the_bounds_and_the_last_values() {
        let mut left = SensorTable::new(TableOptions { max_sensors: 1, ..TableOptions::default() });
        left.update(&reading("A", 9, 20.0).with_further(&[("x", 1.0)]));
        let mut right = table();
        right.update(&reading("B", 0, 31.0));
        right.update(&reading("A", 5, 24.0).with_further(&[("y", 7.0), ("x", 3.0)]));
        left.merge(&right);
        let a = left.get("A").expect("read");
        assert_eq!((a.temperature().last(), a.temperature().running().mean()), (Some(20.0), Some(22.0)));
        let further =
            |name| a.measurement(name, left.names()).and_then(|m| Some((m.last()?, m.running().mean()?)));
        assert_eq!((further("x"), further("y")), (Some((1.0, 2.0)), Some((7.0, 7.0))));
        let expected = Totals { readings: 3, alerts: 1, untracked_readings: 1, ..Totals::default() };
        assert_eq!(*left.totals(), expected);
    }

    #[test]
    fn clearing_leaves_nothing() {
        let mut table = table();
        table.update(&reading("A", 0, 31.0).with_further(&[("x", 1.0)]));
        table.clear();
        assert_eq!((table.len(), *table.totals(), table.names().len()), (0, Totals::default(), 0));
        assert!(table.get("A").is_none());
    }

    /// One reading of a small world: few sensors, so that they repeat.
    #[derive(Clone, Debug)]
    struct Raw {
        sensor: u8,
        second: i64,
        temperature: Option<f64>,
        humidity: Option<f64>,
        voltage: Option<f64>,
        warning: bool,
    }

    fn raw() -> impl Strategy<Value = Raw> {
        let value = |range: std::ops::Range<f64>| prop::option::of(range);
        let parts =
            (0_u8..6, 0_i64..1_000, value(-300.0..50.0), value(-20.0..120.0), value(0.0..5.0), any::<bool>());
        parts.prop_map(|(sensor, second, temperature, humidity, voltage, warning)| Raw {
            sensor,
            second,
            temperature,
            humidity,
            voltage,
            warning,
        })
    }

    fn feed(table: &mut SensorTable, raws: &[Raw]) {
        for raw in raws {
            let id = format!("S{}", raw.sensor);
            let further: Vec<(&str, f64)> = raw.voltage.map(|volts| ("voltage", volts)).into_iter().collect();
            let mut reading = Reading::new(&id, at(raw.second)).with_further(&further);
            reading.temperature = raw.temperature;
            reading.humidity = raw.humidity;
            reading.status = raw.warning.then_some("warning");
            table.update(&reading);
        }
    }

    fn check_measurement(found: &Running, expected: &[f64]) {
        assert_eq!(found.count(), expected.len() as u64);
        if expected.is_empty() {
            return;
        }
        let mean = expected.iter().sum::<f64>() / expected.len() as f64;
        let variance =
            expected.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / expected.len() as f64;
        assert!((found.mean().expect("some") - mean).abs() < 1e-9);
        assert!((found.stddev().expect("some") - variance.sqrt()).abs() < 1e-9);
        assert_eq!(found.min(), expected.iter().copied().reduce(f64::min));
        assert_eq!(found.max(), expected.iter().copied().reduce(f64::max));
    }

    /// Compares every sensor with figures taken straight from the readings.
    fn check(table: &SensorTable, raws: &[Raw]) {
        for number in 0..6 {
            let own: Vec<&Raw> = raws.iter().filter(|raw| raw.sensor == number).collect();
            let Some(sensor) = table.get(&format!("S{number}")) else {
                assert!(own.is_empty());
                continue;
            };
            let cold = |celsius: f64| celsius < -273.15;
            let odd = |percent: f64| !(0.0..=100.0).contains(&percent);
            let faults =
                own.iter().filter(|raw| raw.temperature.is_some_and(cold) || raw.humidity.is_some_and(odd));
            let alerts = own.iter().filter(|raw| raw.temperature.is_some_and(|celsius| celsius > 30.0));
            assert_eq!(sensor.readings(), own.len() as u64);
            assert_eq!(sensor.warnings(), own.iter().filter(|raw| raw.warning).count() as u64);
            assert_eq!(sensor.faults(), faults.count() as u64);
            assert_eq!(sensor.alerts(), alerts.count() as u64);
            assert_eq!(Some(sensor.newest()), own.iter().map(|raw| at(raw.second)).max());
            let values =
                |of: fn(&Raw) -> Option<f64>| own.iter().filter_map(|raw| of(raw)).collect::<Vec<_>>();
            let mut temperatures = values(|raw| raw.temperature);
            temperatures.retain(|celsius| !cold(*celsius));
            let mut humidities = values(|raw| raw.humidity);
            humidities.retain(|percent| !odd(*percent));
            check_measurement(sensor.temperature().running(), &temperatures);
            check_measurement(sensor.humidity().running(), &humidities);
            let voltage = sensor.measurement("voltage", table.names());
            check_measurement(
                voltage.map_or(&Running::EMPTY, Measurement::running),
                &values(|raw| raw.voltage),
            );
        }
        assert_eq!(table.totals().readings, raws.len() as u64);
    }

    use crate::sensor::Measurement;

    proptest! {
        #[test]
        fn agrees_with_figures_taken_straight_from_the_readings(raws in prop::collection::vec(raw(), 0..200)) {
            let mut table = table();
            feed(&mut table, &raws);
            check(&table, &raws);
        }

        #[test]
        fn tables_of_parts_merge_to_the_table_of_the_whole(
            parts in prop::collection::vec(prop::collection::vec(raw(), 0..60), 1..4),
        ) {
            let mut all = table();
            for part in &parts {
                let mut table = SensorTable::new(TableOptions { seed: 99, ..TableOptions::default() });
                feed(&mut table, part);
                all.merge(&table);
            }
            check(&all, &parts.concat());
        }
    }
}
