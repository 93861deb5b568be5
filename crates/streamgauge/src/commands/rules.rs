//! `streamgauge rules`: are the rules of a settings file right, which are there, and what would they have said?
//!
//! With `-o json`: `check` prints `{"ok", "file", "rules", "windows", "groups"}` with counts, or `{"ok": false, "mistakes":
//! [{"file", "line", "column", "item", "key", "problem"}]}`; `list` prints an array with an object per rule: `{"rule", "when",
//! "clear", "for_seconds", "clear_for_seconds", "severity", "escalate_after_seconds", "sensors", "max_per_hour"}`.

mod backtest;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use engine::plan::PlanSpec;
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::commands::config::read_from;
use crate::exit::Ending;
use crate::output::{self, Table};
use crate::settings::{Loaded, Origin, PlanMistake};

/// Rules: check them, list them, try them on what is in a topic.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge rules check rules.toml
  streamgauge rules list
  streamgauge rules backtest rules.toml")]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    Check(CheckArgs),
    Backtest(backtest::BacktestArgs),
    /// List the rules in force
    #[command(after_help = "Examples:
  streamgauge rules list
  streamgauge rules list -c rules.toml -o json | jq -r '.[].when'")]
    List,
}

/// Look for mistakes in rules, windows and groups, and tell them all
#[derive(Debug, Args)]
#[command(after_help = "It ends with 78 if there are mistakes. Nothing is asked of Kafka.

Examples:
  streamgauge rules check rules.toml
  streamgauge rules check -o json rules.toml | jq -r '.mistakes[] | \"\\(.line) \\(.problem)\"'")]
struct CheckArgs {
    /// A settings file [default: the one in force]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl RulesArgs {
    /// The settings file that is meant instead of the usual one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.command {
            RulesCommand::Check(args) => args.file.as_deref(),
            RulesCommand::Backtest(args) => args.file.as_deref(),
            RulesCommand::List => None,
        }
    }

    /// Whether mistakes are what is asked for, so that they are no failure of the command.
    pub(crate) fn looks_for_mistakes(&self) -> bool {
        matches!(self.command, RulesCommand::Check(_))
    }
}

/// Does what was asked, with settings that have no mistake.
pub(crate) fn run(args: &RulesArgs, loaded: &Loaded, context: &Context) -> anyhow::Result<Ending> {
    let plan = &context.settings.process.plan;
    match &args.command {
        RulesCommand::Check(_) => checked(plan, loaded, context.output),
        RulesCommand::Backtest(args) => backtest::run(args, context),
        RulesCommand::List => list(plan, context.output),
    }
}

fn checked(plan: &PlanSpec, loaded: &Loaded, format: OutputFormat) -> anyhow::Result<Ending> {
    let PlanSpec { rules, windows, groups, .. } = plan;
    match format {
        OutputFormat::Json => output::print_json(&json!({
            "ok": true,
            "file": loaded.file,
            "rules": rules.len(),
            "windows": windows.len(),
            "groups": groups.len(),
        }))?,
        OutputFormat::Table => output::print(|out| {
            let read = read_from(loaded);
            let (rules, windows, groups) = (rules.len(), windows.len(), groups.len());
            writeln!(out, "no mistakes in rules ({rules}), windows ({windows}) and groups ({groups}); {read}")
        })?,
    }
    Ok(Ending::Done)
}

/// Tells every mistake.
pub(crate) fn tell_mistakes(mistakes: &[PlanMistake], format: OutputFormat) -> anyhow::Result<Ending> {
    match format {
        OutputFormat::Json => {
            let mistakes = mistakes.iter().map(|mistake| {
                let (file, place) = match &mistake.origin {
                    Origin::File { path, place } => (Some(path), Some(place)),
                    _ => (None, None),
                };
                json!({
                    "file": file.map(|path| path.display().to_string()),
                    "line": place.map(|place| place.line),
                    "column": place.map(|place| place.column),
                    "item": mistake.item,
                    "key": mistake.key,
                    "problem": mistake.problem,
                })
            });
            output::print_json(&json!({"ok": false, "mistakes": mistakes.collect::<Vec<_>>()}))?;
        }
        OutputFormat::Table => {
            output::print(|out| mistakes.iter().try_for_each(|mistake| writeln!(out, "{mistake}")))?;
        }
    }
    Ok(Ending::Misconfigured)
}

fn list(plan: &PlanSpec, format: OutputFormat) -> anyhow::Result<Ending> {
    if format == OutputFormat::Json {
        let rules = plan.rules.iter().map(|rule| {
            json!({
                "rule": rule.name,
                "when": rule.when,
                "clear": rule.clear,
                "for_seconds": rule.hold.as_secs_f64(),
                "clear_for_seconds": rule.clear_hold.as_secs_f64(),
                "severity": rule.severity,
                "escalate_after_seconds": rule.escalate_after.map(|after| after.as_secs_f64()),
                "sensors": rule.select,
                "max_per_hour": rule.max_per_hour,
            })
        });
        output::print_json(&rules.collect())?;
        return Ok(Ending::Done);
    }
    let time =
        |time: Duration| if time.is_zero() { String::new() } else { output::span(time.as_millis() as i64) };
    let mut table = Table::new(&["RULE", "SEVERITY", "WHEN", "CLEAR", "FOR", "SENSORS"]);
    for rule in &plan.rules {
        table.row([
            rule.name.clone(),
            rule.severity.to_string(),
            rule.when.clone(),
            rule.clear.map(|bound| bound.to_string()).unwrap_or_default(),
            time(rule.hold),
            rule.select.join(" "),
        ]);
    }
    output::print(|out| table.write(out))?;
    Ok(Ending::Done)
}
