//! `streamgauge produce`: writes sensor readings, events or recorded data to topics.
//!
//! Every kind ends with a summary on standard output; with `-o json` it is one object on one line, the fields of
//! [`producers::Summary`].

pub(crate) mod events;
mod replay;
pub(crate) mod report;
pub(crate) mod sensors;

use clap::{Args, Subcommand};

use crate::commands::Context;
use crate::exit::Ending;
use crate::settings::Layer;

/// Produce sensor readings, application events or recorded series.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge produce sensors --num-sensors 100 --interval 0.1
  streamgauge produce events --rate 100
  streamgauge produce replay readings.csv --speed 60")]
pub(crate) struct ProduceArgs {
    #[command(subcommand)]
    command: ProduceCommand,
}

#[derive(Debug, Subcommand)]
enum ProduceCommand {
    Sensors(sensors::SensorsArgs),
    Events(events::EventsArgs),
    Replay(replay::ReplayArgs),
}

impl ProduceArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        match &self.command {
            ProduceCommand::Sensors(args) => args.settings(layer),
            ProduceCommand::Events(args) => args.settings(layer),
            ProduceCommand::Replay(_) => {}
        }
    }
}

/// Produces until the work is done or a signal ends it.
pub(crate) fn run(args: &ProduceArgs, context: &Context) -> anyhow::Result<Ending> {
    match &args.command {
        ProduceCommand::Sensors(args) => sensors::run(args, context),
        ProduceCommand::Events(args) => events::run(args, context),
        ProduceCommand::Replay(args) => replay::run(args, context),
    }
}
