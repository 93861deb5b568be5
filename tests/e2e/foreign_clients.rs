//! Clients of other languages, both ways: what they write is understood, what we write they understand, and the same
//! key lies in the same partition whoever wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::Value;
use testing::{Kind, project};

use crate::harness::clients::{Client, Outgoing, read_topic};
use crate::harness::process::Running;
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};

on_every_broker!(
    readings_of_every_client_are_understood,
    every_client_understands_our_readings,
    the_same_key_lies_in_the_same_partition_whoever_writes,
    the_python_pipelines_producer_feeds_analyze,
    the_python_pipelines_consumer_reads_our_readings,
);

/// Enough for every partition, and with a key that is not ASCII.
const SENSORS: usize = 60;

/// Runs a command-line client to its end and returns what it printed.
#[track_caller]
fn run(mut command: Command, input: Option<Vec<u8>>) -> String {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start_with_input(&mut command, input).finish(PATIENCE).expect_success().stdout
}

fn kcat(stage: &Stage<'_>, arguments: &[&str]) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-b", stage.bootstrap(), "-t", &stage.topic]).args(arguments);
    command
}

/// One of Kafka's own tools, of the cluster's release.
fn java(stage: &Stage<'_>, kind: Kind, tool: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(project().join("scripts/kafka"));
    command.args(["tool", "--version", kind.release(), tool, "--bootstrap-server", stage.bootstrap()]);
    command.args(["--topic", &stage.topic]).args(arguments);
    command
}

/// A reading as Python's json writes it, with blanks behind commas and colons.
fn reading(sensor: &str, temperature: f64) -> String {
    format!(
        "{{\"sensor_id\": \"{sensor}\", \"timestamp\": \"2024-11-07T10:15:30.250000\", \"temperature\": \
         {temperature}, \"humidity\": 65.2, \"pressure\": 1013.25, \"location\": {{\"latitude\": 52.3676, \
         \"longitude\": 4.9041}}, \"status\": \"active\"}}"
    )
}

fn sensors() -> Vec<String> {
    let numbered = (1..SENSORS).map(|number| format!("SENSOR_{number:03}"));
    numbered.chain(["Fühler-7".to_owned()]).collect()
}

/// `KEY|READING` lines for the clients of the command line.
fn lines(temperature: f64) -> Vec<u8> {
    let line = |sensor: &String| format!("{sensor}|{}\n", reading(sensor, temperature));
    sensors().iter().map(line).collect::<Vec<_>>().concat().into()
}

/// Whoever can write.
#[derive(Clone, Copy, Debug)]
enum Writer {
    Library(Client),
    Kcat,
    Java,
}

const WRITERS: [Writer; 5] = [
    Writer::Library(Client::SeedKafkaPython),
    Writer::Library(Client::KafkaPython),
    Writer::Library(Client::Confluent),
    Writer::Kcat,
    Writer::Java,
];

impl Writer {
    /// Writes a reading of every sensor.
    fn write(self, stage: &Stage<'_>, kind: Kind) {
        let temperature = 21.5;
        match self {
            Self::Library(client) => {
                let records: Vec<_> =
                    sensors().iter().map(|key| Outgoing::new(key, reading(key, temperature))).collect();
                client.write(stage.bootstrap(), &stage.topic, &records);
            }
            Self::Kcat => {
                let flags = ["-P", "-K", "|", "-X", "acks=all", "-X", "topic.partitioner=murmur2_random"];
                run(kcat(stage, &flags), Some(lines(temperature)));
            }
            Self::Java => {
                let flags = ["--property", "parse.key=true", "--property", "key.separator=|"];
                run(java(stage, kind, "console-producer", &flags), Some(lines(temperature)));
            }
        }
    }
}

fn analyze(stage: &Stage<'_>) -> Value {
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--exit-at-end"];
    stage.run(&[&fixed[..], &["-o", "json", "-q"]].concat()).expect_success().summary()
}

fn produce(stage: &Stage<'_>, count: u64) {
    let (count, sensors) = (count.to_string(), SENSORS.to_string());
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "--num-sensors", &sensors, "--count", &count];
    let produced =
        stage.run(&[&fixed[..], &["--interval", "0", "-o", "json", "-q"]].concat()).expect_success();
    assert_eq!(produced.summary()["acknowledged"].to_string(), count);
}

fn readings_of_every_client_are_understood(kind: Kind) {
    let stage = Stage::shared(kind, "foreign");
    for writer in WRITERS {
        writer.write(&stage, kind);
        let summary = analyze(&stage);
        let counts = (&summary["readings"], &summary["sensors"], &summary["dead_letters"]);
        assert_eq!(counts, (&SENSORS.into(), &SENSORS.into(), &0.into()), "{writer:?}");
    }
}

/// The partition of each key, as kafka-python finds it in the topic; a key in two partitions fails the test.
fn partitions(stage: &Stage<'_>) -> BTreeMap<Vec<u8>, i32> {
    let mut partitions = BTreeMap::new();
    for record in read_topic(Client::KafkaPython, stage.bootstrap(), &stage.topic) {
        let key = record.key.expect("a key");
        let before = partitions.insert(key, record.partition);
        assert!(before.is_none_or(|before| before == record.partition), "a key lies in two partitions");
    }
    partitions
}

fn the_same_key_lies_in_the_same_partition_whoever_writes(kind: Kind) {
    let fresh = |name| {
        let stage = Stage::on_shared(kind, name);
        // A number of partitions that shares no factor with the hash's range.
        stage.create_topic(&["--partitions", "7"]);
        stage
    };
    // Our keys from a file, so that they are the same as everybody's.
    let ours = fresh("partitions-ours");
    let readings: String = sensors().iter().map(|sensor| reading(sensor, 20.5) + "\n").collect();
    let file = ours.write("readings.jsonl", readings);
    let file = file.to_str().expect("UTF-8");
    ours.run(&["produce", "replay", file, "--topic", &ours.topic, "--speed", "max", "-q"]).expect_success();
    let expected = partitions(&ours);
    assert_eq!(expected.len(), SENSORS);
    assert!(expected.values().collect::<BTreeSet<_>>().len() > 5, "the keys are spread");
    for writer in WRITERS {
        let stage = fresh("partitions");
        writer.write(&stage, kind);
        assert_eq!(partitions(&stage), expected, "{writer:?}");
    }
}

fn every_client_understands_our_readings(kind: Kind) {
    let stage = Stage::shared(kind, "ours");
    produce(&stage, 600);
    for client in [Client::SeedKafkaPython, Client::KafkaPython] {
        let records = read_topic(client, stage.bootstrap(), &stage.topic);
        assert_eq!(records.len(), 600, "{client:?}");
        for record in &records {
            let reading: Value = serde_json::from_str(record.text()).expect("JSON");
            assert_eq!(reading["sensor_id"].as_str().map(str::as_bytes), record.key.as_deref());
            assert!(record.header("sg-seq").parse::<u64>().is_ok_and(|number| (1..=10).contains(&number)));
        }
    }
    let audit = crate::harness::clients::audit(stage.bootstrap(), &stage.topic);
    audit.expect_whole();
    assert_eq!(audit.records, 600, "confluent-kafka");

    let read = run(kcat(&stage, &["-C", "-e", "-q", "-o", "beginning", "-f", "%k|%s\n"]), None);
    expect_readings(&read, "kcat");
    let flags = ["--from-beginning", "--max-messages", "600", "--timeout-ms", "30000"];
    let keys = ["--property", "print.key=true", "--property", "key.separator=|"];
    let read = run(java(&stage, kind, "console-consumer", &[&flags[..], &keys].concat()), None);
    expect_readings(&read, "Java");
}

/// Checks `KEY|READING` lines.
fn expect_readings(text: &str, client: &str) {
    assert_eq!(text.lines().count(), 600, "{client}");
    for line in text.lines() {
        let (key, reading) = line.split_once('|').expect("a key and a reading");
        let reading: Value = serde_json::from_str(reading).expect("JSON");
        assert_eq!(reading["sensor_id"], key, "{client}");
    }
}

fn the_python_pipelines_producer_feeds_analyze(kind: Kind) {
    for client in [Client::SeedKafkaPython, Client::KafkaPython] {
        let stage = Stage::shared(kind, "seed-producer");
        let sent = client.script("seed_producer.py", &[stage.bootstrap(), &stage.topic, "10", "50"], None);
        assert_eq!(sent.trim(), "{\"acknowledged\": 500}");
        let summary = analyze(&stage);
        let expected = crate::harness::clients::statistics(stage.bootstrap(), &stage.topic, "30");
        for total in ["readings", "sensors", "warnings", "alerts", "dead_letters"] {
            assert_eq!(summary[total], expected[total], "{client:?} {total}");
        }
        assert_eq!(summary["readings"], 500);
    }
}

fn the_python_pipelines_consumer_reads_our_readings(kind: Kind) {
    let stage = Stage::shared(kind, "seed-consumer");
    produce(&stage, 600);
    for client in [Client::SeedKafkaPython, Client::KafkaPython] {
        let group = format!("{}-{client:?}", stage.group);
        let read = client.script("seed_consumer.py", &[stage.bootstrap(), &stage.topic, &group, "600"], None);
        let found: Value = serde_json::from_str(&read).expect("JSON");
        let expected = crate::harness::clients::statistics(stage.bootstrap(), &stage.topic, "30");
        for total in ["readings", "warnings", "alerts"] {
            assert_eq!(found[total], expected[total], "{client:?} {total}");
        }
        assert_eq!(found["sensors"].as_object().map(serde_json::Map::len), Some(SENSORS));
        // It has read everything, so our consumer has nothing left in its group.
        let fixed =
            ["analyze", "--topic", &stage.topic, "--group", &group, "--exit-at-end", "-o", "json", "-q"];
        assert_eq!(stage.run(&fixed).expect_success().summary()["readings"], 0, "{client:?}");
    }
}
