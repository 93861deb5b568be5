//! Running and ending: signals, the endpoint for metrics and health, the progress line.
//!
//! Nothing here depends on Kafka's release, so it runs on the newer one.

use std::net::TcpListener;

use serde_json::Value;
use testing::Kind;

use crate::harness::http::{Answer, get};
use crate::harness::load::{Load, Metrics};
use crate::harness::process::Signal;
use crate::harness::stage::Stage;
use crate::harness::{PATIENCE, clients};

#[test]
fn a_signal_ends_a_producer_after_its_acknowledgements() {
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
        let stage = Stage::shared(Kind::Kafka41, "signal");
        let mut load = Load::start(&stage, 2_000, &[]);
        load.wait_for_more(1_000);
        load.running.signal(signal);
        let summary = load.running.finish(PATIENCE).expect_code(code).summary();
        let audit = clients::audit(stage.bootstrap(), &stage.topic);
        audit.expect_whole();
        assert_eq!(summary["acknowledged"], audit.records);
        assert_eq!((&summary["failed"], &summary["unacknowledged"]), (&0.into(), &0.into()));
        assert_eq!(summary["stopped_by"], "request");
    }
}

#[test]
fn a_signal_ends_analyze_after_its_commit() {
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
        let stage = Stage::shared(Kind::Kafka41, "signal");
        let load = Load::start(&stage, 2_000, &[]);
        let mut analyzer =
            stage.start(&["analyze", "--topic", &stage.topic, "--group", &stage.group, "-o", "json"]);
        analyzer.wait_until("readings", |analyzer| (analyzer.stdout().lines().count() > 1000).then_some(()));
        analyzer.signal(signal);
        let outcome = analyzer.finish(PATIENCE).expect_code(code);
        let readings = outcome.summary()["readings"].as_u64().expect("a count");
        assert_eq!(readings, outcome.stdout.lines().count() as u64 - 1, "a line a reading, and the summary");
        let progress = clients::progress(stage.bootstrap(), &stage.topic, &stage.group);
        let committed: i64 = progress.values().filter_map(|partition| partition.committed).sum();
        assert_eq!(committed as u64, readings, "all that was counted is committed, and nothing else");
        load.running.signal(Signal::Interrupt);
        load.running.finish(PATIENCE).expect_code(130);
    }
}

#[test]
fn the_endpoint_tells_metrics_health_and_version() {
    let stage = Stage::shared(Kind::Kafka41, "endpoint");
    let load = Load::start(&stage, 2_000, &[]);
    let metrics = Metrics::on_free_port();
    let address = metrics.address.as_str();
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "-o", "json"];
    let mut analyzer = stage.start(&[&fixed[..], &["--metrics-listen", address]].concat());
    analyzer.wait_until("readiness", |_| metrics.readiness().filter(|status| *status == 200));
    for address in [address, &load.metrics.address] {
        assert_eq!(ask(address, "/healthz").status, 200);
        assert_eq!(ask(address, "/readyz").status, 200);
        assert_eq!(ask(address, "/nowhere").status, 404);
        let version: Value = serde_json::from_str(&ask(address, "/version").body).expect("JSON");
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
        expect_open_metrics(&ask(address, "/metrics"));
    }
    let lag = "kafka_consumergroup_lag";
    analyzer.wait_until("the lag of the group", |_| metrics.sum(lag, ""));
    let text = ask(address, "/metrics").body;
    let series = text.lines().find(|line| line.starts_with(&format!("{lag}{{"))).expect("a series");
    for label in [format!("consumergroup=\"{}\"", stage.group), format!("topic=\"{}\"", stage.topic)] {
        assert!(series.contains(&label), "{series}");
    }
    assert!(!text.contains("SENSOR_"), "no sensor is a label");
}

fn ask(address: &str, path: &str) -> Answer {
    get(address, path).unwrap_or_else(|error| panic!("{path} of {address}: {error}"))
}

/// Checks the text format: comments, then `name{labels} value`, and the end.
fn expect_open_metrics(answer: &Answer) {
    assert!(answer.headers.contains("content-type: application/openmetrics-text"), "{}", answer.headers);
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    let mut described = std::collections::BTreeSet::new();
    for line in answer.body.lines().filter(|line| *line != "# EOF") {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            let kind = words.next().expect("a comment says what it is");
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            described.insert(words.next().expect("a name").to_owned());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().expect("a name");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte)), "{line}");
        let family = ["_total", "_bucket", "_sum", "_count", "_info", ""]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix).filter(|family| described.contains(*family)));
        assert!(family.is_some(), "{name} has no TYPE");
    }
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let stage = Stage::shared(Kind::Kafka41, "taken");
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--metrics-listen", &address];
    let outcome = stage.run(&fixed);
    let error = outcome.expect_one_error(74);
    assert!(error.contains(&address) && error.contains("--metrics-listen"), "{error}");
}

#[test]
fn logs_are_text_or_json() {
    let stage = Stage::shared(Kind::Kafka41, "logs");
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--exit-at-end", "-vv"];
    let text = stage.run(&fixed).expect_success().stderr;
    assert!(!text.is_empty() && !text.contains('\u{1b}'), "no colours into a pipe: {text}");
    let json = stage.run(&[&fixed[..], &["--log-format", "json"]].concat()).expect_success().stderr;
    assert!(!json.is_empty());
    for line in json.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}
