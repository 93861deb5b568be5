//! Settings, mistakes and exit codes: every mistake ends in one message that names the thing and the fix.
//!
//! Nothing here depends on Kafka's release, so where a broker is needed at all it is the newer one.

use std::time::{Duration, Instant};

use crate::harness::process::{Outcome, finish};
use crate::harness::stage::streamgauge;

/// Runs the program without any cluster.
fn run(arguments: &[&str]) -> Outcome {
    let directory = tempfile::tempdir().expect("a directory for a test");
    finish(streamgauge(directory.path()).args(arguments))
}

#[test]
fn a_wrong_setting_is_named_with_its_place_and_the_nearest_right_one() {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let file = directory.path().join("mine.toml");
    let check = |text: &str, environment: &[(&str, &str)], flags: &[&str]| {
        std::fs::write(&file, text).expect("a file for a test");
        let mut command = streamgauge(directory.path());
        command.args(["config", "check", "-c"]).arg(&file).args(flags).envs(environment.iter().copied());
        finish(&mut command).expect_one_error(78)
    };
    for (error, parts) in [
        (check("[produce]\nnum_sensor = 3", &[], &[]), ["mine.toml", "num_sensor", "num_sensors"]),
        (check("[analyse]\ngroup = \"g\"", &[], &[]), ["mine.toml", "analyse", "analyze"]),
        (check("[produce]\nnum_sensors = \"many\"", &[], &[]), ["mine.toml", "produce.num_sensors", "many"]),
        (check("[produce\n", &[], &[]), ["mine.toml", "TOML", ""]),
        (
            check("[kafka]\n\"sasl.usrname\" = \"me\"", &[], &[]),
            ["mine.toml", "sasl.usrname", "sasl.username"],
        ),
        (check("", &[], &["-X", "linger.mss=5"]), ["-X", "linger.mss", "linger.ms"]),
        (check("", &[], &["-X", "acks=1"]), ["-X", "acks", "all"]),
        (
            check("", &[("STREAMGAUGE__PRODUCE__NUM_SENSOR", "3")], &[]),
            [
                "STREAMGAUGE__PRODUCE__NUM_SENSOR",
                "\"produce.num_sensor\"",
                "STREAMGAUGE__PRODUCE__NUM_SENSORS",
            ],
        ),
        (
            check("", &[("STREAMGAUGE__ANALYZE__MAX_POLL_RECORDS", "0")], &[]),
            ["STREAMGAUGE__ANALYZE__MAX_POLL_RECORDS", "0", ""],
        ),
        (
            check("[analyze]\ncommit_interval = \"5 parsecs\"", &[], &[]),
            ["mine.toml", "commit_interval", "5 parsecs"],
        ),
    ] {
        for part in parts {
            assert!(error.contains(part), "{error:?} does not name {part:?}");
        }
    }
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default() {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let file =
        "[produce]\nnum_sensors = 11\ninterval = \"11s\"\nseed = 11\n[kafka.producer]\n\"linger.ms\" = 11\n";
    std::fs::write(directory.path().join("streamgauge.toml"), file).expect("a file for a test");
    let mut command = streamgauge(directory.path());
    command.env("STREAMGAUGE__PRODUCE__INTERVAL", "12s").env("STREAMGAUGE__KAFKA__PRODUCER__LINGER_MS", "12");
    command.env("STREAMGAUGE__KAFKA__BOOTSTRAP_SERVERS", "environment:12");
    command.args(["config", "show", "-o", "json", "-b", "flag:13"]);
    let shown = finish(&mut command).expect_success().json();
    let value = |key: &str| {
        let found =
            shown["settings"].as_array().expect("a list").iter().find(|setting| setting["key"] == key);
        found.unwrap_or_else(|| panic!("no {key} in {shown:#}"))["value"].to_string()
    };
    assert_eq!(value("produce.num_sensors"), "11");
    assert_eq!(value("produce.interval"), "\"12s\"");
    assert_eq!(value("kafka.producer.linger.ms").trim_matches('"'), "12");
    assert_eq!(value("kafka.bootstrap.servers"), "\"flag:13\"");
    assert_eq!(value("analyze.group"), "\"analytics-group\"");
}

#[test]
fn what_config_show_prints_is_a_settings_file_again() {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let shown =
        finish(streamgauge(directory.path()).args(["config", "show", "-X", "linger.ms=7"])).expect_success();
    std::fs::write(directory.path().join("streamgauge.toml"), shown.stdout).expect("a file for a test");
    let again =
        finish(streamgauge(directory.path()).args(["config", "show", "-o", "json"])).expect_success().json();
    assert!(again.to_string().contains("linger.ms\",\"value\":\"7\""), "{again:#}");
}

#[test]
fn secrets_are_never_shown() {
    let secret = "correct horse battery staple";
    let property = format!("sasl.password={secret}");
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "-o", "json"],
        &["config", "show", "-vvv"],
        &["topics", "list", "-b", "127.0.0.1:1", "-vvv"],
        &["config", "check", "-X", "sasl.passwort=x"],
    ] {
        let outcome = run(&[arguments, &["-X", &property]].concat());
        assert!(!format!("{outcome:?}").contains(secret), "{outcome:?}");
    }
}

#[test]
fn usage_errors_end_with_2() {
    for (arguments, named) in [
        (&["topics", "lisst"][..], "list"),
        (&["prodce"], "produce"),
        (&["topics", "list", "--colour"], "--colour"),
        (&["analyze", "-o", "yaml"], "yaml"),
        (&["topics", "create", "t", "--partitions", "0"], "--partitions"),
        (&["config", "check", "-X", "linger.ms"], "key=value"),
        (&["produce", "sensors", "--num-sensors", "0"], "--num-sensors"),
        (&["produce", "sensors", "--faults", "spyke"], "spike"),
    ] {
        let outcome = run(arguments).expect_code(2);
        assert!(outcome.stderr.contains(named), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn an_unreachable_broker_is_told_within_ten_seconds() {
    for (bootstrap, named) in
        [("127.0.0.1:1", "127.0.0.1:1"), ("no-such-host.invalid:9092", "no-such-host.invalid")]
    {
        for command in [
            &["topics", "list"][..],
            &["groups", "list"],
            &["dlq", "list"],
            &["analyze"],
            &["produce", "sensors", "--count", "1"],
        ] {
            let began = Instant::now();
            let error = run(&[command, &["-b", bootstrap]].concat()).expect_one_error(69);
            assert!(began.elapsed() < Duration::from_secs(10), "{command:?} took {:?}", began.elapsed());
            assert!(error.contains(named) && error.contains("-b HOST:PORT"), "{command:?}: {error}");
        }
    }
}

#[test]
fn help_and_version_are_answers() {
    let version = run(&["--version"]).expect_success().stdout;
    assert_eq!(version.trim(), concat!("streamgauge ", env!("CARGO_PKG_VERSION")));
    for command in [&["--help"][..], &["produce", "sensors", "--help"], &["analyze", "--help"]] {
        let help = run(command).expect_success();
        assert!(help.stdout.contains("Usage:") && help.stderr.is_empty(), "{help:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).expect_success().stdout;
        assert!(script.contains("streamgauge"), "{shell}");
    }
}
