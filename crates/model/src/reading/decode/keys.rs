//! Keys: recognising the known ones by their first eight bytes, without looking for their end first.

use super::{Decoder, Fault, broken};
use crate::json::Span;
use crate::reading::{HUMIDITY, PRESSURE, TEMPERATURE};

/// What a glance at a key takes in: the longest known one with its closing quote and colon, and room to spare.
pub(super) const GLANCE: usize = 16;

/// A set of known keys.
pub(super) trait Known: Sized {
    /// The key at the start of `text`, which follows an opening quote, and its length with the closing quote and the
    /// colon. `None` is any other key, or a known one that is written in an unusual way; see [`Known::named`].
    fn at_glance(text: &[u8; GLANCE]) -> Option<(Self, usize)>;

    /// The key of this name.
    fn named(name: &str) -> Option<Self>;
}

/// A key that was not known at a glance.
pub(super) enum Key<F> {
    Known(F),
    Other(Span),
}

impl Decoder<'_, '_> {
    /// Moves to the key of the next member: where its opening quote is.
    #[inline]
    pub(super) fn next_key(&mut self) -> Result<usize, Fault> {
        if self.json.peek_token() == Some(b'"') {
            return Ok(self.json.position());
        }
        Err(broken(self.json.unexpected()))
    }

    /// Reads the key here and its colon if it is known at a glance.
    #[inline]
    pub(super) fn known_key<F: Known>(&mut self) -> Option<F> {
        self.json.take_known(|text| F::at_glance(text.first_chunk()?))
    }

    /// Reads any key and its colon.
    pub(super) fn key<F: Known>(&mut self) -> Result<Key<F>, Fault> {
        let span = self.json.string(&mut self.scratch.unescaped).map_err(broken)?;
        self.json.take(b':').map_err(broken)?;
        Ok(F::named(self.resolve(span)).map_or(Key::Other(span), Key::Known))
    }
}

/// The known fields of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    SensorId,
    Timestamp,
    Temperature,
    Humidity,
    Pressure,
    Location,
    Status,
}

impl Field {
    #[cfg(test)]
    const ALL: [Self; 7] = [
        Self::SensorId,
        Self::Timestamp,
        Self::Temperature,
        Self::Humidity,
        Self::Pressure,
        Self::Location,
        Self::Status,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SensorId => "sensor_id",
            Self::Timestamp => "timestamp",
            Self::Temperature => TEMPERATURE,
            Self::Humidity => HUMIDITY,
            Self::Pressure => PRESSURE,
            Self::Location => "location",
            Self::Status => "status",
        }
    }
}

impl Known for Field {
    #[inline]
    fn at_glance(text: &[u8; GLANCE]) -> Option<(Self, usize)> {
        const SENSOR_I: u64 = u64::from_le_bytes(*b"sensor_i");
        const TIMESTAM: u64 = u64::from_le_bytes(*b"timestam");
        const TEMPERAT: u64 = u64::from_le_bytes(*b"temperat");
        const HUMIDITY: u64 = u64::from_le_bytes(*b"humidity");
        const PRESSURE: u64 = u64::from_le_bytes(*b"pressure");
        const LOCATION: u64 = u64::from_le_bytes(*b"location");
        const STATUS: u64 = u64::from_le_bytes(*b"status\":");
        let (word, rest) = text.split_first_chunk::<8>()?;
        // Each arm compares with a constant of its own, which is an instruction or two.
        match u64::from_le_bytes(*word) {
            SENSOR_I if rest.starts_with(b"d\":") => Some((Self::SensorId, 11)),
            TIMESTAM if rest.starts_with(b"p\":") => Some((Self::Timestamp, 11)),
            TEMPERAT if rest.starts_with(b"ure\":") => Some((Self::Temperature, 13)),
            HUMIDITY if rest.starts_with(b"\":") => Some((Self::Humidity, 10)),
            PRESSURE if rest.starts_with(b"\":") => Some((Self::Pressure, 10)),
            LOCATION if rest.starts_with(b"\":") => Some((Self::Location, 10)),
            STATUS => Some((Self::Status, 8)),
            _ => None,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sensor_id" => Self::SensorId,
            "timestamp" => Self::Timestamp,
            TEMPERATURE => Self::Temperature,
            HUMIDITY => Self::Humidity,
            PRESSURE => Self::Pressure,
            "location" => Self::Location,
            "status" => Self::Status,
            _ => return None,
        })
    }
}

/// The known fields of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coordinate {
    Latitude,
    Longitude,
}

impl Coordinate {
    /// The name with that of the location.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Latitude => "location.latitude",
            Self::Longitude => "location.longitude",
        }
    }
}

impl Known for Coordinate {
    #[inline]
    fn at_glance(text: &[u8; GLANCE]) -> Option<(Self, usize)> {
        if text.starts_with(b"latitude\":") {
            Some((Self::Latitude, 10))
        } else if text.starts_with(b"longitude\":") {
            Some((Self::Longitude, 11))
        } else {
            None
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "latitude" => Some(Self::Latitude),
            "longitude" => Some(Self::Longitude),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<F: Known + Copy + PartialEq + std::fmt::Debug>(name: &str, expected: F) {
        let at_glance =
            |text: &str| F::at_glance(format!("{text:<GLANCE$}").as_bytes().first_chunk().unwrap());
        assert_eq!(F::named(name), Some(expected));
        assert_eq!(at_glance(&format!("{name}\":1.5")), Some((expected, name.len() + 2)));
        let (first, shortened) = (&name[1..], &name[..name.len() - 1]);
        for wrong in [&format!("{name}x"), first, shortened, &format!("{name} "), &format!("{shortened}x")] {
            assert_eq!(F::named(wrong), None, "{wrong}");
            assert_eq!(at_glance(&format!("{wrong}\":1.5")), None, "{wrong}");
        }
        assert_eq!(at_glance(&format!("{name}\" :")), None);
    }

    #[test]
    fn both_ways_to_know_a_key_agree() {
        for field in Field::ALL {
            check(field.name(), field);
        }
        check("latitude", Coordinate::Latitude);
        check("longitude", Coordinate::Longitude);
    }
}
