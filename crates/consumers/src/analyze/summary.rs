//! What is said at the end: the totals, and on request the statistics of every sensor in a file.
//!
//! # Formats
//! The summary in JSON is one object on one line. The statistics file has one JSON object per line, sorted by
//! sensor id:
//!
//! ```json
//! {"sensor_id":"SENSOR_001","readings":3,"warnings":0,"alerts":1,"faults":0,
//!  "oldest":"2024-11-07T10:15:30","newest":"2024-11-07T10:15:32",
//!  "measurements":{"temperature":{"count":3,"mean":25.0,"min":21.0,"max":31.0,"stddev":4.32,"last":31.0}}}
//! ```
//!
//! `stddev` is the population standard deviation (divided by the count). Numbers have all their digits.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{MetricNames, Sensor, SensorTable, Totals};
use model::{write_number, write_string};
use runtime::LatencySnapshot;
use serde::{Serialize, Serializer};

use super::Error;

/// The totals of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AnalyzeSummary {
    /// Readings counted, implausible ones included, dead letters not.
    pub readings: u64,
    /// Different sensors.
    pub sensors: u64,
    /// Readings with the status `warning`.
    pub warnings: u64,
    /// Readings with a temperature above the bound.
    pub alerts: u64,
    /// Readings with at least one implausible measurement, which is in no average.
    pub sensor_faults: u64,
    /// Records that went to the dead-letter topic.
    pub dead_letters: u64,
    /// The same by reason.
    pub dead_letters_by_reason: BTreeMap<&'static str, u64>,
    /// Readings of sensors beyond the bound on sensors: counted, in no average.
    pub untracked_readings: u64,
    /// Values of further measurements beyond the bounds on those: in no average.
    pub untracked_values: u64,
    /// From the start of the run to its end, joining and leaving the group included.
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Readings per second of `elapsed`.
    pub rate: f64,
    /// From the first batch to the last.
    #[serde(rename = "active_seconds", serialize_with = "seconds")]
    pub active: Duration,
    /// Readings per second of `active`.
    pub active_rate: f64,
    /// From a record's timestamp until it was in the statistics; once per batch, of its first record.
    #[serde(rename = "append_to_statistics_ms", serialize_with = "latency_ms")]
    pub latency: LatencySnapshot,
    /// The bound of the alerts, in °C.
    pub high_temperature: f64,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn latency_ms<S: Serializer>(latency: &LatencySnapshot, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = |micros: u64| micros as f64 / 1e3;
    let LatencySnapshot { p50, p95, p99, max, .. } = *latency;
    let figures = [("p50", p50), ("p95", p95), ("p99", p99), ("max", max)];
    serializer.collect_map(figures.map(|(name, micros)| (name, millis(micros))))
}

impl AnalyzeSummary {
    /// Takes over the counts of the engine.
    pub(super) fn count(&mut self, all: &SensorTable) {
        let totals: &Totals = all.totals();
        self.readings = totals.readings;
        self.sensors = all.len() as u64;
        self.warnings = totals.warnings;
        self.alerts = totals.alerts;
        self.sensor_faults = totals.faults;
        self.untracked_readings = totals.untracked_readings;
        self.untracked_values = totals.untracked_values;
        self.rate = per_second(self.readings, self.elapsed);
        self.active_rate = per_second(self.readings, self.active);
    }

    /// The summary as one line of JSON, with the line's end.
    pub(super) fn to_json(&self) -> String {
        let json = serde_json::to_string(self);
        json.expect("names are strings, and a number that is not finite becomes null") + "\n"
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

impl fmt::Display for AnalyzeSummary {
    /// A table of two columns for people, with a line's end at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate =
            format!("{}/s over {:.1} s", grouped(self.rate.round() as u64), self.elapsed.as_secs_f64());
        line(f, "readings", self.readings, &rate)?;
        line(f, "sensors", self.sensors, "")?;
        line(f, "warnings", self.warnings, "")?;
        line(f, "alerts", self.alerts, &format!("temperature above {}", self.high_temperature))?;
        line(f, "sensor faults", self.sensor_faults, "")?;
        line(f, "dead letters", self.dead_letters, &by_reason(&self.dead_letters_by_reason))?;
        if self.untracked_readings > 0 {
            line(
                f,
                "untracked readings",
                self.untracked_readings,
                "of sensors beyond the bound, in no average",
            )?;
        }
        if self.untracked_values > 0 {
            line(
                f,
                "untracked values",
                self.untracked_values,
                "of measurements beyond the bound, in no average",
            )?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, count: u64, note: &str) -> fmt::Result {
    let text = format!("{name:<18} {:>15}  {note}", grouped(count));
    writeln!(f, "{}", text.trim_end())
}

/// `not-json 3, missing-sensor-id 1`, the most frequent first.
pub(super) fn by_reason(counts: &BTreeMap<&'static str, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let texts: Vec<String> =
        counts.iter().map(|(reason, count)| format!("{reason} {}", grouped(**count))).collect();
    texts.join(", ")
}

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The file for the statistics of every sensor. It is made at the start, so that a path that cannot be written to
/// is known then, under another name, so that what is found under its own name is whole.
#[derive(Debug)]
pub(super) struct StatsFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
}

impl Drop for StatsFile {
    fn drop(&mut self) {
        // After `finish` it is there no more. If it cannot be removed, that is no reason to fail.
        if let Err(error) = fs::remove_file(&self.partial)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.partial.display(), %error, "cannot remove the unfinished statistics file");
        }
    }
}

impl StatsFile {
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file =
            File::create(&partial).map_err(|source| Error::StatsFile { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), partial, file })
    }

    /// Writes all sensors and puts the file in its place.
    pub(super) fn finish(self, all: &SensorTable) -> Result<(), Error> {
        let written = write_sensors(&self.file, all)
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.partial, &self.path));
        written.map_err(|source| Error::StatsFile { path: self.path.clone(), source })
    }
}

fn write_sensors(file: &File, all: &SensorTable) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    let mut text = Vec::new();
    for sensor in all.sorted() {
        text.clear();
        sensor_json(sensor, all.names(), &mut text);
        file.write_all(&text)?;
    }
    file.flush()
}

fn sensor_json(sensor: &Sensor, names: &MetricNames, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"sensor_id\":");
    write_string(sensor.id(), out);
    let counts = format_args!(
        ",\"readings\":{},\"warnings\":{},\"alerts\":{},\"faults\":{},\"oldest\":\"{}\",\"newest\":\"{}\"",
        sensor.readings(),
        sensor.warnings(),
        sensor.alerts(),
        sensor.faults(),
        sensor.oldest(),
        sensor.newest(),
    );
    out.write_fmt(counts).expect("writing to memory does not fail");
    out.extend_from_slice(b",\"measurements\":{");
    for (index, (name, measurement)) in sensor.measurements(names).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, out);
        let running = measurement.running();
        out.extend_from_slice(b":{\"count\":");
        out.extend_from_slice(running.count().to_string().as_bytes());
        let figures = [
            ("mean", running.mean()),
            ("min", running.min()),
            ("max", running.max()),
            ("stddev", running.stddev()),
            ("last", measurement.last()),
        ];
        for (figure, value) in figures.into_iter().filter_map(|(figure, value)| Some((figure, value?))) {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(figure.as_bytes());
            out.extend_from_slice(b"\":");
            write_number(value, out);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}}\n");
}

#[cfg(test)]
mod tests {
    use engine::TableOptions;
    use model::{EventTime, Reading};

    use super::*;

    fn table() -> SensorTable {
        let mut table = SensorTable::new(TableOptions::default());
        for (sensor, second, celsius) in
            [("B \"2\"", 0, 31.0), ("A", 0, 21.0), ("A", 1, 23.0), ("A", 2, 31.0)]
        {
            let mut reading = Reading::new(sensor, EventTime::from_millis(second * 1_000));
            reading.temperature = Some(celsius);
            reading.humidity = (second == 2).then_some(-1.0);
            table.update(&reading);
        }
        table
    }

    fn summary() -> AnalyzeSummary {
        let mut summary = AnalyzeSummary {
            elapsed: Duration::from_millis(2_500),
            active: Duration::from_secs(2),
            high_temperature: 30.0,
            dead_letters: 1_234,
            dead_letters_by_reason: [("missing-sensor-id", 4), ("not-json", 1_230)].into(),
            latency: LatencySnapshot { count: 3, p50: 1_500, p95: 2_000, p99: 2_000, max: 2_100 },
            ..AnalyzeSummary::default()
        };
        summary.count(&table());
        summary
    }

    #[test]
    fn the_summary_for_people() {
        insta::assert_snapshot!(summary().to_string());
    }

    #[test]
    fn the_summary_for_programs_is_one_line_with_the_promised_fields() {
        insta::assert_snapshot!(summary().to_json());
    }

    #[test]
    fn the_statistics_file_is_whole_or_not_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("stats.jsonl");
        let file = StatsFile::create(&path).expect("can be made");
        assert!(!path.exists());
        file.finish(&table()).expect("can be written");
        insta::assert_snapshot!(fs::read_to_string(&path).expect("is there"));
        assert_eq!(fs::read_dir(directory.path()).expect("is there").count(), 1, "no partial file is left");
    }

    #[test]
    fn a_statistics_file_that_cannot_be_made_is_named() {
        let error = StatsFile::create(Path::new("/nowhere/stats.jsonl")).expect_err("no such directory");
        assert!(
            error.to_string().starts_with("cannot write the statistics file /nowhere/stats.jsonl: "),
            "{error}"
        );
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
