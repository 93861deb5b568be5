//! What is done with a store of Parquet files: status, verify, compact, expire, export.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use model::EventTime;
use runtime::now_micros;
use serde::Serialize;
use storage::{ExportFormat, ExportOptions, StoreStatus, Table, Verdict};

use crate::cli::{self, OutputFormat};
use crate::commands::Context;
use crate::commands::status_line::{Look, StatusLine};
use crate::exit::{Ending, UsageError};
use crate::output;
use crate::settings::{Layer, Value};

/// The directory of the store.
#[derive(Debug, Args)]
pub(super) struct PathArgs {
    /// The directory of the store
    #[arg(short, long, value_name = "DIR")]
    path: Option<PathBuf>,
}

impl PathArgs {
    pub(super) fn settings(&self, layer: &mut Layer) {
        let path = self.path.as_ref().map(|path| Value::Text(path.to_string_lossy().into_owned()));
        layer.flag("store.parquet.path", "--path", path);
    }
}

/// Show per partition what is stored up to which offset and time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge store status --path data
  streamgauge store status --path data -o json | jq '.partitions[] | {topic, partition, next}'")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) at: PathArgs,
}

/// Prove from the offsets that no row is missing and none is there twice.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the offsets of all files and compares them with what was counted when the rows were stored. Exit code 1 if
anything is missing, doubled or foreign. Storing may go on meanwhile.

Examples:
  streamgauge store verify --path data"
)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub(super) at: PathArgs,
}

/// Merge small files; readers never see a row twice, or miss it.
#[derive(Debug, Args)]
#[command(after_help = "Each directory is exchanged as a whole, in one step. Storing may go on meanwhile.

Examples:
  streamgauge store compact --path data
  streamgauge store compact --path data --tables readings --max-rows 5000000")]
pub(super) struct CompactArgs {
    #[command(flatten)]
    pub(super) at: PathArgs,
    /// Only these tables, separated by commas
    #[arg(long, value_name = "TABLES", value_delimiter = ',', value_parser = table)]
    tables: Vec<Table>,
    /// Rows of a merged file at most
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    max_rows: u64,
}

/// Remove the files of old days.
#[derive(Debug, Args)]
#[command(after_help = "A day goes as a whole, once its last moment is older. verify knows what has expired.

Examples:
  streamgauge store expire --path data --older-than 365d
  streamgauge store expire --path data --older-than 90d --tables analytics,events")]
pub(super) struct ExpireArgs {
    #[command(flatten)]
    pub(super) at: PathArgs,
    /// How old a day is, by event time, as in 90d
    #[arg(long, value_name = "DURATION", value_parser = cli::duration)]
    older_than: Duration,
    /// Only these tables, separated by commas
    #[arg(long, value_name = "TABLES", value_delimiter = ',', value_parser = table)]
    tables: Vec<Table>,
}

/// Write rows of a time range, or of some sensors, as CSV, JSON Lines or Parquet.
#[derive(Debug, Args)]
#[command(
    after_help = "Readings in JSON Lines are as they stand in their topic; produce replay reads all three forms back.

Examples:
  streamgauge store export --path data --from 2026-11-01 --until 2026-12-01 > november.jsonl
  streamgauge store export --path data --sensor SENSOR_001 --sensor SENSOR_002 --format csv --out two.csv
  streamgauge store export --path data --table alerts --format parquet --out alerts.parquet"
)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) at: PathArgs,
    /// The table
    #[arg(long, value_name = "TABLE", default_value = "readings", value_parser = table)]
    table: Table,
    /// Rows of this event time or later, ISO 8601, UTC without a zone
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<EventTime>,
    /// Rows before this event time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<EventTime>,
    /// Rows of this sensor (of events: type); may be repeated
    #[arg(long = "sensor", value_name = "ID")]
    sensors: Vec<String>,
    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    format: Format,
    /// The file to write; it is there when it is whole [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
    Parquet,
}

fn table(text: &str) -> Result<Table, String> {
    Table::of_name(text).ok_or_else(|| "it must be readings, events, alerts or analytics".to_owned())
}

/// A time, or a day for its first moment.
fn time(text: &str) -> Result<EventTime, String> {
    cli::time(text).or_else(|problem| cli::time(&format!("{text}T00:00:00")).map_err(|_| problem))
}

/// The directory that the settings name.
pub(super) fn path(context: &Context) -> Result<&Path, UsageError> {
    let text = "name the directory of the store with --path DIR (store.parquet.path)";
    context.settings.store.parquet.path.as_deref().ok_or_else(|| UsageError(text.to_owned()))
}

fn chosen(tables: &[Table]) -> &[Table] {
    if tables.is_empty() { &Table::ALL } else { tables }
}

/// Shows how far something long is.
fn progress<'l>(line: &'l mut StatusLine, doing: &'static str) -> impl FnMut(u64, u64) + use<'l> {
    move |done, all| match line.due() {
        Some(Look::Shown { elapsed }) => line.show(&format!("{elapsed:>4} s  {doing}: {done} of {all}")),
        Some(Look::Logged) => tracing::info!(done, all, "{doing}"),
        None => {}
    }
}

fn print<T: Serialize>(
    context: &Context,
    result: &T,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    output::print(|out| match context.output {
        OutputFormat::Json => {
            serde_json::to_writer(&mut *out, result)?;
            writeln!(out)
        }
        OutputFormat::Table => text(out),
    })
}

pub(super) fn status(context: &Context) -> anyhow::Result<Ending> {
    let status = storage::status(path(context)?)?;
    print(context, &status, |out| print_status(&status, out))?;
    Ok(Ending::Done)
}

fn print_status(status: &StoreStatus, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:<12} {:>8} {:>8} {:>12}", "table", "dirs", "files", "MB")?;
    for table in &status.tables {
        let megabytes = table.bytes as f64 / 1e6;
        writeln!(out, "{:<12} {:>8} {:>8} {megabytes:>12.1}", table.table, table.directories, table.files)?;
    }
    writeln!(
        out,
        "\n{:<24} {:<10} {:>14} {:>14} {:>12}  newest event time",
        "partition", "table", "next offset", "rows", "dead letters"
    )?;
    for of in &status.partitions {
        let next = of.next.map_or_else(|| "-".to_owned(), |next| next.to_string());
        let name = format!("{}-{}", of.topic, of.partition);
        let (table, newest) = (of.table.unwrap_or("-"), of.newest.as_deref().unwrap_or("-"));
        writeln!(out, "{name:<24} {table:<10} {next:>14} {:>14} {:>12}  {newest}", of.rows, of.dead_letters)?;
        if of.gap > 0 {
            writeln!(out, "{:<24} {} offsets were deleted by retention before they were read", "", of.gap)?;
        }
        if of.staged > 0 {
            writeln!(
                out,
                "{:<24} {} files are stored and not at their places yet: store puts them there when it next runs",
                "", of.staged
            )?;
        }
    }
    status.foreign.iter().try_for_each(|path| writeln!(out, "not the store's: {}", path.display()))
}

pub(super) fn verify(context: &Context) -> anyhow::Result<Ending> {
    let mut line = StatusLine::new(context);
    let verdict = storage::verify(path(context)?, progress(&mut line, "reading files"))?;
    line.wipe();
    print(context, &verdict, |out| print_verdict(&verdict, out))?;
    Ok(if verdict.is_good() { Ending::Done } else { Ending::Unsatisfied })
}

fn print_verdict(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<24} {:>14} {:>14} {:>10} {:>10}",
        "partition", "rows stored", "rows found", "missing", "doubled"
    )?;
    for of in &verdict.partitions {
        let name = format!("{}-{}", of.topic, of.partition);
        let missing = of.expected.saturating_sub(of.found);
        writeln!(out, "{name:<24} {:>14} {:>14} {missing:>10} {:>10}", of.expected, of.found, of.doubled)?;
    }
    verdict.problems.iter().try_for_each(|problem| writeln!(out, "{problem}"))?;
    verdict
        .foreign
        .iter()
        .try_for_each(|path| writeln!(out, "not the store's, move it elsewhere: {}", path.display()))?;
    if verdict.is_good() {
        writeln!(out, "{} files: nothing is missing, nothing is there twice", verdict.files)?;
    }
    Ok(())
}

pub(super) fn compact(args: &CompactArgs, context: &Context) -> anyhow::Result<Ending> {
    let mut line = StatusLine::new(context);
    let level = context.settings.store.parquet.compression_level;
    let told = progress(&mut line, "compacting directories");
    let done = storage::compact(path(context)?, chosen(&args.tables), args.max_rows, level, told)?;
    line.wipe();
    print(context, &done, |out| {
        let (before, after) = (done.bytes_before as f64 / 1e6, done.bytes_after as f64 / 1e6);
        writeln!(
            out,
            "{} files of {before:.1} MB became {} files of {after:.1} MB in {} directories, {} rows",
            done.files_before, done.files_after, done.directories, done.rows
        )
    })?;
    Ok(Ending::Done)
}

pub(super) fn expire(args: &ExpireArgs, context: &Context) -> anyhow::Result<Ending> {
    let age = i64::try_from(args.older_than.as_micros()).unwrap_or(i64::MAX);
    let until = EventTime::from_micros(now_micros().saturating_sub(age));
    let gone = storage::expire(path(context)?, chosen(&args.tables), until)?;
    print(context, &gone, |out| {
        writeln!(out, "{} files of {:.1} MB removed, {} rows", gone.files, gone.bytes as f64 / 1e6, gone.rows)
    })?;
    Ok(Ending::Done)
}

pub(super) fn export(args: &ExportArgs, context: &Context) -> anyhow::Result<Ending> {
    let options = ExportOptions {
        table: args.table,
        from: args.from,
        until: args.until,
        sensors: args.sensors.clone(),
        format: match args.format {
            Format::Csv => ExportFormat::Csv,
            Format::Jsonl => ExportFormat::JsonLines,
            Format::Parquet => ExportFormat::Parquet,
        },
    };
    let root = path(context)?;
    let mut line = StatusLine::new(context);
    let told = progress(&mut line, "exporting files");
    let Some(path) = &args.out else {
        let mut out = BufWriter::new(io::stdout());
        storage::export(root, &options, &mut out, told)?;
        line.wipe();
        return Ok(Ending::Done);
    };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let cannot = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(&partial).with_context(cannot)?);
    let outcome = storage::export(root, &options, &mut out, told);
    line.wipe();
    let written = outcome.map_err(anyhow::Error::from).and_then(|done| {
        let file = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(cannot)?;
        file.sync_all().with_context(cannot)?;
        fs::rename(&partial, path).with_context(cannot)?;
        Ok(done)
    });
    let done = written.inspect_err(|_| {
        // Half an export is of no use; that it cannot be removed is told by the error that comes anyway.
        drop(fs::remove_file(&partial));
    })?;
    print(context, &done, |out| writeln!(out, "{} rows of {} files", done.rows, done.files))?;
    Ok(Ending::Done)
}
