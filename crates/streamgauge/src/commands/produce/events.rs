//! `streamgauge produce events`: application events as `CloudEvents`.

use std::time::Duration;

use clap::Args;
use model::EventTime;
use producers::events::{self, EventsOptions, MAX_ENTITIES, StreamOptions};

use super::report::produce;
use crate::cli;
use crate::commands::Context;
use crate::exit::Ending;
use crate::settings::{Layer, ProduceSettings, Value};

/// Produce application events: orders, logins, device lifecycle, errors
#[derive(Debug, Args)]
#[command(
    after_help = "Events are CloudEvents 1.0 in binary mode, in a believable order for each order, user and device.

Examples:
  streamgauge produce events
  streamgauge produce events --rate 500 --entities 1000 --duration 1m
  streamgauge produce events --rate max --count 100000"
)]
pub(super) struct EventsArgs {
    /// Events a second, or max [default: 10]
    #[arg(long, value_name = "N|max")]
    rate: Option<String>,
    /// Orders, users and devices that live at the same time [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MAX_ENTITIES as i64))]
    entities: Option<i64>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = cli::duration)]
    duration: Option<Duration>,
    /// The seed of all randomness: the same seed gives the same events [default: 42]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// The time of the first event, ISO 8601, UTC without a zone [default: now]
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    start_time: Option<EventTime>,
    /// The topic
    #[arg(short, long, value_name = "TOPIC", default_value = model::topics::EVENTS)]
    topic: String,
}

impl EventsArgs {
    pub(super) fn settings(&self, layer: &mut Layer) {
        layer.flag("produce.events.rate", "--rate", self.rate.clone().map(Value::Text));
        layer.flag("produce.events.entities", "--entities", self.entities.map(Value::Whole));
        layer.flag("produce.seed", "--seed", self.seed.map(Value::Whole));
    }
}

pub(super) fn run(args: &EventsArgs, context: &Context) -> anyhow::Result<Ending> {
    let settings = stream(&context.settings.produce);
    let stream = StreamOptions { start_time: args.start_time, count: args.count, ..settings };
    produce(context, &args.topic, |target, progress, service| {
        let options = EventsOptions { stream, duration: args.duration, target };
        events::run(&options, &context.settings.kafka, progress, &service.shutdown)
    })
}

/// What the settings say of the stream: for ever, from now.
pub(crate) fn stream(settings: &ProduceSettings) -> StreamOptions {
    StreamOptions {
        entities: settings.event_entities,
        rate: settings.event_rate,
        start_time: None,
        seed: settings.seed,
        count: None,
    }
}
