//! Instances that join and leave under load share the partitions, and together they process every record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;

use serde_json::Value;
use testing::{Kind, wait_for};

use crate::harness::load::Load;
use crate::harness::process::{Running, Signal};
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};

on_every_broker!(instances_that_join_and_leave_share_the_partitions);

/// An `analyze` whose lines go to a file.
struct Instance {
    running: Running,
    lines: PathBuf,
}

impl Instance {
    fn start(stage: &Stage<'_>, name: &str) -> Self {
        let (lines, client) = (stage.path(name), format!("client.id={name}"));
        let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--workers", "1"];
        let mut command = stage.streamgauge(&[&fixed[..], &["-o", "json", "-X", &client]].concat());
        let running = Running::start(command.stdout(File::create(&lines).expect("a file for a test")));
        Self { running, lines }
    }

    /// Asks it to end; returns where the records that it processed lie, and how many its summary counts.
    fn leave(self, signal: Signal, code: i32) -> (Vec<(i64, i64)>, u64) {
        self.running.signal(signal);
        self.running.finish(PATIENCE).expect_code(code);
        let text = fs::read_to_string(&self.lines).expect("the file of lines");
        let mut lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
        let summary = lines.pop().expect("a summary");
        let place = |line: &Value| Some((line["partition"].as_i64()?, line["offset"].as_i64()?));
        let places = lines.iter().map(|line| place(line).expect("a place")).collect();
        (places, summary["readings"].as_u64().expect("a count"))
    }
}

/// How many partitions each member has, by its client id.
fn shares(stage: &Stage<'_>) -> BTreeMap<String, usize> {
    let described = stage.run(&["groups", "describe", &stage.group, "-o", "json"]);
    if described.code() != 0 {
        // Nobody has joined yet.
        return BTreeMap::new();
    }
    let described = described.json();
    let members = described["members"].as_array().expect("a list").iter();
    let name = |id: &Value| {
        let member = members.clone().find(|member| member["id"] == *id);
        member.and_then(|member| member["client_id"].as_str()).map(str::to_owned)
    };
    let mut shares = BTreeMap::new();
    for offset in described["offsets"].as_array().expect("a list") {
        if let Some(name) = name(&offset["member"]) {
            *shares.entry(name).or_default() += 1;
        }
    }
    shares
}

fn wait_for_shares(stage: &Stage<'_>, expected: &[(&str, usize)]) {
    let expected: BTreeMap<String, usize> =
        expected.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
    wait_for(&format!("the shares {expected:?}"), PATIENCE, || (shares(stage) == expected).then_some(()));
}

fn instances_that_join_and_leave_share_the_partitions(kind: Kind) {
    let stage = Stage::shared(kind, "rebalance");
    let mut load = Load::start(&stage, 3_000, &[]);
    let one = Instance::start(&stage, "one");
    wait_for_shares(&stage, &[("one", 3)]);
    load.wait_for_more(2_000);
    let two = Instance::start(&stage, "two");
    let three = Instance::start(&stage, "three");
    wait_for_shares(&stage, &[("one", 1), ("two", 1), ("three", 1)]);
    load.wait_for_more(2_000);
    let mut left = vec![two.leave(Signal::Terminate, 143)];
    load.wait_for_more(2_000);
    left.push(one.leave(Signal::Interrupt, 130));
    wait_for_shares(&stage, &[("three", 3)]);
    let four = Instance::start(&stage, "four");
    wait_for(&format!("a share of {}", stage.group), PATIENCE, || (shares(&stage).len() == 2).then_some(()));
    load.wait_for_more(2_000);
    load.running.signal(Signal::Interrupt);
    let produced = load.running.finish(PATIENCE).expect_code(130).summary();
    wait_for("the end of the topic", PATIENCE, || {
        (stage.json(&["groups", "describe", &stage.group])["lag"] == 0).then_some(())
    });
    left.push(three.leave(Signal::Interrupt, 130));
    left.push(four.leave(Signal::Interrupt, 130));

    let counted: u64 = left.iter().map(|(_, readings)| readings).sum();
    let places: Vec<_> = left.iter().flat_map(|(places, _)| places).collect();
    let distinct: BTreeSet<_> = places.iter().collect();
    assert_eq!(produced["acknowledged"], distinct.len(), "every record was processed");
    assert_eq!(counted as usize, places.len(), "the summaries count every line");
    // Everybody left in peace, so what each had processed was committed before the next one got the partition.
    assert_eq!(places.len(), distinct.len(), "no record was processed twice");
}
