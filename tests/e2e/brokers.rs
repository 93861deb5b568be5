//! Brokers that die, freeze and come back under load. Each test has a cluster of its own to break.

use std::time::Duration;

use testing::{Cluster, ClusterOptions, Kind, wait_for};

use crate::harness::PATIENCE;
use crate::harness::clients::{audit, progress};
use crate::harness::load::{Load, Metrics};
use crate::harness::process::{Running, Signal};
use crate::harness::stage::Stage;

fn cluster(kind: Kind, brokers: u16, port: u16) -> Cluster {
    Cluster::own(&ClusterOptions { kind, brokers, port, sasl_tls: false })
}

fn start_analyze(stage: &Stage<'_>) -> (Running, Metrics) {
    let metrics = Metrics::on_free_port();
    let fixed =
        ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--commit-interval", "1s", "-q"];
    (stage.start(&[&fixed[..], &["-o", "json", "--metrics-listen", &metrics.address]].concat()), metrics)
}

/// Whether every partition has all its replicas in sync.
fn is_in_sync(stage: &Stage<'_>, replicas: usize) -> bool {
    let described = stage.run(&["topics", "describe", &stage.topic, "-o", "json"]);
    if described.code() != 0 {
        return false;
    }
    let described = described.json();
    let partitions = described[0]["partitions"].as_array().expect("a list");
    partitions.iter().all(|partition| partition["in_sync"].as_array().map(Vec::len) == Some(replicas))
}

/// Ends the load, waits until the group has read all of it, and checks every count from outside.
fn expect_nothing_lost(stage: &Stage<'_>, load: Load, mut analyzer: Running) {
    load.running.signal(Signal::Interrupt);
    let produced = load.running.finish(PATIENCE).expect_code(130).summary();
    assert_eq!((&produced["failed"], &produced["unacknowledged"]), (&0.into(), &0.into()));
    let audit = audit(stage.bootstrap(), &stage.topic);
    audit.expect_whole();
    assert_eq!(produced["acknowledged"], audit.records);
    analyzer.wait_until("the end of the topic", |_| {
        let progress = progress(stage.bootstrap(), &stage.topic, &stage.group);
        progress.values().all(|partition| partition.committed.unwrap_or(0) == partition.end).then_some(())
    });
    analyzer.signal(Signal::Interrupt);
    let summary = analyzer.finish(PATIENCE).expect_code(130).summary();
    let readings = summary["readings"].as_u64().expect("a count");
    assert!(readings >= audit.records, "{readings} of {} read", audit.records);
    assert_eq!(summary["dead_letters"], 0);
}

/// Two of three brokers, one after the other, each with a third of the leaders.
fn one_of_three_brokers_is_killed(kind: Kind, port: u16) {
    let cluster = cluster(kind, 3, port);
    let stage = Stage::on(&cluster, "three");
    stage.create_topic(&["--partitions", "6", "--replication-factor", "3", "--min-isr", "2"]);
    let mut load = Load::start(&stage, 5_000, &[]);
    let (analyzer, metrics) = start_analyze(&stage);
    for broker in [1, 2] {
        load.wait_for_more(5_000);
        cluster.kill(broker);
        load.wait_for_more(20_000);
        let read = metrics.readings().unwrap_or(0);
        wait_for("readings after the kill", PATIENCE, || {
            metrics.readings().filter(|now| *now > read + 5_000)
        });
        cluster.revive(broker);
        wait_for("replicas in sync", PATIENCE, || is_in_sync(&stage, 3).then_some(()));
    }
    expect_nothing_lost(&stage, load, analyzer);
}

#[test]
fn one_of_three_brokers_is_killed_on_kafka_3_9_with_zookeeper() {
    one_of_three_brokers_is_killed(Kind::Kafka39, 9650);
}

#[test]
fn one_of_three_brokers_is_killed_on_kafka_4_1_with_kraft() {
    one_of_three_brokers_is_killed(Kind::Kafka41, 9700);
}

/// The only broker dies, then freezes: the producer says so, waits with a bounded buffer, and goes on.
fn the_only_broker_goes_away_and_comes_back(kind: Kind, port: u16) {
    const BUFFER: u64 = 5_000;
    let cluster = cluster(kind, 1, port);
    let stage = Stage::on(&cluster, "single");
    stage.create_topic(&["--partitions", "3"]);
    let buffer = format!("queue.buffering.max.messages={BUFFER}");
    let mut load = Load::start(&stage, 5_000, &["-X", &buffer]);
    let (mut analyzer, metrics) = start_analyze(&stage);
    analyzer.wait_until("readiness", |_| metrics.readiness().filter(|status| *status == 200));
    load.wait_for_more(5_000);

    // A ZooKeeper broker that starts answers, for a moment, that its topics do not exist: what librdkafka hands back then
    // must be sent again.
    cluster.kill(1);
    load.running.wait_until("the producer's word on it", |running| {
        let address = cluster.bootstrap.as_str();
        running
            .stderr()
            .lines()
            .any(|line| line.contains("brokers are away") && line.contains(address))
            .then_some(())
    });
    for metrics in [&load.metrics, &metrics] {
        wait_for("unreadiness", PATIENCE, || metrics.readiness().filter(|status| *status == 503));
    }
    wait_for("a full buffer", PATIENCE, || {
        let in_flight = load.metrics.in_flight().unwrap_or(0);
        assert!(in_flight <= BUFFER, "the buffer has a bound");
        (in_flight == BUFFER).then_some(())
    });
    cluster.revive(1);
    load.wait_for_more(10_000);
    for metrics in [&load.metrics, &metrics] {
        wait_for("readiness", PATIENCE, || metrics.readiness().filter(|status| *status == 200));
    }

    cluster.pause(1);
    wait_for("a full buffer", PATIENCE, || load.metrics.in_flight().filter(|count| *count == BUFFER));
    cluster.resume(1);
    load.wait_for_more(10_000);
    expect_nothing_lost(&stage, load, analyzer);
}

#[test]
fn the_only_broker_goes_away_and_comes_back_on_kafka_3_9_with_zookeeper() {
    the_only_broker_goes_away_and_comes_back(Kind::Kafka39, 9750);
}

#[test]
fn the_only_broker_goes_away_and_comes_back_on_kafka_4_1_with_kraft() {
    the_only_broker_goes_away_and_comes_back(Kind::Kafka41, 9800);
}

#[test]
fn the_only_broker_goes_away_and_comes_back_as_the_embedded_one() {
    the_only_broker_goes_away_and_comes_back(Kind::Embedded, 9900);
}

/// The end asked for while the broker is away: the producer names what is not acknowledged, and a second signal ends
/// the wait for it.
#[test]
fn an_end_without_a_broker_is_told_and_a_second_signal_aborts() {
    let cluster = cluster(Kind::Kafka41, 1, 9850);
    let stage = Stage::on(&cluster, "end");
    stage.create_topic(&["--partitions", "1"]);
    for signals in [1, 2] {
        let load = Load::start(&stage, 5_000, &[]);
        cluster.kill(1);
        wait_for("records in flight", PATIENCE, || load.metrics.in_flight().filter(|count| *count > 5_000));
        let (running, metrics) = (load.running, load.metrics);
        running.signal(Signal::Interrupt);
        if signals == 1 {
            let outcome = running.finish(Duration::from_secs(60)).expect_code(69);
            assert!(outcome.stderr.contains("not acknowledged"), "{}", outcome.stderr);
            assert!(outcome.summary()["unacknowledged"].as_u64() > Some(0), "{}", outcome.stdout);
        } else {
            // The first signal must have been seen, or both count as one.
            wait_for("draining", PATIENCE, || metrics.readiness().filter(|status| *status == 503));
            running.signal(Signal::Interrupt);
            running.finish(Duration::from_secs(5)).expect_code(130);
        }
        cluster.revive(1);
    }
}
