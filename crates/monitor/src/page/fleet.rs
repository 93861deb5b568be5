//! The sensors as their newest readings show them.

use std::collections::HashMap;

use model::{Location, Reading};
use serde::Serialize;

/// The most sensors that are kept; readings of further ones are counted only.
const MAX_SENSORS: usize = 200_000;
/// Points of a sparkline, and the seconds of each: fifteen minutes.
const POINTS: usize = 60;
const POINT_SECONDS: i64 = 15;
/// A sensor is silent when nothing has come for so many of its usual intervals, and for so many seconds at least.
const SILENT_INTERVALS: f64 = 5.0;
const SILENT_SECONDS: f64 = 10.0;

/// One sensor.
#[derive(Debug)]
pub(super) struct Sensor {
    id: Box<str>,
    /// Event time of the newest reading, and when it came, in milliseconds.
    time: i64,
    seen: i64,
    readings: u64,
    values: [Option<f64>; 3],
    is_warning: bool,
    status: Box<str>,
    location: Option<Location>,
    /// The usual time between readings by event time, in seconds, smoothed; 0 before the second reading.
    interval: f64,
    /// The last temperature (or first measurement) of each point, NaN where none came.
    spark: Box<[f32; POINTS]>,
    newest_point: i64,
}

/// All sensors.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    sensors: Vec<Sensor>,
    by_id: HashMap<Box<str>, usize>,
    pub(super) readings: u64,
    pub(super) untracked: u64,
}

/// How a sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Health {
    Ok,
    Warning,
    Silent,
}

/// A row of the list.
#[derive(Debug, Serialize)]
pub(super) struct SensorRow {
    id: String,
    health: Health,
    status: String,
    time: i64,
    seen: i64,
    readings: u64,
    temperature: Option<f64>,
    humidity: Option<f64>,
    pressure: Option<f64>,
    interval_seconds: f64,
    latitude: Option<f64>,
    longitude: Option<f64>,
    alarms: usize,
    spark: Vec<Option<f32>>,
}

/// Sensors by health.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) seen: usize,
    pub(super) ok: usize,
    pub(super) warning: usize,
    pub(super) silent: usize,
}

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Id,
    Health,
    Seen,
    Readings,
    Temperature,
    Humidity,
    Pressure,
    Alarms,
}

impl Sort {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "health" => Self::Health,
            "seen" => Self::Seen,
            "readings" => Self::Readings,
            "temperature" => Self::Temperature,
            "humidity" => Self::Humidity,
            "pressure" => Self::Pressure,
            "alarms" => Self::Alarms,
            _ => return None,
        })
    }
}

/// What part of the list is wanted.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) search: String,
    pub(super) health: Option<Health>,
    pub(super) sort: Sort,
    pub(super) descending: bool,
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Fleet {
    /// Takes a reading that came at `now`, in milliseconds.
    pub(super) fn update(&mut self, reading: &Reading<'_>, now: i64) {
        self.readings += 1;
        let at = match self.by_id.get(reading.sensor_id) {
            Some(at) => *at,
            None if self.sensors.len() == MAX_SENSORS => {
                self.untracked += 1;
                return;
            }
            None => {
                self.by_id.insert(reading.sensor_id.into(), self.sensors.len());
                self.sensors.push(Sensor::new(reading.sensor_id));
                self.sensors.len() - 1
            }
        };
        self.sensors[at].update(reading, now);
    }

    pub(super) fn counts(&self, now: i64) -> Counts {
        let mut counts = Counts { seen: self.sensors.len(), ..Counts::default() };
        for sensor in &self.sensors {
            match sensor.health(now) {
                Health::Ok => counts.ok += 1,
                Health::Warning => counts.warning += 1,
                Health::Silent => counts.silent += 1,
            }
        }
        counts
    }

    /// A part of the list, and how many sensors the whole of it has. `alarms` are active ones by sensor.
    pub(super) fn list(
        &self,
        query: &Query,
        alarms: &HashMap<String, usize>,
        now: i64,
    ) -> (Vec<SensorRow>, usize) {
        let search = query.search.to_lowercase();
        let mut found: Vec<&Sensor> = self
            .sensors
            .iter()
            .filter(|sensor| search.is_empty() || sensor.id.to_lowercase().contains(&search))
            .filter(|sensor| query.health.is_none_or(|health| sensor.health(now) == health))
            .collect();
        let count_of = |sensor: &Sensor| alarms.get(&*sensor.id).copied().unwrap_or(0);
        let value = |sensor: &Sensor, at: usize| sensor.values[at].unwrap_or(f64::NEG_INFINITY);
        found.sort_by(|one, other| {
            let order = match query.sort {
                Sort::Id => one.id.cmp(&other.id),
                Sort::Health => (one.health(now) as u8).cmp(&(other.health(now) as u8)),
                Sort::Seen => one.seen.cmp(&other.seen),
                Sort::Readings => one.readings.cmp(&other.readings),
                Sort::Temperature => value(one, 0).total_cmp(&value(other, 0)),
                Sort::Humidity => value(one, 1).total_cmp(&value(other, 1)),
                Sort::Pressure => value(one, 2).total_cmp(&value(other, 2)),
                Sort::Alarms => count_of(one).cmp(&count_of(other)),
            };
            let order = if query.descending { order.reverse() } else { order };
            order.then_with(|| one.id.cmp(&other.id))
        });
        let total = found.len();
        let rows = found.into_iter().skip(query.offset).take(query.limit);
        (rows.map(|sensor| sensor.row(count_of(sensor), now)).collect(), total)
    }

    /// One sensor.
    pub(super) fn get(&self, id: &str, alarms: usize, now: i64) -> Option<SensorRow> {
        self.by_id.get(id).map(|at| self.sensors[*at].row(alarms, now))
    }
}

impl Sensor {
    fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            time: i64::MIN,
            seen: 0,
            readings: 0,
            values: [None; 3],
            is_warning: false,
            status: Box::default(),
            location: None,
            interval: 0.0,
            spark: Box::new([f32::NAN; POINTS]),
            newest_point: 0,
        }
    }

    fn update(&mut self, reading: &Reading<'_>, now: i64) {
        let time = reading.time.millis();
        self.readings += 1;
        self.seen = now;
        self.plot(reading);
        // An older reading says nothing of how the sensor is now.
        if time < self.time {
            return;
        }
        if self.time != i64::MIN {
            let passed = (time - self.time) as f64 / 1e3;
            self.interval = if self.interval == 0.0 { passed } else { 0.9 * self.interval + 0.1 * passed };
        }
        self.time = time;
        self.values = [reading.temperature, reading.humidity, reading.pressure];
        self.is_warning = reading.is_warning();
        let status = reading.status.unwrap_or_default();
        if *self.status != *status {
            self.status = status.into();
        }
        self.location = reading.location.or(self.location);
    }

    fn plot(&mut self, reading: &Reading<'_>) {
        let point = reading.time.millis().div_euclid(1_000 * POINT_SECONDS);
        let Some((_, value)) = reading.measurements().next() else { return };
        if self.newest_point == 0 || point - self.newest_point >= POINTS as i64 {
            self.spark.fill(f32::NAN);
            self.newest_point = point;
        }
        while self.newest_point < point {
            self.newest_point += 1;
            self.spark[self.newest_point.rem_euclid(POINTS as i64) as usize] = f32::NAN;
        }
        if point > self.newest_point - POINTS as i64 {
            self.spark[point.rem_euclid(POINTS as i64) as usize] = value as f32;
        }
    }

    fn health(&self, now: i64) -> Health {
        let silent = (now - self.seen) as f64 / 1e3;
        if silent > (self.interval * SILENT_INTERVALS).max(SILENT_SECONDS) {
            Health::Silent
        } else if self.is_warning {
            Health::Warning
        } else {
            Health::Ok
        }
    }

    fn row(&self, alarms: usize, now: i64) -> SensorRow {
        let oldest = self.newest_point - POINTS as i64 + 1;
        let point = |at: i64| self.spark[at.rem_euclid(POINTS as i64) as usize];
        SensorRow {
            id: self.id.to_string(),
            health: self.health(now),
            status: self.status.to_string(),
            time: self.time,
            seen: self.seen,
            readings: self.readings,
            temperature: self.values[0],
            humidity: self.values[1],
            pressure: self.values[2],
            interval_seconds: self.interval,
            latitude: self.location.map(|location| location.latitude),
            longitude: self.location.map(|location| location.longitude),
            alarms,
            spark: (oldest..=self.newest_point)
                .map(|at| Some(point(at)).filter(|value| !value.is_nan()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::EventTime;

    use super::*;

    fn reading(id: &str, seconds: i64, celsius: f64) -> Reading<'_> {
        let mut reading = Reading::new(id, EventTime::from_millis(seconds * 1_000));
        reading.temperature = Some(celsius);
        reading
    }

    fn query(sort: Sort, descending: bool, search: &str) -> Query {
        Query { search: search.into(), health: None, sort, descending, offset: 0, limit: 10 }
    }

    fn ids(fleet: &Fleet, query: &Query) -> Vec<String> {
        fleet.list(query, &HashMap::new(), 20_000).0.into_iter().map(|row| row.id).collect()
    }

    #[test]
    fn the_newest_reading_by_event_time_is_what_is_shown() {
        let mut fleet = Fleet::default();
        fleet.update(&reading("A", 10, 20.0), 10_000);
        fleet.update(&reading("A", 12, 22.0), 12_000);
        fleet.update(&reading("A", 11, 99.0), 12_500);
        let row = fleet.get("A", 1, 13_000).expect("it was seen");
        assert_eq!(
            (row.temperature, row.readings, row.interval_seconds, row.alarms),
            (Some(22.0), 3, 2.0, 1)
        );
        assert_eq!(row.health, Health::Ok);
        assert_eq!(fleet.get("A", 0, 60_000).map(|row| row.health), Some(Health::Silent));
        assert!(fleet.get("B", 0, 0).is_none());
    }

    #[test]
    fn lists_are_searched_sorted_and_paged() {
        let mut fleet = Fleet::default();
        for (id, celsius) in [("b-1", 3.0), ("A-2", 1.0), ("a-3", 2.0)] {
            fleet.update(&reading(id, 10, celsius), 10_000);
        }
        assert_eq!(ids(&fleet, &query(Sort::Id, false, "")), ["A-2", "a-3", "b-1"]);
        assert_eq!(ids(&fleet, &query(Sort::Temperature, true, "")), ["b-1", "a-3", "A-2"]);
        assert_eq!(ids(&fleet, &query(Sort::Id, false, "a-")), ["A-2", "a-3"]);
        let page = Query { offset: 1, limit: 1, ..query(Sort::Id, false, "") };
        let (rows, total) = fleet.list(&page, &HashMap::new(), 10_000);
        assert_eq!((rows.len(), rows[0].id.as_str(), total), (1, "a-3", 3));
    }

    #[test]
    fn sparklines_keep_fifteen_minutes() {
        let mut fleet = Fleet::default();
        for minute in 0..60 {
            fleet.update(&reading("A", 60 * minute, f64::from(minute as i32)), 0);
        }
        let spark = fleet.get("A", 0, 0).expect("it was seen").spark;
        assert_eq!((spark.len(), spark.last().copied().flatten()), (POINTS, Some(59.0)));
        assert_eq!(spark.iter().flatten().count(), 15);
    }
}
