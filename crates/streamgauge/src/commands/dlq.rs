//! `streamgauge dlq`: what could not be used, why, and how it gets back.
//!
//! With `-o json`: `list` prints an array of `{"topic", "reason", "records", "oldest", "newest"}`, the times in
//! milliseconds since the epoch; `show` prints one object a line, see [`show`]; `replay` prints `{"topic",
//! "replayed", "filtered", "looping", "without_origin"}`.

mod show;

use std::collections::BTreeMap;
use std::io::Write as _;

use clap::{Args, Subcommand};
use kafka::dead_letters::{self, Replayed};
use kafka::{Admin, CONNECT_TIMEOUT, ReadFrom};
use model::{dead_letter_topic, is_dead_letter_topic};
use runtime::Shutdown;
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output::{self, Table};

/// What is shown where a dead letter does not say something.
const UNKNOWN: &str = "unknown";

/// Dead letters: records that could not be used.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge dlq list
  streamgauge dlq show sensor-data --limit 3
  streamgauge dlq replay sensor-data")]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    /// Count dead letters by topic and reason
    #[command(after_help = "Examples:
  streamgauge dlq list
  streamgauge dlq list -o json | jq 'map(.records) | add'")]
    List,
    Show(show::ShowArgs),
    Replay(ReplayArgs),
}

/// Write dead letters back to the topic that they came from
#[derive(Debug, Args)]
#[command(
    after_help = "Each record goes back with its key, value and headers as they were. What was replayed is remembered, so a
second replay takes only what is new; a record that came back three times is left where it is.

Examples:
  streamgauge dlq replay sensor-data
  streamgauge dlq replay sensor-data --reason missing-sensor-id --from-beginning"
)]
struct ReplayArgs {
    /// The topic, or its dead-letter topic
    #[arg(value_name = "TOPIC", default_value = model::topics::SENSOR_DATA)]
    topic: String,
    /// Only records rejected for this reason; may be repeated
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// Also what was replayed or left before
    #[arg(long)]
    from_beginning: bool,
}

/// Does what was asked.
pub(crate) fn run(args: &DlqArgs, context: &Context) -> anyhow::Result<Ending> {
    match &args.command {
        DlqCommand::List => list(context),
        DlqCommand::Show(args) => show::run(args, context),
        DlqCommand::Replay(args) => replay(args, context),
    }
}

/// The dead-letter topic that a name means.
fn letters_of(topic: &str) -> String {
    if is_dead_letter_topic(topic) { topic.to_owned() } else { dead_letter_topic(topic) }
}

/// Records of one reason and the times of the oldest and the newest, in milliseconds since the epoch.
#[derive(Debug, Default)]
struct Count {
    records: u64,
    oldest: Option<i64>,
    newest: Option<i64>,
}

fn list(context: &Context) -> anyhow::Result<Ending> {
    let cluster = Admin::connect(&context.settings.kafka, CONNECT_TIMEOUT)?.cluster()?;
    let mut counts: BTreeMap<(String, String), Count> = BTreeMap::new();
    for topic in cluster.topics.iter().filter(|topic| is_dead_letter_topic(&topic.name)) {
        dead_letters::for_each(&context.settings.kafka, &topic.name, |letter| {
            let reason = letter.class().unwrap_or(UNKNOWN).to_owned();
            let count = counts.entry((topic.name.clone(), reason)).or_default();
            let time = letter.record.timestamp_ms();
            count.records += 1;
            count.oldest = count.oldest.into_iter().chain(time).min();
            count.newest = count.newest.max(time);
            true
        })?;
    }
    if context.output == OutputFormat::Json {
        let rows = counts.iter().map(|((topic, reason), count)| {
            let Count { records, oldest, newest } = count;
            json!({"topic": topic, "reason": reason, "records": records, "oldest": oldest, "newest": newest})
        });
        output::print_json(&rows.collect())?;
        return Ok(Ending::Done);
    }
    let mut table = Table::new(&["TOPIC", "REASON", "RECORDS", "OLDEST", "NEWEST"]);
    for ((topic, reason), count) in counts {
        let (oldest, newest) = (output::time(count.oldest), output::time(count.newest));
        table.row([topic, reason, count.records.to_string(), oldest, newest]);
    }
    output::print(|out| table.write(out))?;
    Ok(Ending::Done)
}

fn replay(args: &ReplayArgs, context: &Context) -> anyhow::Result<Ending> {
    let topic = letters_of(&args.topic);
    let from = if args.from_beginning { ReadFrom::Beginning } else { ReadFrom::Committed };
    let shutdown = Shutdown::on_signals()?;
    let Replayed { replayed, looping, without_origin, filtered } = dead_letters::replay(
        &context.settings.kafka,
        &topic,
        from,
        |letter| {
            args.reason.is_empty()
                || letter.class().is_some_and(|class| args.reason.iter().any(|it| it == class))
        },
        &shutdown,
    )?;
    if context.output == OutputFormat::Json {
        output::print_json(&json!({
            "topic": topic,
            "replayed": replayed,
            "filtered": filtered,
            "looping": looping,
            "without_origin": without_origin,
        }))?;
    } else {
        output::print(|out| {
            writeln!(out, "{topic}: {replayed} replayed")?;
            for (count, why) in [
                (filtered, "left for another reason than asked for"),
                (looping, "left because they came back three times"),
                (without_origin, "left because they do not say where they came from"),
            ] {
                if count > 0 {
                    writeln!(out, "{topic}: {count} {why}")?;
                }
            }
            Ok(())
        })?;
    }
    Ok(Ending::of(&shutdown))
}
