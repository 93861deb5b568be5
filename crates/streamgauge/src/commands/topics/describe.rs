//! `streamgauge topics describe`: leaders, replicas, offsets and settings of topics.

use std::collections::BTreeMap;
use std::io::Write as _;

use clap::Args;
use kafka::Admin;
use kafka::admin::TopicDescription;
use serde_json::{Value, json};

use super::list::replication_factor;
use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};

/// Describe topics: partitions, leaders, in-sync replicas, offsets, retention
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge topics describe sensor-data
  streamgauge topics describe sensor-data events -o json | jq '.[].records'")]
pub(super) struct DescribeArgs {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
}

pub(super) fn run(args: &DescribeArgs, admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let found: Vec<TopicDescription> =
        args.topics.iter().map(|topic| admin.describe_topic(topic)).collect::<Result<_, _>>()?;
    if context.output == OutputFormat::Json {
        output::print_json(&found.iter().map(as_json).collect())?;
        return Ok(Ending::Done);
    }
    output::print(|out| {
        for (index, topic) in found.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "{}", summary(topic))?;
            partitions(topic).write(out)?;
        }
        Ok(())
    })?;
    Ok(Ending::Done)
}

/// The topic in one line.
fn summary(topic: &TopicDescription) -> String {
    let own: Vec<String> = own_settings(topic).iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "{}: {} partitions, replication factor {}, retention {}, cleanup {}, {} records{}",
        topic.info.name,
        topic.info.partitions.len(),
        replication_factor(&topic.info),
        retention_ms(topic).map_or_else(|| "unknown".to_owned(), output::span),
        setting(topic, "cleanup.policy").unwrap_or("unknown"),
        records(topic),
        if own.is_empty() { String::new() } else { format!("; its own settings: {}", own.join(", ")) },
    )
}

fn partitions(topic: &TopicDescription) -> Table {
    let mut table = Table::new(&["PARTITION", "LEADER", "REPLICAS", "IN SYNC", "FIRST", "NEXT", "RECORDS"]);
    for (partition, offsets) in topic.info.partitions.iter().zip(&topic.offsets) {
        let offset = |pick: fn((i64, i64)) -> i64| {
            offsets.map(|offsets| pick(offsets).to_string()).unwrap_or_default()
        };
        table.row([
            partition.partition.to_string(),
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            nodes(&partition.replicas),
            nodes(&partition.in_sync),
            offset(|(first, _)| first),
            offset(|(_, next)| next),
            offset(|(first, next)| next - first),
        ]);
    }
    table
}

fn as_json(topic: &TopicDescription) -> Value {
    let partitions = topic.info.partitions.iter().zip(&topic.offsets).map(|(partition, offsets)| {
        json!({
            "partition": partition.partition,
            "leader": partition.leader,
            "replicas": partition.replicas,
            "in_sync": partition.in_sync,
            "first_offset": offsets.map(|(first, _)| first),
            "next_offset": offsets.map(|(_, next)| next),
            "records": offsets.map(|(first, next)| next - first),
        })
    });
    json!({
        "topic": topic.info.name,
        "replication_factor": replication_factor(&topic.info),
        "retention_ms": retention_ms(topic),
        "cleanup_policy": setting(topic, "cleanup.policy"),
        "records": records(topic),
        "config": own_settings(topic),
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

/// Offsets between first and next, which also count the markers of transactions and what compaction took away.
fn records(topic: &TopicDescription) -> i64 {
    topic.offsets.iter().flatten().map(|(first, next)| next - first).sum()
}

fn retention_ms(topic: &TopicDescription) -> Option<i64> {
    setting(topic, "retention.ms")?.parse().ok()
}

fn setting<'a>(topic: &'a TopicDescription, key: &str) -> Option<&'a str> {
    topic.config.get(key)?.value.as_deref()
}

fn own_settings(topic: &TopicDescription) -> BTreeMap<&str, &str> {
    let own = topic.config.iter().filter(|(_, setting)| setting.is_own);
    own.map(|(key, setting)| (key.as_str(), setting.value.as_deref().unwrap_or("(hidden)"))).collect()
}

fn nodes(nodes: &[i32]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
