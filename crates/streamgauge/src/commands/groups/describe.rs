//! `streamgauge groups describe`: members, committed offsets and lag of one group.

use std::io::Write as _;

use clap::Args;
use kafka::groups::{Group, GroupOffset, Member};
use kafka::{Admin, TopicPartition};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};

/// Describe a consumer group: members, committed offsets, lag
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge groups describe analytics-group
  streamgauge groups describe analytics-group -o json | jq .lag")]
pub(super) struct DescribeArgs {
    /// The group
    group: String,
}

pub(super) fn run(args: &DescribeArgs, admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let offsets = admin.group_offsets(&args.group)?;
    let group = admin.groups(Some(&args.group))?.into_iter().next();
    let group = group.unwrap_or_else(|| Group {
        name: args.group.clone(),
        state: "Empty".to_owned(),
        assignor: String::new(),
        members: Vec::new(),
    });
    let lag: u64 = offsets.iter().map(GroupOffset::lag).sum();
    if context.output == OutputFormat::Json {
        let members = group
            .members
            .iter()
            .map(|member| json!({"id": member.id, "client_id": member.client_id, "host": member.host}));
        let rows = offsets.iter().map(|offset| {
            json!({
                "topic": &*offset.place.topic,
                "partition": offset.place.partition,
                "committed": offset.committed,
                "first_offset": offset.low,
                "next_offset": offset.high,
                "lag": offset.lag(),
                "member": owner(&group, &offset.place).map(|member| &member.id),
            })
        });
        output::print_json(&json!({
            "group": group.name,
            "state": group.state,
            "assignor": group.assignor,
            "lag": lag,
            "members": members.collect::<Vec<_>>(),
            "offsets": rows.collect::<Vec<_>>(),
        }))?;
        return Ok(Ending::Done);
    }
    let mut table = Table::new(&["TOPIC", "PARTITION", "COMMITTED", "NEXT", "LAG", "MEMBER"]);
    for offset in &offsets {
        table.row([
            offset.place.topic.to_string(),
            offset.place.partition.to_string(),
            offset.committed.map(|committed| committed.to_string()).unwrap_or_default(),
            offset.high.to_string(),
            offset.lag().to_string(),
            owner(&group, &offset.place)
                .map(|member| format!("{} {}", member.id, member.host))
                .unwrap_or_default(),
        ]);
    }
    output::print(|out| {
        let (name, state, members) = (&group.name, &group.state, group.members.len());
        writeln!(out, "{name}: {state}, {members} members, lag {lag}")?;
        table.write(out)
    })?;
    Ok(Ending::Done)
}

/// The member that has this partition.
fn owner<'a>(group: &'a Group, place: &TopicPartition) -> Option<&'a Member> {
    group.members.iter().find(|member| member.partitions.contains(place))
}
