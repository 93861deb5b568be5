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
