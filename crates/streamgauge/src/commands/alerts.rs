//! `streamgauge alerts`: which alarms there are and why, and what people do about them.
//!
//! With `-o json`: `list` and `show` print the alarms as they are now, `list` as an array: the processor's newest record as
//! in the topic, and beside its fields `"active"`, `"snoozed"` (now), and `"acknowledged"`, `"snooze"`, `"notes"` with the
//! records of people; `show` also `"fired"`, the record of the firing. `ack`, `snooze` and `note` print the record that they
//! wrote.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use kafka::{
    Admin, CONNECT_TIMEOUT, Outgoing, PartitionReader, Producer, ProducerOptions, ReadAt, TopicPartition,
};
use model::alert::{Alarm, Alarms, PersonState, decode_alert, person_key};
use model::topics::ALERTS;
use model::{AlertState, EventTime, PersonRecord, Severity};
use runtime::{Shutdown, now_micros};
use serde_json::{Value, json};

use crate::cli::{self, OutputFormat};
use crate::commands::Context;
use crate::exit::{Ending, UsageError};
use crate::output::{self, Table};

/// How long a record of a person may take to be acknowledged.
const FLUSH: Duration = Duration::from_secs(30);

/// Alarms: list them, see why they fired, acknowledge, snooze, write a note.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge alerts list
  streamgauge alerts list --all --rule high-temperature
  streamgauge alerts show high-temperature-9f86d081884c7d65
  streamgauge alerts ack high-temperature-9f86d081884c7d65")]
pub(crate) struct AlertsArgs {
    /// The topic of alarms
    #[arg(long, value_name = "TOPIC", default_value = ALERTS, global = true)]
    topic: String,
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    List(ListArgs),
    /// Show an alarm with everything that says why it fired
    #[command(after_help = "Examples:
  streamgauge alerts show high-temperature-9f86d081884c7d65
  streamgauge alerts show high-temperature-9f86d081884c7d65 -o json | jq .evidence")]
    Show {
        /// The alarm's id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Say that somebody looks after an alarm
    #[command(after_help = "Examples:
  streamgauge alerts ack high-temperature-9f86d081884c7d65
  streamgauge alerts ack high-temperature-9f86d081884c7d65 --by ann --text 'on my way'")]
    Ack {
        #[command(flatten)]
        about: AboutArgs,
        /// Words to go with it
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
    },
    /// Say that nobody wants to hear of an alarm for some time
    #[command(after_help = "Examples:
  streamgauge alerts snooze high-temperature-9f86d081884c7d65 --for 2h")]
    Snooze {
        #[command(flatten)]
        about: AboutArgs,
        /// For how long
        #[arg(long = "for", value_name = "DURATION", value_parser = cli::duration)]
        time: Duration,
        /// Words to go with it
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
    },
    /// Write something down about an alarm
    #[command(after_help = "Examples:
  streamgauge alerts note high-temperature-9f86d081884c7d65 'the door was open'")]
    Note {
        #[command(flatten)]
        about: AboutArgs,
        /// The words
        #[arg(value_name = "TEXT")]
        text: String,
    },
}

/// List alarms, the worst and newest first
#[derive(Debug, Args)]
#[command(after_help = "Without --all, only alarms whose rule still holds.

Examples:
  streamgauge alerts list
  streamgauge alerts list --severity critical --sensor 'FREEZER_*'
  streamgauge alerts list --all -o json | jq 'group_by(.rule) | map({rule: .[0].rule, alarms: length})'")]
struct ListArgs {
    /// Also those that were cleared
    #[arg(long)]
    all: bool,
    /// Of this severity or a worse one
    #[arg(long, value_name = "SEVERITY", value_enum)]
    severity: Option<AtLeast>,
    /// Of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Of sensors that this pattern matches: * for any characters, ? for one
    #[arg(long, value_name = "PATTERN")]
    sensor: Option<String>,
    /// In this state
    #[arg(long, value_name = "STATE", value_enum)]
    state: Option<StateArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AtLeast {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StateArg {
    Firing,
    Escalated,
    Cleared,
}

/// Which alarm, and who does something about it.
#[derive(Debug, Args)]
struct AboutArgs {
    /// The alarm's id
    #[arg(value_name = "ID")]
    id: String,
    /// Who [default: the user's name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Does what was asked.
pub(crate) fn run(args: &AlertsArgs, context: &Context) -> anyhow::Result<Ending> {
    let topic = args.topic.as_str();
    match &args.command {
        AlertsCommand::List(args) => list(args, topic, context),
        AlertsCommand::Show { id } => show(id, topic, context),
        AlertsCommand::Ack { about, text } => {
            write(about, PersonState::Acknowledged, None, text.as_deref(), topic, context)
        }
        AlertsCommand::Snooze { about, time, text } => {
            write(about, PersonState::Snoozed, Some(*time), text.as_deref(), topic, context)
        }
        AlertsCommand::Note { about, text } => {
            write(about, PersonState::Note, None, Some(text), topic, context)
        }
    }
}

/// Reads the whole topic, as far as it is committed. What is no record of an alarm is passed over with a warning.
fn read(topic: &str, context: &Context) -> anyhow::Result<Alarms> {
    let kafka = &context.settings.kafka;
    let cluster = Admin::connect(kafka, CONNECT_TIMEOUT)?.cluster()?;
    let Some(info) = cluster.topic(topic) else {
        let bootstrap = kafka.bootstrap().to_owned();
        return Err(kafka::Error::MissingTopic { topic: topic.to_owned(), bootstrap }.into());
    };
    let name: Arc<str> = topic.into();
    let place = |partition| TopicPartition { topic: Arc::clone(&name), partition };
    let parts: Vec<_> =
        info.partitions.iter().map(|info| (place(info.partition), ReadAt::Beginning, None)).collect();
    let mut reader = PartitionReader::open(kafka, &parts)?;
    let (mut alarms, mut foreign) = (Alarms::default(), 0_u64);
    while let Some(batch) = reader.next_batch()? {
        for record in batch.iter() {
            match record.value.map(decode_alert) {
                Some(Ok(record)) => alarms.apply(record),
                Some(Err(_)) => foreign += 1,
                None => {}
            }
        }
    }
    if foreign > 0 {
        tracing::warn!(records = foreign, "records of the topic are no alarms; they were passed over");
    }
    Ok(alarms)
}

fn list(args: &ListArgs, topic: &str, context: &Context) -> anyhow::Result<Ending> {
    let pattern: Vec<String> = args.sensor.iter().cloned().collect();
    let sensors = engine::select::Select::compile(
        &pattern,
        &std::collections::BTreeMap::new(),
        engine::plan::Item::Plan,
    );
    let sensors = sensors.map_err(|mistakes| {
        UsageError(mistakes.first().map(|mistake| mistake.problem.clone()).unwrap_or_default())
    })?;
    let least = match args.severity {
        None | Some(AtLeast::Info) => Severity::Info,
        Some(AtLeast::Warning) => Severity::Warning,
        Some(AtLeast::Critical) => Severity::Critical,
    };
    let state = args.state.map(|state| match state {
        StateArg::Firing => AlertState::Firing,
        StateArg::Escalated => AlertState::Escalated,
        StateArg::Cleared => AlertState::Cleared,
    });
    let all = read(topic, context)?;
    let mut alarms: Vec<&Alarm> = all
        .iter()
        .filter(|alarm| match state {
            Some(state) => alarm.alert.state == state,
            None => args.all || alarm.is_active(),
        })
        .filter(|alarm| alarm.alert.severity >= least)
        .filter(|alarm| args.rule.as_ref().is_none_or(|rule| alarm.alert.rule == *rule))
        .filter(|alarm| sensors.matches(&alarm.alert.sensor_id))
        .collect();
    alarms.sort_by(|a, b| {
        let order = |alarm: &Alarm| (alarm.is_active(), alarm.alert.severity, alarm.alert.since);
        order(b).cmp(&order(a)).then_with(|| a.alert.id.cmp(&b.alert.id))
    });
    if context.output == OutputFormat::Json {
        output::print_json(&alarms.into_iter().map(to_json).collect())?;
        return Ok(Ending::Done);
    }
    let mut table = Table::new(&["SEVERITY", "STATE", "SENSOR", "RULE", "SINCE", "VALUE", "BY", "ID"]);
    for alarm in alarms {
        let alert = &alarm.alert;
        let value = match (alarm.fired.evidence.value, alarm.fired.evidence.bound) {
            (Some(value), Some(bound)) => format!("{} / {}", short(value), short(bound)),
            (Some(value), None) => short(value),
            _ => String::new(),
        };
        let by = alarm.acknowledged.as_ref().map(|record| output::printable(&record.by)).unwrap_or_default();
        table.row([
            alert.severity.to_string(),
            state_of(alarm),
            output::printable(&alert.sensor_id),
            output::printable(&alert.rule),
            alert.since.to_string(),
            value,
            by,
            output::printable(&alert.id),
        ]);
    }
    output::print(|out| table.write(out))?;
    Ok(Ending::Done)
}

fn state_of(alarm: &Alarm) -> String {
    let state = match alarm.alert.state {
        AlertState::Firing => "firing",
        AlertState::Escalated => "escalated",
        AlertState::Cleared => "cleared",
    };
    let now = EventTime::from_micros(now_micros());
    if alarm.is_active() && alarm.is_snoozed(now) { format!("{state}, snoozed") } else { state.to_owned() }
}

/// A number with few digits, for people.
fn short(value: f64) -> String {
    let rounded = (value * 1_000.0).round() / 1_000.0;
    rounded.to_string()
}

fn to_json(alarm: &Alarm) -> Value {
    let mut object = json!(alarm.alert);
    if let Value::Object(fields) = &mut object {
        fields.insert("active".into(), alarm.is_active().into());
        let now = EventTime::from_micros(now_micros());
        fields.insert("snoozed".into(), alarm.is_snoozed(now).into());
        fields.insert("acknowledged".into(), json!(alarm.acknowledged));
        fields.insert("snooze".into(), json!(alarm.snoozed));
        fields.insert("notes".into(), json!(alarm.notes));
    }
    object
}

/// The alarm of an id, or what to do to find it.
fn find<'a>(alarms: &'a Alarms, id: &str) -> anyhow::Result<&'a Alarm> {
    match alarms.get(id) {
        Some(alarm) => Ok(alarm),
        None => bail!("there is no alarm {id:?}; streamgauge alerts list --all shows those there are"),
    }
}

fn show(id: &str, topic: &str, context: &Context) -> anyhow::Result<Ending> {
    let alarms = read(topic, context)?;
    let alarm = find(&alarms, id)?;
    if context.output == OutputFormat::Json {
        let mut object = to_json(alarm);
        object["fired"] = json!(alarm.fired);
        output::print_json(&object)?;
        return Ok(Ending::Done);
    }
    let (fired, alert) = (&alarm.fired, &alarm.alert);
    let evidence = &fired.evidence;
    output::print(|out| {
        writeln!(out, "{}  {}, {}", output::printable(&alert.id), alert.severity, state_of(alarm))?;
        writeln!(out, "  sensor   {}", output::printable(&alert.sensor_id))?;
        let rule = output::printable(&fired.rule);
        writeln!(
            out,
            "  rule     {rule} (version {}): {}",
            fired.rule_version,
            output::printable(&evidence.when)
        )?;
        writeln!(out, "  since    {}, fired at {}", fired.since, fired.at)?;
        if alert.at != fired.at || alert.state != fired.state {
            writeln!(out, "  now      {} at {}", state_of(alarm), alert.at)?;
        }
        if let (Some(value), Some(bound)) = (evidence.value, evidence.bound) {
            writeln!(out, "  because  {} against {}", short(value), short(bound))?;
        }
        for (name, value) in &evidence.values {
            writeln!(out, "           {} = {}", output::printable(name), short(*value))?;
        }
        if let Some(window) = &evidence.window {
            writeln!(out, "  window   {} to {}", window.start, window.end)?;
        }
        for note in evidence.note.iter().chain(&alert.evidence.note) {
            writeln!(out, "  note     {}", output::printable(note))?;
        }
        let source = &fired.source;
        writeln!(out, "  source   {}[{}] offset {}", source.topic, source.partition, source.offset)?;
        for record in alarm.acknowledged.iter().chain(&alarm.snoozed).chain(&alarm.notes) {
            let (by, text) = (output::printable(&record.by), record.text.as_deref().unwrap_or_default());
            let what = match record.state {
                PersonState::Acknowledged => "acknowledged".to_owned(),
                PersonState::Snoozed => {
                    format!(
                        "snoozed until {}",
                        record.until.map(|until| until.to_string()).unwrap_or_default()
                    )
                }
                PersonState::Note => "note".to_owned(),
            };
            writeln!(out, "  {by}, {}: {what} {}", record.at, output::printable(text))?;
        }
        Ok(())
    })?;
    Ok(Ending::Done)
}

/// Writes what a person does, under the alarm's id.
fn write(
    about: &AboutArgs,
    state: PersonState,
    snooze: Option<Duration>,
    text: Option<&str>,
    topic: &str,
    context: &Context,
) -> anyhow::Result<Ending> {
    let alarms = read(topic, context)?;
    let alarm = find(&alarms, &about.id)?;
    let user = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    let Some(by) = about.by.clone().or_else(user) else {
        return Err(UsageError("say who does it with --by NAME".to_owned()).into());
    };
    let at = EventTime::from_micros(now_micros());
    let until = snooze.map(|time| {
        EventTime::from_micros(
            at.micros().saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)),
        )
    });
    let record = PersonRecord {
        id: alarm.alert.id.clone(),
        sensor_id: alarm.alert.sensor_id.clone(),
        rule: alarm.alert.rule.clone(),
        state,
        by,
        at,
        until,
        text: text.map(str::to_owned),
    };
    let (key, value) = (person_key(&record), serde_json::to_vec(&record)?);
    let producer = Producer::start(&context.settings.kafka, ProducerOptions::default())?;
    let topic = producer.topic(topic)?;
    let outgoing = Outgoing { key: Some(key.as_bytes()), value: Some(&value), ..Outgoing::default() };
    if !producer.send(&topic, &outgoing, &Shutdown::on_signals()?)? {
        bail!("interrupted before the record was written");
    }
    producer.flush(FLUSH)?;
    if producer.counters().acknowledged == 0 {
        bail!("the record was not written: {:?}", producer.last_failure());
    }
    match context.output {
        OutputFormat::Json => output::print_json(&json!(record))?,
        OutputFormat::Table => output::print(|out| {
            let what = match state {
                PersonState::Acknowledged => "acknowledged",
                PersonState::Snoozed => "snoozed",
                PersonState::Note => "noted",
            };
            writeln!(out, "{}: {what} by {}", output::printable(&record.id), output::printable(&record.by))
        })?,
    }
    Ok(Ending::Done)
}
