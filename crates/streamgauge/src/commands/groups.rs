//! `streamgauge groups`: list, describe and reset consumer groups.
//!
//! With `-o json`: `list` prints an array of `{"group", "state", "assignor", "members": N}`;
//! `describe` prints `{"group", "state", "assignor", "lag", "members": [{"id", "client_id", "host"}],
//! "offsets": [{"topic", "partition", "committed", "first_offset", "next_offset", "lag", "member"}]}`, with `null` for
//! no committed offset and no member; `reset` prints `{"group", "applied", "offsets": [{"topic", "partition", "from",
//! "to"}]}`.

mod describe;
mod reset;

use clap::{Args, Subcommand};
use kafka::{Admin, CONNECT_TIMEOUT};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};

/// List, describe and reset consumer groups.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge groups list
  streamgauge groups describe analytics-group")]
pub(crate) struct GroupsArgs {
    #[command(subcommand)]
    command: GroupsCommand,
}

#[derive(Debug, Subcommand)]
enum GroupsCommand {
    /// List consumer groups
    #[command(after_help = "Examples:
  streamgauge groups list
  streamgauge groups list -o json | jq -r '.[] | select(.state == \"Empty\") | .group'")]
    List,
    Describe(describe::DescribeArgs),
    Reset(reset::ResetArgs),
}

/// Connects and does what was asked.
pub(crate) fn run(args: &GroupsArgs, context: &Context) -> anyhow::Result<Ending> {
    let admin = Admin::connect(&context.settings.kafka, CONNECT_TIMEOUT)?;
    match &args.command {
        GroupsCommand::List => list(&admin, context),
        GroupsCommand::Describe(args) => describe::run(args, &admin, context),
        GroupsCommand::Reset(args) => reset::run(args, &admin, context),
    }
}

fn list(admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let groups = admin.groups(None)?;
    if context.output == OutputFormat::Json {
        let groups = groups.iter().map(|group| {
            json!({
                "group": group.name,
                "state": group.state,
                "assignor": group.assignor,
                "members": group.members.len(),
            })
        });
        output::print_json(&groups.collect())?;
        return Ok(Ending::Done);
    }
    let mut table = Table::new(&["GROUP", "STATE", "MEMBERS", "ASSIGNOR"]);
    for group in groups {
        table.row([group.name, group.state, group.members.len().to_string(), group.assignor]);
    }
    output::print(|out| table.write(out))?;
    Ok(Ending::Done)
}
