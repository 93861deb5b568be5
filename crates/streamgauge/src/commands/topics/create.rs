//! `streamgauge topics create`: makes what is missing and compares what is there.

use std::time::Duration;

use clap::Args;
use kafka::Admin;
use kafka::admin::Creation;
use model::TopicSpec;
use serde_json::json;

use crate::cli::{self, OutputFormat};
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};
use crate::settings::{Layer, Value};

/// Create topics that are missing; topics that exist are left as they are and compared
#[derive(Debug, Args)]
#[command(
    after_help = "Without names, all topics of the catalogue are created, with their dead-letter topics. A topic that
is not in the catalogue is made like sensor-data. Defaults are in the section [topics] of the settings.

Examples:
  streamgauge topics create
  streamgauge topics create sensor-data --partitions 12 --retention 2d
  streamgauge topics create --replication-factor 3 --min-isr 2
  streamgauge topics create mine --topic-config compression.type=zstd"
)]
pub(super) struct CreateArgs {
    /// The topics [default: the whole catalogue]
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Partitions of each
    #[arg(long, value_name = "N", requires = "topics", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How long records are kept, as in 7d
    #[arg(long, value_name = "DURATION", requires = "topics", value_parser = cli::duration)]
    retention: Option<Duration>,
    /// Copies of each partition [default: the brokers decide]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// In-sync replicas that must have a record before it is acknowledged [default: the brokers decide]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    min_isr: Option<i16>,
    /// A topic setting by Kafka's name; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = cli::property)]
    topic_config: Vec<(String, String)>,
}

impl CreateArgs {
    pub(super) fn settings(&self, layer: &mut Layer) {
        let whole = |number: Option<i16>| number.map(|number| Value::Whole(i64::from(number)));
        layer.flag("topics.replication_factor", "--replication-factor", whole(self.replication_factor));
        layer.flag("topics.min_insync_replicas", "--min-isr", whole(self.min_isr));
    }

    fn specs(&self, context: &Context) -> Vec<TopicSpec> {
        let topics = &context.settings.topics;
        let mut specs: Vec<TopicSpec> = if self.topics.is_empty() {
            topics.catalogue()
        } else {
            self.topics.iter().map(|name| topics.spec(name)).collect()
        };
        for spec in &mut specs {
            spec.partitions = self.partitions.unwrap_or(spec.partitions);
            spec.retention = self.retention.unwrap_or(spec.retention);
            spec.config.extend(self.topic_config.iter().cloned());
        }
        specs
    }
}

pub(super) fn run(args: &CreateArgs, admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let results = admin.create_topics(&args.specs(context))?;
    let parts = |creation: &Creation| match creation {
        Creation::Created => ("created", Vec::new()),
        Creation::Existed(differences) => ("exists", differences.clone()),
    };
    if context.output == OutputFormat::Json {
        let topics = results.iter().map(|(topic, creation)| {
            let (result, differences) = parts(creation);
            json!({"topic": topic, "result": result, "differences": differences})
        });
        output::print_json(&topics.collect())?;
        return Ok(Ending::Done);
    }
    let mut table = Table::new(&["TOPIC", "RESULT", "DIFFERENCES"]);
    for (topic, creation) in &results {
        let (result, differences) = parts(creation);
        table.row([topic.clone(), result.to_owned(), differences.join("; ")]);
    }
    output::print(|out| table.write(out))?;
    Ok(Ending::Done)
}
