//! `streamgauge rules backtest`: what the rules of a file would have said of what is in a topic.
//!
//! With `-o json` one object: `{"topic", "records", "undecodable", "sensors", "from", "to", "seconds", "held_back", "rules":
//! [{"rule", "alarms", "by_sensor": {ID: alarms}, "true_alarms", "precision", "labels": [{"label", "stretches", "found",
//! "recall", "median_delay_seconds"}]}]}`. Without labels `true_alarms` and `precision` are null and `labels` is empty.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use engine::Plan;
use model::topics::SENSOR_DATA;
use model::{Alert, AlertState, EventTime};
use processors::{BacktestOptions, BacktestReport, LabelSpan, backtest};
use runtime::Shutdown;
use serde_json::{Value, json};

use crate::cli::{self, OutputFormat};
use crate::commands::Context;
use crate::commands::status_line::{Look, StatusLine};
use crate::exit::{Ending, UsageError};
use crate::output::{self, Table};

/// Sensors that a person is shown for each rule.
const SHOWN_SENSORS: usize = 3;

/// Try rules on what is in a topic; nothing is written
#[derive(Debug, Args)]
#[command(
    after_help = "The clock is that of the records' timestamps. Where readings carry the simulator's labels (the header sg-fault), or a
file has labels, each rule is compared with them: an alarm is true if it fired within a labelled stretch of its sensor,
or within the tolerance after it. The file is CSV with a header line: sensor_id,from,to,label.

Examples:
  streamgauge rules backtest rules.toml
  streamgauge rules backtest rules.toml --from 2024-11-07T00:00:00 --to 2024-11-08T00:00:00
  streamgauge rules backtest rules.toml --labels faults.csv --tolerance 5m -o json"
)]
pub(super) struct BacktestArgs {
    /// A settings file [default: the one in force]
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The topic of readings
    #[arg(short, long, value_name = "TOPIC", default_value = SENSOR_DATA)]
    topic: String,
    /// From records of this time on, as their timestamps say [default: from the oldest]
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    from: Option<EventTime>,
    /// To before records of this time [default: to the end]
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    to: Option<EventTime>,
    /// A file with labelled stretches, instead of the labels that readings carry
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// How long after a labelled stretch an alarm still belongs to it
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = cli::duration)]
    tolerance: Duration,
}

/// Runs the rules of the settings over the topic.
pub(super) fn run(args: &BacktestArgs, context: &Context) -> anyhow::Result<Ending> {
    let plan = Plan::compile(context.settings.process.plan.clone());
    let plan = plan.map_err(|mistakes| anyhow::anyhow!("windows and rules: {mistakes:?}"))?;
    if args.from.zip(args.to).is_some_and(|(from, to)| from >= to) {
        return Err(UsageError("--from must be before --to".to_owned()).into());
    }
    let from_file = args.labels.as_deref().map(read_labels).transpose()?;
    let options = BacktestOptions {
        topic: args.topic.clone(),
        from_ms: args.from.map(EventTime::millis),
        to_ms: args.to.map(EventTime::millis),
        plan: Arc::new(plan),
    };
    let shutdown = Shutdown::on_signals()?;
    let mut line = StatusLine::new(context);
    let report = backtest(&options, &context.settings.kafka, &shutdown, |records| match line.due() {
        Some(Look::Shown { elapsed }) => line.show(&format!("{elapsed:>4} s  {records} records")),
        Some(Look::Logged) => tracing::info!(records, "reading"),
        None => {}
    });
    line.wipe();
    let mut report = report?;
    if let Some(labels) = from_file {
        report.labels = labels;
    }
    let scores = scores(&report, args.tolerance, &options.plan);
    match context.output {
        OutputFormat::Json => output::print_json(&to_json(args, &report, &scores))?,
        OutputFormat::Table => tell(&report, &scores)?,
    }
    Ok(Ending::of(&shutdown))
}

/// Reads `sensor_id,from,to,label` lines; the label may be left out.
fn read_labels(path: &Path) -> anyhow::Result<Vec<LabelSpan>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut labels = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let wrong = || {
            UsageError(format!(
                "{}:{}: a line is sensor_id,from,to,label with times like 2024-11-07T10:15:30",
                path.display(),
                number + 1
            ))
        };
        let time = |text: &str| EventTime::parse(text.as_bytes());
        let (sensor_id, from, to, label) = match fields[..] {
            [sensor_id, from, to] => (sensor_id, from, to, "fault"),
            [sensor_id, from, to, label] => (sensor_id, from, to, label),
            _ => return Err(wrong().into()),
        };
        let (Some(from), Some(to)) = (time(from), time(to)) else { return Err(wrong().into()) };
        labels.push(LabelSpan {
            sensor_id: sensor_id.to_owned(),
            label: label.to_owned(),
            from,
            to,
            readings: 0,
        });
    }
    Ok(labels)
}

/// How one rule did.
#[derive(Debug, Default)]
struct Score {
    alarms: u64,
    by_sensor: BTreeMap<String, u64>,
    true_alarms: u64,
    /// By label: the delay of each stretch that was found, in seconds.
    found: BTreeMap<String, Vec<f64>>,
}

/// Every rule that is there, and the built-in one if it fired.
fn scores(report: &BacktestReport, tolerance: Duration, plan: &Plan) -> BTreeMap<String, Score> {
    let mut scores: BTreeMap<String, Score> =
        plan.rules.versions().map(|(rule, _)| (rule.to_owned(), Score::default())).collect();
    let mut by_sensor: BTreeMap<&str, Vec<&LabelSpan>> = BTreeMap::new();
    for label in &report.labels {
        by_sensor.entry(&label.sensor_id).or_default().push(label);
    }
    let fired: Vec<&Alert> = report.alarms.iter().filter(|alarm| alarm.state == AlertState::Firing).collect();
    for alarm in &fired {
        let score = scores.entry(alarm.rule.clone()).or_default();
        score.alarms += 1;
        *score.by_sensor.entry(alarm.sensor_id.clone()).or_default() += 1;
        let near = by_sensor.get(alarm.sensor_id.as_str()).into_iter().flatten();
        score.true_alarms += u64::from(near.into_iter().any(|label| belongs(alarm, label, tolerance)));
    }
    let mut by_rule: BTreeMap<(&str, &str), Vec<&Alert>> = BTreeMap::new();
    for alarm in fired {
        by_rule.entry((&alarm.rule, &alarm.sensor_id)).or_default().push(alarm);
    }
    for label in &report.labels {
        for (rule, score) in &mut scores {
            let alarms = by_rule.get(&(rule.as_str(), label.sensor_id.as_str())).into_iter().flatten();
            let first = alarms.into_iter().find(|alarm| belongs(alarm, label, tolerance));
            if let Some(alarm) = first {
                let delay = (alarm.at.micros() - label.from.micros()) as f64 / 1e6;
                score.found.entry(label.label.clone()).or_default().push(delay.max(0.0));
            }
        }
    }
    scores
}

/// Whether an alarm fired in a labelled stretch, or within the tolerance after it.
fn belongs(alarm: &Alert, label: &LabelSpan, tolerance: Duration) -> bool {
    let tolerance = i64::try_from(tolerance.as_micros()).unwrap_or(i64::MAX);
    let (at, since) = (alarm.at.micros(), alarm.since.micros());
    at >= label.from.micros() && since <= label.to.micros().saturating_add(tolerance)
}

fn stretches(report: &BacktestReport) -> BTreeMap<&str, u64> {
    let mut count = BTreeMap::new();
    for label in &report.labels {
        *count.entry(label.label.as_str()).or_default() += 1;
    }
    count
}

fn median(delays: &[f64]) -> Option<f64> {
    let mut sorted = delays.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn precision(score: &Score, report: &BacktestReport) -> Option<f64> {
    (!report.labels.is_empty() && score.alarms > 0).then(|| score.true_alarms as f64 / score.alarms as f64)
}

fn to_json(args: &BacktestArgs, report: &BacktestReport, scores: &BTreeMap<String, Score>) -> Value {
    let stretches = stretches(report);
    let labelled = !report.labels.is_empty();
    let rules = scores.iter().map(|(rule, score)| {
        let labels = stretches.iter().map(|(label, stretches)| {
            let found = score.found.get(*label).map_or(&[][..], Vec::as_slice);
            json!({
                "label": label,
                "stretches": stretches,
                "found": found.len(),
                "recall": found.len() as f64 / *stretches as f64,
                "median_delay_seconds": median(found),
            })
        });
        json!({
            "rule": rule,
            "alarms": score.alarms,
            "by_sensor": score.by_sensor,
            "true_alarms": labelled.then_some(score.true_alarms),
            "precision": precision(score, report),
            "labels": labels.collect::<Vec<_>>(),
        })
    });
    let (from, to) = report.span.map(|(from, to)| (from.to_string(), to.to_string())).unzip();
    json!({
        "topic": args.topic,
        "records": report.records,
        "undecodable": report.undecodable,
        "sensors": report.sensors,
        "from": from,
        "to": to,
        "seconds": report.elapsed.as_secs_f64(),
        "held_back": held_back(report),
        "rules": rules.collect::<Vec<_>>(),
    })
}

/// Alarms that did not fire because of their rule's limit.
fn held_back(report: &BacktestReport) -> u64 {
    report.counters.iter().map(|(_, counters)| counters.alarms.held_back).sum()
}

fn tell(report: &BacktestReport, scores: &BTreeMap<String, Score>) -> anyhow::Result<()> {
    let stretches = stretches(report);
    output::print(|out| {
        let span = report.span.map_or_else(String::new, |(from, to)| format!(" from {from} to {to}"));
        writeln!(
            out,
            "{} readings of {} sensors{span}",
            report.records - report.undecodable,
            report.sensors
        )?;
        let mut table = Table::new(&["RULE", "ALARMS", "SENSORS", "PRECISION", "MOST OFTEN"]);
        for (rule, score) in scores {
            let mut most: Vec<(&String, &u64)> = score.by_sensor.iter().collect();
            most.sort_by(|a, b| b.1.cmp(a.1));
            let most: Vec<String> = most
                .into_iter()
                .take(SHOWN_SENSORS)
                .map(|(sensor, alarms)| format!("{} {alarms}", output::printable(sensor)))
                .collect();
            table.row([
                rule.clone(),
                score.alarms.to_string(),
                score.by_sensor.len().to_string(),
                precision(score, report).map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default(),
                most.join(", "),
            ]);
        }
        table.write(out)?;
        let held_back = held_back(report);
        if held_back > 0 {
            writeln!(out, "{held_back} more were held back by max_per_hour")?;
        }
        if stretches.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let mut table = Table::new(&["LABEL", "RULE", "FOUND", "OF", "RECALL", "MEDIAN DELAY"]);
        for (label, count) in &stretches {
            let found = scores.iter().filter_map(|(rule, score)| Some((rule, score.found.get(*label)?)));
            let mut none = true;
            for (rule, delays) in found {
                none = false;
                table.row([
                    output::printable(label),
                    rule.clone(),
                    delays.len().to_string(),
                    count.to_string(),
                    format!("{:.0} %", delays.len() as f64 / *count as f64 * 100.0),
                    median(delays).map(|delay| format!("{delay:.1} s")).unwrap_or_default(),
                ]);
            }
            if none {
                table.row([
                    output::printable(label),
                    String::new(),
                    "0".to_owned(),
                    count.to_string(),
                    "0 %".to_owned(),
                    String::new(),
                ]);
            }
        }
        table.write(out)
    })?;
    Ok(())
}
