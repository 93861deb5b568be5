//! One line per reading or per alert: text for people and grep, JSON for programs.
//!
//! Lines are appended to a buffer of the worker's and allocate nothing once it has grown. Text never carries
//! control characters from a record to the terminal: an id or a name with more than letters, digits and ASCII signs
//! is written quoted and escaped. In JSON, numbers have all their digits; in text, means have two decimals.

use std::fmt;
use std::io::Write;

use engine::Outcome;
use model::{Reading, write_number, write_string};

/// Where a record lies in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// `SENSOR_001 2024-11-07T10:15:30 temperature 23.5 mean 23.41 humidity 65.2 mean 64.90 readings 17`, with
/// `warning`, `ALERT …` and `FAULT …` where they apply.
pub(super) fn reading_text(reading: &Reading<'_>, outcome: &Outcome<'_>, bound: f64, out: &mut Vec<u8>) {
    word(reading.sensor_id, out);
    append(out, format_args!(" {}", reading.time));
    for (name, value) in reading.measurements() {
        out.push(b' ');
        word(name, out);
        out.push(b' ');
        write_number(value, out);
        if let Some(mean) = mean_of(outcome, name) {
            append(out, format_args!(" mean {mean:.2}"));
        }
    }
    if let Some(sensor) = outcome.sensor {
        append(out, format_args!(" readings {}", sensor.readings()));
    }
    if reading.is_warning() {
        out.extend_from_slice(b" warning");
    }
    if outcome.high_temperature.is_some() {
        append(out, format_args!(" ALERT temperature above {bound}"));
    }
    if outcome.fault {
        out.extend_from_slice(b" FAULT implausible measurement");
    }
    out.push(b'\n');
}

/// `{"sensor_id":…,"timestamp":…,"partition":0,"offset":5,"readings":17,"measurements":{"temperature":
/// {"value":23.5,"mean":23.41},…},"warning":false,"alert":false,"fault":false}`.
pub(super) fn reading_json(reading: &Reading<'_>, outcome: &Outcome<'_>, place: Place, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"sensor_id\":");
    write_string(reading.sensor_id, out);
    append(out, format_args!(",\"timestamp\":\"{}\",{place}", reading.time));
    if let Some(sensor) = outcome.sensor {
        append(out, format_args!(",\"readings\":{}", sensor.readings()));
    }
    out.extend_from_slice(b",\"measurements\":{");
    for (index, (name, value)) in reading.measurements().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.extend_from_slice(b":{\"value\":");
        write_number(value, out);
        if let Some(mean) = mean_of(outcome, name) {
            out.extend_from_slice(b",\"mean\":");
            write_number(mean, out);
        }
        out.push(b'}');
    }
    let (warning, alert, fault) = (reading.is_warning(), outcome.high_temperature.is_some(), outcome.fault);
    append(out, format_args!("}},\"warning\":{warning},\"alert\":{alert},\"fault\":{fault}}}\n"));
}

/// `ALERT SENSOR_001 2024-11-07T10:15:30 temperature 31.2 above 30 (partition 0 offset 5)`.
pub(super) fn alert_text(
    reading: &Reading<'_>,
    temperature: f64,
    bound: f64,
    place: Place,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"ALERT ");
    word(reading.sensor_id, out);
    append(out, format_args!(" {} temperature ", reading.time));
    write_number(temperature, out);
    let Place { partition, offset } = place;
    append(out, format_args!(" above {bound} (partition {partition} offset {offset})\n"));
}

/// `{"alert":"high-temperature","sensor_id":…,"timestamp":…,"partition":0,"offset":5,"temperature":31.2,
/// "bound":30.0}`.
pub(super) fn alert_json(
    reading: &Reading<'_>,
    temperature: f64,
    bound: f64,
    place: Place,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"alert\":\"high-temperature\",\"sensor_id\":");
    write_string(reading.sensor_id, out);
    append(out, format_args!(",\"timestamp\":\"{}\",{place},\"temperature\":", reading.time));
    write_number(temperature, out);
    out.extend_from_slice(b",\"bound\":");
    write_number(bound, out);
    out.extend_from_slice(b"}\n");
}

impl fmt::Display for Place {
    /// The two fields as they stand in a JSON object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"partition\":{},\"offset\":{}", self.partition, self.offset)
    }
}

/// Writes a word that came in a record: as it is, or quoted and escaped if it could be taken for something else.
fn word(text: &str, out: &mut Vec<u8>) {
    let plain = |c: char| (c.is_ascii_graphic() && c != '"' && c != '\\') || c.is_alphanumeric();
    if !text.is_empty() && text.chars().all(plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        append(out, format_args!("{text:?}"));
    }
}

fn mean_of(outcome: &Outcome<'_>, name: &str) -> Option<f64> {
    outcome.sensor?.measurement(name, outcome.names)?.running().mean()
}

fn append(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use engine::{SensorTable, TableOptions};
    use model::EventTime;

    use super::*;

    const BOUND: f64 = 30.0;
    const PLACE: Place = Place { partition: 2, offset: 17 };

    /// The line of the second of two readings.
    fn check(sensor: &str, write: impl Fn(&Reading<'_>, &Outcome<'_>, &mut Vec<u8>), expected: &str) {
        let mut table = SensorTable::new(TableOptions::default());
        let time = EventTime::parse(b"2024-11-07T10:15:30").expect("a time");
        let further = [("a b", 1.0)];
        let mut reading = Reading::new(sensor, time).with_further(&further);
        reading.temperature = Some(23.5);
        reading.humidity = Some(64.6);
        table.update(&reading);
        reading.temperature = Some(31.25);
        reading.humidity = Some(140.0);
        reading.status = Some("warning");
        let outcome = table.update(&reading);
        let mut out = Vec::new();
        write(&reading, &outcome, &mut out);
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn a_reading_as_text() {
        check(
            "SENSOR_001",
            |reading, outcome, out| reading_text(reading, outcome, BOUND, out),
            "SENSOR_001 2024-11-07T10:15:30 temperature 31.25 mean 27.38 humidity 140.0 mean 64.60 \"a b\" 1.0 mean 1.00 \
             readings 2 warning ALERT temperature above 30 FAULT implausible measurement\n",
        );
    }

    #[test]
    fn a_reading_as_json() {
        check(
            "SENSOR_001",
            |reading, outcome, out| reading_json(reading, outcome, PLACE, out),
            "{\"sensor_id\":\"SENSOR_001\",\"timestamp\":\"2024-11-07T10:15:30\",\"partition\":2,\"offset\":17,\
             \"readings\":2,\"measurements\":{\"temperature\":{\"value\":31.25,\"mean\":27.375},\
             \"humidity\":{\"value\":140.0,\"mean\":64.6},\"a b\":{\"value\":1.0,\"mean\":1.0}},\
             \"warning\":true,\"alert\":true,\"fault\":true}\n",
        );
    }

    #[test]
    fn an_alert_as_text_and_as_json() {
        check(
            "SENSOR_001",
            |reading, _, out| alert_text(reading, 31.25, BOUND, PLACE, out),
            "ALERT SENSOR_001 2024-11-07T10:15:30 temperature 31.25 above 30 (partition 2 offset 17)\n",
        );
        check(
            "SENSOR_001",
            |reading, _, out| alert_json(reading, 31.25, BOUND, PLACE, out),
            "{\"alert\":\"high-temperature\",\"sensor_id\":\"SENSOR_001\",\"timestamp\":\"2024-11-07T10:15:30\",\
             \"partition\":2,\"offset\":17,\"temperature\":31.25,\"bound\":30.0}\n",
        );
    }

    #[test]
    fn an_id_reaches_the_terminal_as_harmless_text() {
        for (id, expected) in [
            ("Büro-3/α.x", "Büro-3/α.x"),
            ("two words", "\"two words\""),
            ("\u{1b}[2J\n", "\"\\u{1b}[2J\\n\""),
            ("\u{9b}31m", "\"\\u{9b}31m\""),
            ("say \"x\"", "\"say \\\"x\\\"\""),
        ] {
            let mut out = Vec::new();
            word(id, &mut out);
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }
}
