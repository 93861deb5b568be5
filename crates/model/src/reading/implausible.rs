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
    /// Whether `value` keeps it.
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

impl Implausible {
    /// Checks one measurement by its name; names without a known bound are always plausible.
    pub fn check(metric: &str, value: f64) -> Option<Self> {
        let (metric, bounds): (_, &[Bound]) = match metric {
            TEMPERATURE => (TEMPERATURE, &[Bound::AtLeast(-273.15)]),
            HUMIDITY => (HUMIDITY, &[Bound::AtLeast(0.0), Bound::AtMost(100.0)]),
            PRESSURE => (PRESSURE, &[Bound::Above(0.0)]),
            _ => return None,
        };
        Self::against(metric, value, bounds)
    }

    fn against(metric: &'static str, value: f64, bounds: &[Bound]) -> Option<Self> {
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
        let measured =
            [(TEMPERATURE, self.temperature), (HUMIDITY, self.humidity), (PRESSURE, self.pressure)];
        let in_measurements =
            measured.into_iter().find_map(|(metric, value)| Implausible::check(metric, value?));
        in_measurements.or_else(|| {
            let location = self.location?;
            let turn = |most: f64| [Bound::AtLeast(-most), Bound::AtMost(most)];
            Implausible::against("location.latitude", location.latitude, &turn(90.0))
                .or_else(|| Implausible::against("location.longitude", location.longitude, &turn(180.0)))
        })
    }
}
