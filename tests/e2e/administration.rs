//! `topics`, `groups` and `dlq` as commands: idempotent, in tables and JSON, and honest about what is not there.

use serde_json::{Value, json};
use testing::Kind;

use crate::harness::clients::{Client, Outgoing};
use crate::harness::on_every_broker;
use crate::harness::stage::Stage;

on_every_broker!(
    topics_are_created_once_and_described,
    the_catalogue_is_what_the_documentation_says,
    a_deleted_topic_is_gone,
    what_does_not_exist_is_named,
    groups_are_listed_described_and_reset,
    the_doctor_knows_the_release_and_the_topics,
);

/// The entry of a list of objects that has this name.
fn entry<'v>(list: &'v Value, key: &str, name: &str) -> &'v Value {
    let mut entries = list.as_array().expect("a list").iter();
    entries.find(|entry| entry[key] == name).unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

fn topics_are_created_once_and_described(kind: Kind) {
    let stage = Stage::on_shared(kind, "topics");
    let topic = stage.topic.as_str();
    let create = |flags: &[&str]| stage.json(&[&["topics", "create", topic], flags].concat())[0].clone();

    let flags = ["--partitions", "2", "--retention", "36h", "--topic-config", "max.message.bytes=2000000"];
    assert_eq!(create(&flags), json!({"topic": topic, "result": "created", "differences": []}));
    assert_eq!(create(&flags), json!({"topic": topic, "result": "exists", "differences": []}));
    let other = create(&["--partitions", "5", "--retention", "36h"]);
    assert_eq!(other["result"], "exists");
    assert_eq!(other["differences"], json!(["partitions is 2, not 5"]));

    let described = &stage.json(&["topics", "describe", topic])[0];
    assert_eq!(described["retention_ms"], 36 * 3_600_000);
    assert_eq!(described["replication_factor"], 1);
    assert_eq!(described["config"]["max.message.bytes"], "2000000");
    let partitions = described["partitions"].as_array().expect("a list");
    assert_eq!(partitions.len(), 2);
    for partition in partitions {
        assert_eq!(partition["in_sync"], partition["replicas"]);
        assert_eq!(partition["leader"], partition["replicas"][0]);
        assert_eq!((&partition["first_offset"], &partition["next_offset"]), (&json!(0), &json!(0)));
    }

    Client::KafkaPython.write(stage.bootstrap(), topic, &[Outgoing::new("key", "value")]);
    let described = &stage.json(&["topics", "describe", topic])[0];
    assert_eq!(described["records"], 1);
    assert!(described["bytes"].as_u64() > Some(0), "{described}");
    let listed = stage.json(&["topics", "list"]);
    assert_eq!(entry(&listed, "topic", topic)["partitions"], 2);
    let table = stage.run(&["topics", "list"]).expect_success().stdout;
    let row = table.lines().find(|line| line.starts_with(topic)).expect("a row for the topic");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [topic, "2", "1", "0", "0"]);
    assert!(stage.run(&["topics", "describe", topic]).expect_success().stdout.contains("retention 36h"));
}

/// Kafka's own tool is asked, not us. The catalogue's names are the same for all, so this test alone creates it.
fn the_catalogue_is_what_the_documentation_says(kind: Kind) {
    let stage = Stage::on_shared(kind, "catalogue");
    stage.run(&["topics", "create"]).expect_success();
    let again = stage.json(&["topics", "create"]);
    assert_eq!(again.as_array().map(Vec::len), Some(8));
    for topic in again.as_array().expect("a list") {
        assert_eq!((&topic["result"], &topic["differences"]), (&json!("exists"), &json!([])), "{topic}");
    }
    let day = 86_400_000_u64;
    let described = stage.cluster().tool(&["topics", "--describe"]).stdout;
    let described = String::from_utf8(described).expect("Kafka's tools write UTF-8");
    for (topic, partitions, days) in
        [("sensor-data", 3, 7), ("events", 3, 30), ("alerts", 1, 90), ("analytics", 3, 7)]
    {
        for (name, partitions, days) in
            [(topic.to_owned(), partitions, days), (format!("{topic}.dlq"), 1, 30)]
        {
            let line = described.lines().find(|line| line.starts_with(&format!("Topic: {name}\t")));
            let line = line.unwrap_or_else(|| panic!("Kafka knows no {name}"));
            assert!(line.contains(&format!("PartitionCount: {partitions}\t")), "{line}");
            assert!(line.contains(&format!("retention.ms={}", days * day)), "{line}");
        }
    }
}

fn the_doctor_knows_the_release_and_the_topics(kind: Kind) {
    let stage = Stage::on_shared(kind, "doctor");
    stage.run(&["topics", "create"]).expect_success();
    let checked = stage.json(&["doctor"]);
    assert_eq!(checked["ok"], true, "{checked:#}");
    // What a broker is, is told by what it speaks; ours has not all that came after 3.8.
    let release = if kind == Kind::Embedded { "Kafka 3.8" } else { &format!("Kafka {}", kind.release()) };
    assert_eq!(entry(&checked["checks"], "check", "version")["found"], release);
    assert_eq!(entry(&checked["checks"], "check", "topics")["outcome"], "ok");
    let text = stage.run(&["doctor"]).expect_success().stdout;
    assert!(text.contains(release) && text.contains(stage.bootstrap()), "{text}");
}

fn a_deleted_topic_is_gone(kind: Kind) {
    let stage = Stage::shared(kind, "delete");
    let topic = stage.topic.as_str();
    let refused = stage.run(&["topics", "delete", topic]).expect_one_error(2);
    assert!(refused.contains("--yes"), "{refused}");
    stage.run(&["topics", "describe", topic]).expect_success();
    assert_eq!(
        stage.json(&["topics", "delete", topic, "--yes"]),
        json!([{"topic": topic, "result": "deleted"}])
    );
    stage.run(&["topics", "describe", topic]).expect_one_error(69);
    stage.run(&["topics", "delete", topic, "--yes"]).expect_one_error(69);
}

fn what_does_not_exist_is_named(kind: Kind) {
    let stage = Stage::on_shared(kind, "missing");
    let (topic, group) = (stage.topic.as_str(), stage.group.as_str());
    let letters = format!("{topic}.dlq");
    let reset = ["groups", "reset", group, "--topic", topic, "--to-earliest"];
    for (arguments, named) in [
        (&["topics", "describe", topic][..], topic),
        (&["dlq", "show", topic], &letters),
        (&["dlq", "replay", topic], &letters),
        (&["analyze", "--topic", topic], topic),
        (&["produce", "sensors", "--topic", topic, "--count", "1"], topic),
        (&reset, topic),
    ] {
        let error = stage.run(arguments).expect_one_error(69);
        assert!(error.contains(&format!("\"{named}\" does not exist")), "{error}");
        assert!(error.contains(&format!("streamgauge topics create {named}")), "{error}");
    }
    let error = stage.run(&["groups", "describe", group]).expect_one_error(69);
    assert!(error.contains(group) && error.contains("streamgauge groups list"), "{error}");
}

fn groups_are_listed_described_and_reset(kind: Kind) {
    let stage = Stage::shared(kind, "groups");
    let (topic, group) = (stage.topic.as_str(), stage.group.as_str());
    let reading = r#"{"sensor_id":"S","timestamp":"2024-11-07T10:15:30","temperature":20.5}"#;
    let records = vec![Outgoing { partition: Some(1), ..Outgoing::new("S", reading) }; 10];
    Client::KafkaPython.write(stage.bootstrap(), topic, &records);
    let analyze = ["analyze", "--topic", topic, "--group", group, "--exit-at-end"];
    assert_eq!(
        stage.run(&[&analyze[..], &["-o", "json"]].concat()).expect_success().summary()["readings"],
        10
    );

    assert_eq!(entry(&stage.json(&["groups", "list"]), "group", group)["members"], 0);
    let lag = || {
        let described = stage.json(&["groups", "describe", group]);
        let offset =
            described["offsets"].as_array().expect("a list").iter().find(|row| row["partition"] == 1);
        let offset = offset.unwrap_or_else(|| panic!("no partition 1 in {described}"));
        (offset["committed"].clone(), offset["lag"].clone(), described["lag"].clone())
    };
    assert_eq!(lag(), (json!(10), json!(0), json!(0)));

    let reset = ["groups", "reset", group, "--topic", topic, "--to-offset", "4"];
    assert_eq!(stage.json(&reset)["applied"], false);
    assert_eq!(lag(), (json!(10), json!(0), json!(0)), "nothing changes without --yes");
    assert_eq!(stage.json(&[&reset[..], &["--yes"]].concat())["applied"], true);
    assert_eq!(lag().0, json!(4));
    assert_eq!(lag().1, json!(6));
    assert_eq!(
        stage.run(&[&analyze[..], &["-o", "json"]].concat()).expect_success().summary()["readings"],
        6
    );

    let mut member = stage.start(&["analyze", "--topic", topic, "--group", group]);
    member.wait_until("a member of the group", |_| {
        let members = stage.json(&["groups", "describe", group])["members"].as_array().map(Vec::len);
        members.filter(|count| *count > 0)
    });
    let error = stage.run(&[&reset[..], &["--yes"]].concat()).expect_one_error(1);
    assert!(error.contains(group), "{error}");
}
