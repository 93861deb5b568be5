//! A sensor's reading: what one sensor measured at one time.
//!
//! # Wire format (topic `sensor-data`, key: the sensor id)
//! One JSON object in UTF-8, for instance:
//!
//! ```json
//! {"sensor_id":"SENSOR_001","timestamp":"2024-11-07T10:15:30","temperature":23.5,"humidity":65.2,"pressure":1013.25,
//!  "location":{"latitude":52.3676,"longitude":4.9041},"status":"active"}
//! ```
//!
//! | field | |
//! |---|---|
//! | `sensor_id` | required; a string that is not empty |
//! | `timestamp` | required; a string as [`EventTime`] reads it, or an integer, milliseconds since the epoch |
//! | `temperature` | °C, a number |
//! | `humidity` | relative, %, a number |
//! | `pressure` | hPa, a number |
//! | any other number | a further measurement under the field's name |
//! | `location` | an object; `latitude` and `longitude` are numbers in degrees (WGS 84) |
//! | `status` | a string; `warning` is what counts as a warning |
//! | anything else | checked as JSON, and skipped; see [`Reading::has_unknown_fields`] |
//!
//! At least one measurement is required. `null` is the same as an absent field. A location has both coordinates, or
//! neither, which is the same as no location (a receiver without a fix); one alone is refused.
//! Keys may come in any order, with any white space and any escapes, but only once. A payload has at most 1 MiB
//! ([`MAX_PAYLOAD_BYTES`]), 32 levels ([`MAX_DEPTH`]) and 1,024 unknown fields ([`MAX_FIELDS`]).
//!
//! What is well-formed but cannot be true is kept and shown by [`Reading::implausible`].
//!
//! [`decode()`] and [`encode()`] are the two directions; [`Reject`] is why a payload is no reading.

mod decode;
mod encode;
mod fields;
mod implausible;
mod reject;

pub use decode::{MAX_DEPTH, MAX_FIELDS, MAX_PAYLOAD_BYTES, decode};
pub use encode::{Tail, encode, encode_with_tail};
pub use fields::Scratch;
pub use implausible::{Bound, Implausible};
pub use reject::Reject;

use std::fmt;

use crate::time::EventTime;
use fields::Further;

/// The name of the measurement in [`Reading::temperature`].
pub const TEMPERATURE: &str = "temperature";
/// The name of the measurement in [`Reading::humidity`].
pub const HUMIDITY: &str = "humidity";
/// The name of the measurement in [`Reading::pressure`].
pub const PRESSURE: &str = "pressure";

/// The status that counts as a warning.
const WARNING: &str = "warning";

/// What one sensor measured at one time, borrowed from the payload it came in.
#[derive(Clone, Copy, PartialEq)]
pub struct Reading<'a> {
    /// Which sensor; not empty when decoded.
    pub sensor_id: &'a str,
    /// When, by the sensor's clock.
    pub time: EventTime,
    /// °C.
    pub temperature: Option<f64>,
    /// Relative humidity in %.
    pub humidity: Option<f64>,
    /// hPa.
    pub pressure: Option<f64>,
    /// Where.
    pub location: Option<Location>,
    /// The sensor's own word on its state.
    pub status: Option<&'a str>,
    further: Further<'a>,
}

/// A place in degrees (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl<'a> Reading<'a> {
    /// A reading without any measurement yet.
    pub fn new(sensor_id: &'a str, time: EventTime) -> Self {
        Self {
            sensor_id,
            time,
            temperature: None,
            humidity: None,
            pressure: None,
            location: None,
            status: None,
            further: Further::NONE,
        }
    }

    /// The same with these further measurements, of which the names must differ from each other and from the named
    /// fields.
    #[must_use]
    pub fn with_further(mut self, further: &'a [(&'a str, f64)]) -> Self {
        self.further = Further::listed(further);
        self
    }

    /// The further measurements, in the order of the payload.
    pub fn further(&self) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        self.further.iter()
    }

    /// All measurements: temperature, humidity, pressure, then the further ones in the order of the payload.
    pub fn measurements(&self) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        let named = [(TEMPERATURE, self.temperature), (HUMIDITY, self.humidity), (PRESSURE, self.pressure)];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(self.further())
    }

    /// Whether the payload had fields beyond those of a reading that are no numbers, in it or in its location: they are in
    /// no field here. Storage, which keeps them, reads such a payload once more.
    pub fn has_unknown_fields(&self) -> bool {
        self.further.has_skipped()
    }

    /// Whether the sensor reports itself in a warning state.
    pub fn is_warning(&self) -> bool {
        self.status == Some(WARNING)
    }
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("sensor_id", &self.sensor_id)
            .field("time", &format_args!("{}", self.time))
            .field("measurements", &self.measurements().collect::<Vec<_>>())
            .field("location", &self.location)
            .field("status", &self.status)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_come_in_one_order() {
        let further = [("co2", 415.0), ("noise", 30.5)];
        let mut reading = Reading::new("S", EventTime::MIN).with_further(&further);
        reading.pressure = Some(1013.0);
        reading.temperature = Some(20.0);
        let names: Vec<&str> = reading.measurements().map(|(name, _)| name).collect();
        assert_eq!(names, [TEMPERATURE, PRESSURE, "co2", "noise"]);
        assert_eq!(reading.further().collect::<Vec<_>>(), further);
    }

    #[test]
    fn a_decoded_reading_equals_the_one_encoded() {
        let further = [("co2", 415.0), ("größe", 2.0)];
        let mut reading = Reading::new("S", EventTime::MIN).with_further(&further);
        reading.status = Some("warning");
        let (mut payload, mut scratch) = (Vec::new(), Scratch::new());
        encode(&reading, &mut payload);
        assert_eq!(decode(&payload, &mut scratch), Ok(reading));
        assert!(reading.is_warning());
        assert!(!reading.has_unknown_fields());
        assert_ne!(reading, reading.with_further(&[]));
    }

    #[test]
    fn fields_that_are_no_measurements_are_told_of() {
        let mut scratch = Scratch::new();
        let mut has_unknown = |fields: &str| {
            let payload = format!(r#"{{"sensor_id":"S","timestamp":0,"co2":1,{fields}}}"#);
            decode(payload.as_bytes(), &mut scratch).expect("a reading").has_unknown_fields()
        };
        assert!(!has_unknown(r#""status":"active""#));
        assert!(has_unknown(r#""firmware":"1.2""#));
        assert!(has_unknown(r#""location":{"latitude":1,"longitude":2,"floor":3}"#));
    }
}
