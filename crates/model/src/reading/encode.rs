//! A reading to its payload.
//!
//! # Byte shape
//! Compact JSON without any white space, in the order `sensor_id`, `timestamp`, `temperature`, `humidity`, `pressure`,
//! the further measurements as given, `location` (`latitude`, `longitude`), `status`; absent fields are left out.
//! Times are as [`EventTime`](crate::EventTime) writes them, numbers as [`write_number`], strings as
//! [`write_string`]. Equal readings have equal bytes, on every machine and in every version.

use super::{Location, Reading};
use crate::json::write::{write_number, write_string};

/// Appends the payload of `reading`.
pub fn encode(reading: &Reading<'_>, out: &mut Vec<u8>) {
    write_measurements(reading, out);
    write_tail(reading.location, reading.status, out);
}

/// The end of a payload, location and status, kept by a producer whose sensors do not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail(Vec<u8>);

impl Tail {
    /// The end of every reading with this location and status.
    pub fn new(location: Option<Location>, status: Option<&str>) -> Self {
        let mut bytes = Vec::new();
        write_tail(location, status, &mut bytes);
        Self(bytes)
    }
}

/// Appends the payload of `reading` with the location and status of `tail` in place of its own.
pub fn encode_with_tail(reading: &Reading<'_>, tail: &Tail, out: &mut Vec<u8>) {
    write_measurements(reading, out);
    out.extend_from_slice(&tail.0);
}

fn write_measurements(reading: &Reading<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"sensor_id\":");
    write_string(reading.sensor_id, out);
    out.extend_from_slice(b",\"timestamp\":\"");
    reading.time.write(out);
    out.push(b'"');
    write_field(b",\"temperature\":", reading.temperature, out);
    write_field(b",\"humidity\":", reading.humidity, out);
    write_field(b",\"pressure\":", reading.pressure, out);
    for (name, value) in reading.further() {
        out.push(b',');
        write_string(name, out);
        out.push(b':');
        write_number(value, out);
    }
}

fn write_field(key: &[u8], value: Option<f64>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        out.extend_from_slice(key);
        write_number(value, out);
    }
}

fn write_tail(location: Option<Location>, status: Option<&str>, out: &mut Vec<u8>) {
    if let Some(Location { latitude, longitude }) = location {
        out.extend_from_slice(b",\"location\":{\"latitude\":");
        write_number(latitude, out);
        out.extend_from_slice(b",\"longitude\":");
        write_number(longitude, out);
        out.push(b'}');
    }
    if let Some(status) = status {
        out.extend_from_slice(b",\"status\":");
        write_string(status, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EventTime;

    fn reading(sensor_id: &str) -> Reading<'_> {
        Reading::new(sensor_id, EventTime::from_millis(1_730_974_530_250))
    }

    #[track_caller]
    fn check(reading: &Reading<'_>, expected: &str) {
        let mut out = b"before".to_vec();
        encode(reading, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
        let mut other = *reading;
        other.location = None;
        other.status = Some("replaced by the tail's");
        let mut out = Vec::new();
        encode_with_tail(&other, &Tail::new(reading.location, reading.status), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_shape_is_the_seeds() {
        let further = [("co2", 415.0), ("pm2.5", 1e-7)];
        let mut whole = reading("SENSOR_001").with_further(&further);
        whole.temperature = Some(23.5);
        whole.humidity = Some(65.2);
        whole.pressure = Some(1013.25);
        whole.location = Some(Location { latitude: 52.3676, longitude: -4.9041 });
        whole.status = Some("active");
        check(
            &whole,
            concat!(
                r#"{"sensor_id":"SENSOR_001","timestamp":"2024-11-07T10:15:30.250000","temperature":23.5,"humidity":65.2,"#,
                r#""pressure":1013.25,"co2":415.0,"pm2.5":1e-7,"location":{"latitude":52.3676,"longitude":-4.9041},"#,
                r#""status":"active"}"#,
            ),
        );
    }

    #[test]
    fn absent_fields_are_left_out() {
        check(&reading("S"), r#"{"sensor_id":"S","timestamp":"2024-11-07T10:15:30.250000"}"#);
        let mut only = reading("S");
        only.humidity = Some(-0.0);
        check(&only, r#"{"sensor_id":"S","timestamp":"2024-11-07T10:15:30.250000","humidity":-0.0}"#);
    }

    #[test]
    fn names_are_escaped() {
        let further = [("a\"b", 1.0)];
        let mut named = reading("x\ny").with_further(&further);
        named.status = Some("\\");
        check(
            &named,
            r#"{"sensor_id":"x\ny","timestamp":"2024-11-07T10:15:30.250000","a\"b":1.0,"status":"\\"}"#,
        );
    }
}
