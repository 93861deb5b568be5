//! Disks that are full and files that cannot be read or written: exit code 74, and one message that names the file.
//!
//! Nothing here depends on Kafka's release, so it runs on the newer one.

use std::fs::{self, File};
use std::process::Command;

use testing::Kind;

use crate::harness::process::finish;
use crate::harness::stage::Stage;

fn stage_with_readings() -> Stage<'static> {
    let stage = Stage::shared(Kind::Kafka41, "disk");
    let fixed = ["produce", "sensors", "--topic", &stage.topic, "--count", "100", "--interval", "0", "-q"];
    stage.run(&fixed).expect_success();
    stage
}

#[test]
fn a_full_standard_output_is_an_error() {
    let stage = stage_with_readings();
    let (topic, group) = (stage.topic.as_str(), stage.group.as_str());
    for arguments in [
        &["topics", "list"][..],
        &["topics", "describe", topic, "-o", "json"],
        &["config", "show"],
        &["analyze", "--topic", topic, "--group", group, "--exit-at-end"],
        &["analyze", "--topic", topic, "--group", group, "--exit-at-end", "-o", "json"],
    ] {
        let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
        let outcome = finish(stage.streamgauge(arguments).stdout(full));
        let error = outcome.expect_one_error(74);
        assert!(
            error.contains("standard output") && error.contains("No space left"),
            "{arguments:?}: {error}"
        );
    }
    // What could not be written was not committed either.
    let again = ["analyze", "--topic", topic, "--group", group, "--exit-at-end", "-o", "json"];
    assert_eq!(stage.run(&again).expect_success().summary()["readings"], 100);
    let produce = ["produce", "sensors", "--topic", topic, "--count", "10", "--interval", "0"];
    expect_full(&mut stage.streamgauge(&produce));
}

/// Runs a command whose standard output is full, and checks what it says about it.
fn expect_full(command: &mut Command) {
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let error = finish(command.stdout(full)).expect_one_error(74);
    assert!(error.contains("standard output") && error.contains("No space left"), "{command:?}: {error}");
}

/// The program with a limit of no bytes on every file that it writes: a full disk for those who may not mount one.
fn on_full_disk(stage: &Stage<'_>, arguments: &[&str]) -> Command {
    let program = stage.streamgauge(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]).arg(program.get_program());
    command.args(program.get_args()).current_dir(stage.path(""));
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command
}

#[test]
fn a_full_disk_under_the_statistics_file_is_an_error() {
    let stage = stage_with_readings();
    let file = stage.path("stats.jsonl");
    let file_name = file.to_str().expect("UTF-8");
    let fixed = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "--exit-at-end", "-o", "json"];
    let arguments = [&fixed[..], &["--stats-file", file_name]].concat();
    let error = finish(&mut on_full_disk(&stage, &arguments)).expect_one_error(74);
    assert!(error.contains(file_name), "{error}");
    assert!(!file.exists(), "there is no half of a file");
}

#[test]
fn a_full_disk_under_the_position_file_is_an_error() {
    let stage = stage_with_readings();
    let readings = r#"{"sensor_id":"S","timestamp":1730974530000,"temperature":20.5}"#;
    let file = stage.write("readings.jsonl", format!("{readings}\n").repeat(10));
    let (file, position) = (file.to_str().expect("UTF-8").to_owned(), stage.path("position"));
    let position = position.to_str().expect("UTF-8");
    let fixed = ["produce", "replay", &file, "--topic", &stage.topic, "--speed", "max", "--resume", position];
    let error = finish(&mut on_full_disk(&stage, &fixed)).expect_one_error(74);
    assert!(error.contains(position), "{error}");
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let stage = stage_with_readings();
    let topic = stage.topic.as_str();
    let missing = stage.path("no-such-file.csv");
    let missing = missing.to_str().expect("UTF-8");
    let directory = stage.path("directory");
    fs::create_dir(&directory).expect("a directory for a test");
    let directory = directory.to_str().expect("UTF-8");
    let beyond = format!("{directory}/no/such/stats.jsonl");
    for (arguments, named) in [
        (&["produce", "replay", missing, "--topic", topic][..], missing),
        (&["produce", "replay", directory, "--topic", topic], directory),
        (&["analyze", "--topic", topic, "--exit-at-end", "--stats-file", &beyond], &beyond),
    ] {
        let error = stage.run(arguments).expect_one_error(74);
        assert!(error.contains(named), "{error}");
    }
}
