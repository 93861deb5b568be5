//! TLS and SASL: the program behind a listener that asks for them, with flags and with a settings file.

use std::process::Command;

use testing::{Cluster, ClusterOptions, Kind};

use crate::harness::clients::{Client, read_topic};
use crate::harness::process::{Outcome, finish};
use crate::harness::stage::{Stage, streamgauge};

/// A cluster with all listeners, and the ways to it.
struct Secured {
    cluster: Cluster,
}

impl Secured {
    fn start(kind: Kind, port: u16) -> Self {
        Self { cluster: Cluster::own(&ClusterOptions { kind, brokers: 1, port, sasl_tls: true }) }
    }

    /// Flags for the listener with TLS and SASL.
    fn sasl(&self, mechanism: &str, user: &str, password: &str) -> Vec<String> {
        let ca = self.cluster.fact("ca");
        let properties = [
            "security.protocol=SASL_SSL".to_owned(),
            format!("sasl.mechanism={mechanism}"),
            format!("sasl.username={user}"),
            format!("sasl.password={password}"),
            format!("ssl.ca.location={ca}"),
        ];
        flags(self.cluster.fact("sasl_bootstrap"), &properties)
    }

    /// Flags for the listener with TLS alone.
    fn tls(&self, properties: &[String]) -> Vec<String> {
        let protocol = ["security.protocol=SSL".to_owned()];
        flags(self.cluster.fact("ssl_bootstrap"), &[&protocol, properties].concat())
    }

    fn user(&self) -> (&str, &str) {
        (self.cluster.fact("username"), self.cluster.fact("password"))
    }
}

fn flags(bootstrap: &str, properties: &[String]) -> Vec<String> {
    let mut flags = vec!["-b".to_owned(), bootstrap.to_owned()];
    for property in properties {
        flags.extend(["-X".to_owned(), property.clone()]);
    }
    flags
}

/// Produces and analyzes over the given way, and checks both counts.
fn produce_and_analyze(stage: &Stage<'_>, way: &[String]) {
    let topic = stage.topic.as_str();
    let run = |arguments: &[&str]| -> Outcome {
        let mut command = streamgauge(&stage.path(""));
        finish(command.args(arguments).args(["--topic", topic, "-o", "json", "-q"]).args(way))
    };
    let produced = run(&["produce", "sensors", "--count", "500", "--interval", "0"]).expect_success();
    assert_eq!(produced.summary()["acknowledged"], 500);
    let analyzed = run(&["analyze", "--group", &stage.group, "--exit-at-end"]).expect_success();
    assert_eq!(analyzed.summary()["readings"], 500);
}

fn secured_with(kind: Kind, port: u16) {
    let secured = Secured::start(kind, port);
    let (user, password) = secured.user();
    let fresh = |name| {
        let stage = Stage::on(&secured.cluster, name);
        stage.create_topic(&["--partitions", "3"]);
        stage
    };

    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
        produce_and_analyze(&fresh("sasl"), &secured.sasl(mechanism, user, password));
    }
    produce_and_analyze(
        &fresh("tls"),
        &secured.tls(&[format!("ssl.ca.location={}", secured.cluster.fact("ca"))]),
    );

    settings_in_a_file(&secured, &fresh("file"));
    the_doctor_misses_the_topics(&secured);
    wrong_ways_are_told(&secured);
}

fn settings_in_a_file(secured: &Secured, stage: &Stage<'_>) {
    let (user, password) = secured.user();
    let file = format!(
        "[kafka]\n\"bootstrap.servers\" = \"{}\"\n\"security.protocol\" = \"SASL_SSL\"\n\
         \"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\"sasl.username\" = \"{user}\"\n\"ssl.ca.location\" = \"{}\"\n",
        secured.cluster.fact("sasl_bootstrap"),
        secured.cluster.fact("ca"),
    );
    stage.write("streamgauge.toml", file);
    let command = |arguments: &[&str]| -> Command {
        let mut command = streamgauge(&stage.path(""));
        command.args(arguments).env("STREAMGAUGE__KAFKA__SASL_PASSWORD", password);
        command
    };
    let topic = stage.topic.as_str();
    let produce =
        ["produce", "sensors", "--topic", topic, "--count", "10", "--interval", "0", "-o", "json", "-q"];
    assert_eq!(finish(&mut command(&produce)).expect_success().summary()["acknowledged"], 10);
    let shown = finish(&mut command(&["config", "show"])).expect_success().stdout;
    assert!(!shown.contains(password) && shown.contains("sasl.password"), "{shown}");
    let records = read_topic(Client::KafkaPython, stage.bootstrap(), topic);
    assert_eq!(records.len(), 10);
}

/// This cluster has none of the catalogue's topics yet.
fn the_doctor_misses_the_topics(secured: &Secured) {
    let (user, password) = secured.user();
    let directory = tempfile::tempdir().expect("a directory for a test");
    let way = secured.sasl("SCRAM-SHA-512", user, password);
    let checked = finish(streamgauge(directory.path()).args(["doctor", "-o", "json"]).args(&way)).json();
    let checks = checked["checks"].as_array().expect("a list");
    let fixes: Vec<_> = checks.iter().filter_map(|check| check["fix"].as_str()).collect();
    assert!(fixes.iter().any(|fix| fix.contains("streamgauge topics create")), "{checked:#}");
    assert!(
        checks.iter().any(|check| check["check"] == "connection" && check["outcome"] == "ok"),
        "{checked:#}"
    );
}

/// Each mistake: its flags, and what the message must name.
fn wrong_ways_are_told(secured: &Secured) {
    let (user, password) = secured.user();
    let ca = secured.cluster.fact("ca");
    let plain_way = flags(secured.cluster.fact("sasl_bootstrap"), &[]);
    let ways = [
        (secured.sasl("SCRAM-SHA-512", user, "wrong"), "sasl.password"),
        (secured.sasl("SCRAM-SHA-512", "nobody", password), "sasl.username"),
        (secured.sasl("PLAIN", user, "wrong"), "sasl.password"),
        // The system's authorities do not know the cluster's.
        (secured.tls(&[]), "ssl.ca.location"),
        (plain_way, "security.protocol"),
    ];
    let directory = tempfile::tempdir().expect("a directory for a test");
    let told = |command: &[&str], way: &[String], named: &str| {
        let error = finish(streamgauge(directory.path()).args(command).args(way)).expect_one_error(69);
        assert!(error.contains(named), "{command:?} {way:?}: {error}");
        assert!(!error.contains(password), "{error}");
    };
    for (way, named) in &ways {
        told(&["topics", "list"], way, named);
    }
    let (way, named) = &ways[0];
    told(&["produce", "sensors", "--count", "1"], way, named);
    told(&["analyze"], way, named);
    let missing = secured.tls(&[format!("ssl.ca.location={ca}.missing")]);
    let error =
        finish(streamgauge(directory.path()).args(["topics", "list"]).args(missing)).expect_one_error(78);
    assert!(error.contains("ssl.ca.location"), "{error}");
}

#[test]
fn kafka_3_9_with_zookeeper() {
    secured_with(Kind::Kafka39, 9500);
}

#[test]
fn kafka_4_1_with_kraft() {
    secured_with(Kind::Kafka41, 9550);
}
