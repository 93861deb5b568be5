//! `store parquet`: what is stored is what is in the topic, by the word of DuckDB and Polars; what looks after the store
//! changes none of it; what stands in the way is named.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testing::Kind;

use crate::harness::clients::{Client, Outgoing, read_topic};
use crate::harness::load::Metrics;
use crate::harness::process::{Outcome, Running, Signal, finish};
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};

on_every_broker!(
    stored_rows_are_the_readings_of_the_topic,
    events_alerts_and_analytics_are_stored_beside_the_readings,
    what_was_exported_comes_back_the_same,
);

/// The names of things in a stage, for commands.
pub(crate) fn path_of(stage: &Stage<'_>, name: &str) -> String {
    stage.path(name).to_str().expect("UTF-8").to_owned()
}

/// Flags of `store parquet` for the stage's topic.
pub(crate) fn store_flags<'a>(stage: &'a Stage<'_>, path: &'a str, topic: &'a str) -> Vec<&'a str> {
    vec!["store", "parquet", "--path", path, "--topics", topic, "--group", &stage.group, "-o", "json"]
}

fn store(stage: &Stage<'_>, path: &str, flags: &[&str]) -> Outcome {
    let topic = format!("{}=readings", stage.topic);
    stage.run(&[&store_flags(stage, path, &topic)[..], &["--exit-at-end"], flags].concat())
}

fn produce(stage: &Stage<'_>, count: &str, flags: &[&str]) {
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "-n", "50", "--speed", "max", "-q"];
    stage.run(&[&fixed[..], &["--count", count], flags].concat()).expect_success();
}

/// Compares the store with the topic, by the word of others.
pub(crate) fn compare(stage: &Stage<'_>, path: &str) -> Value {
    let output = Client::Confluent.script("stored.py", &[stage.bootstrap(), &stage.topic, path], None);
    serde_json::from_str(&output).expect("the script prints JSON")
}

/// Checks that every reading is there once and says what its record says.
#[track_caller]
pub(crate) fn expect_equal(stage: &Stage<'_>, path: &str) -> u64 {
    let found = compare(stage, path);
    let wrong = ["missing", "doubled", "different"].map(|what| found[what].as_u64());
    assert_eq!(wrong, [Some(0); 3], "{found}");
    assert_eq!(
        (&found["rows"], &found["duckdb"], &found["polars"]),
        (&found["topic"], &json!(true), &json!(true)),
        "{found}"
    );
    found["rows"].as_u64().expect("a number")
}

fn verify(stage: &Stage<'_>, path: &str) -> Outcome {
    stage.run(&["store", "verify", "--path", path, "-o", "json"])
}

/// Files of a table, by their names below it.
fn files(path: &str, table: &str) -> Vec<String> {
    fn look(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("a name").path();
            if path.is_dir() { look(&path, found) } else { found.push(path.display().to_string()) }
        }
    }
    let mut found = Vec::new();
    look(&Path::new(path).join(table), &mut found);
    found.sort();
    found
}

fn stored_rows_are_the_readings_of_the_topic(kind: Kind) {
    let stage = Stage::shared(kind, "store");
    let path = path_of(&stage, "data");
    // Over two days, so that there are two directories.
    produce(&stage, "20000", &["--start-time", "2026-03-01T23:59:00"]);
    let bad = [
        Outgoing::new("A", "garbage"),
        Outgoing::new("A", r#"{"sensor_id":"A","timestamp":"2026-03-01T12:00:00"}"#),
        Outgoing { key: Some(b"A".to_vec()), ..Outgoing::default() },
    ];
    Client::KafkaPython.write(stage.bootstrap(), &stage.topic, &bad);
    let odd = r#"{"sensor_id":"Ä \"1\"","timestamp":"2026-03-02T00:00:00.000001","temperature":-0.1,"co2":1e300,"firmware":"1.2","location":{"latitude":1.5,"longitude":2.5,"floor":-3}}"#;
    Client::KafkaPython.write(stage.bootstrap(), &stage.topic, &[Outgoing::new("A", odd)]);

    let summary = store(&stage, &path, &["--max-rows", "3000"]).expect_success().summary();
    assert_eq!((&summary["rows"], &summary["dead_letters"]), (&json!(20_001), &json!(3)), "{summary}");
    assert_eq!(expect_equal(&stage, &path), 20_001);
    let letters = read_topic(Client::KafkaPython, stage.bootstrap(), &format!("{}.dlq", stage.topic));
    let mut reasons: Vec<&str> =
        letters.iter().map(|it| it.header("__connect.errors.exception.class.name")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["no-measurement", "not-json", "null-value"]);
    assert!(letters.iter().any(|letter| letter.value.as_deref() == Some(b"garbage")));

    // Nothing is stored twice, and what comes later is added.
    assert_eq!(store(&stage, &path, &[]).expect_success().summary()["rows"], 0);
    produce(&stage, "5000", &["--start-time", "2026-03-02T00:10:00", "--seed", "7"]);
    assert_eq!(store(&stage, &path, &["--max-rows", "500"]).expect_success().summary()["rows"], 5_000);
    assert_eq!(expect_equal(&stage, &path), 25_001);
    verify(&stage, &path).expect_success();

    let before = files(&path, "readings").len();
    let compacted = stage.json(&["store", "compact", "--path", &path]);
    let after = files(&path, "readings").len();
    assert!(after < before && after <= 6, "{before} files became {after}: {compacted}");
    assert_eq!(expect_equal(&stage, &path), 25_001);
    let verdict = verify(&stage, &path).expect_success().json();
    assert_eq!(verdict["problems"], json!([]));
    let status = stage.json(&["store", "status", "--path", &path]);
    let rows: u64 =
        status["partitions"].as_array().expect("a list").iter().filter_map(|it| it["rows"].as_u64()).sum();
    assert_eq!(rows, 25_001, "{status}");

    let line =
        stage.run(&["store", "export", "--path", &path, "--sensor", "Ä \"1\""]).expect_success().stdout;
    let (exported, came): (Value, Value) =
        (serde_json::from_str(&line).expect("JSON"), serde_json::from_str(odd).expect("JSON"));
    assert_eq!(exported, came, "no field was dropped");

    // The first day goes; what is left is not taken for a loss.
    stage.run(&["store", "expire", "--path", &path, "--older-than", "1h"]).expect_success();
    assert_eq!(files(&path, "readings"), [""; 0], "both days are long gone");
    verify(&stage, &path).expect_success();
    assert_eq!(store(&stage, &path, &[]).expect_success().summary()["rows"], 0);
}

fn events_alerts_and_analytics_are_stored_beside_the_readings(kind: Kind) {
    let stage = Stage::shared(kind, "store-all");
    let topic = |name: &str| format!("{}-{name}", stage.topic);
    let (events, alerts, analytics) = (topic("events"), topic("alerts"), topic("analytics"));
    for topic in [&events, &alerts, &analytics] {
        stage.run(&["topics", "create", topic, "--partitions", "2"]).expect_success();
    }
    produce(&stage, "10000", &["--start-time", "2026-03-01T00:00:00"]);
    stage
        .run(&["produce", "events", "--topic", &events, "--rate", "max", "--count", "2000", "-q"])
        .expect_success();
    let process = [
        "process",
        "--topic",
        &stage.topic,
        "--events",
        &events,
        "--analytics",
        &analytics,
        "--alerts",
        &alerts,
    ];
    let processed = stage
        .run(&[&process[..], &["--group", &topic("process"), "--exit-at-end", "-o", "json"]].concat())
        .expect_success()
        .summary();
    let topics = format!("{}=readings,{events}=events,{alerts}=alerts,{analytics}=analytics", stage.topic);
    let path = path_of(&stage, "data");
    let stored = stage
        .run(&[&store_flags(&stage, &path, &topics)[..], &["--exit-at-end"]].concat())
        .expect_success()
        .summary();
    let rows = &stored["rows_by_table"];
    assert_eq!(
        (&rows["readings"], &rows["events"], &stored["dead_letters"]),
        (&json!(10_000), &json!(2_000), &json!(0)),
        "{stored}"
    );
    assert!(processed["windows_closed"].as_u64() > Some(0), "{processed}");
    for (topic, table) in [(&events, "events"), (&alerts, "alerts"), (&analytics, "analytics")] {
        // By an independent reader: every record of the topic has its row.
        let records = read_topic(Client::KafkaPython, stage.bootstrap(), topic).len();
        let exported =
            stage.run(&["store", "export", "--path", &path, "--table", table]).expect_success().stdout;
        assert_eq!(
            (exported.lines().count(), rows[table].as_u64()),
            (records, Some(records as u64)),
            "{table}"
        );
    }
    verify(&stage, &path).expect_success();
}

fn what_was_exported_comes_back_the_same(kind: Kind) {
    let stage = Stage::shared(kind, "export");
    let path = path_of(&stage, "data");
    produce(&stage, "3000", &["--start-time", "2026-03-01T00:00:00"]);
    store(&stage, &path, &[]).expect_success();
    let export = |path: &str, format: &str, out: &str| {
        let range = ["--from", "2026-03-01", "--until", "2026-03-02T00:00:00"];
        let fixed = ["store", "export", "--path", path, "--format", format, "--out", out];
        stage.run(&[&fixed[..], &range].concat()).expect_success();
    };
    let original = path_of(&stage, "original.jsonl");
    export(&path, "jsonl", &original);
    let mut expected: Vec<String> =
        fs::read_to_string(&original).expect("exported").lines().map(str::to_owned).collect();
    assert_eq!(expected.len(), 3_000);
    expected.sort();
    // Byte for byte what the producer wrote.
    let mut produced: Vec<String> = read_topic(Client::KafkaPython, stage.bootstrap(), &stage.topic)
        .iter()
        .map(|record| record.text().to_owned())
        .collect();
    produced.sort();
    assert!(expected == produced, "{}\n{}", expected[0], produced[0]);
    for format in ["jsonl", "csv", "parquet"] {
        let (file, topic) = (path_of(&stage, &format!("all.{format}")), format!("{}-{format}", stage.topic));
        export(&path, format, &file);
        stage.run(&["topics", "create", &topic, "--partitions", "3"]).expect_success();
        stage.run(&["produce", "replay", &file, "--topic", &topic, "--speed", "max", "-q"]).expect_success();
        let mut again: Vec<String> = read_topic(Client::KafkaPython, stage.bootstrap(), &topic)
            .iter()
            .map(|record| record.text().to_owned())
            .collect();
        again.sort();
        assert!(again == expected, "{format}: {}\n{}", again[0], expected[0]);
    }
}

#[test]
fn what_stands_in_the_way_is_named_with_the_fix() {
    let stage = Stage::shared(Kind::Embedded, "store-bad");
    produce(&stage, "1000", &[]);
    let refused = |path: &str, flags: &[&str], code: i32, parts: &[&str]| {
        let error = store(&stage, path, flags).expect_one_error(code);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    refused("/proc/nothing", &[], 74, &["/proc/nothing", "cannot make"]);
    stage.write("file", "");
    refused(&path_of(&stage, "file"), &[], 74, &["cannot make"]);
    let other = path_of(&stage, "other");
    fs::create_dir(&other).expect("a directory");
    fs::write(stage.path("other").join("thesis.doc"), "").expect("a file");
    refused(&other, &[], 78, &["not a store of streamgauge", "thesis.doc", "--path"]);
    assert!(!stage.path("other").join(".streamgauge").exists(), "nothing is touched");
    let missing = stage.run(&["store", "status", "--path", &path_of(&stage, "none")]).expect_one_error(78);
    assert!(missing.contains("no store") && missing.contains("store parquet"), "{missing}");
    let usage = stage.run(&["store", "parquet"]).expect_one_error(2);
    assert!(usage.contains("--path"), "{usage}");
    let table = stage.run(&["store", "parquet", "--path", "x", "--topics", "mine"]).expect_one_error(78);
    assert!(table.contains("TOPIC=TABLE"), "{table}");

    // A foreign file among ours, one of ours that was copied, one that is gone.
    let path = path_of(&stage, "data");
    store(&stage, &path, &[]).expect_success();
    let ours = files(&path, "readings");
    let foreign = Path::new(&ours[0]).with_file_name("mine.parquet");
    fs::write(&foreign, "PAR1").expect("a file");
    let verdict = verify(&stage, &path).expect_code(1).json();
    assert!(verdict["foreign"].to_string().contains("mine.parquet"), "{verdict}");
    fs::remove_file(&foreign).expect("it is there");
    let copy = ours[0].replace("-00000000000000000000-", "-00000000000000000001-");
    fs::copy(&ours[0], &copy).expect("a copy");
    let verdict = verify(&stage, &path).expect_code(1).json();
    assert!(verdict["problems"].to_string().contains("twice"), "{verdict}");
    fs::remove_file(&copy).expect("it is there");
    fs::remove_file(&ours[0]).expect("it is there");
    let verdict = verify(&stage, &path).expect_code(1).json();
    assert!(verdict["problems"].to_string().contains("rows are missing"), "{verdict}");

    // The same topic into another table, and a store of a later version.
    let topic = format!("{}=analytics", stage.topic);
    let outcome = stage.run(&[&store_flags(&stage, &path, &topic)[..], &["--exit-at-end"]].concat());
    assert!(outcome.expect_one_error(1).contains("is stored as readings"));
    fs::write(stage.path("data").join(".streamgauge/format.json"), r#"{"format":2,"made_by":"later"}"#)
        .expect("a file");
    refused(&path, &[], 78, &["format 2", "newer streamgauge"]);
}

#[test]
fn a_topic_that_began_again_or_lost_records_is_named() {
    let stage = Stage::shared(Kind::Embedded, "store-again");
    let path = path_of(&stage, "data");
    produce(&stage, "3000", &[]);
    store(&stage, &path, &[]).expect_success();
    produce(&stage, "3000", &[]);
    Client::Confluent.script("delete_records.py", &[stage.bootstrap(), &stage.topic], None);
    let error = store(&stage, &path, &[]).expect_one_error(1);
    assert!(error.contains("deleted by retention") && error.contains("--accept-gaps"), "{error}");
    produce(&stage, "500", &[]);
    let summary = store(&stage, &path, &["--accept-gaps"]).expect_success().summary();
    assert_eq!((&summary["rows"], &summary["gap"]), (&json!(500), &json!(3_000)), "{summary}");
    verify(&stage, &path).expect_success();

    stage.run(&["topics", "delete", &stage.topic, "--yes"]).expect_success();
    stage.create_topic(&["--partitions", "3"]);
    produce(&stage, "30", &[]);
    let error = store(&stage, &path, &[]).expect_one_error(1);
    assert!(error.contains("deleted and created again"), "{error}");
    verify(&stage, &path).expect_success();
}

#[test]
fn a_full_disk_pauses_and_room_lets_it_go_on() {
    let stage = Stage::shared(Kind::Embedded, "store-full");
    let path = path_of(&stage, "data");
    let topic = format!("{}=readings", stage.topic);
    // Makes the store and joins once, while there is room.
    store(&stage, &path, &[]).expect_success();
    produce(&stage, "20000", &[]);
    let metrics = Metrics::on_free_port();
    let flags = [
        &store_flags(&stage, &path, &topic)[..],
        &["--workers", "1", "--max-age", "200ms", "--metrics-listen", &metrics.address],
    ]
    .concat();
    let program = stage.streamgauge(&flags);
    // No file may be larger than 4 KiB, for this process alone: ledgers fit, data does not.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8; exec \"$@\"", "sh"])
        .arg(program.get_program())
        .args(program.get_args());
    command
        .current_dir(stage.path(""))
        .env("HOME", stage.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = Running::start(&mut command);
    running.wait_until("attempts that fail", |_| {
        metrics.sum("streamgauge_store_retries_total", "").filter(|count| *count >= 2.0)
    });
    assert_eq!(metrics.readiness(), Some(503));
    assert!(running.stderr().contains("cannot store for now"), "{}", running.stderr());
    assert_eq!(files(&path, "readings"), [""; 0]);
    let pid = running.id().to_string();
    finish(
        Command::new("prlimit")
            .args(["--pid", &pid, "--fsize=unlimited:unlimited"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )
    .expect_success();
    running.wait_until("rows", |_| {
        metrics.sum("streamgauge_stored_rows_total", "").filter(|count| *count >= 20_000.0)
    });
    running.wait_until("readiness", |_| metrics.readiness().filter(|status| *status == 200));
    running.signal(Signal::Terminate);
    running.finish(PATIENCE).expect_code(143);
    assert_eq!(expect_equal(&stage, &path), 20_000);
    verify(&stage, &path).expect_success();
}
