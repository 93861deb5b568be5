//! A Kafka Streams application with `exactly_once_v2`: transactions with offsets of groups in them, fencing by group
//! generation (KIP-447), repartition topics and changelogs, as Java's own library makes use of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use testing::{Kind, project};

use crate::harness::process::{Running, finish};
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};

on_every_broker!(a_killed_streams_application_counts_exactly_once);

/// Records to be counted.
const RECORDS: u64 = 100_000;
/// Different values among them.
const VALUES: u64 = 50;
/// Records that the application has counted before it is killed: far from all of them.
const BEFORE_KILL: u64 = 10_000;

fn a_killed_streams_application_counts_exactly_once(kind: Kind) {
    let stage = Stage::on_shared(kind, "streams");
    let (input, output) = (stage.topic.clone(), format!("{}-counts", stage.topic));
    stage.run(&["topics", "create", &input, "--partitions", "4"]).expect_success();
    stage.run(&["topics", "create", &output, "--partitions", "3"]).expect_success();
    let expected = write_input(&stage, &input);

    for life in 0..2 {
        let mut application = start(&stage, &input, &output);
        application.wait_until("progress", |application| {
            (counted(&application.stdout()) >= BEFORE_KILL).then_some(())
        });
        application.kill();
        let read = committed(&stage, &output).len() as u64;
        assert!(read < RECORDS, "killed too late in life {life}: everything was counted");
    }
    let mut application = start(&stage, &input, &output);
    application
        .wait_until("all counts", |_| (committed(&stage, &output).len() as u64 >= RECORDS).then_some(()));

    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (value, count) in committed(&stage, &output) {
        counts.entry(value).or_default().push(count);
    }
    assert_eq!(counts.len() as u64, VALUES);
    for (value, told) in counts {
        let all: Vec<u64> = (1..=expected[&value]).collect();
        assert!(told == all, "{value}: {} counts told instead of {}", told.len(), all.len());
    }
}

/// Writes the records and returns how often each value is among them.
fn write_input(stage: &Stage<'_>, topic: &str) -> BTreeMap<String, u64> {
    let values = (0..RECORDS).map(|number| format!("value-{}", number * number % 9_973 % VALUES));
    let (mut lines, mut expected) = (String::new(), BTreeMap::new());
    for (number, value) in values.enumerate() {
        writeln!(lines, "{number}|{value}").expect("a String takes everything");
        *expected.entry(value).or_default() += 1;
    }
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", stage.bootstrap(), "-t", topic, "-P", "-K", "|", "-X", "acks=all"]);
    kcat.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start_with_input(&mut kcat, Some(lines.into())).finish(PATIENCE).expect_success();
    expected
}

fn start(stage: &Stage<'_>, input: &str, output: &str) -> Running {
    let mut command = Command::new(project().join("scripts/kafka"));
    command.arg("java").arg(project().join("tests/clients/CountPerValue.java"));
    command.args([stage.bootstrap(), &stage.group, input, output]).arg(stage.path("state"));
    Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

/// How many records the application says that it has counted, committed or not.
fn counted(stdout: &str) -> u64 {
    let told = stdout.lines().filter_map(|line| line.strip_prefix("counted ")?.parse().ok());
    told.max().unwrap_or(0)
}

/// Every value and count that is committed, in the order of each partition.
fn committed(stage: &Stage<'_>, topic: &str) -> Vec<(String, u64)> {
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", stage.bootstrap(), "-t", topic, "-C", "-q", "-e", "-o", "beginning", "-f", "%k %s\n"]);
    kcat.args(["-X", "isolation.level=read_committed"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let line = |line: &str| {
        let (value, count) = line.split_once(' ').expect("a value and its count");
        (value.to_owned(), count.parse().expect("a count"))
    };
    finish(&mut kcat).expect_success().stdout.lines().map(line).collect()
}
