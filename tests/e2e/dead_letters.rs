//! Garbage in: every reason for rejecting a record leads to the dead-letter topic and back, byte for byte.

use std::collections::BTreeMap;

use model::{MAX_DEPTH, MAX_FIELDS, MAX_PAYLOAD_BYTES, Reject};
use serde_json::Value;
use testing::Kind;

use crate::harness::clients::{Client, Outgoing, Record, read_topic};
use crate::harness::on_every_broker;
use crate::harness::stage::Stage;

/// How often a record may be replayed: after that it stays among the dead letters.
const MAX_REPLAYS: u64 = 3;

on_every_broker!(
    every_reason_leads_to_the_dead_letter_topic,
    dead_letters_are_listed_and_shown,
    a_replay_brings_them_back_and_never_loops,
);

const GOOD: &str = r#"{"sensor_id":"S","timestamp":"2024-11-07T10:15:30","temperature":20.5}"#;

/// A payload for each reason of the model, and the record without a value.
fn garbage() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let good = |fields: &str| {
        format!(r#"{{"sensor_id":"S","timestamp":"2024-11-07T10:15:30","temperature":20.5{fields}}}"#)
    };
    let nested = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
    let field = |number| format!(",\"m{number}\":1");
    let fields = (0..=MAX_FIELDS).map(field).collect::<Vec<_>>().concat();
    let texts = [
        ("too-large", good(&format!(",\"note\":\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES)))),
        ("not-json", "ERR 0x2f: sensor bus timeout".to_owned()),
        ("not-json", good("")[..40].to_owned()),
        ("not-json", String::new()),
        ("too-deep", good(&format!(",\"note\":{nested}"))),
        ("non-finite-number", good(",\"wind\":1e400")),
        ("non-finite-number", good(",\"wind\":NaN")),
        ("not-an-object", format!("[{GOOD}]")),
        ("wrong-type", GOOD.replace("20.5", "\"warm\"")),
        ("duplicate-key", good(",\"temperature\":21.5")),
        ("too-many-fields", good(&fields)),
        ("empty-sensor-id", GOOD.replace("\"S\"", "\"\"")),
        ("unreadable-timestamp", GOOD.replace("2024-11-07", "2024-11-31")),
        ("incomplete-location", good(",\"location\":{\"latitude\":52.4}")),
        ("missing-sensor-id", GOOD.replace("sensor_id", "sensor")),
        ("missing-timestamp", GOOD.replace("timestamp", "time")),
        ("no-measurement", GOOD.replace(",\"temperature\":20.5", "")),
    ];
    let invalid_utf8 = [b"{\"sensor_id\":\"", &[0xff, 0xfe][..], b"\"}"].concat();
    let texts = texts.into_iter().map(|(reason, text)| (reason, Some(text.into_bytes())));
    texts.chain([("invalid-utf8", Some(invalid_utf8)), ("null-value", None)]).collect()
}

/// Garbage as records with keys and headers that are garbage too, each between two good readings.
fn records() -> Vec<Outgoing> {
    let bad = garbage().into_iter().enumerate().flat_map(|(number, (_, value))| {
        let headers = vec![
            ("number".to_owned(), Some(number.to_string().into_bytes())),
            ("bytes".to_owned(), Some(vec![0x00, 0xff, b'\n'])),
            ("number".to_owned(), None),
            ("empty".to_owned(), Some(Vec::new())),
        ];
        let key = (number % 3 > 0).then(|| vec![0xfe, number as u8]);
        [Outgoing { key, value, headers, partition: Some(number as i32 % 3) }, Outgoing::new("S", GOOD)]
    });
    [Outgoing::new("S", GOOD)].into_iter().chain(bad).collect()
}

/// A topic with all of it, and where each record went.
fn stage_with_garbage(kind: Kind, name: &str) -> (Stage<'static>, Vec<(i32, i64)>) {
    let stage = Stage::on_shared(kind, name);
    stage.create_topic(&["--partitions", "3", "--topic-config", "max.message.bytes=4000000"]);
    // kafka-python refuses a record without key and value; confluent-kafka takes everything.
    let places = Client::Confluent.write(stage.bootstrap(), &stage.topic, &records());
    (stage, places)
}

fn analyze(stage: &Stage<'_>) -> Value {
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--exit-at-end"];
    stage.run(&[&fixed[..], &["-o", "json", "-q"]].concat()).expect_success().summary()
}

/// How often each reason occurs.
fn expected_counts() -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for (reason, _) in garbage() {
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

fn letters(stage: &Stage<'_>) -> Vec<Record> {
    read_topic(Client::KafkaPython, stage.bootstrap(), &format!("{}.dlq", stage.topic))
}

/// The letter of the record that has this number in its first header.
fn letter_of(letters: &[Record], number: usize) -> &Record {
    let number = number.to_string();
    let found = letters.iter().find(|letter| letter.header("number") == number);
    found.unwrap_or_else(|| panic!("no dead letter for record {number}"))
}

#[test]
fn the_garbage_covers_every_reason() {
    for reason in Reject::REASONS {
        assert!(expected_counts().contains_key(reason), "{reason} is not tried");
    }
}

fn every_reason_leads_to_the_dead_letter_topic(kind: Kind) {
    let (stage, places) = stage_with_garbage(kind, "garbage");
    let summary = analyze(&stage);
    assert_eq!(summary["readings"], garbage().len() as u64 + 1);
    assert_eq!(summary["dead_letters"], garbage().len() as u64);
    let by_reason = serde_json::to_value(expected_counts()).expect("counts are JSON");
    assert_eq!(summary["dead_letters_by_reason"], by_reason);

    let letters = letters(&stage);
    assert_eq!(letters.len(), garbage().len(), "nothing else became a dead letter");
    // The first record is good, then each bad one is followed by a good one.
    let sent = records().into_iter().skip(1).step_by(2);
    let places = places.iter().skip(1).step_by(2);
    for (number, ((sent, (partition, offset)), (reason, _))) in sent.zip(places).zip(garbage()).enumerate() {
        let letter = letter_of(&letters, number);
        assert!(letter.key == sent.key && letter.value == sent.value, "{reason}: key or value changed");
        let (original, provenance) = letter.headers.split_at(sent.headers.len());
        assert_eq!(original, sent.headers, "{reason}: headers changed");
        assert_eq!(provenance.len(), 6, "{reason}");
        for (name, value) in [
            ("topic", stage.topic.clone()),
            ("partition", partition.to_string()),
            ("offset", offset.to_string()),
            ("stage", "decode".to_owned()),
            ("exception.class.name", reason.to_owned()),
        ] {
            assert_eq!(letter.header(&format!("__connect.errors.{name}")), value, "{reason}");
        }
        assert_ne!(letter.header("__connect.errors.exception.message"), "");
    }
    assert_eq!(analyze(&stage)["dead_letters"], 0, "its offset was committed, so it is not rejected again");
}

fn dead_letters_are_listed_and_shown(kind: Kind) {
    let (stage, _) = stage_with_garbage(kind, "shown");
    analyze(&stage);
    let topic = format!("{}.dlq", stage.topic);
    let listed = stage.json(&["dlq", "list"]);
    let own = listed.as_array().expect("a list").iter().filter(|row| row["topic"] == topic.as_str());
    let counts: BTreeMap<&str, u64> = own
        .map(|row| (row["reason"].as_str().expect("a reason"), row["records"].as_u64().expect("a count")))
        .collect();
    assert_eq!(counts, expected_counts());

    let show = |flags: &[&str]| {
        let shown =
            stage.run(&[&["dlq", "show", &stage.topic, "-o", "json"], flags].concat()).expect_success();
        shown.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    assert_eq!(show(&["--limit", "0"]).len(), garbage().len());
    assert_eq!(show(&["--limit", "2"]).len(), 2);
    let not_json = show(&["--reason", "not-json"]);
    assert_eq!(not_json.len() as u64, expected_counts()["not-json"]);
    assert_eq!(not_json[0]["origin"]["topic"], stage.topic.as_str());
    let shown = show(&["--reason", "invalid-utf8"]);
    assert_eq!(shown[0]["value"]["hex"], "7b2273656e736f725f6964223a22fffe227d");
    let text = stage.run(&["dlq", "show", &stage.topic, "--reason", "not-json"]).expect_success().stdout;
    assert!(text.contains("sensor bus timeout") && text.contains("not-json"), "{text}");
}

fn a_replay_brings_them_back_and_never_loops(kind: Kind) {
    let (stage, _) = stage_with_garbage(kind, "replay");
    let (bad, good) = (garbage().len() as u64, garbage().len() as u64 + 1);
    assert_eq!(analyze(&stage)["readings"], good);

    let before = read_topic(Client::KafkaPython, stage.bootstrap(), &stage.topic).len();
    for round in 1..=MAX_REPLAYS {
        let replayed = stage.json(&["dlq", "replay", &stage.topic]);
        assert_eq!(replayed["replayed"], bad, "round {round}");
        let again = stage.json(&["dlq", "replay", &stage.topic]);
        assert_eq!(again["replayed"], 0, "a second replay finds nothing new");
        let summary = analyze(&stage);
        assert_eq!((&summary["readings"], &summary["dead_letters"]), (&0.into(), &bad.into()));
    }
    let last = stage.json(&["dlq", "replay", &stage.topic]);
    assert_eq!((&last["replayed"], &last["looping"]), (&0.into(), &bad.into()));

    // What came back the first time is what was sent, with the count of replays as the only trace.
    let after = read_topic(Client::KafkaPython, stage.bootstrap(), &stage.topic);
    assert_eq!(after.len() as u64, before as u64 + MAX_REPLAYS * bad);
    for (number, sent) in records().into_iter().skip(1).step_by(2).enumerate() {
        let copies: Vec<_> =
            after.iter().filter(|record| record.header("number") == number.to_string()).collect();
        assert_eq!(copies.len() as u64, 1 + MAX_REPLAYS);
        for copy in copies {
            assert!(copy.key == sent.key && copy.value == sent.value);
            assert_eq!(copy.headers[..sent.headers.len()], sent.headers);
            assert!(copy.headers[sent.headers.len()..].iter().all(|(name, _)| name == "sg-replays"));
        }
    }
}
