//! What is well-formed but cannot be true: a sensor's fault, not a broken record.

use std::fmt;

use super::{HUMIDITY, PRESSURE, Reading, TEMPERATURE};

/// A value that no sensor can truly have measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Implausible {
    /// The field: a measurement's name, `location.latitude` or `location.longitude`.
    pub metric: &'static str,
    /// What it said.
    pub value: f64,
    /// The bound it breaks.
    pub bound: Bound,
}

/// A physical bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Not below this.
    AtLeast(f64),
    /// Above this.
    Above(f64),
    /// Not above this.
    AtMost(f64),
}

impl Bound {
    /// Whether `value` keeps it; NaN keeps none.
    #[inline]
    pub fn admits(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::Above(bound) => value > bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::Above(bound) => write!(f, "above {bound}"),
            Self::AtMost(bound) => write!(f, "at most {bound}"),
        }
    }
}

const TEMPERATURE_BOUNDS: &[Bound] = &[Bound::AtLeast(-273.15)];
const HUMIDITY_BOUNDS: &[Bound] = &[Bound::AtLeast(0.0), Bound::AtMost(100.0)];
const PRESSURE_BOUNDS: &[Bound] = &[Bound::Above(0.0)];
const LATITUDE_BOUNDS: &[Bound] = &[Bound::AtLeast(-90.0), Bound::AtMost(90.0)];
const LONGITUDE_BOUNDS: &[Bound] = &[Bound::AtLeast(-180.0), Bound::AtMost(180.0)];

impl Implausible {
    /// Checks one measurement by its name; names without a known bound are always plausible.
    pub fn check(metric: &str, value: f64) -> Option<Self> {
        match metric {
            TEMPERATURE => Self::against(TEMPERATURE_BOUNDS, TEMPERATURE, value),
            HUMIDITY => Self::against(HUMIDITY_BOUNDS, HUMIDITY, value),
            PRESSURE => Self::against(PRESSURE_BOUNDS, PRESSURE, value),
            _ => None,
        }
    }

    #[inline]
    fn against(bounds: &[Bound], metric: &'static str, value: f64) -> Option<Self> {
        let bound = *bounds.iter().find(|bound| !bound.admits(value))?;
        Some(Self { metric, value, bound })
    }
}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, value, bound } = self;
        write!(f, "{metric} is {value}, but must be {bound}")
    }
}

impl Reading<'_> {
    /// The first value that cannot be true, in the order temperature, humidity, pressure, latitude, longitude:
    /// below absolute zero (-273.15 °C), a humidity outside 0 to 100 %, a pressure of 0 hPa or less, a latitude
    /// beyond ±90° or a longitude beyond ±180°. The reading is kept; it is a sign of a faulty sensor.
    #[inline]
    pub fn implausible(&self) -> Option<Implausible> {
        let against = |bounds, metric, value: Option<f64>| Implausible::against(bounds, metric, value?);
        let (latitude, longitude) = self.location.map(|place| (place.latitude, place.longitude)).unzip();
        against(TEMPERATURE_BOUNDS, TEMPERATURE, self.temperature)
            .or_else(|| against(HUMIDITY_BOUNDS, HUMIDITY, self.humidity))
            .or_else(|| against(PRESSURE_BOUNDS, PRESSURE, self.pressure))
            .or_else(|| against(LATITUDE_BOUNDS, "location.latitude", latitude))
            .or_else(|| against(LONGITUDE_BOUNDS, "location.longitude", longitude))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Location;
    use crate::time::EventTime;

    #[track_caller]
    fn check(fill: impl Fn(&mut Reading<'_>), expected: Option<&str>) {
        let mut reading = Reading::new("S", EventTime::MIN);
        fill(&mut reading);
        assert_eq!(reading.implausible().map(|found| found.to_string()).as_deref(), expected);
    }

    #[test]
    fn bounds_are_physical() {
        check(|_| {}, None);
        check(|reading| reading.temperature = Some(-273.15), None);
        check(
            |reading| reading.temperature = Some(-273.16),
            Some("temperature is -273.16, but must be at least -273.15"),
        );
        check(|reading| reading.temperature = Some(5_000.0), None);
        check(|reading| reading.humidity = Some(0.0), None);
        check(|reading| reading.humidity = Some(-0.0), None);
        check(|reading| reading.humidity = Some(100.0), None);
        check(|reading| reading.humidity = Some(140.0), Some("humidity is 140, but must be at most 100"));
        check(|reading| reading.humidity = Some(-1.0), Some("humidity is -1, but must be at least 0"));
        check(|reading| reading.pressure = Some(0.1), None);
        check(|reading| reading.pressure = Some(0.0), Some("pressure is 0, but must be above 0"));
        check(|reading| reading.humidity = Some(f64::NAN), Some("humidity is NaN, but must be at least 0"));
    }

    #[test]
    fn places_are_on_the_globe() {
        let at = |latitude, longitude| {
            move |reading: &mut Reading<'_>| reading.location = Some(Location { latitude, longitude })
        };
        check(at(90.0, -180.0), None);
        check(at(-90.5, 0.0), Some("location.latitude is -90.5, but must be at least -90"));
        check(at(0.0, 181.0), Some("location.longitude is 181, but must be at most 180"));
    }

    #[test]
    fn the_first_in_order_is_named() {
        let fill = |reading: &mut Reading<'_>| {
            reading.pressure = Some(-1.0);
            reading.humidity = Some(101.0);
        };
        check(fill, Some("humidity is 101, but must be at most 100"));
        assert_eq!(Implausible::check("co2", -1.0), None);
    }
}
