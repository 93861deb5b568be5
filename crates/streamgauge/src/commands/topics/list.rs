//! `streamgauge topics list`: one line a topic, from one metadata request.

use clap::Args;
use kafka::{Admin, TopicInfo};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};

/// Kafka's own topics begin with this.
const INTERNAL_PREFIX: &str = "__";

/// List topics
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge topics list
  streamgauge topics list -o json | jq -r '.[] | select(.under_replicated > 0) | .topic'")]
pub(super) struct ListArgs {
    /// Include Kafka's own topics, whose names begin with two underscores
    #[arg(long)]
    internal: bool,
}

pub(super) fn run(args: &ListArgs, admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let mut topics = admin.cluster()?.topics;
    topics.retain(|topic| args.internal || !topic.name.starts_with(INTERNAL_PREFIX));
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    if context.output == OutputFormat::Json {
        let topics = topics.iter().map(|topic| {
            json!({
                "topic": topic.name,
                "partitions": topic.partitions.len(),
                "replication_factor": replication_factor(topic),
                "under_replicated": under_replicated(topic),
                "without_leader": without_leader(topic),
            })
        });
        output::print_json(&topics.collect())?;
        return Ok(Ending::Done);
    }
    let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICATION", "UNDER-REPLICATED", "WITHOUT LEADER"]);
    for topic in &topics {
        table.row([
            topic.name.clone(),
            topic.partitions.len().to_string(),
            replication_factor(topic).to_string(),
            under_replicated(topic).to_string(),
            without_leader(topic).to_string(),
        ]);
    }
    output::print(|out| table.write(out))?;
    Ok(Ending::Done)
}

pub(super) fn replication_factor(topic: &TopicInfo) -> usize {
    topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0)
}

fn under_replicated(topic: &TopicInfo) -> usize {
    topic.partitions.iter().filter(|partition| partition.in_sync.len() < partition.replicas.len()).count()
}

fn without_leader(topic: &TopicInfo) -> usize {
    topic.partitions.iter().filter(|partition| partition.leader.is_none()).count()
}
