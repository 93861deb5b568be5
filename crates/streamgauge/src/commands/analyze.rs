//! `streamgauge analyze`: running statistics of a topic of readings, for people and for programs.
//!
//! On a terminal it is a live table; elsewhere a line a reading, with `-o json` an object a line; with `-q` only alerts.
//! The summary comes last; as JSON it is one object with `readings`, `sensors`, `warnings`, `alerts`, `dead_letters`
//! and more, see [`consumers::analyze::AnalyzeSummary`].

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use consumers::analyze::{self, AnalyzeOptions, Format, Show, SortColumn, SortOrder, TableLook, Watch};
use runtime::telemetry;

use crate::cli::{self, OutputFormat};
use crate::commands::Context;
use crate::exit::Ending;
use crate::service::Service;
use crate::settings::{Layer, Value};

/// Analyze readings: running statistics per sensor, warnings, high-temperature alerts.
#[derive(Debug, Args)]
#[command(
    after_help = "On a terminal a live table is shown (q ends it, ? lists the keys); elsewhere a line a reading, with -o json as
JSON, and with -q only alerts. The summary comes last. Instances with the same group share the partitions.

Examples:
  streamgauge analyze
  streamgauge analyze --exit-at-end -q -o json | tail -n 1 | jq .readings
  streamgauge analyze --high-temperature 25 --sort -max
  streamgauge analyze --group audit --commit each-batch --stats-file stats.jsonl --exit-at-end"
)]
pub(crate) struct AnalyzeArgs {
    /// The topic
    #[arg(short, long, value_name = "TOPIC", default_value = model::topics::SENSOR_DATA)]
    topic: String,
    /// The consumer group [default: analytics-group]
    #[arg(short = 'g', long, value_name = "GROUP")]
    group: Option<String>,
    /// A temperature above this, in °C, is an alert [default: 30]
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    high_temperature: Option<f64>,
    /// Stop at the end of what was there at the start
    #[arg(long)]
    exit_at_end: bool,
    /// When offsets are committed: interval, or each-batch [default: interval]
    #[arg(long, value_name = "MODE", value_parser = ["interval", "each-batch"])]
    commit: Option<String>,
    /// How often offsets are committed [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = cli::duration_text)]
    commit_interval: Option<String>,
    /// Records a poll hands out at most [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    max_poll_records: Option<i64>,
    /// Worker threads [default: one per processor, at most one per partition]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    workers: Option<i64>,
    /// The order of the live table: a column, with + for rising or - for falling
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<SortOrder>,
    /// Lines instead of the live table, on a terminal too
    #[arg(long)]
    lines: bool,
    /// Write the statistics of every sensor to this file at the end, an object a line
    #[arg(long, value_name = "FILE")]
    stats_file: Option<PathBuf>,
}

impl AnalyzeArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        layer.flag("analyze.group", "--group", text(&self.group));
        layer.flag(
            "analyze.high_temperature",
            "--high-temperature",
            self.high_temperature.map(Value::Number),
        );
        layer.flag("analyze.commit", "--commit", text(&self.commit));
        layer.flag("analyze.commit_interval", "--commit-interval", text(&self.commit_interval));
        layer.flag("analyze.max_poll_records", "--max-poll-records", self.max_poll_records.map(Value::Whole));
        layer.flag("analyze.workers", "--workers", self.workers.map(Value::Whole));
    }

    fn show(&self, context: &Context) -> Show {
        let format = match context.output {
            OutputFormat::Table => Format::Text,
            OutputFormat::Json => Format::Json,
        };
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = io::stdout().is_terminal() && !dumb && !self.lines && format == Format::Text;
        match (context.quiet, live) {
            (true, _) => Show::Alerts(format),
            (false, false) => Show::Readings(format),
            (false, true) => Show::Table(TableLook {
                sort: self.sort.unwrap_or(SortColumn::Sensor.natural_order()),
                color: std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
            }),
        }
    }
}

/// Analyzes until the end is reached or a signal or key ends it.
pub(crate) fn run(args: &AnalyzeArgs, context: &Context) -> anyhow::Result<Ending> {
    let service = Service::start(&context.settings)?;
    let settings = &context.settings.analyze;
    let options = AnalyzeOptions {
        topic: args.topic.clone(),
        group: settings.group.clone(),
        high_temperature: settings.high_temperature,
        workers: settings.workers,
        commit: settings.commit,
        max_batch: settings.max_poll_records,
        stall_timeout: settings.stall_timeout,
        drain_timeout: context.settings.shutdown_deadline,
        exit_at_end: args.exit_at_end,
        show: args.show(context),
        stats_file: args.stats_file.clone(),
        watch: Watch::default(),
    };
    let covers_terminal = matches!(options.show, Show::Table(_)) && io::stderr().is_terminal();
    let held = covers_terminal.then(telemetry::hold_back);
    let outcome =
        analyze::run(options, &context.settings.kafka, &service.metrics, &service.status, &service.shutdown);
    drop(held);
    let ending = Ending::of(&service.shutdown);
    service.stop();
    outcome?;
    Ok(ending)
}
