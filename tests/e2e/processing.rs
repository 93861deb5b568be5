//! `process`: windows, alarms, dead letters and changed rules, looked at from outside.

use std::path::Path;

use serde_json::{Value, json};
use testing::Kind;

use crate::harness::clients::{Client, Outgoing, read_topic};
use crate::harness::on_every_broker;
use crate::harness::process::Signal;
use crate::harness::stage::Stage;

on_every_broker!(
    windows_equal_those_computed_by_python,
    an_alarm_says_why_and_people_answer,
    bad_input_is_a_dead_letter_and_nothing_else,
    rules_are_read_again_while_it_runs,
    state_that_was_deleted_is_built_again,
    state_of_another_version_is_built_again,
    a_backtest_finds_the_injected_faults,
    every_class_of_fault_is_seen,
);

const PLAN: &str = r#"
[[windows]]
name = "10s"
size = "10s"
grace = "5s"

[[rules]]
name = "hot"
when = "temperature > 30"
clear = 29
"#;

/// The topics beside the readings, and the flags that name all of them.
struct Topics {
    analytics: String,
    alerts: String,
}

impl Topics {
    fn create(stage: &Stage<'_>) -> Self {
        let own = Self {
            analytics: format!("{}-analytics", stage.topic),
            alerts: format!("{}-alerts", stage.topic),
        };
        for topic in [&own.analytics, &own.alerts] {
            stage.run(&["topics", "create", topic]).expect_success();
        }
        own
    }

    fn process<'a>(&'a self, stage: &'a Stage<'_>, plan: &'a Path) -> Vec<&'a str> {
        let plan = plan.to_str().expect("UTF-8");
        let Self { analytics, alerts } = self;
        vec![
            "-c",
            plan,
            "process",
            "--topic",
            &stage.topic,
            "--analytics",
            analytics,
            "--alerts",
            alerts,
            "--group",
            &stage.group,
        ]
    }

    /// Processes what is there, and returns the summary.
    fn process_to_end(&self, stage: &Stage<'_>, plan: &Path) -> Value {
        let flags = ["--exit-at-end", "-o", "json"];
        stage.run(&[&self.process(stage, plan)[..], &flags].concat()).expect_success().summary()
    }

    fn alarms(&self, stage: &Stage<'_>) -> Vec<Value> {
        let listed = stage.json(&["alerts", "--topic", &self.alerts, "list", "--all"]);
        listed.as_array().expect("an array").clone()
    }
}

/// A reading of one sensor at a second of a minute.
fn reading(sensor: &str, second: u32, temperature: f64) -> Outgoing {
    let (minute, second) = (second / 60, second % 60);
    let text = format!(
        r#"{{"sensor_id":"{sensor}","timestamp":"2024-11-07T10:{minute:02}:{second:02}","temperature":{temperature}}}"#
    );
    Outgoing::new(sensor, text)
}

fn write(stage: &Stage<'_>, records: &[Outgoing]) -> Vec<(i32, i64)> {
    Client::KafkaPython.write(stage.bootstrap(), &stage.topic, records)
}

fn windows_equal_those_computed_by_python(kind: Kind) {
    let stage = Stage::shared(kind, "windows");
    let topics = Topics::create(&stage);
    let plan = stage.write("plan.toml", PLAN);
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "--num-sensors", "50", "--speed", "max"];
    let faults = ["--faults", "all,malformed=0.01,late-burst=0.002,out-of-order=0.01"];
    // Twice, with a run in between: the second goes on from the state of the first.
    for (start, seed) in [("2024-11-07T10:00:00", "1"), ("2024-11-07T10:03:20", "2")] {
        let simulated = ["--interval", "0.5", "--count", "20000", "--start-time", start, "--seed", seed];
        stage.run(&[&fixed[..], &faults, &simulated].concat()).expect_success();
        let summary = topics.process_to_end(&stage, &plan);
        assert_eq!(summary["records"], 20_000);
        assert!(summary["windows_closed"].as_u64() > Some(500), "{summary}");
    }
    let arguments = [stage.bootstrap(), &stage.topic, &topics.analytics, "10", "5", "1"];
    let found: Value =
        serde_json::from_str(&Client::KafkaPython.script("windows.py", &arguments, None)).expect("JSON");
    for what in ["missing", "unexpected", "doubled", "wrong"] {
        assert_eq!(found[what], json!([]), "{what}: {found}");
    }
    for what in ["windows", "late", "revisions"] {
        assert!(found[what].as_u64() > Some(0), "{what}: {found}");
    }
}

fn an_alarm_says_why_and_people_answer(kind: Kind) {
    let stage = Stage::shared(kind, "alarms");
    let topics = Topics::create(&stage);
    let plan = stage.write("plan.toml", PLAN);
    let celsius = [29.5, 30.5, 31.0, 29.5, 30.5];
    let first: Vec<_> = (0..).zip(celsius).map(|(second, celsius)| reading("A", second, celsius)).collect();
    let places = write(&stage, &first);
    let summary = topics.process_to_end(&stage, &plan);
    assert_eq!((&summary["alarms_fired"], &summary["alarms_cleared"]), (&json!(1), &json!(0)), "{summary}");
    let alarms = topics.alarms(&stage);
    let [alarm] = &alarms[..] else { panic!("one alarm, not {alarms:?}") };
    assert_eq!(
        (&alarm["state"], &alarm["active"], &alarm["sensor_id"]),
        (&json!("firing"), &json!(true), &json!("A"))
    );
    let evidence = &alarm["evidence"];
    assert_eq!((&evidence["value"], &evidence["bound"]), (&json!(30.5), &json!(30.0)));
    let source = json!({"topic": stage.topic, "partition": places[1].0, "offset": places[1].1});
    assert_eq!(alarm["source"], source);

    let id = alarm["id"].as_str().expect("an id");
    let about = |action: &'static str| {
        ["alerts", "--topic", &topics.alerts, action, id, "--by", "ann"].map(str::to_owned)
    };
    let run = |arguments: &[String], more: &[&str]| {
        let all: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        stage.run(&all).expect_success()
    };
    run(&about("ack"), &["--text", "on my way"]);
    run(&about("snooze"), &["--for", "1h"]);
    run(&about("note"), &["the door was open"]);
    // The alarm goes on, clears and fires again under another id; what people said stays with the first.
    let second: Vec<_> =
        (5..).zip([31.0, 28.0, 32.0]).map(|(second, celsius)| reading("A", second, celsius)).collect();
    write(&stage, &second);
    topics.process_to_end(&stage, &plan);
    let alarms = topics.alarms(&stage);
    let [new, old] = &alarms[..] else { panic!("two alarms, not {alarms:?}") };
    assert_eq!((&new["state"], &old["state"], &old["id"]), (&json!("firing"), &json!("cleared"), &json!(id)));
    assert_eq!(
        (&old["acknowledged"]["by"], &old["notes"][0]["text"]),
        (&json!("ann"), &json!("the door was open"))
    );
    assert_eq!(old["snoozed"], true);
    assert_eq!(new["acknowledged"], Value::Null);
    let shown = stage.run(&["alerts", "--topic", &topics.alerts, "show", id]).expect_success().stdout;
    assert!(shown.contains("30.5 against 30") && shown.contains("on my way"), "{shown}");
}

fn bad_input_is_a_dead_letter_and_nothing_else(kind: Kind) {
    let stage = Stage::shared(kind, "bad-input");
    let topics = Topics::create(&stage);
    let plan = stage.write("plan.toml", PLAN);
    let long = "x".repeat(900_000);
    let at = |sensor: &str, time: &str, temperature: &str| {
        let text = format!(r#"{{"sensor_id":"{sensor}","timestamp":"{time}","temperature":{temperature}}}"#);
        Outgoing { partition: Some(0), ..Outgoing::new(sensor, text) }
    };
    let good = |second: u32| Outgoing { partition: Some(0), ..reading("A", second, 20.0) };
    let records = [
        good(0),
        Outgoing { partition: Some(0), ..Outgoing::new("A", "poison") },
        Outgoing { key: Some(b"A".to_vec()), partition: Some(0), ..Outgoing::default() },
        at("C", "2100-01-01T00:00:00", "20"),
        at("C", "2024-11-07T10:00:00", "20"),
        Outgoing { key: Some(b"long".to_vec()), ..at(&long, "2024-11-07T10:00:01", "20") },
        at("B", "1970-01-01T00:00:00", "20"),
        at("A", "2024-11-07T10:00:02", "-400"),
        at("A", "2024-11-07T10:00:03", "1e120"),
        good(30),
        at("A", "1970-01-01T00:00:00", "20"),
        good(60),
    ];
    write(&stage, &records);
    let summary = topics.process_to_end(&stage, &plan);
    let reasons = json!({"future": 1, "id-too-long": 1, "late": 1, "not-json": 1, "null-value": 1});
    assert_eq!(summary["dead_letters_by_reason"], reasons, "{summary}");
    assert_eq!(
        (&summary["records"], &summary["taken"], &summary["late"]),
        (&json!(12), &json!(7), &json!(1))
    );
    let listed = stage.json(&["dlq", "list"]);
    let of_topic = |row: &&Value| row["topic"] == json!(format!("{}.dlq", stage.topic));
    let counted: u64 = listed
        .as_array()
        .expect("rows")
        .iter()
        .filter(of_topic)
        .map(|row| row["records"].as_u64().unwrap_or(0))
        .sum();
    assert_eq!(counted, 5);
    let alarms = topics.alarms(&stage);
    let skew: Vec<_> = alarms.iter().filter(|alarm| alarm["rule"] == "clock-skew").collect();
    assert_eq!((skew.len(), &skew[0]["state"]), (1, &json!("cleared")), "{alarms:?}");
    let arguments = [stage.bootstrap(), &stage.topic, &topics.analytics, "10", "5", "1"];
    // Python refuses neither the future nor what is too large to be computed with, so it is not asked about figures.
    let found: Value =
        serde_json::from_str(&Client::KafkaPython.script("windows.py", &arguments, None)).expect("JSON");
    assert_eq!((&found["doubled"], &found["unexpected"]), (&json!([]), &json!([])), "{found}");
}

fn rules_are_read_again_while_it_runs(kind: Kind) {
    let stage = Stage::shared(kind, "reload");
    let topics = Topics::create(&stage);
    let plan = stage.write("plan.toml", PLAN);
    let mut running = stage.start(&[&topics.process(&stage, &plan)[..], &["-v"]].concat());
    running.wait_until("it has read its settings", |it| it.stderr().contains("processing").then_some(()));
    stage.write("plan.toml", PLAN.replace("temperature > 30", "temperature >"));
    running.wait_until("the mistake is told", |it| {
        it.stderr().contains("the windows and rules in force stay").then_some(())
    });
    stage.write("plan.toml", PLAN.replace("\"hot\"", "\"warm\"").replace("> 30", "> 25").replace("29", "24"));
    running.wait_until("the new rules are in force", |it| {
        it.stderr().contains("are in force now").then_some(())
    });
    write(&stage, &[reading("A", 0, 26.0)]);
    let alarm = running.wait_until("the new rule fires", |_| topics.alarms(&stage).first().cloned());
    assert_eq!((&alarm["rule"], &alarm["evidence"]["bound"]), (&json!("warm"), &json!(25.0)));
    running.signal(Signal::Terminate);
    running.finish(crate::harness::PATIENCE).expect_code(143);
}

fn state_that_was_deleted_is_built_again(kind: Kind) {
    let said = rebuilds_spoiled_state(kind, "deleted-state", |stage| {
        for topic in ["snapshots", "control"] {
            let topic = format!("streamgauge.{}.{topic}", stage.group);
            stage.run(&["topics", "delete", &topic, "--yes"]).expect_success();
        }
    });
    assert!(!said.contains("of another version"), "{said}");
}

/// Some of the snapshots begin with the number of a version to come, some are cut short.
fn state_of_another_version_is_built_again(kind: Kind) {
    let said = rebuilds_spoiled_state(kind, "other-state", |stage| {
        let topic = format!("streamgauge.{}.snapshots", stage.group);
        let found = read_topic(Client::KafkaPython, stage.bootstrap(), &topic);
        let is_chunk = |key: &[u8]| key.starts_with(stage.topic.as_bytes());
        let chunks = found.into_iter().filter(|record| record.key.as_deref().is_some_and(is_chunk));
        let spoiled: Vec<_> = chunks
            .enumerate()
            .filter_map(|(number, record)| {
                let (key, mut value, partition) = (record.key?, record.value?, record.partition);
                if number % 2 == 0 {
                    value[0] = 99;
                } else {
                    value.truncate(value.len() - 1);
                }
                Some(Outgoing {
                    key: Some(key),
                    value: Some(value),
                    partition: Some(partition),
                    ..Outgoing::default()
                })
            })
            .collect();
        assert!(spoiled.len() > 1, "state was written");
        Client::KafkaPython.write(stage.bootstrap(), &topic, &spoiled);
    });
    assert!(said.contains("snapshots of another version, passed over"), "{said}");
}

/// Processes, has the state spoiled, processes more: the output is as if nothing had been spoiled. Returns what the second
/// run told the log.
fn rebuilds_spoiled_state(kind: Kind, name: &str, spoil: impl Fn(&Stage<'_>)) -> String {
    let stage = Stage::shared(kind, name);
    let topics = Topics::create(&stage);
    // So long, and a little longer, the processor waits for records that an open transaction may hide.
    let plan = stage.write("plan.toml", format!("{PLAN}\n[process]\ntransaction_timeout = \"1s\"\n"));
    let of = |seconds: std::ops::Range<u32>| {
        let sensors = ["A", "B", "C"].into_iter();
        sensors
            .flat_map(|sensor| {
                seconds.clone().map(move |second| reading(sensor, second, f64::from(second % 7)))
            })
            .collect::<Vec<_>>()
    };
    write(&stage, &of(0..15));
    topics.process_to_end(&stage, &plan);
    spoil(&stage);
    write(&stage, &of(15..45));
    let second =
        stage.run(&[&topics.process(&stage, &plan)[..], &["--exit-at-end"]].concat()).expect_success();
    let arguments = [stage.bootstrap(), &stage.topic, &topics.analytics, "10", "5", "1"];
    let found: Value =
        serde_json::from_str(&Client::KafkaPython.script("windows.py", &arguments, None)).expect("JSON");
    let nothing = json!([]);
    for what in ["missing", "unexpected", "doubled", "wrong"] {
        assert_eq!(found[what], nothing, "{what}: {found}");
    }
    assert_eq!(found["windows"], 12);
    second.stderr
}

fn a_backtest_finds_the_injected_faults(kind: Kind) {
    let stage = Stage::shared(kind, "backtest");
    let faults = ["--faults", "spike=0.002,stuck=0.001,malformed=0.001", "--seed", "5"];
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "--num-sensors", "20", "--speed", "max"];
    let simulated = ["--interval", "1", "--count", "20000", "--start-time", "2024-11-07T10:00:00"];
    let produced =
        stage.run(&[&fixed[..], &faults, &simulated, &["-o", "json"]].concat()).expect_success().summary();
    let rules = r#"
        [[rules]]
        name = "jump"
        when = "robust(temperature) > 12 or robust(humidity) > 12 or robust(pressure) > 12"
        [[rules]]
        name = "stuck"
        when = "stuck(temperature, 20s)"
        [[rules]]
        name = "never"
        when = "temperature > 1000"
    "#;
    let plan = stage.write("rules.toml", rules);
    let plan = plan.to_str().expect("UTF-8");
    let found = stage.json(&["rules", "backtest", plan, "--topic", &stage.topic]);
    assert_eq!(found["records"], 20_000);
    assert_eq!(found["undecodable"], produced["faults"]["malformed"]);
    let of = |name: &str| {
        let mut rules = found["rules"].as_array().expect("rules").iter();
        rules.find(|rule| rule["rule"] == name).unwrap_or_else(|| panic!("no {name} in {found}")).clone()
    };
    let recall = |rule: &Value, label: &str| {
        let mut labels = rule["labels"].as_array().expect("labels").iter();
        labels.find(|row| row["label"] == label).and_then(|row| row["recall"].as_f64()).unwrap_or(0.0)
    };
    // A spike of the humidity beyond 100 % is no jump but `implausible`, which is in no other rule.
    assert!(recall(&of("jump"), "spike") > 0.5, "{found:#}");
    assert!(recall(&of("stuck"), "stuck") > 0.8, "{found:#}");
    assert!(of("stuck")["precision"].as_f64() > Some(0.9), "{found:#}");
    assert_eq!(of("never")["alarms"], 0);
    // It writes nothing and joins nothing.
    let groups = stage.json(&["groups", "list"]);
    assert!(!groups.to_string().contains(&stage.topic), "{groups}");
}

/// Each class of fault that the simulator injects, the rule that is meant for it, and the least recall.
///
/// A malformed reading is a dead letter; a duplicate, and a late burst in a stream that is faster than time, cannot be told
/// from good readings. Of clocks that are wrong, those ahead leave a gap; those behind make late readings.
const FAULTS: [(&str, &str, f64); 7] = [
    ("spike", "jump", 0.5),
    ("drift", "drift", 0.4),
    ("stuck", "stuck", 0.8),
    ("dropout", "missing", 0.6),
    ("noise-burst", "noise", 0.5),
    ("out-of-order", "missing", 0.6),
    ("clock-skew", "gone", 0.25),
];

fn every_class_of_fault_is_seen(kind: Kind) {
    let stage = Stage::shared(kind, "fault-classes");
    let topics = Topics::create(&stage);
    let rules = [
        ("jump", "robust(temperature) > 12 or robust(humidity) > 12 or robust(pressure) > 12"),
        ("drift", "deviation(temperature) > 4"),
        ("stuck", "stuck(temperature, 10s)"),
        ("missing", "gaps() > 0"),
        ("noise", "stddev(temperature, 20s) > 1"),
        ("gone", "silence > 5"),
        ("impossible", "implausible"),
    ]
    .map(|(name, when)| format!("[[rules]]\nname = \"{name}\"\nwhen = \"{when}\"\nmax_per_hour = 1000\n"));
    let window = "[[windows]]\nname = \"10s\"\nsize = \"10s\"\ngrace = \"5s\"\n";
    let plan = stage.write("rules.toml", format!("{window}{}", rules.concat()));
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "--num-sensors", "50", "--speed", "max"];
    let simulated = ["--interval", "1", "--count", "150000", "--start-time", "2024-11-07T10:00:00"];
    let faults = ["--faults", "all", "--seed", "7", "-o", "json"];
    let produced = stage.run(&[&fixed[..], &simulated, &faults].concat()).expect_success().summary();
    let path = plan.to_str().expect("UTF-8");
    let expected = stage.json(&["rules", "backtest", path, "--topic", &stage.topic]);
    let by_name = |list: &Value, key: &str, name: &str| {
        let mut rows = list.as_array().expect("a list").iter();
        rows.find(|row| row[key] == name).unwrap_or_else(|| panic!("no {name} in {list}")).clone()
    };
    let rules = &expected["rules"];
    for (fault, rule, least) in FAULTS {
        let row = by_name(rules, "rule", rule);
        let label = by_name(&row["labels"], "label", fault);
        eprintln!(
            "{fault}: {rule} found {} of {}, median delay {} s; of {} alarms {} on a fault",
            label["found"],
            label["stretches"],
            label["median_delay_seconds"],
            row["alarms"],
            row["true_alarms"]
        );
        assert!(label["recall"].as_f64() > Some(least), "{fault}: {row}");
    }
    // What is said of one class alone is hardly ever said of a healthy sensor.
    for rule in ["jump", "drift", "stuck", "noise", "impossible"] {
        assert!(by_name(rules, "rule", rule)["precision"].as_f64() > Some(0.9), "{rule}: {rules}");
    }
    // The processor says the same as the backtest.
    let summary = topics.process_to_end(&stage, &plan);
    let letters = summary["dead_letters"].as_u64().zip(summary["late"].as_u64());
    let undecodable = letters.map(|(all, late)| all - late);
    assert_eq!(undecodable, produced["faults"]["malformed"].as_u64(), "{summary}");
    assert!(summary["late"].as_u64() > Some(0), "{summary}");
    let alarms = topics.alarms(&stage);
    for rule in rules.as_array().expect("rules") {
        let fired = alarms.iter().filter(|alarm| alarm["rule"] == rule["rule"]).count();
        assert_eq!(Some(fired as u64), rule["alarms"].as_u64(), "{}", rule["rule"]);
    }
}
