//! `streamgauge store postgres`.

use std::sync::Arc;

use clap::Args;
use storage::{DatabaseOptions, StoreOptions, Target};

use super::SinkArgs;
use crate::commands::Context;
use crate::exit::{Ending, UsageError};
use crate::settings::{Layer, Value};

/// Store topics as tables in PostgreSQL.
#[derive(Debug, Args)]
#[command(
    after_help = "The tables readings, events, alerts and analytics are made if they are not there. Rows and position are one
transaction: whatever is killed, no row is missing and none is there twice. While the database is away, reading pauses.

Examples:
  PGPASSWORD=… streamgauge store postgres --url postgres://me@db.example.com/plant?sslmode=verify-full
  streamgauge store postgres --url postgres:///plant?host=/run/postgresql --topics sensor-data --exit-at-end
  streamgauge store postgres --url postgres://me@localhost/plant --partitions day --retention 90d
  psql plant -c 'select sensor_id, avg(temperature) from readings group by 1'"
)]
pub(super) struct PostgresArgs {
    /// The database, `postgres://user:password@host:5432/database`; the password is better in PGPASSWORD
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The consumer group [default: store-postgres]
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,
    /// The schema of the tables, made if it is not there [default: public]
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Partition new tables by event time: none, day or week [default: none]
    #[arg(long, value_name = "LENGTH")]
    partitions: Option<String>,
    /// Drop partitions that are older, as in 90d [default: keep all]
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration_text)]
    retention: Option<String>,
    #[command(flatten)]
    sink: SinkArgs,
}

impl PostgresArgs {
    pub(super) fn settings(&self, layer: &mut Layer) {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        layer.flag("store.postgres.url", "--url", text(&self.url));
        layer.flag("store.postgres.group", "--group", text(&self.group));
        layer.flag("store.postgres.schema", "--schema", text(&self.schema));
        layer.flag("store.postgres.partitions", "--partitions", text(&self.partitions));
        layer.flag("store.postgres.retention", "--retention", text(&self.retention));
        self.sink.settings(layer);
    }
}

pub(super) fn run(args: &PostgresArgs, context: &Context) -> anyhow::Result<Ending> {
    let settings = &context.settings.store.postgres;
    let Some(url) = settings.url.clone() else {
        let text = "name the database with --url postgres://user@host/database (store.postgres.url)";
        return Err(UsageError(text.to_owned()).into());
    };
    let target = Target::Postgres(Arc::new(DatabaseOptions {
        url,
        schema: settings.schema.clone(),
        partitions: settings.partitions,
    }));
    let options = StoreOptions {
        exit_at_end: args.sink.exit_at_end,
        accept_gaps: args.sink.accept_gaps,
        ..super::options(context, &settings.group, target)
    };
    super::store(options, context)
}
