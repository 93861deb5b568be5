//! Stores under kill -9, with rebalances among three instances: every reading has its row, once, and no reader ever saw half
//! a file.

use testing::{Cluster, ClusterOptions, Kind};

use crate::harness::clients::Client;
use crate::harness::load::Load;
use crate::harness::process::{Keyboard, Running, Signal};
use crate::harness::random::Random;
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};
use crate::storage::{expect_equal, path_of, store_flags};

on_every_broker!(killed_stores_keep_every_reading_once);

/// Instances are killed so often.
const KILLS: usize = 30;
/// Readings a second.
const RATE: u32 = 5_000;
/// So many readings lie between two kills at most.
const MOST_BETWEEN: u64 = 5_000;

/// An instance; as a static member, so that a kill costs no session timeout.
fn start(stage: &Stage<'_>, path: &str, member: Option<&str>) -> Running {
    let topic = format!("{}=readings", stage.topic);
    let flags = store_flags(stage, path, &topic);
    // Small enough for several files between two kills, and for merges of the ledger.
    let own = ["--workers", "1", "--max-rows", "700", "--max-age", "100ms", "-X", "session.timeout.ms=6000"];
    let member = member.map(|member| format!("group.instance.id={}-{member}", stage.group));
    let fixed: Vec<&str> = member.iter().flat_map(|member| ["-X", member]).collect();
    stage.start(&[&flags[..], &own, &fixed].concat())
}

/// Somebody who reads all files again and again.
fn watch(path: &str) -> (Running, Keyboard) {
    Running::start_interactive(&mut Client::Confluent.command("watch_store.py", &[path]))
}

/// Nobody ever saw half a file, or a row twice.
fn end_watch(reader: Running, keyboard: Keyboard) {
    drop(keyboard);
    let seen = reader.finish(PATIENCE).expect_success().json();
    assert!(seen["reads"].as_u64() > Some(3), "{seen}");
}

/// An instance that is taken for dead after a second.
fn start_mortal(stage: &Stage<'_>, path: &str, group: &str) -> Running {
    let topic = format!("{}=readings", stage.topic);
    let fixed =
        ["store", "parquet", "--path", path, "--topics", &topic, "--group", group, "-o", "json", "-v"];
    let own = ["--workers", "1", "--max-rows", "500", "--max-age", "50ms"];
    let short = ["-X", "session.timeout.ms=1000", "-X", "heartbeat.interval.ms=300"];
    stage.start(&[&fixed[..], &own, &short].concat())
}

/// Ends producer and stores in order.
fn end(load: Load, instances: impl IntoIterator<Item = Running>) {
    for running in std::iter::once(load.running).chain(instances) {
        running.signal(Signal::Terminate);
        running.finish(PATIENCE).expect_code(143);
    }
}

/// Stores what is left, and checks everything.
fn finish(stage: &Stage<'_>, path: &str) {
    let topic = format!("{}=readings", stage.topic);
    let flags = store_flags(stage, path, &topic);
    stage.run(&[&flags[..], &["--exit-at-end"]].concat()).expect_success();
    stage.run(&["store", "verify", "--path", path]).expect_success();
    let rows = expect_equal(stage, path);
    stage.run(&["store", "compact", "--path", path]).expect_success();
    stage.run(&["store", "verify", "--path", path]).expect_success();
    assert_eq!(expect_equal(stage, path), rows);
}

fn killed_stores_keep_every_reading_once(kind: Kind) {
    let stage = Stage::shared(kind, "kill-store");
    let path = path_of(&stage, "data");
    let mut load = Load::start(&stage, RATE, &[]);
    let mut random = Random::new();
    let names = ["a", "b"];
    let mut instances = names.map(|name| Some(start(&stage, &path, Some(name))));
    let mut guest = None;
    let (reader, keyboard) = watch(&path);
    for kill in 0..KILLS {
        load.wait_for_more(1 + random.below(MOST_BETWEEN));
        let victim = random.below(2) as usize;
        instances[victim].take().expect("it is always started again").kill();
        instances[victim] = Some(start(&stage, &path, Some(names[victim])));
        match kill % 10 {
            2 => guest = Some(start(&stage, &path, None)),
            5 => drop(stage.run(&["store", "compact", "--path", &path]).expect_success()),
            8 => {
                let guest: Running = guest.take().expect("it came a moment ago");
                guest.signal(Signal::Terminate);
                guest.finish(PATIENCE).expect_code(143);
            }
            _ => {}
        }
    }
    load.running.signal(Signal::Terminate);
    load.running.finish(PATIENCE).expect_code(143);
    for instance in instances.into_iter().flatten() {
        instance.kill();
    }
    end_watch(reader, keyboard);
    finish(&stage, &path);
}

#[test]
fn a_store_goes_on_when_its_broker_was_killed() {
    let cluster =
        Cluster::own(&ClusterOptions { kind: Kind::Embedded, brokers: 1, port: 9_740, sasl_tls: false });
    let stage = Stage::on(&cluster, "kill-broker");
    stage.create_topic(&["--partitions", "3"]);
    let path = path_of(&stage, "data");
    let mut load = Load::start(&stage, RATE, &[]);
    let mut instances = [None, None].map(|member: Option<&str>| start(&stage, &path, member));
    for _ in 0..5 {
        load.wait_for_more(4_000);
        cluster.kill(1);
        cluster.revive(1);
    }
    load.wait_for_more(10_000);
    assert!(instances.iter_mut().all(Running::is_running));
    end(load, instances);
    finish(&stage, &path);
}

/// Instances sleep, in the middle of whatever they do, until others have their partitions, and wake up again.
#[test]
fn stores_that_slept_write_nothing_that_is_not_theirs() {
    let stage = Stage::shared(Kind::Embedded, "sleep-store");
    let path = path_of(&stage, "data");
    let mut load = Load::start(&stage, RATE, &[]);
    let mut instances = [(); 2].map(|()| start_mortal(&stage, &path, &stage.group));
    let assigned = |running: &Running| running.stderr().matches("storing place=").count();
    for round in 0..6 {
        load.wait_for_more(3_000);
        let (sleeper, other) = (round % 2, (round + 1) % 2);
        let before = assigned(&instances[other]);
        instances[sleeper].signal(Signal::Stop);
        instances[other].wait_until("the sleeper's partitions", |it| (assigned(it) > before).then_some(()));
        load.wait_for_more(3_000);
        instances[sleeper].signal(Signal::Continue);
        let before = assigned(&instances[sleeper]);
        instances[sleeper].wait_until("partitions again", |it| (assigned(it) > before).then_some(()));
    }
    end(load, instances);
    finish(&stage, &path);
}

/// Two groups with one place: they take partitions from each other, one of them ends and says why, and no row is doubled.
#[test]
fn two_groups_in_one_place_are_told_apart() {
    let stage = Stage::shared(Kind::Embedded, "two-groups");
    let path = path_of(&stage, "data");
    let mut load = Load::start(&stage, RATE, &[]);
    let mut one = start_mortal(&stage, &path, &stage.group);
    one.wait_until("a partition", |it| it.stderr().contains("storing place=").then_some(()));
    let mut other = start_mortal(&stage, &path, &format!("{}-other", stage.group));
    let ended = testing::wait_for("the end of one", PATIENCE, || {
        [&mut one, &mut other].into_iter().position(|it| !it.is_running())
    });
    let (lost, mut kept) = if ended == 0 { (one, other) } else { (other, one) };
    let error = lost.finish(PATIENCE).expect_one_error(1);
    assert!(error.contains("another worker now stores") && error.contains("give each its own"), "{error}");
    load.wait_for_more(5_000);
    assert!(kept.is_running(), "{}", kept.stderr());
    end(load, [kept]);
    stage.run(&["store", "verify", "--path", &path]).expect_success();
}
