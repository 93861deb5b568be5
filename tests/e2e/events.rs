//! `produce events`: CloudEvents that others can read, in an order that can be true.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testing::Kind;

use crate::harness::clients::{Client, read_topic};
use crate::harness::on_every_broker;
use crate::harness::stage::Stage;

on_every_broker!(events_are_cloud_events_in_a_believable_order);

/// Whether an event of an entity can come after the one before, by the last words of their types.
fn may_follow(before: Option<&str>, now: &str) -> bool {
    let needed: &[&str] = match now {
        "created" | "registered" | "provisioned" | "raised" => return before.is_none(),
        "paid" => &["created", "payment-failed"],
        "packed" => &["paid"],
        "shipped" => &["packed"],
        "delivered" => &["shipped"],
        "logged-out" | "session-expired" => &["logged-in", "password-changed"],
        "unlocked" => &["locked"],
        "battery-replaced" => &["battery-low"],
        "resolved" => &["raised", "acknowledged"],
        "reopened" => &["resolved"],
        _ => return before.is_some(),
    };
    before.is_some_and(|before| needed.contains(&before))
}

fn events_are_cloud_events_in_a_believable_order(kind: Kind) {
    let stage = Stage::shared(kind, "events");
    let fixed = ["produce", "events", "--topic", &stage.topic, "--count", "3000", "--rate", "max"];
    let produced = stage.run(&[&fixed[..], &["--seed", "5", "-o", "json", "-q"]].concat()).expect_success();
    assert_eq!(produced.summary()["acknowledged"], 3000);

    let records = read_topic(Client::SeedKafkaPython, stage.bootstrap(), &stage.topic);
    assert_eq!(records.len(), 3000);
    let mut ids = BTreeSet::new();
    let mut last: BTreeMap<Vec<u8>, (String, u64)> = BTreeMap::new();
    for record in &records {
        assert_eq!(record.header("ce_specversion"), "1.0");
        assert!(ids.insert((record.header("ce_source").to_owned(), record.header("ce_id").to_owned())));
        for attribute in ["ce_id", "ce_source", "ce_type", "ce_subject"] {
            assert_ne!(record.header(attribute), "", "{attribute}");
        }
        assert!(record.header("ce_time").ends_with('Z'), "{:?}", record.headers);
        assert_eq!(record.header("content-type"), "application/json");
        let data: Value = serde_json::from_str(record.text()).expect("the data is JSON");
        assert!(data.is_object());

        let key = record.key.clone().expect("a key");
        let now = record.header("ce_type").rsplit('.').next().expect("a word").to_owned();
        let number: u64 = record.header("sg-seq").parse().expect("a number");
        let before = last.get(&key);
        assert_eq!(number, before.map_or(0, |(_, number)| *number) + 1, "numbers of an entity have no gap");
        assert!(may_follow(before.map(|(word, _)| word.as_str()), &now), "{now} after {before:?}");
        last.insert(key, (now, number));
    }
    assert!(last.len() > 10, "events of many entities");
}
