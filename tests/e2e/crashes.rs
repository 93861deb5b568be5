//! kill -9 under load: nothing acknowledged is missing, nothing is skipped, order stays.
//!
//! What is acknowledged and what is committed is looked at from outside: the producer's metrics just before the kill,
//! the group's offsets as the brokers tell them to kafka-python.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;

use serde_json::Value;
use testing::{Kind, wait_for};

use crate::harness::clients::{Client, Record, audit, progress, read_topic};
use crate::harness::load::{Load, Metrics};
use crate::harness::process::{Running, Signal};
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};

on_every_broker!(
    a_killed_producer_loses_nothing_acknowledged,
    a_killed_replay_goes_on_without_missing_a_line,
    analyze_killed_with_commits_at_intervals_skips_nothing,
    analyze_killed_with_a_commit_after_each_batch_skips_nothing,
);

fn a_killed_producer_loses_nothing_acknowledged(kind: Kind) {
    let stage = Stage::shared(kind, "kill-producer");
    let mut load = Load::start(&stage, 50_000, &[]);
    load.wait_for_more(50_000);
    let acknowledged = load.metrics.acknowledged().expect("it is running");
    load.running.kill();
    let audit = audit(stage.bootstrap(), &stage.topic);
    audit.expect_whole();
    assert!(audit.records >= acknowledged, "{} of {acknowledged} acknowledged", audit.records);
}

/// Lines of the file that is replayed.
const LINES: u64 = 120_000;
/// Sensors that take turns in it.
const SENSORS: u64 = 40;

fn a_killed_replay_goes_on_without_missing_a_line(kind: Kind) {
    let stage = Stage::shared(kind, "kill-replay");
    let mut lines = String::new();
    for number in 0..LINES {
        let sensor = number % SENSORS;
        writeln!(
            lines,
            r#"{{"sensor_id":"R{sensor}","timestamp":{},"line":{number}}}"#,
            1_730_974_530_000 + number
        )
        .expect("memory takes everything");
    }
    let file = stage.write("readings.jsonl", lines);
    let position = stage.path("position");
    let (file, position_name) = (file.to_str().expect("UTF-8"), position.to_str().expect("UTF-8"));
    let fixed = ["produce", "replay", file, "--topic", &stage.topic, "--speed", "max"];
    let resumed = [&fixed[..], &["--resume", position_name, "-o", "json", "-q"]].concat();

    for _ in 0..3 {
        let before = fs::read(&position).ok();
        let metrics = Metrics::on_free_port();
        // At full speed a kill would always come too late.
        let slow = ["--metrics-listen", &metrics.address, "-X", "linger.ms=1", "-X", "batch.num.messages=20"];
        let mut replay = stage.start(&[&resumed[..], &slow].concat());
        replay.wait_until("a saved position", |_| {
            fs::read(&position).ok().filter(|now| before.as_ref() != Some(now))
        });
        replay.kill();
    }
    stage.run(&resumed).expect_success();
    expect_every_line_in_order(&read_topic(Client::KafkaPython, stage.bootstrap(), &stage.topic));
    let again = stage.run(&resumed).expect_success().summary();
    assert_eq!(again["acknowledged"], 0, "a replay that came to its end has nothing left");
}

/// Every line is there at least once, and new lines of a sensor come in their order.
fn expect_every_line_in_order(records: &[Record]) {
    let mut seen = BTreeSet::new();
    let mut newest: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for record in records {
        let reading: Value = serde_json::from_str(record.text()).expect("JSON");
        let line = reading["line"].as_f64().expect("a number") as i64;
        let newest = newest.entry(record.key.clone().expect("a key")).or_insert(-1);
        if seen.insert(line) {
            assert!(line > *newest, "line {line} came after line {newest}");
            *newest = line;
        }
    }
    assert_eq!(seen.len() as u64, LINES, "of {} records", records.len());
}

fn analyze_killed_with_commits_at_intervals_skips_nothing(kind: Kind) {
    // Shorter than the default, so that a commit and readings behind it come soon.
    analyze_killed(kind, &["--commit", "interval", "--commit-interval", "700ms"]);
}

fn analyze_killed_with_a_commit_after_each_batch_skips_nothing(kind: Kind) {
    analyze_killed(kind, &["--commit", "each-batch"]);
}

/// Kills `analyze` twice under load, then lets it come to the end; each life writes its lines to a file.
fn analyze_killed(kind: Kind, commit: &[&str]) {
    let stage = Stage::shared(kind, "kill-analyze");
    let mut load = Load::start(&stage, 3_000, &[]);
    let mut seen = BTreeSet::new();
    for life in 0..2 {
        let path = stage.path(&format!("life-{life}"));
        let committed_before = committed(&stage);
        let analyzer = start_analyze(&stage, commit, &path, life);
        wait_for("progress behind a commit", PATIENCE, || {
            let moved = committed(&stage) != committed_before;
            (moved && offsets_in(&path).len() > 3_000).then_some(())
        });
        analyzer.kill();
        let read = offsets_in(&path);
        expect_begin(&committed_before, &read);
        for (partition, next) in committed(&stage) {
            let last = read
                .iter()
                .chain(&seen)
                .filter(|(own, _)| *own == partition)
                .map(|(_, offset)| *offset)
                .max();
            assert!(last >= Some(next - 1), "committed up to {next}, but read up to {last:?}");
        }
        seen.extend(read);
    }
    load.wait_for_more(1_000);
    load.running.signal(Signal::Interrupt);
    let produced = load.running.finish(PATIENCE).expect_code(130).summary();

    let before = committed(&stage);
    let path = stage.path("life-last");
    let end = [commit, &["--exit-at-end"]].concat();
    start_analyze(&stage, &end, &path, 2).finish(PATIENCE).expect_success();
    let read = offsets_in(&path);
    expect_begin(&before, &read);
    seen.extend(read);
    assert_eq!(produced["acknowledged"], seen.len(), "every record was read, by one life or another");
    for (partition, progress) in progress(stage.bootstrap(), &stage.topic, &stage.group) {
        assert_eq!(progress.committed.unwrap_or(0), progress.end, "partition {partition}");
    }
}

fn start_analyze(stage: &Stage<'_>, flags: &[&str], lines: &Path, life: u32) -> Running {
    // A dead member is waited for until its session ends; brokers allow no shorter one than this. A name of its own
    // for each life keeps a successor from being taken for it.
    let client = format!("client.id=life-{life}");
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "-o", "json"];
    let own = ["-X", "session.timeout.ms=6000", "-X", &client];
    let mut command = stage.streamgauge(&[&fixed[..], &own, flags].concat());
    Running::start(command.stdout(File::create(lines).expect("a file for a test")))
}

/// Partition and offset of every whole line; the summary has none.
fn offsets_in(lines: &Path) -> BTreeSet<(i32, i64)> {
    let text = fs::read_to_string(lines).expect("the file of lines");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let place = |line| {
        let line: Value = serde_json::from_str(line).expect("a JSON object a line");
        Some((line["partition"].as_i64()? as i32, line["offset"].as_i64()?))
    };
    whole.lines().filter_map(place).collect()
}

fn committed(stage: &Stage<'_>) -> BTreeMap<i32, i64> {
    let progress = progress(stage.bootstrap(), &stage.topic, &stage.group);
    progress.into_iter().filter_map(|(partition, progress)| Some((partition, progress.committed?))).collect()
}

/// Checks that reading began exactly at what was committed, or at the beginning.
fn expect_begin(committed: &BTreeMap<i32, i64>, read: &BTreeSet<(i32, i64)>) {
    let partitions: BTreeSet<i32> = read.iter().map(|(partition, _)| *partition).collect();
    for partition in partitions {
        let first = read.iter().find(|(own, _)| *own == partition).map(|(_, offset)| *offset);
        assert_eq!(first, Some(committed.get(&partition).copied().unwrap_or(0)), "partition {partition}");
    }
}
