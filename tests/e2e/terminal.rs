//! On a terminal: the live table of `analyze`, the progress of a producer, and pipes whose reader goes away.
//!
//! The terminal is util-linux's `script`, which every Debian and Ubuntu has. Nothing here depends on Kafka's release, so
//! it runs on the newer one.

use std::process::{Command, Stdio};

use testing::Kind;

use crate::harness::PATIENCE;
use crate::harness::load::Load;
use crate::harness::process::{Running, Signal};
use crate::harness::stage::Stage;

/// A command's words for a shell.
fn quoted(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| format!("'{}' ", word.to_str().expect("UTF-8"))).collect::<Vec<_>>().concat()
}

/// The program on a terminal of 100 columns and 20 rows; what is typed there is its input.
fn on_terminal(stage: &Stage<'_>, arguments: &[&str]) -> Command {
    let program = format!("stty cols 100 rows 20; exec {}", quoted(&stage.streamgauge(arguments)));
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-f", "-c", &program, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    command.env("HOME", stage.path(""));
    command.current_dir(stage.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_live_table_fits_the_terminal_and_q_ends_it() {
    let stage = Stage::shared(Kind::Kafka41, "live");
    let load = Load::start(&stage, 1_000, &[]);
    let arguments = ["analyze", "--topic", &stage.topic, "--group", &stage.group];
    let (mut running, mut keyboard) = Running::start_interactive(&mut on_terminal(&stage, &arguments));
    let shown = running.wait_until("a sensor in the table", |running| {
        let shown = running.stdout();
        shown.contains("SENSOR_001").then_some(shown)
    });
    assert!(shown.contains("\u{1b}[?1049h"), "the table has a screen of its own");
    // Fifty sensors do not fit into twenty rows.
    assert!(!shown.contains("SENSOR_049"), "more rows than the terminal has");
    keyboard.press("q");
    let outcome = running.finish(PATIENCE).expect_success();
    assert!(outcome.stdout.contains("\u{1b}[?1049l"), "the screen is given back");
    let summary = outcome.stdout.rsplit("\u{1b}[?1049l").next().expect("there is one");
    assert!(summary.contains("readings") && summary.contains("dead letters"), "{summary}");
    drop(load);
}

#[test]
fn a_producer_shows_its_progress_in_one_line() {
    let stage = Stage::shared(Kind::Kafka41, "progress");
    let arguments = ["produce", "sensors", "--topic", &stage.topic, "--rate", "1000"];
    let (mut running, mut keyboard) = Running::start_interactive(&mut on_terminal(&stage, &arguments));
    running.wait_until("its figures", |running| {
        let shown = running.stdout();
        let line = shown.rsplit('\r').find(|line| line.contains("acknowledged"))?;
        (line.contains("/s") && line.contains("p99")).then_some(())
    });
    // Ctrl-C.
    keyboard.press("\u{3}");
    let outcome = running.finish(PATIENCE).expect_code(130);
    assert!(outcome.stdout.contains("records acknowledged by"), "{}", outcome.stdout);
}

#[test]
fn a_reader_that_goes_away_ends_a_program_quietly() {
    let stage = Stage::shared(Kind::Kafka41, "pipe");
    let load = Load::start(&stage, 1_000, &[]);
    let arguments = ["analyze", "--topic", &stage.topic, "--group", &stage.group, "-o", "json"];
    let program = quoted(&stage.streamgauge(&arguments));
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{program} | head -n 1; exit ${{PIPESTATUS[0]}}")]);
    command.current_dir(stage.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let outcome = Running::start(&mut command).finish(PATIENCE).expect_success();
    assert_eq!((outcome.stdout.lines().count(), outcome.stderr.as_str()), (1, ""));
    load.running.signal(Signal::Interrupt);
    load.running.finish(PATIENCE).expect_code(130);
}
