//! `streamgauge groups reset`: sets where a group reads on. Nothing is changed without `--yes`.

use std::collections::BTreeMap;
use std::io::Write as _;

use clap::{ArgGroup, Args};
use kafka::Admin;
use kafka::groups::ResetTo;
use model::EventTime;
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};
use crate::settings::parse_duration;

/// Set where a consumer group reads on; without --yes the change is only shown
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("to").required(true),
    after_help = "The group must have no members: stop them first.

Examples:
  streamgauge groups reset analytics-group --topic sensor-data --to-earliest
  streamgauge groups reset analytics-group --topic sensor-data --to-time 2024-11-07T10:15:00 --yes
  streamgauge groups reset analytics-group --topic sensor-data --to-time 2h --yes      # two hours ago"
)]
pub(super) struct ResetArgs {
    /// The group
    group: String,
    /// The topic
    #[arg(short, long)]
    topic: String,
    /// To the oldest record
    #[arg(long, group = "to")]
    to_earliest: bool,
    /// Behind the newest record
    #[arg(long, group = "to")]
    to_latest: bool,
    /// To this offset in every partition
    #[arg(long, group = "to", value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the first record at or after this time (ISO 8601, UTC without a zone), or so long ago
    #[arg(long, group = "to", value_name = "TIME", value_parser = millis)]
    to_time: Option<i64>,
    /// Really do it
    #[arg(long)]
    yes: bool,
}

impl ResetArgs {
    fn to(&self) -> ResetTo {
        match (self.to_earliest, self.to_offset, self.to_time) {
            (true, _, _) => ResetTo::Earliest,
            (_, Some(offset), _) => ResetTo::Offset(offset),
            (_, _, Some(millis)) => ResetTo::Time(millis),
            // The only one left of the required group: --to-latest.
            _ => ResetTo::Latest,
        }
    }
}

pub(super) fn run(args: &ResetArgs, admin: &Admin, context: &Context) -> anyhow::Result<Ending> {
    let plan = admin.plan_reset(&args.group, &args.topic, args.to())?;
    let before: BTreeMap<_, _> = match admin.group_offsets(&args.group) {
        Ok(offsets) => offsets.into_iter().map(|offset| (offset.place, offset.committed)).collect(),
        // A group that is not there yet may be given offsets before its first member comes.
        Err(kafka::Error::MissingGroup { .. }) => BTreeMap::new(),
        Err(error) => return Err(error.into()),
    };
    if args.yes {
        admin.reset_group(&args.group, &plan)?;
    }
    if context.output == OutputFormat::Json {
        let offsets = plan.iter().map(|(place, to)| {
            let from = before.get(place).copied().flatten();
            json!({"topic": &*place.topic, "partition": place.partition, "from": from, "to": to})
        });
        let offsets: Vec<_> = offsets.collect();
        output::print_json(&json!({"group": args.group, "applied": args.yes, "offsets": offsets}))?;
        return Ok(Ending::Done);
    }
    let mut table = Table::new(&["TOPIC", "PARTITION", "FROM", "TO"]);
    for (place, to) in &plan {
        let from = before.get(place).copied().flatten();
        let from = from.map(|offset| offset.to_string()).unwrap_or_default();
        table.row([place.topic.to_string(), place.partition.to_string(), from, to.to_string()]);
    }
    output::print(|out| {
        table.write(out)?;
        if !args.yes {
            writeln!(out, "nothing was changed; add --yes to do it")?;
        }
        Ok(())
    })?;
    Ok(Ending::Done)
}

/// Reads a time, or how long ago it was, as milliseconds since the epoch.
fn millis(text: &str) -> Result<i64, String> {
    if let Some(time) = EventTime::parse(text.as_bytes()) {
        return Ok(time.millis());
    }
    let ago =
        parse_duration(text).map_err(|_| "write it like 2024-11-07T10:15:30, or 2h for two hours ago")?;
    Ok(runtime::now_micros() / 1_000 - ago.as_millis() as i64)
}
