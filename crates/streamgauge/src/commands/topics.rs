//! `streamgauge topics`: create, list, describe and delete topics.
//!
//! With `-o json` each prints an array with an object per topic:
//! `create`: `{"topic", "result": "created"|"exists", "differences": [text…]}`;
//! `list`: `{"topic", "partitions", "replication_factor", "under_replicated", "without_leader"}`, the last two as
//! counts of partitions;
//! `describe`: `{"topic", "replication_factor", "retention_ms", "cleanup_policy", "records", "bytes", "config": {own
//! settings}, "partitions": [{"partition", "leader", "replicas", "in_sync", "first_offset", "next_offset", "records",
//! "bytes"}]}`, bytes being those of the leader's copy, `null` where they are not known;
//! `delete`: `{"topic", "result": "deleted"}`.

mod create;
mod describe;
mod list;

use std::io::Write as _;

use clap::{Args, Subcommand};
use kafka::{Admin, CONNECT_TIMEOUT};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::{Ending, UsageError};
use crate::output;
use crate::settings::Layer;

/// Create, list, describe and delete topics.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge topics create
  streamgauge topics describe sensor-data")]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    command: TopicsCommand,
}

#[derive(Debug, Subcommand)]
enum TopicsCommand {
    Create(create::CreateArgs),
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Delete(DeleteArgs),
}

/// Delete topics with everything in them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge topics delete sensor-data.dlq --yes")]
struct DeleteArgs {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Really do it
    #[arg(long)]
    yes: bool,
}

impl TopicsArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        if let TopicsCommand::Create(args) = &self.command {
            args.settings(layer);
        }
    }
}

/// Connects and does what was asked.
pub(crate) fn run(args: &TopicsArgs, context: &Context) -> anyhow::Result<Ending> {
    if let TopicsCommand::Delete(DeleteArgs { topics, yes: false }) = &args.command {
        let names = topics.join(", ");
        return Err(
            UsageError(format!("this deletes {names} and all records in them for good; add --yes")).into()
        );
    }
    let admin = Admin::connect(&context.settings.kafka, CONNECT_TIMEOUT)?;
    match &args.command {
        TopicsCommand::Create(args) => create::run(args, &admin, context),
        TopicsCommand::List(args) => list::run(args, &admin, context),
        TopicsCommand::Describe(args) => describe::run(args, &admin, context),
        TopicsCommand::Delete(args) => delete(args, &admin, context),
    }
}

fn delete(args: &DeleteArgs, admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let mut deleted = Vec::new();
    for topic in &args.topics {
        admin.delete_topic(topic)?;
        if context.output == OutputFormat::Table {
            output::print(|out| writeln!(out, "{topic}: deleted"))?;
        }
        deleted.push(json!({"topic": topic, "result": "deleted"}));
    }
    if context.output == OutputFormat::Json {
        output::print_json(&json!(deleted))?;
    }
    Ok(Ending::Done)
}
