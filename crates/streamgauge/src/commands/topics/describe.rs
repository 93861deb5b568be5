//! `streamgauge topics describe`: leaders, replicas, offsets and settings of topics.

use std::collections::BTreeMap;
use std::io::Write as _;

use clap::Args;
use kafka::admin::TopicDescription;
use kafka::{Admin, PartitionInfo, Sizes};
use serde_json::{Value, json};

use super::list::replication_factor;
use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};

/// Describe topics: partitions, leaders, in-sync replicas, offsets, sizes, retention
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge topics describe sensor-data
  streamgauge topics describe sensor-data events -o json | jq '.[].records'")]
pub(super) struct DescribeArgs {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
}

/// A topic with the sizes of its partitions.
struct Described {
    topic: TopicDescription,
    sizes: Sizes,
}

pub(super) fn run(args: &DescribeArgs, admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let found: Vec<Described> =
        args.topics.iter().map(|topic| Described::ask(admin, topic)).collect::<Result<_, _>>()?;
    if context.output == OutputFormat::Json {
        output::print_json(&found.iter().map(Described::as_json).collect())?;
        return Ok(Ending::Done);
    }
    output::print(|out| {
        for (index, topic) in found.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "{}", topic.summary())?;
            topic.partitions().write(out)?;
        }
        Ok(())
    })?;
    Ok(Ending::Done)
}

impl Described {
    fn ask(admin: &Admin, name: &str) -> Result<Self, kafka::Error> {
        let topic = admin.describe_topic(name)?;
        // Sizes need a right of their own, on the cluster; the rest is worth showing without them.
        let sizes = admin.sizes(name).unwrap_or_else(|error| {
            tracing::warn!(topic = name, %error, "sizes are not known");
            Sizes::new()
        });
        Ok(Self { topic, sizes })
    }

    /// The topic in one line.
    fn summary(&self) -> String {
        let own: Vec<String> =
            self.own_settings().iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "{}: {} partitions, replication factor {}, retention {}, cleanup {}, {} records{}{}",
            self.topic.info.name,
            self.topic.info.partitions.len(),
            replication_factor(&self.topic.info),
            self.retention_ms().map_or_else(|| "unknown".to_owned(), output::span),
            self.setting("cleanup.policy").unwrap_or("unknown"),
            self.records(),
            self.bytes().map(|bytes| format!(", {bytes} bytes")).unwrap_or_default(),
            if own.is_empty() { String::new() } else { format!("; its own settings: {}", own.join(", ")) },
        )
    }

    fn partitions(&self) -> Table {
        let headings = ["PARTITION", "LEADER", "REPLICAS", "IN SYNC", "FIRST", "NEXT", "RECORDS", "BYTES"];
        let mut table = Table::new(&headings);
        for (partition, offsets) in self.topic.info.partitions.iter().zip(&self.topic.offsets) {
            let offset = |pick: fn((i64, i64)) -> i64| text(offsets.map(pick));
            table.row([
                partition.partition.to_string(),
                partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
                nodes(&partition.replicas),
                nodes(&partition.in_sync),
                offset(|(first, _)| first),
                offset(|(_, next)| next),
                offset(|(first, next)| next - first),
                text(self.leader_bytes(partition)),
            ]);
        }
        table
    }

    fn as_json(&self) -> Value {
        let partitions =
            self.topic.info.partitions.iter().zip(&self.topic.offsets).map(|(partition, offsets)| {
                json!({
                    "partition": partition.partition,
                    "leader": partition.leader,
                    "replicas": partition.replicas,
                    "in_sync": partition.in_sync,
                    "first_offset": offsets.map(|(first, _)| first),
                    "next_offset": offsets.map(|(_, next)| next),
                    "records": offsets.map(|(first, next)| next - first),
                    "bytes": self.leader_bytes(partition),
                })
            });
        json!({
            "topic": self.topic.info.name,
            "replication_factor": replication_factor(&self.topic.info),
            "retention_ms": self.retention_ms(),
            "cleanup_policy": self.setting("cleanup.policy"),
            "records": self.records(),
            "bytes": self.bytes(),
            "config": self.own_settings(),
            "partitions": partitions.collect::<Vec<_>>(),
        })
    }

    /// Offsets between first and next, which also count the markers of transactions and what compaction took away.
    fn records(&self) -> i64 {
        self.topic.offsets.iter().flatten().map(|(first, next)| next - first).sum()
    }

    /// Bytes on disk of one copy of the topic, if they are known.
    fn bytes(&self) -> Option<u64> {
        self.topic.info.partitions.iter().map(|partition| self.leader_bytes(partition)).sum()
    }

    fn leader_bytes(&self, partition: &PartitionInfo) -> Option<u64> {
        self.sizes.get(&(partition.leader?, partition.partition)).copied()
    }

    fn retention_ms(&self) -> Option<i64> {
        self.setting("retention.ms")?.parse().ok()
    }

    fn setting(&self, key: &str) -> Option<&str> {
        self.topic.config.get(key)?.value.as_deref()
    }

    fn own_settings(&self) -> BTreeMap<&str, &str> {
        let own = self.topic.config.iter().filter(|(_, setting)| setting.is_own);
        own.map(|(key, setting)| (key.as_str(), setting.value.as_deref().unwrap_or("(hidden)"))).collect()
    }
}

fn nodes(nodes: &[i32]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn text(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}
