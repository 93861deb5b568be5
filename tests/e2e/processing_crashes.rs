//! The stream processor under kill -9: what it committed is, key by key and record for record, what an undisturbed run
//! says, and what Python computes from the readings.
//!
//! Readings come in at a steady rate while instances are killed at random instants and started again at once, under static
//! membership, so that a kill costs no session timeout; another instance joins and leaves meanwhile.

use serde_json::{Value, json};
use testing::{Cluster, ClusterOptions, Kind, unique};

use crate::harness::clients::Client;
use crate::harness::load::Load;
use crate::harness::process::{Running, Signal};
use crate::harness::random::Random;
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};

on_every_broker!(killed_processors_say_everything_once);

/// Instances are killed so often.
const KILLS: usize = 30;
/// Readings a second.
const RATE: u32 = 4_000;
/// So many readings lie between two kills at most.
const MOST_BETWEEN: u64 = 5_000;
/// Shorter than the default, so that there are many windows and snapshots, and some corrections.
const SETTINGS: &str = r#"
[process]
commit_interval = "20ms"
snapshot_interval = "2s"

[process.time]
disorder = "200ms"

[[windows]]
name = "1s"
size = "1s"
grace = "1s"

[[windows]]
name = "hop"
size = "3s"
hop = "1s"
grace = "1s"
metrics = ["temperature"]
quantiles = true

[[windows]]
name = "session"
gap = "300ms"
metrics = ["humidity"]

[[rules]]
name = "warm"
when = "temperature > 24"
clear = 23
max_per_hour = 100000

[[rules]]
name = "rising"
when = "mean(temperature, 1s) - temperature < -0.5"
max_per_hour = 100000
"#;

/// The topics of one run over the readings.
struct Output {
    group: String,
    analytics: String,
    alerts: String,
}

impl Output {
    fn create(stage: &Stage<'_>, name: &str, flags: &[&str]) -> Self {
        let topic = |kind: &str| format!("{}-{name}-{kind}", stage.topic);
        let output = Self {
            group: format!("{}-{name}", stage.group),
            analytics: topic("analytics"),
            alerts: topic("alerts"),
        };
        for topic in [&output.analytics, &output.alerts] {
            stage.run(&[&["topics", "create", topic, "--partitions", "3"], flags].concat()).expect_success();
        }
        output
    }

    /// An instance; one with a name is a static member.
    fn start(&self, stage: &Stage<'_>, name: &str, is_static: bool, flags: &[&str]) -> Running {
        let (member, client) = (format!("group.instance.id={name}"), format!("client.id={name}"));
        let fixed = ["process", "-c", "settings.toml", "--topic", &stage.topic, "--group", &self.group];
        let topics = ["--analytics", &self.analytics, "--alerts", &self.alerts, "--instance", name];
        let own = ["--workers", "1", "-X", "session.timeout.ms=6000", "-X", &client, "-o", "json", "-v"];
        let member: &[&str] = if is_static { &["-X", &member] } else { &[] };
        let start = ["-X", "auto.offset.reset=earliest"];
        stage.start(&[&fixed[..], &topics, &own, member, &start, flags].concat())
    }

    /// Processes what is left, and returns the summary.
    fn finish(&self, stage: &Stage<'_>, name: &str) -> Value {
        self.start(stage, name, false, &["--exit-at-end"]).finish(PATIENCE).expect_success().summary()
    }
}

fn killed_processors_say_everything_once(kind: Kind) {
    let stage = Stage::shared(kind, "kill-process");
    stage.write("settings.toml", SETTINGS);
    let harmed = Output::create(&stage, "harmed", &[]);
    let mut load = Load::start(&stage, RATE, &[]);
    let mut random = Random::new();
    let names = ["a", "b"].map(unique);
    let mut instances = names.each_ref().map(|name| Some(harmed.start(&stage, name, true, &[])));
    let mut guest = None;
    for kill in 0..KILLS {
        load.wait_for_more(1 + random.below(MOST_BETWEEN));
        let victim = random.below(2) as usize;
        instances[victim].take().expect("it is always started again").kill();
        instances[victim] = Some(harmed.start(&stage, &names[victim], true, &[]));
        if kill % 10 == 4 {
            guest = Some(harmed.start(&stage, &unique("guest"), false, &[]));
        }
        if kill % 10 == 9 {
            let guest: Running = guest.take().expect("it came half a round ago");
            guest.signal(Signal::Terminate);
            guest.finish(PATIENCE).expect_code(143);
        }
    }
    load.running.signal(Signal::Interrupt);
    let produced = load.running.finish(PATIENCE).expect_code(130).summary();
    for instance in instances.into_iter().flatten() {
        instance.signal(Signal::Terminate);
        instance.finish(PATIENCE).expect_code(143);
    }
    let last = harmed.finish(&stage, &unique("last"));
    let (left, all) = (last["records"].as_u64(), produced["acknowledged"].as_u64());
    assert!(
        left < all.map(|all| all / 2),
        "most was processed by those that were killed: {left:?} of {all:?}"
    );
    compare(&stage, &harmed, &produced);
}

/// Compares what was committed with what an undisturbed run says, and with what Python computes.
fn compare(stage: &Stage<'_>, harmed: &Output, produced: &Value) {
    let calm = Output::create(stage, "calm", &[]);
    let summary = calm.finish(stage, &unique("calm"));
    assert_eq!(summary["records"], produced["acknowledged"], "{summary}");
    assert!(summary["alarms_fired"].as_u64() > Some(10), "{summary}");
    for (own, other) in [(&harmed.analytics, &calm.analytics), (&harmed.alerts, &calm.alerts)] {
        let found = python("same.py", &[stage.bootstrap(), own, other]);
        assert_eq!(found["differing"], 0, "{own}: {found}");
        assert!(found["records"].as_u64() > Some(20) && found["records"] == found["others"], "{found}");
    }
    let windows = [stage.bootstrap(), &stage.topic, &harmed.analytics, "1", "1", "0.2", "1s"];
    let found = python("windows.py", &windows);
    for wrong in ["missing", "unexpected", "doubled", "wrong"] {
        assert_eq!(found[wrong], json!([]), "{wrong}: {found}");
    }
    assert!(found["windows"].as_u64() > Some(1_000), "{found}");
}

fn python(script: &str, arguments: &[&str]) -> Value {
    let output = Client::Confluent.script(script, arguments, None);
    serde_json::from_str(&output).expect("the script prints JSON")
}

/// What at-least-once promises: after kills everything is there, in order, and some of it more than once.
#[test]
fn killed_processors_say_everything_at_least_once() {
    let stage = Stage::shared(Kind::Embedded, "kill-process-once-or-more");
    stage.write("settings.toml", SETTINGS);
    let harmed = Output::create(&stage, "harmed", &[]);
    let mut load = Load::start(&stage, RATE, &[]);
    let (mut random, name) = (Random::new(), unique("a"));
    let at_least_once = ["--guarantee", "at-least-once"];
    let mut instance = harmed.start(&stage, &name, true, &at_least_once);
    for _ in 0..8 {
        load.wait_for_more(1 + random.below(MOST_BETWEEN));
        instance.kill();
        instance = harmed.start(&stage, &name, true, &at_least_once);
    }
    load.running.signal(Signal::Interrupt);
    load.running.finish(PATIENCE).expect_code(130);
    instance.signal(Signal::Terminate);
    instance.finish(PATIENCE).expect_code(143);
    let last = [&at_least_once[..], &["--exit-at-end"]].concat();
    harmed.start(&stage, &unique("last"), false, &last).finish(PATIENCE).expect_success();
    let calm = Output::create(&stage, "calm", &[]);
    calm.finish(&stage, &unique("calm"));
    for (own, other) in [(&harmed.analytics, &calm.analytics), (&harmed.alerts, &calm.alerts)] {
        let found = python("same.py", &[stage.bootstrap(), own, other, "at-least-once"]);
        assert_eq!(found["differing"], 0, "{own}: {found}");
        assert!(found["records"].as_u64() >= found["others"].as_u64(), "{found}");
    }
}

/// An instance with the others' snapshots at hand goes on where one that is killed was.
#[test]
fn a_standby_goes_on_for_who_is_killed() {
    let stage = Stage::shared(Kind::Embedded, "standby");
    stage.write("settings.toml", SETTINGS);
    let harmed = Output::create(&stage, "harmed", &[]);
    let mut load = Load::start(&stage, RATE, &[]);
    let first = harmed.start(&stage, &unique("first"), false, &[]);
    load.wait_for_more(20_000);
    let mut standby = harmed.start(&stage, &unique("standby"), false, &["--standby"]);
    let restored = |standby: &Running| standby.stderr().matches("state restored").count();
    standby.wait_until("a share of the partitions", |standby| (restored(standby) > 0).then_some(()));
    load.wait_for_more(10_000);
    let before = restored(&standby);
    first.kill();
    standby.wait_until("the rest of the partitions", |standby| (restored(standby) > before).then_some(()));
    load.wait_for_more(5_000);
    load.running.signal(Signal::Interrupt);
    let produced = load.running.finish(PATIENCE).expect_code(130).summary();
    standby.signal(Signal::Terminate);
    standby.finish(PATIENCE).expect_code(143);
    harmed.finish(&stage, &unique("last"));
    compare(&stage, &harmed, &produced);
}

/// One of three brokers is killed and comes back while processors work; nothing is lost and nothing is there twice.
#[test]
fn a_killed_broker_takes_nothing_with_it() {
    let options = ClusterOptions { kind: Kind::Kafka41, brokers: 3, port: 9_640, sasl_tls: false };
    let cluster = Cluster::own(&options);
    let stage = Stage::on(&cluster, "kill-broker");
    let replicated = ["--replication-factor", "3", "--min-isr", "2"];
    stage.create_topic(&[&["--partitions", "3"], &replicated[..]].concat());
    stage.write("settings.toml", SETTINGS);
    let harmed = Output::create(&stage, "harmed", &replicated);
    let mut load = Load::start(&stage, RATE, &[]);
    let names = ["a", "b"].map(unique);
    let instances = names.each_ref().map(|name| harmed.start(&stage, name, false, &[]));
    load.wait_for_more(10_000);
    cluster.kill(2);
    load.wait_for_more(10_000);
    cluster.revive(2);
    load.wait_for_more(10_000);
    load.running.signal(Signal::Interrupt);
    let produced = load.running.finish(PATIENCE).expect_code(130).summary();
    for instance in instances {
        instance.signal(Signal::Terminate);
        instance.finish(PATIENCE).expect_code(143);
    }
    harmed.finish(&stage, &unique("last"));
    compare(&stage, &harmed, &produced);
}
