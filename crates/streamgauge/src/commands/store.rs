//! `streamgauge store`: topics into storage, and what is done with what is stored.

mod maintenance;
pub(crate) mod parquet;
mod postgres;

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use runtime::{RateMeter, Shutdown};
use storage::{StoreOptions, StoreSummary, Watch};

use crate::cli::{self, OutputFormat};
use crate::commands::status_line::{Look, StatusLine};
use crate::commands::{Context, followed};
use crate::exit::Ending;
use crate::output;
use crate::service::Service;
use crate::settings::{Layer, Value};

/// The shown rate is that of so much time.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// Store topics in files and databases people already query, each record once.
#[derive(Debug, Args)]
#[command(
    after_help = "Each place to store in has a consumer group of its own, so a slow one holds up nobody. What is stored, and up to
which offset, becomes durable in one step: kill it at any time, start it again, nothing is missing and nothing is there
twice. Instances with the same group and place share the partitions.

Examples:
  streamgauge store parquet --path data
  streamgauge store parquet --path data --topics sensor-data --exit-at-end"
)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    Parquet(parquet::ParquetArgs),
    Postgres(postgres::PostgresArgs),
    Status(maintenance::StatusArgs),
    Verify(maintenance::VerifyArgs),
    Compact(maintenance::CompactArgs),
    Expire(maintenance::ExpireArgs),
    Export(maintenance::ExportArgs),
}

/// Flags of every place to store in.
#[derive(Debug, Args)]
struct SinkArgs {
    /// The topics to store, TOPIC or TOPIC=TABLE, separated by commas [default: sensor-data,events,alerts,analytics]
    #[arg(short, long, value_name = "TOPICS")]
    topics: Option<String>,
    /// Worker threads [default: one per processor, at most one per partition]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    workers: Option<i64>,
    /// Rows of a partition that are stored at once at most [default: 1000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    max_rows: Option<i64>,
    /// How long a row waits at most before it is stored [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = cli::duration_text)]
    max_age: Option<String>,
    /// Memory for rows that wait, in bytes [default: 100000000]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(i64).range(1..))]
    memory_bytes: Option<i64>,
    /// Stop at the end of what was there at the start
    #[arg(long)]
    exit_at_end: bool,
    /// Go on behind records that retention deleted before they were stored
    #[arg(long)]
    accept_gaps: bool,
}

impl StoreArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        match &self.command {
            StoreCommand::Parquet(args) => args.settings(layer),
            StoreCommand::Postgres(args) => args.settings(layer),
            StoreCommand::Status(args) => args.at.settings(layer),
            StoreCommand::Verify(args) => args.at.settings(layer),
            StoreCommand::Compact(args) => args.at.settings(layer),
            StoreCommand::Expire(args) => args.at.settings(layer),
            StoreCommand::Export(args) => args.at.settings(layer),
        }
    }
}

impl SinkArgs {
    fn settings(&self, layer: &mut Layer) {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        layer.flag("store.topics", "--topics", text(&self.topics));
        layer.flag("store.workers", "--workers", self.workers.map(Value::Whole));
        layer.flag("store.max_rows", "--max-rows", self.max_rows.map(Value::Whole));
        layer.flag("store.max_age", "--max-age", text(&self.max_age));
        layer.flag("store.memory_bytes", "--memory-bytes", self.memory_bytes.map(Value::Whole));
    }
}

/// Runs the command.
pub(crate) fn run(args: &StoreArgs, context: &Context) -> anyhow::Result<Ending> {
    match &args.command {
        StoreCommand::Parquet(args) => parquet::run(args, context),
        StoreCommand::Postgres(args) => postgres::run(args, context),
        StoreCommand::Status(_) => maintenance::status(context),
        StoreCommand::Verify(_) => maintenance::verify(context),
        StoreCommand::Compact(args) => maintenance::compact(args, context),
        StoreCommand::Expire(args) => maintenance::expire(args, context),
        StoreCommand::Export(args) => maintenance::export(args, context),
    }
}

/// The options of a run by the settings.
pub(crate) fn options(context: &Context, group: &str, target: storage::Target) -> StoreOptions {
    let settings = &context.settings.store;
    StoreOptions {
        topics: settings.topics.clone(),
        group: group.to_owned(),
        target,
        workers: settings.workers,
        max_rows: settings.max_rows,
        max_age: settings.max_age,
        memory: settings.memory,
        bad_record: settings.bad_record,
        accept_gaps: false,
        max_batch: settings.max_poll_records,
        stall_timeout: settings.stall_timeout,
        drain_timeout: context.settings.shutdown_deadline,
        exit_at_end: false,
        watch: Watch::default(),
    }
}

/// Stores until the end is reached or a signal ends it, and prints the summary.
fn store(options: StoreOptions, context: &Context) -> anyhow::Result<Ending> {
    let service = Service::start(&context.settings)?;
    let outcome = follow(options, context, &service);
    let ending = Ending::of(&service.shutdown);
    service.stop();
    let summary = outcome?;
    output::print(|out| match context.output {
        OutputFormat::Json => out.write_all(summary.to_json().as_bytes()),
        OutputFormat::Table => write!(out, "{summary}"),
    })?;
    Ok(ending)
}

/// Stores on a thread of its own, and shows the figures on this one.
fn follow(options: StoreOptions, context: &Context, service: &Service) -> anyhow::Result<StoreSummary> {
    let (watch, deadline) = (options.watch.clone(), options.drain_timeout);
    let (kafka, metrics, status) =
        (context.settings.kafka.clone(), service.metrics.clone(), service.status.clone());
    let work = move |asked: &Shutdown| storage::run(&options, &kafka, &metrics, &status, asked);
    let mut rate = RateMeter::new(RATE_WINDOW);
    followed::follow("store", deadline, context, service, work, |line| show(line, &mut rate, &watch))
}

fn show(line: &mut StatusLine, rate: &mut RateMeter, watch: &Watch) {
    let Some(look) = line.due() else { return };
    let seen = watch.progress().unwrap_or_default();
    let rows = seen.all_rows();
    let rate = rate.sample(std::time::Instant::now(), rows + seen.waiting);
    let dead_letters = seen.all_dead_letters();
    match look {
        Look::Logged => tracing::info!(
            rows,
            per_second = rate,
            files = seen.files,
            bytes = seen.bytes,
            waiting = seen.waiting,
            dead_letters,
            lag = seen.lag,
            lag_seconds = seen.lag_seconds,
            problem = seen.problem,
            "storing"
        ),
        Look::Shown { elapsed } => {
            let figures = match &seen.problem {
                Some(problem) => format!("{rows} rows stored; waiting: {problem}"),
                None if !seen.joined => "joining the group".to_owned(),
                None => format!(
                    "{rate:.0} rows/s  {rows} stored  {} waiting  {} files  {:.1} MB  {dead_letters} dead letters  lag {} ({:.0} s)",
                    seen.waiting,
                    seen.files,
                    seen.bytes as f64 / 1e6,
                    seen.lag,
                    seen.lag_seconds
                ),
            };
            line.show(&format!("{elapsed:>4} s  {figures}"));
        }
    }
}
