//! `streamgauge up` and `streamgauge broker` as a newcomer meets them: one command, a second start, a kill in between,
//! mistakes.

use std::fs;

use serde_json::Value;
use testing::{Cluster, ClusterOptions, Kind, wait_for};

use crate::harness::PATIENCE;
use crate::harness::clients::{Client, audit, read_topic};
use crate::harness::load::Metrics;
use crate::harness::process::{Running, Signal, finish};
use crate::harness::stage::{Stage, streamgauge};

/// A pipeline under way.
struct Up {
    running: Running,
    metrics: Metrics,
    /// What it said at the start.
    start: Value,
}

impl Up {
    /// Starts it in this directory and waits for its first words.
    fn start(directory: &std::path::Path, flags: &[&str]) -> Self {
        let metrics = Metrics::on_free_port();
        let fixed = ["up", "-o", "json", "--metrics-listen", &metrics.address];
        let mut command = streamgauge(directory);
        let mut running = Running::start(command.args(fixed).args(flags));
        let line = running.wait_until("the start", |running| {
            let text = running.stdout();
            text.split_once('\n').map(|(line, _)| line.to_owned())
        });
        Self { running, metrics, start: serde_json::from_str(&line).expect("the start is JSON") }
    }

    fn bootstrap(&self) -> &str {
        self.start["bootstrap"].as_str().expect("an address")
    }

    fn wait_for_readings(&mut self, count: u64) {
        let metrics = &self.metrics;
        self.running.wait_until("readings", |_| metrics.readings().filter(|seen| *seen >= count));
    }

    /// Ctrl-C, and what it printed at the end.
    fn end(self) -> Value {
        self.running.signal(Signal::Interrupt);
        self.running.finish(PATIENCE).expect_code(130).summary()
    }
}

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];
const FAST: [&str; 4] = ["--num-sensors", "50", "--interval", "0.05"];

#[test]
fn one_command_is_a_whole_pipeline_and_leaves_nothing_if_it_is_ephemeral() {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let mut up = Up::start(directory.path(), &[&["--ephemeral"], &ANY_PORT[..], &FAST].concat());
    assert_eq!((&up.start["embedded"], &up.start["continued"]), (&true.into(), &false.into()));
    let data = up.start["data_dir"].as_str().expect("a path").to_owned();
    up.wait_for_readings(500);
    // Clients of other languages find the readings, and the events beside them.
    let events = read_topic(Client::KafkaPython, up.bootstrap(), "events");
    assert!(!events.is_empty());
    let seen = read_topic(Client::SeedKafkaPython, up.bootstrap(), "sensor-data");
    assert!(seen.len() >= 500, "{} readings", seen.len());
    let metrics = crate::harness::http::get(&up.metrics.address, "/metrics").expect("an endpoint").body;
    for name in
        ["streamgauge_broker_records_total", "streamgauge_broker_connections", "kafka_consumergroup_lag"]
    {
        assert!(metrics.contains(name), "{name} is not in:\n{metrics}");
    }
    assert!(fs::exists(&data).expect("a path that can be looked at"));
    let end = up.end();
    assert_eq!(end["sensors"]["unacknowledged"], 0, "{end}");
    assert!(end["analytics"]["readings"].as_u64() >= Some(500), "{end}");
    assert!(end["storage"]["rows_by_table"]["readings"].as_u64() >= Some(500), "{end}");
    assert!(end["first_analytics_seconds"].as_f64().is_some(), "{end}");
    assert!(!fs::exists(&data).expect("a path that can be looked at"), "{data} is left");
}

/// A family without a series is not in `/metrics`, so the names are looked for where they are given.
#[test]
fn the_dashboard_and_the_alert_rules_ask_for_nothing_that_there_is_not() {
    let root = testing::project();
    let mut looked_for = 0;
    for file in ["prometheus/streamgauge.rules.yml", "grafana/streamgauge.json"] {
        let text = fs::read_to_string(root.join("config").join(file)).expect("it is there");
        let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        for name in
            words.filter(|word| word.starts_with("streamgauge_") || word.starts_with("kafka_consumergroup"))
        {
            let given = format!("\"{}\"", name.trim_end_matches("_bucket"));
            let mut grep = std::process::Command::new("grep");
            grep.args(["-rqF", "--include=*.rs", &given]).arg(root.join("crates"));
            assert!(grep.status().is_ok_and(|status| status.success()), "{file} asks for {name}");
            looked_for += 1;
        }
    }
    assert!(looked_for > 15, "{looked_for}");
}

#[test]
fn a_second_start_goes_on_after_a_kill() {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let mut first = Up::start(directory.path(), &[&ANY_PORT[..], &FAST].concat());
    assert_eq!(first.start["continued"], false);
    first.wait_for_readings(2_000);
    let acknowledged = first.metrics.sum("streamgauge_producer_records_total", "topic=\"sensor-data\"");
    let acknowledged = acknowledged.expect("it is running") as u64;
    first.running.kill();

    let mut second = Up::start(directory.path(), &[&ANY_PORT[..], &["--no-simulator"]].concat());
    assert_eq!(second.start["continued"], true);
    let data = second.start["data_dir"].as_str().expect("a path");
    assert!(data.starts_with(directory.path().to_str().expect("UTF-8")), "{data}");
    let audit = audit(second.bootstrap(), "sensor-data");
    audit.expect_whole();
    assert!(audit.records >= acknowledged, "{} of {acknowledged} acknowledged", audit.records);
    // The group goes on from its last commit: what came after that is read now.
    let metrics = &second.metrics;
    second.running.wait_until("an end to the lag", |_| {
        metrics.sum("kafka_consumergroup_lag", "").filter(|lag| *lag == 0.0)
    });
    let store = second.start["store"].as_str().expect("a path").to_owned();
    let end = second.end();
    assert_eq!((&end["sensors"], &end["events"]), (&Value::Null, &Value::Null));
    // Everything is stored, once.
    let verify = ["store", "verify", "--path", &store, "-o", "json"];
    let verdict = finish(streamgauge(directory.path()).args(verify)).expect_success().json();
    let readings = verdict["partitions"].as_array().expect("a list").iter();
    let readings = readings.filter(|partition| partition["topic"] == "sensor-data");
    let found: u64 = readings.filter_map(|partition| partition["found"].as_u64()).sum();
    assert_eq!(found, audit.records, "{verdict}");
    assert!(end["analytics"]["readings"].as_u64() <= Some(audit.records), "{end}");
}

#[test]
fn it_runs_on_a_real_cluster_too() {
    let cluster =
        Cluster::own(&ClusterOptions { kind: Kind::Kafka41, brokers: 1, port: 9950, sasl_tls: false });
    let directory = tempfile::tempdir().expect("a directory for a test");
    let mut up = Up::start(directory.path(), &[&["-b", &cluster.bootstrap], &FAST[..]].concat());
    assert_eq!((&up.start["embedded"], &up.start["data_dir"]), (&false.into(), &Value::Null));
    up.wait_for_readings(500);
    assert_eq!(up.end()["sensors"]["unacknowledged"], 0);
    audit(&cluster.bootstrap, "sensor-data").expect_whole();
}

#[test]
fn a_part_that_fails_ends_the_whole_with_its_reason() {
    let directory = tempfile::tempdir().expect("a directory for a test");
    // Or the topic would be made anew as soon as the producer asks for it.
    let file = directory.path().join("streamgauge.toml");
    fs::write(file, "[broker]\ncreate_topics = false\n").expect("a file for a test");
    let mut up = Up::start(directory.path(), &[&["--ephemeral"], &ANY_PORT[..], &FAST].concat());
    up.wait_for_readings(100);
    let bootstrap = up.bootstrap().to_owned();
    let delete = ["topics", "delete", "events", "--yes", "-b", &bootstrap];
    finish(streamgauge(directory.path()).args(delete)).expect_success();
    let outcome = up.running.finish(PATIENCE);
    assert!(outcome.code() != 0 && outcome.code() != 130, "{outcome:?}");
    assert!(outcome.stderr.contains("events"), "{}", outcome.stderr);
}

/// Port and directory are taken, and the message says by what and what to do.
#[test]
fn a_taken_port_or_directory_is_named() {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let data = directory.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let mut command = streamgauge(directory.path());
    let mut first =
        Running::start(command.args(["broker", "--data-dir", data]).args(ANY_PORT).args(["-o", "json"]));
    let line = first.wait_until("the address", |running| running.stdout().lines().next().map(str::to_owned));
    let start: Value = serde_json::from_str(&line).expect("the start is JSON");
    let address = start["address"].as_str().expect("an address");

    let same_port = ["broker", "--listen", address, "--data-dir", &format!("{data}-other")];
    let refused = finish(streamgauge(directory.path()).args(same_port)).expect_one_error(74);
    assert!(refused.contains(address) && refused.contains("--listen"), "{refused}");
    let same_data = ["broker", "--data-dir", data, "--listen", "127.0.0.1:0"];
    let refused = finish(streamgauge(directory.path()).args(same_data)).expect_one_error(74);
    assert!(refused.contains(data) && refused.contains("--data-dir"), "{refused}");

    first.signal(Signal::Terminate);
    first.finish(PATIENCE).expect_code(143);
    let open = ["broker", "--listen", "0.0.0.0:0", "--data-dir", data];
    let refused = finish(streamgauge(directory.path()).args(open)).expect_one_error(78);
    assert!(refused.contains("authentication"), "{refused}");
}

/// Many rounds of kill -9 under the load of several clients with transactions: what was committed is there once, what was
/// aborted is not read, nothing is in between.
#[test]
fn transactions_survive_kills_of_the_embedded_broker() {
    const ROUNDS: usize = 8;
    let cluster =
        Cluster::own(&ClusterOptions { kind: Kind::Embedded, brokers: 1, port: 9960, sasl_tls: false });
    let stage = Stage::on(&cluster, "transactions");
    stage.create_topic(&["--partitions", "3"]);
    let journal = stage.path("outcomes");
    let journal_name = journal.to_str().expect("UTF-8");
    let python = testing::project().join(".venv/current/bin/python");
    let script = testing::project().join("tests/clients/transactions.py");
    let arguments = ["run", &cluster.bootstrap, &stage.topic, journal_name];
    let mut command = std::process::Command::new(&python);
    command
        .arg(&script)
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut clients = Running::start(&mut command);
    let committed = || fs::read_to_string(&journal).unwrap_or_default().matches("\"committed\"").count();
    for _ in 0..ROUNDS {
        let before = committed();
        clients.wait_until("more transactions", |_| (committed() >= before + 30).then_some(()));
        cluster.kill(1);
        cluster.revive(1);
    }
    let before = committed();
    clients.wait_until("transactions after the last kill", |_| (committed() > before + 10).then_some(()));
    clients.signal(Signal::Terminate);
    clients.finish(PATIENCE).expect_success();
    let verdict = wait_for("the clients' verdict", PATIENCE, || {
        let check = ["check", &cluster.bootstrap, &stage.topic, journal_name];
        let mut command = std::process::Command::new(&python);
        command
            .arg(&script)
            .args(check)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        Some(finish(&mut command).expect_success().json())
    });
    let count = |name: &str| verdict[name].as_u64().expect("a count");
    assert_eq!(
        (count("lost"), count("torn"), count("twice"), count("aborted_seen")),
        (0, 0, 0, 0),
        "{verdict}"
    );
    assert!(count("committed") >= 30 * ROUNDS as u64 && count("aborted") > 0, "{verdict}");
}
