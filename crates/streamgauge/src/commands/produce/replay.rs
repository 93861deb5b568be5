//! `streamgauge produce replay`: recorded series from files.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use model::EventTime;
use producers::replay::{
    self, Format, Input, MapItem, Mapping, OnError, Preset, ReplayOptions, SensorId, TimeFormat,
};
use producers::{Speed, Target};

use super::report::produce;
use crate::cli;
use crate::commands::Context;
use crate::exit::Ending;

/// Produce readings from CSV, JSON Lines and Parquet files
#[derive(Debug, Args)]
#[command(
    after_help = "Columns that are named like a field of a reading become that field; every other column of numbers becomes a
measurement. Parquet files are those that streamgauge stored or exported. Fields for --map: sensor_id, timestamp, index, latitude, longitude, status, fault, or a measurement. The
files of the Numenta Anomaly Benchmark and of the labelled WSN data are recognised by their columns.

Examples:
  streamgauge produce replay readings.csv --speed 60
  streamgauge produce replay machine_temperature_system_failure.csv --speed max --start-time 2024-01-01T00:00:00
  streamgauge produce replay plant.csv --map 'sensor_id=device,timestamp=time,temperature=t1' --time-format epoch-ms
  streamgauge produce replay big.jsonl --speed max --resume big.position    # goes on where it stopped
  streamgauge produce replay data/readings/day=2026-11-27/*.parquet --speed max
  zcat old.jsonl.gz | streamgauge produce replay - --speed max"
)]
pub(super) struct ReplayArgs {
    /// The files, in this order; - is standard input
    #[arg(value_name = "FILE", required = true)]
    inputs: Vec<PathBuf>,
    /// How the files are written: csv, or jsonl [default: found out]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// The separator of CSV, one character, or tab [default: found out]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The data set that the files belong to: nab, or wsn [default: recognised by the columns]
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// Which column becomes which field, FIELD=COLUMN; may be repeated or separated by commas
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    map: Vec<MapItem>,
    /// The sensor's id, as text with {column} for the cell of a column and {file} for the file's name
    #[arg(long, value_name = "TEXT")]
    sensor_id: Option<SensorId>,
    /// The measurement that a column named value is
    #[arg(long, value_name = "NAME")]
    measurement: Option<String>,
    /// How timestamps are written: auto, epoch-s, epoch-ms, epoch-us, epoch-ns, or a pattern as of strftime
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    time_format: TimeFormat,
    /// The event time of the first row, ISO 8601, UTC without a zone; the others are shifted along
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    start_time: Option<EventTime>,
    /// The time between rows, where they have no timestamp
    #[arg(long, value_name = "DURATION", value_parser = cli::duration)]
    step: Option<Duration>,
    /// A multiple of the original pace, or max for as fast as possible
    #[arg(long, value_name = "N|max", default_value = "1")]
    speed: Speed,
    /// Begin again at the end
    #[arg(long = "loop")]
    repeat: bool,
    /// Remember in this file how far every row was acknowledged, and go on from there
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// What to do at a malformed row: stop, or skip and count
    #[arg(long, value_name = "WHAT", default_value = "stop", value_parser = ["stop", "skip"])]
    on_error: String,
    /// End after so many records
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = cli::duration)]
    duration: Option<Duration>,
    /// The topic
    #[arg(short, long, value_name = "TOPIC", default_value = model::topics::SENSOR_DATA)]
    topic: String,
}

impl ReplayArgs {
    fn options(&self, target: Target) -> ReplayOptions {
        let inputs = self.inputs.iter().map(input).collect();
        ReplayOptions {
            format: self.format,
            delimiter: self.delimiter,
            preset: self.preset,
            mapping: Mapping {
                items: self.map.clone(),
                sensor_id: self.sensor_id.clone(),
                measurement: self.measurement.clone(),
            },
            time_format: self.time_format.clone(),
            start_time: self.start_time,
            step: self.step,
            speed: self.speed,
            repeat: self.repeat,
            resume: self.resume.clone(),
            on_error: if self.on_error == "skip" { OnError::Skip } else { OnError::Stop },
            count: self.count,
            duration: self.duration,
            ..ReplayOptions::new(inputs, target)
        }
    }
}

pub(super) fn run(args: &ReplayArgs, context: &Context) -> anyhow::Result<Ending> {
    produce(context, &args.topic, |target, progress, service| {
        replay::run(&args.options(target), &context.settings.kafka, progress, &service.shutdown)
    })
}

/// Parquet is known by its first bytes, whatever the file is called.
fn input(argument: &PathBuf) -> Input {
    match Input::from_argument(argument) {
        Input::File(path) if storage::is_parquet(&path) => {
            Input::Converted(path, storage::readings_as_json_lines)
        }
        input => input,
    }
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "csv" => Ok(Format::Csv),
        "jsonl" => Ok(Format::JsonLines),
        _ => Err("it must be csv or jsonl".to_owned()),
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("it must be one ASCII character, or tab".to_owned()),
    }
}
