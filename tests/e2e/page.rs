//! The live page in Debian's Chromium, and its API: what is in Kafka is what is seen, whatever is in Kafka.
//!
//! Screenshots are kept in `target/screenshots`, to be looked at.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use testing::{Cluster, ClusterOptions, Kind, project, wait_for};

use crate::harness::PATIENCE;
use crate::harness::clients::{Client, Outgoing};
use crate::harness::http::get;
use crate::harness::process::{Running, Signal};
use crate::harness::stage::Stage;

/// A cluster with the catalogue's topics, and sensors that report.
struct Scene<'c> {
    stage: Stage<'c>,
    sensors: Running,
}

impl<'c> Scene<'c> {
    fn set(cluster: &'c Cluster, name: &str, sensors: &str) -> Self {
        let stage = Stage::on(cluster, name);
        stage.run(&["topics", "create"]).expect_success();
        let produce =
            ["produce", "sensors", "-n", sensors, "--interval", "0.2", "--faults", "malformed=0.01", "-q"];
        let sensors = stage.start(&produce);
        Self { stage, sensors }
    }

    /// The page, on this port or a free one.
    fn page(&self, port: u16) -> (Running, String) {
        let listen = format!("127.0.0.1:{port}");
        let mut page = self.stage.start(&["monitor", "--page", &listen, "-o", "json"]);
        let line = page.wait_until("the page", |page| page.stdout().lines().next().map(str::to_owned));
        let start: Value = serde_json::from_str(&line).expect("the start is JSON");
        (page, start["page"].as_str().expect("an address").trim_end_matches('/').to_owned())
    }

    fn end(self) {
        self.sensors.signal(Signal::Terminate);
        self.sensors.finish(PATIENCE).expect_code(143);
    }
}

fn own_cluster(kind: Kind, port: u16) -> Cluster {
    Cluster::own(&ClusterOptions { kind, brokers: 1, port, sasl_tls: false })
}

fn address(base: &str) -> &str {
    base.strip_prefix("http://").expect("an address without TLS")
}

/// Asks the API until the answer is as it should be.
#[track_caller]
fn ask_until(base: &str, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    wait_for(path, PATIENCE, || {
        let answer = get(address(base), path).ok()?;
        let body = serde_json::from_str(&answer.body).ok()?;
        is_right(&body).then_some(body)
    })
}

const HOSTILE: &str =
    "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">";

#[test]
fn people_see_what_is_there_on_the_embedded_broker() {
    people_see_what_is_there(Kind::Embedded, 9_760);
}

#[test]
fn people_see_what_is_there_on_apache_kafka() {
    people_see_what_is_there(Kind::Kafka41, 9_780);
}

fn people_see_what_is_there(kind: Kind, port: u16) {
    let cluster = own_cluster(kind, port);
    let scene = Scene::set(&cluster, "page", "30");
    let stage = &scene.stage;
    let reading = json!({"sensor_id": HOSTILE, "timestamp": "2026-03-01T12:00:00", "temperature": 21});
    Client::KafkaPython.write(
        stage.bootstrap(),
        "sensor-data",
        &[Outgoing::new(HOSTILE, reading.to_string())],
    );
    let analyze = stage.start(&["analyze", "-o", "json", "-q"]);
    let rules = "[[rules]]\nname = \"any\"\nwhen = \"temperature > -100\"\nseverity = \"critical\"\n";
    stage.write("rules.toml", rules);
    let process = stage.start(&["-c", "rules.toml", "process", "-q"]);
    let (page, base) = scene.page(0);
    ask_until(&base, "/api/v1/overview", |it| {
        it["alarms"]["critical"].as_u64() > Some(10)
            && it["groups"].as_array().is_some_and(|it| it.len() >= 2)
    });

    let screenshots = project().join(format!("target/screenshots/{kind:?}"));
    let arguments = [&base, "SENSOR_010", screenshots.to_str().expect("UTF-8")];
    let (mut browser, mut keyboard) =
        Running::start_interactive(&mut Client::Confluent.command("page.py", &arguments));
    let part = |browser: &mut Running, name: &str| -> Value {
        browser.wait_until(name, |browser| {
            let lines = browser.stdout();
            let mut parts = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            parts.find(|part| part["part"] == name)
        })
    };
    let paint = part(&mut browser, "paint");
    assert!(
        paint["first_paint_ms"].as_f64() < Some(1_000.0) && paint["bytes"].as_u64() < Some(150_000),
        "{paint}"
    );
    let visit = part(&mut browser, "visit");
    assert_eq!((&visit["wrong"], &visit["pages"]), (&json!([]), &json!(32)), "{visit}");
    part(&mut browser, "live");
    part(&mut browser, "use");
    let hostile = part(&mut browser, "hostile");
    assert_eq!(
        (&hostile["title"], &hostile["scripts"], &hostile["images"]),
        (&json!("NAME · streamgauge"), &json!(1), &json!(0))
    );

    part(&mut browser, "ready");
    // The server goes and comes back, on the same address: the page says so, and goes on by itself.
    let port = base.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    page.kill();
    keyboard.press("lost\n");
    let lost = part(&mut browser, "lost");
    assert_ne!(lost["text"], "", "the last known values stay");
    let (page, _) = scene.page(port);
    keyboard.press("back\n");
    part(&mut browser, "back");
    drop(keyboard);
    browser.finish(PATIENCE).expect_success();
    for running in [page, process, analyze] {
        running.signal(Signal::Terminate);
        running.finish(PATIENCE).expect_code(143);
    }
    scene.end();
}

#[test]
fn the_api_answers_what_is_asked_and_refuses_the_rest() {
    let cluster = own_cluster(Kind::Embedded, 9_770);
    let scene = Scene::set(&cluster, "page-api", "20");
    let (page, base) = scene.page(0);
    let at = |path: &str| {
        let answer = get(address(&base), path).expect("an answer");
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap_or(Value::Null))
    };
    ask_until(&base, "/api/v1/sensors?limit=3", |it| {
        it["total"] == 20 && it["sensors"].as_array().is_some_and(|it| it.len() == 3)
    });
    ask_until(&base, "/api/v1/topics", |it| it["topics"].as_array().is_some_and(|it| it.len() >= 8));
    ask_until(&base, "/api/v1/dead-letters", |it| it["total"] == 0);
    let sorted = at("/api/v1/sensors?sort=temperature&descending=true").1;
    let values: Vec<f64> = sorted["sensors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["temperature"].as_f64())
        .collect();
    assert!(values.len() > 10 && values.windows(2).all(|pair| pair[0] >= pair[1]), "{values:?}");
    let points = ask_until(&base, "/api/v1/sensors/SENSOR_001/readings?limit=5", |it| {
        it["points"].as_array().is_some_and(|it| it.len() == 5)
    });
    assert_eq!(points["points"][0]["values"][0][0], "temperature");
    let found = at("/api/v1/topics/sensor-data/messages?from=oldest&limit=3&search=SENSOR_002").1;
    let messages = found["messages"].as_array().expect("a list");
    assert!(
        messages.len() == 3 && messages.iter().all(|it| it.to_string().contains("SENSOR_002")),
        "{found}"
    );
    let one = at("/api/v1/topics/sensor-data/messages?from=offset:2&partition=0&limit=1").1;
    assert_eq!(
        (&one["messages"][0]["offset"], &one["messages"][0]["partition"]),
        (&json!(2), &json!(0)),
        "{one}"
    );

    for (path, status, part) in [
        ("/api/v1/nothing", 404, "no such thing"),
        ("/api/v1/sensors/NOBODY", 404, "no reading"),
        ("/api/v1/alarms/none", 404, "no such alarm"),
        ("/api/v1/topics/none", 404, "no such topic"),
        ("/api/v1/topics/sensor-data/messages?from=never", 400, "from is newest"),
        ("/api/v1/topics/sensor-data/messages?partition=99", 404, "no such topic or partition"),
        ("/api/v1/sensors?sort=colour", 400, "sort is"),
        ("/api/v1/sensors?health=odd", 400, "health is"),
    ] {
        let (found, body) = at(path);
        assert!(
            found == status && body["error"].as_str().is_some_and(|it| it.contains(part)),
            "{path}: {found} {body}"
        );
    }
    for (path, status) in [
        ("/", 200),
        ("/sensors/a/b", 200),
        ("/assets/app.js", 200),
        ("/assets/none", 404),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/version", 200),
        ("/metrics", 200),
        ("/none", 404),
    ] {
        assert_eq!(get(address(&base), path).expect("an answer").status, status, "{path}");
    }
    let headers = get(address(&base), "/").expect("an answer").headers;
    assert!(headers.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{headers}");

    everything_is_as_described(&base);

    // A page from elsewhere whose name was bent to this machine.
    let mut stream = TcpStream::connect(address(&base)).expect("a connection");
    stream
        .write_all(b"GET /api/v1/overview HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");

    page.signal(Signal::Terminate);
    page.finish(PATIENCE).expect_code(143);
    scene.end();
    let refused = scene_less(&cluster, &["monitor", "--page", "0.0.0.0:0"]);
    assert!(refused.contains("no login") && refused.contains("ssh -L"), "{refused}");
}

/// Every path of the description answers with what the description says.
fn everything_is_as_described(base: &str) {
    let fetch = |path: &str| -> Value {
        let answer = get(address(base), &format!("/api/v1{path}")).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    };
    let described = fetch("/openapi.json");
    let schemas = &described["components"]["schemas"];
    let mut checked = 0;
    for (path, operations) in described["paths"].as_object().expect("paths") {
        let schema = &operations["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        // The stream has no end, and nothing raises alarms here.
        if schema.is_null() || path == "/alarms/{id}" {
            continue;
        }
        let body = fetch(&path.replace("{id}", "SENSOR_001").replace("{name}", "sensor-data"));
        expect_schema(schemas, schema, &body, path);
        checked += 1;
    }
    assert_eq!(checked, 10);
}

/// Checks types, required fields and choices: what the description uses of JSON Schema.
fn expect_schema(schemas: &Value, schema: &Value, body: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        return expect_schema(schemas, &schemas[name], body, place);
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(body.get(name).is_some(), "{place}: {name} is missing in {body}");
    }
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = body.get(name) {
            expect_schema(schemas, of, value, &format!("{place}.{name}"));
        }
    }
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(body), "{place}: {body}");
    }
    for (at, value) in body.as_array().into_iter().flatten().enumerate() {
        expect_schema(schemas, &schema["items"], value, &format!("{place}[{at}]"));
    }
    let is_right = match schema["type"].as_str() {
        Some("array") => body.is_array(),
        Some("object") => body.is_object(),
        Some("integer") => body.is_i64() || body.is_u64(),
        Some("string") => body.is_string(),
        _ => true,
    };
    assert!(is_right, "{place}: {body} is no {}", schema["type"]);
}

fn scene_less(cluster: &Cluster, arguments: &[&str]) -> String {
    Stage::on(cluster, "page-refused").run(arguments).expect_one_error(78)
}

/// Five hundred browsers that read nothing of what they are sent: nobody else waits, and memory does not grow with them.
#[test]
fn slow_browsers_hold_up_nobody() {
    let cluster = own_cluster(Kind::Embedded, 9_790);
    let scene = Scene::set(&cluster, "page-slow", "500");
    let (page, base) = scene.page(0);
    ask_until(&base, "/api/v1/overview", |it| it["sensors"]["seen"] == 500);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", page.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1_024
    };
    let mut slow = Vec::new();
    for _ in 0..500 {
        let mut stream = TcpStream::connect(address(&base)).expect("a connection");
        stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        slow.push(stream);
    }
    let total = |it: &Value| it["readings"]["total"].as_u64().unwrap_or(0);
    let before = total(&ask_until(&base, "/api/v1/overview", |_| true));
    // Long enough for what is sent to them to fill every buffer between here and there, were it kept.
    ask_until(&base, "/api/v1/overview", |it| total(it) > before + 20_000);
    let mut brisk = TcpStream::connect(address(&base)).expect("a connection");
    brisk.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
    brisk.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut text = Vec::new();
    while text.windows(6).filter(|window| window == b"data: ").count() < 3 {
        let mut piece = [0; 4_096];
        let count = brisk.read(&mut piece).expect("updates come");
        text.extend_from_slice(&piece[..count]);
    }
    let memory = resident();
    assert!(memory < 200, "{memory} MiB");
    drop(slow);
    page.signal(Signal::Terminate);
    page.finish(PATIENCE).expect_code(143);
    scene.end();
}
