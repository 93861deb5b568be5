//! `streamgauge store parquet`.

use std::path::PathBuf;

use clap::Args;
use storage::{StoreOptions, Target};

use super::SinkArgs;
use super::maintenance::PathArgs;
use crate::commands::Context;
use crate::exit::Ending;
use crate::settings::{Layer, Value};

/// Store topics as Parquet files in a directory.
#[derive(Debug, Args)]
#[command(
    after_help = "Files are in PATH/TABLE/day=YYYY-MM-DD/, where the tables are readings, events, alerts and analytics. DuckDB, Polars,
Spark and pandas read them as they are; nobody ever sees half a file.

Examples:
  streamgauge store parquet --path data
  streamgauge store parquet --path data --topics sensor-data,plant-2=readings --exit-at-end
  duckdb -c \"select sensor_id, avg(temperature) from 'data/readings/**/*.parquet' group by all\""
)]
pub(crate) struct ParquetArgs {
    #[command(flatten)]
    at: PathArgs,
    /// The consumer group [default: store-parquet]
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,
    /// What directories are made by: day, hour, or bucket:N for day and N buckets of sensors [default: day]
    #[arg(long, value_name = "SCHEME")]
    partition_by: Option<String>,
    #[command(flatten)]
    sink: SinkArgs,
}

impl ParquetArgs {
    pub(super) fn settings(&self, layer: &mut Layer) {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        self.at.settings(layer);
        layer.flag("store.parquet.group", "--group", text(&self.group));
        layer.flag("store.parquet.partition_by", "--partition-by", text(&self.partition_by));
        self.sink.settings(layer);
    }
}

pub(super) fn run(args: &ParquetArgs, context: &Context) -> anyhow::Result<Ending> {
    let path = super::maintenance::path(context)?.to_owned();
    let options = StoreOptions {
        exit_at_end: args.sink.exit_at_end,
        accept_gaps: args.sink.accept_gaps,
        ..options(context, path)
    };
    super::store(options, context)
}

/// The options of storing into this directory, by the settings.
pub(crate) fn options(context: &Context, path: PathBuf) -> StoreOptions {
    let settings = &context.settings.store.parquet;
    let target = Target::Parquet {
        path,
        partition_by: settings.partition_by,
        compression_level: settings.compression_level,
    };
    super::options(context, &settings.group, target)
}
