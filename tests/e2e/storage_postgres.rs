//! `store postgres`: what is stored is what is in the topic, by the word of psql, whatever is killed, the database too; what
//! stands in the way is named.

use serde_json::{Value, json};
use testing::{Kind, Postgres};

use crate::harness::clients::{Client, Outgoing};
use crate::harness::load::{Load, Metrics};
use crate::harness::process::{Outcome, Running, Signal};
use crate::harness::random::Random;
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, on_every_broker};

on_every_broker!(
    stored_rows_are_the_readings_of_the_topic,
    killed_stores_and_databases_keep_every_reading_once
);

fn flags<'a>(stage: &'a Stage<'_>, url: &'a str, topic: &'a str) -> Vec<&'a str> {
    vec!["store", "postgres", "--url", url, "--topics", topic, "--group", &stage.group, "-o", "json"]
}

fn store(stage: &Stage<'_>, server: &Postgres, more: &[&str]) -> Outcome {
    let (url, topic) = (server.url(), format!("{}=readings", stage.topic));
    stage.run(&[&flags(stage, &url, &topic)[..], &["--exit-at-end"], more].concat())
}

fn produce(stage: &Stage<'_>, count: &str) {
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "-n", "50", "--speed", "max", "-q"];
    stage
        .run(&[&fixed[..], &["--count", count, "--start-time", "2026-03-01T23:59:00"]].concat())
        .expect_success();
}

/// Checks that every reading is there once and says what its record says.
#[track_caller]
fn expect_equal(stage: &Stage<'_>, server: &Postgres) -> u64 {
    let rows = server.query(
        "select partition, \"offset\", sensor_id, (extract(epoch from time) * 1000000)::bigint, temperature from readings",
    );
    let arguments = [stage.bootstrap(), &stage.topic];
    let output = Client::Confluent.script("stored_in_postgres.py", &arguments, Some(rows.into_bytes()));
    let found: Value = serde_json::from_str(&output).expect("the script prints JSON");
    let wrong = ["missing", "doubled", "different"].map(|what| found[what].as_u64());
    assert_eq!((wrong, &found["rows"]), ([Some(0); 3], &found["topic"]), "{found}");
    found["rows"].as_u64().expect("a number")
}

fn stored_rows_are_the_readings_of_the_topic(kind: Kind) {
    let (stage, server) = (Stage::shared(kind, "pg"), Postgres::new());
    produce(&stage, "20000");
    let odd = "{\"sensor_id\":\"A\\u0000\\\"|é\",\"timestamp\":\"1969-12-31T23:59:59.999999\",\"temperature\":-0.1,\"co\\u00002\":1e300,\"firmware\":\"1.2\"}";
    Client::KafkaPython.write(
        stage.bootstrap(),
        &stage.topic,
        &[Outgoing::new("A", odd), Outgoing::new("A", "garbage")],
    );
    let summary = store(&stage, &server, &["--max-rows", "3000"]).expect_success().summary();
    assert_eq!((&summary["rows"], &summary["dead_letters"]), (&json!(20_001), &json!(1)), "{summary}");
    // A character 0 is the one thing that PostgreSQL's text cannot hold.
    let row =
        server.query("select sensor_id, time, further, extra from readings where \"extra\" is not null");
    assert_eq!(
        row,
        "A\u{fffd}\"|é|1969-12-31 23:59:59.999999+00|{\"co\u{fffd}2\": 1e300}|{\"firmware\":\"1.2\"}"
            .replace("1e300", &format!("1{}", "0".repeat(300)))
    );
    server.query("delete from readings where \"extra\" is not null");
    let found = server.query(
        "select count(*), count(distinct (partition, \"offset\")), count(distinct sensor_id) from readings",
    );
    assert_eq!(found, "20000|20000|50");
    assert_eq!(store(&stage, &server, &[]).expect_success().summary()["rows"], 0);
    let positions = server.query("select sum(rows), sum(refused), sum(next) from streamgauge_positions");
    assert_eq!(positions, "20001|1|20002");
}

/// Instances are killed so often, and the database a third as often.
const KILLS: usize = 30;
/// Readings a second.
const RATE: u32 = 5_000;

fn start(stage: &Stage<'_>, url: &str, name: &str) -> Running {
    let topic = format!("{}=readings", stage.topic);
    let member = format!("group.instance.id={}-{name}", stage.group);
    let own = [
        "--workers",
        "1",
        "--max-rows",
        "700",
        "--max-age",
        "100ms",
        "-X",
        "session.timeout.ms=6000",
        "-X",
        &member,
    ];
    stage.start(&[&flags(stage, url, &topic)[..], &own].concat())
}

fn killed_stores_and_databases_keep_every_reading_once(kind: Kind) {
    let (stage, server) = (Stage::shared(kind, "kill-pg"), Postgres::new());
    let (url, topic) = (server.url(), format!("{}=readings", stage.topic));
    let mut load = Load::start(&stage, RATE, &[]);
    let mut random = Random::new();
    let names = ["a", "b", "c"];
    let mut instances = names.map(|name| Some(start(&stage, &url, name)));
    for kill in 0..KILLS {
        load.wait_for_more(1 + random.below(4_000));
        if kill % 3 == 2 {
            server.kill();
            server.revive();
            continue;
        }
        let victim = random.below(3) as usize;
        instances[victim].take().expect("it is always started again").kill();
        instances[victim] = Some(start(&stage, &url, names[victim]));
    }
    load.running.signal(Signal::Terminate);
    load.running.finish(PATIENCE).expect_code(143);
    for instance in instances.into_iter().flatten() {
        instance.signal(Signal::Terminate);
        instance.finish(PATIENCE).expect_code(143);
    }
    stage.run(&[&flags(&stage, &url, &topic)[..], &["--exit-at-end"]].concat()).expect_success();
    assert!(expect_equal(&stage, &server) > 10_000);
}

#[test]
fn a_database_that_is_away_pauses_reading_and_keeps_the_membership() {
    let (stage, server) = (Stage::shared(Kind::Embedded, "pg-away"), Postgres::new());
    let (url, topic) = (server.url(), format!("{}=readings", stage.topic));
    let metrics = Metrics::on_free_port();
    let more = ["--workers", "1", "--max-age", "100ms", "--metrics-listen", &metrics.address];
    let mut running = stage.start(&[&flags(&stage, &url, &topic)[..], &more].concat());
    produce(&stage, "1000");
    let stored = |metrics: &Metrics, count: f64| {
        metrics.sum("streamgauge_stored_rows_total", "").filter(|rows| *rows >= count).map(drop)
    };
    running.wait_until("rows", |_| stored(&metrics, 1_000.0));
    server.stop();
    produce(&stage, "1000");
    running.wait_until("an unready state", |_| metrics.readiness().filter(|status| *status == 503));
    running.wait_until("attempts", |_| {
        metrics.sum("streamgauge_store_retries_total", "").filter(|count| *count >= 3.0)
    });
    let group = stage.json(&["groups", "describe", &stage.group]);
    assert_eq!(group["state"], "Stable", "{group}");
    server.revive();
    running.wait_until("the rest of the rows", |_| stored(&metrics, 2_000.0));
    running.wait_until("readiness", |_| metrics.readiness().filter(|status| *status == 200));
    running.signal(Signal::Terminate);
    running.finish(PATIENCE).expect_code(143);
    assert_eq!(expect_equal(&stage, &server), 2_000);
}

#[test]
fn what_stands_in_the_way_is_named_with_the_fix() {
    let (stage, server) = (Stage::shared(Kind::Embedded, "pg-bad"), Postgres::new());
    produce(&stage, "100");
    let topic = format!("{}=readings", stage.topic);
    let refused = |url: &str, more: &[&str], code: i32, parts: &[&str]| {
        let error = stage
            .run(&[&flags(&stage, url, &topic)[..], &["--exit-at-end"], more].concat())
            .expect_one_error(code);
        assert!(parts.iter().all(|part| error.contains(part)) && !error.contains("s3cret"), "{error}");
    };
    let url = server.url();
    refused("postgres://me:s3cret@127.0.0.1:1/plant", &[], 69, &["cannot connect", "127.0.0.1:1", "--url"]);
    refused(&url.replace("/plant", "/nowhere"), &[], 69, &["nowhere", "create the database"]);
    refused(&url.replace("me@", "nobody:s3cret@"), &[], 69, &["nobody", "user and password"]);
    refused("mysql://me:s3cret@h/d", &[], 78, &["store.postgres.url", "postgres://user:password@host"]);
    refused(&format!("{url}?sslmode=verify-full&sslrootcert=/nowhere.pem"), &[], 78, &["TLS", "sslrootcert"]);
    refused(&url, &["--retention", "3d"], 78, &["store.postgres.partitions"]);
    let shown = stage.run(&["config", "show", "-X", "client.id=x"]).expect_success().stdout;
    assert!(!shown.contains("s3cret"), "{shown}");

    server.query("create table readings (sensor_id text, time text)");
    refused(
        &url,
        &[],
        78,
        &[
            "public.readings",
            "time is text and not timestamptz",
            "temperature double precision is missing",
            "--schema",
        ],
    );
    store(&stage, &server, &["--schema", "plant 1"]).expect_success();
    assert_eq!(server.query("select count(*) from \"plant 1\".readings"), "100");

    // Changed by hand while nobody looks, then put back.
    server.query("alter table \"plant 1\".readings rename column humidity to wetness");
    refused(&url, &["--schema", "plant 1"], 78, &["humidity double precision is missing"]);
    server.query("alter table \"plant 1\".readings rename column wetness to humidity");
    server.query("alter table \"plant 1\".readings add column mine text default 'x'");
    produce(&stage, "50");
    assert_eq!(store(&stage, &server, &["--schema", "plant 1"]).expect_success().summary()["rows"], 50);
}

#[test]
fn tables_can_be_partitioned_by_time_and_old_partitions_go() {
    let (stage, server) = (Stage::shared(Kind::Embedded, "pg-parts"), Postgres::new());
    produce(&stage, "20000");
    store(&stage, &server, &["--partitions", "day", "--max-rows", "1000"]).expect_success();
    assert_eq!(expect_equal(&stage, &server), 20_000);
    let partitions = "select relname from pg_inherits join pg_class on oid = inhrelid where inhparent = 'readings'::regclass order by 1";
    assert_eq!(server.query(partitions), "readings_d20513\nreadings_d20514\nreadings_default");
    assert_eq!(server.query("select count(*) from readings_default"), "0");
    store(&stage, &server, &["--partitions", "day", "--retention", "36h"]).expect_success();
    assert_eq!(server.query(partitions), "readings_default", "both days are long gone");
}
