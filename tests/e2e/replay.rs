//! `produce replay`: recorded series by one command, standard input, and what becomes of malformed rows.
//!
//! Files are read without any broker's help, so this runs on the newer release alone; that a killed replay goes on is
//! in `crashes`.

use std::fmt::Write;

use serde_json::Value;
use testing::Kind;

use crate::harness::PATIENCE;
use crate::harness::clients::{Client, Record, read_topic};
use crate::harness::process::{Outcome, Running};
use crate::harness::stage::Stage;

fn replay(stage: &Stage<'_>, file: &str, flags: &[&str]) -> Outcome {
    let fixed = ["produce", "replay", file, "--topic", &stage.topic, "--speed", "max", "-o", "json", "-q"];
    stage.run(&[&fixed[..], flags].concat())
}

fn contents(stage: &Stage<'_>) -> Vec<Record> {
    read_topic(Client::KafkaPython, stage.bootstrap(), &stage.topic)
}

fn fields(record: &Record) -> Value {
    serde_json::from_str(record.text()).expect("JSON")
}

#[test]
fn a_series_of_the_numenta_benchmark_needs_one_command() {
    let stage = Stage::shared(Kind::Kafka41, "nab");
    let mut series = "timestamp,value\n".to_owned();
    for hour in 0..24 {
        writeln!(series, "2013-07-04 {hour:02}:00:00,{}", 69.5 + f64::from(hour) / 8.0).expect("memory");
    }
    let file = stage.write("ambient_temperature_system_failure.csv", series);
    let summary = replay(&stage, file.to_str().expect("UTF-8"), &[]).expect_success().summary();
    assert_eq!((&summary["acknowledged"], &summary["input"]["rows"]), (&24.into(), &24.into()));
    let records = contents(&stage);
    assert_eq!(records.len(), 24);
    let hours: Vec<_> = records.iter().map(|record| fields(record)["timestamp"].to_string()).collect();
    assert!(hours.is_sorted() && hours[0].contains("2013-07-04T00:00:00"), "{hours:?}");
    let temperatures: Vec<_> =
        records.iter().filter_map(|record| fields(record)["temperature"].as_f64()).collect();
    assert_eq!((temperatures.first(), temperatures.last()), (Some(&69.5), Some(&72.375)));
}

#[test]
fn standard_input_is_a_file_too() {
    let stage = Stage::shared(Kind::Kafka41, "stdin");
    let rows =
        "sensor_id,timestamp,temperature,wind\nA,2024-11-07T10:15:30Z,20.5,3\nB,2024-11-07T10:15:31Z,,4.5\n";
    let arguments = ["produce", "replay", "-", "--topic", &stage.topic, "--speed", "max", "-q"];
    let running = Running::start_with_input(&mut stage.streamgauge(&arguments), Some(rows.into()));
    running.finish(PATIENCE).expect_success();
    let mut records: Vec<_> = contents(&stage).iter().map(fields).collect();
    records.sort_by_key(|reading| reading["sensor_id"].to_string());
    assert_eq!((&records[0]["temperature"], &records[0]["wind"]), (&20.5.into(), &3.0.into()));
    assert_eq!((&records[1]["temperature"], &records[1]["wind"]), (&Value::Null, &4.5.into()));
}

#[test]
fn a_malformed_row_stops_or_is_skipped_and_counted_but_is_never_dropped_in_silence() {
    let stage = Stage::shared(Kind::Kafka41, "malformed");
    let rows = "timestamp,temperature\n2024-11-07T10:15:30,20.5\n2024-11-07T10:15:31,warm\n2024-11-07T10:15:32,21.5\n";
    let file = stage.write("plant.csv", rows);
    let file = file.to_str().expect("UTF-8");
    let error = replay(&stage, file, &[]).expect_one_error(74);
    for part in ["plant.csv:3", "temperature", "warm", "--on-error skip"] {
        assert!(error.contains(part), "{error} does not name {part}");
    }
    assert_eq!(contents(&stage).len(), 1, "what came before it was sent");
    let summary = replay(&stage, file, &["--on-error", "skip"]).expect_success().summary();
    assert_eq!((&summary["acknowledged"], &summary["input"]["skipped_rows"]), (&2.into(), &1.into()));
    assert!(summary["input"]["first_skipped"][0].as_str().is_some_and(|row| row.contains("plant.csv:3")));
}
