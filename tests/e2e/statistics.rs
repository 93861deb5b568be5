//! `produce sensors`, then `analyze`: counts and statistics equal what Python computes from the same topic.

use serde_json::Value;
use testing::{Kind, project};

use crate::harness::clients::{Client, audit, statistics};
use crate::harness::on_every_broker;
use crate::harness::stage::Stage;

/// Sums of a few hundred values of one magnitude, in another order of additions.
const RELATIVE_TOLERANCE: f64 = 1e-9;

on_every_broker!(
    statistics_equal_those_computed_by_python,
    faults_are_counted_as_python_counts_them,
    the_same_seed_gives_the_same_readings,
    a_group_reads_on_where_it_stopped,
    the_settings_of_the_python_pipeline_work,
);

/// Produces `count` readings of 50 sensors and returns the producer's summary.
fn produce(stage: &Stage<'_>, count: u64, flags: &[&str]) -> Value {
    let count = count.to_string();
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "--num-sensors", "50", "--count", &count];
    let simulated = ["--start-time", "2024-11-07T10:15:30", "--speed", "max", "-o", "json"];
    stage.run(&[&fixed[..], &simulated, flags].concat()).expect_success().summary()
}

/// Analyzes to the end and returns the summary and the statistics of each sensor.
fn analyze(stage: &Stage<'_>) -> (Value, Vec<Value>) {
    let file = stage.path("stats.jsonl");
    let file_name = file.to_str().expect("UTF-8");
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--exit-at-end"];
    let summary =
        stage.run(&[&fixed[..], &["--stats-file", file_name, "-o", "json", "-q"]].concat()).expect_success();
    let text = std::fs::read_to_string(&file).expect("the statistics file");
    let sensors = text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line"));
    (summary.summary(), sensors.collect())
}

fn assert_close(found: &Value, expected: &Value, what: &str) {
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{what}: {value} is no number"));
    let (found, expected) = (number(found), number(expected));
    let scale = found.abs().max(expected.abs()).max(1.0);
    assert!(
        (found - expected).abs() <= RELATIVE_TOLERANCE * scale,
        "{what}: {found}, Python says {expected}"
    );
}

/// Compares totals and every figure of every sensor.
fn assert_as_python_says(stage: &Stage<'_>, (summary, sensors): &(Value, Vec<Value>)) {
    let expected = statistics(stage.bootstrap(), &stage.topic, "30");
    for total in ["readings", "sensors", "warnings", "alerts", "dead_letters"] {
        assert_eq!(summary[total], expected[total], "{total}");
    }
    assert_eq!(summary["sensor_faults"], expected["faults"]);
    let by_sensor = expected["by_sensor"].as_object().expect("an object");
    assert_eq!(sensors.len(), by_sensor.len());
    for sensor in sensors {
        let id = sensor["sensor_id"].as_str().expect("a string");
        let expected = by_sensor.get(id).unwrap_or_else(|| panic!("Python saw no {id}"));
        for count in ["readings", "warnings", "alerts"] {
            assert_eq!(sensor[count], expected[count], "{count} of {id}");
        }
        let measurements = expected["measurements"].as_object().expect("an object");
        assert_eq!(
            sensor["measurements"].as_object().map(serde_json::Map::len),
            Some(measurements.len()),
            "{id}"
        );
        for (name, figures) in measurements {
            for (figure, expected) in figures.as_object().expect("an object") {
                let found = &sensor["measurements"][name][figure];
                assert_close(found, expected, &format!("{figure} of {name} of {id}"));
            }
        }
    }
}

fn statistics_equal_those_computed_by_python(kind: Kind) {
    let stage = Stage::shared(kind, "statistics");
    let produced = produce(&stage, 20_000, &["--seed", "7"]);
    assert_eq!(produced["acknowledged"], 20_000);
    let found = analyze(&stage);
    assert_eq!(found.0["readings"], 20_000);
    assert_eq!(found.0["dead_letters"], 0);
    assert_as_python_says(&stage, &found);
    let audit = audit(stage.bootstrap(), &stage.topic);
    audit.expect_whole();
    assert_eq!((audit.records, audit.last.len()), (20_000, 50));
}

fn faults_are_counted_as_python_counts_them(kind: Kind) {
    let stage = Stage::shared(kind, "faults");
    let produced = produce(&stage, 20_000, &["--seed", "8", "--faults", "all,malformed=0.01,spike=0.01"]);
    let injected = produced["faults"].as_object().expect("faults by name");
    for fault in ["spike", "malformed", "duplicate", "out-of-order", "stuck", "late-burst", "clock-skew"] {
        assert!(injected.get(fault).and_then(Value::as_u64) > Some(0), "no {fault} among {injected:?}");
    }
    let found = analyze(&stage);
    assert_as_python_says(&stage, &found);
    assert_eq!(found.0["dead_letters"], injected["malformed"]);
}

fn the_same_seed_gives_the_same_readings(kind: Kind) {
    let contents = || {
        let stage = Stage::shared(kind, "seed");
        produce(&stage, 500, &["--seed", "9"]);
        let mut records =
            crate::harness::clients::read_topic(Client::KafkaPython, stage.bootstrap(), &stage.topic);
        records.sort_by(|one, other| one.value.cmp(&other.value));
        records.into_iter().map(|record| (record.key, record.value, record.headers)).collect::<Vec<_>>()
    };
    assert_eq!(contents(), contents());
}

fn a_group_reads_on_where_it_stopped(kind: Kind) {
    let stage = Stage::shared(kind, "resume");
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--exit-at-end", "-o", "json"];
    for (count, commit) in [(1_000, "interval"), (2_000, "each-batch"), (0, "interval")] {
        if count > 0 {
            produce(&stage, count, &[]);
        }
        let run = stage.run(&[&fixed[..], &["--commit", commit, "-q"]].concat()).expect_success();
        assert_eq!(run.summary()["readings"], count, "each run counts what is new");
    }
}

fn the_settings_of_the_python_pipeline_work(kind: Kind) {
    let stage = Stage::shared(kind, "seed-settings");
    let settings = project().join("config/seed.toml");
    let settings = ["-c", settings.to_str().expect("UTF-8"), "-o", "json", "-q"];
    let produce = ["produce", "sensors", "--topic", &stage.topic, "--count", "2000", "--interval", "0"];
    let produced = stage.run(&[&produce[..], &settings].concat()).expect_success().summary();
    assert_eq!(produced["acknowledged"], 2_000);
    let analyze = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--exit-at-end"];
    let analyzed = stage.run(&[&analyze[..], &settings].concat()).expect_success().summary();
    assert_eq!(analyzed["readings"], 2_000);
    audit(stage.bootstrap(), &stage.topic).expect_whole();
}
