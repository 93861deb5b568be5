//! `streamgauge produce sensors`: simulated sensors.

use std::time::Duration;

use clap::Args;
use model::EventTime;
use producers::Speed;
use producers::sensors::{self, FaultPlan, MAX_SENSORS, SensorsOptions, SimulatorOptions, TimingFlags};

use super::report::produce;
use crate::cli;
use crate::commands::Context;
use crate::exit::Ending;
use crate::settings::{Layer, ProduceSettings, Value};

/// Produce readings of simulated sensors
#[derive(Debug, Args)]
#[command(after_help = "Of --interval, --rate and --speed any two give the third.

Faults: spike, drift, stuck, dropout, clock-skew, noise-burst, malformed, duplicate, out-of-order, late-burst, or all;
each with a probability if wanted. Every record that a fault touched says so in its header sg-fault.

Examples:
  streamgauge produce sensors --num-sensors 100 --interval 0.1
  streamgauge produce sensors --interval 0 --count 1000000         # as fast as possible
  streamgauge produce sensors --rate 5000 --duration 10m --faults spike,stuck=0.001
  streamgauge produce sensors --start-time 2024-01-01T00:00:00 --interval 60 --speed max --count 500000")]
pub(super) struct SensorsArgs {
    /// How many sensors [default: 10]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MAX_SENSORS as i64))]
    num_sensors: Option<i64>,
    /// Every sensor reports once in so many seconds, or as in 100ms; 0 is as fast as possible [default: 1s]
    #[arg(short = 'i', long, value_name = "DURATION", value_parser = cli::duration_text)]
    interval: Option<String>,
    /// Readings a second over all sensors, instead of the interval
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// End after so many records
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = cli::duration)]
    duration: Option<Duration>,
    /// The seed of all randomness: the same seed gives the same readings [default: 42]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// The time of the first reading, ISO 8601, UTC without a zone [default: now]
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    start_time: Option<EventTime>,
    /// Simulated seconds in a second, or max [default: 1]
    #[arg(long, value_name = "N|max")]
    speed: Option<Speed>,
    /// How a sensor's id is made of its number [default: SENSOR_{:03}]
    #[arg(long, value_name = "FORMAT")]
    key_format: Option<String>,
    /// Whether all sensors report equally often: same, or mixed [default: same]
    #[arg(long, value_name = "CADENCE", value_parser = ["same", "mixed"])]
    cadence: Option<String>,
    /// Faults to inject, as in spike,stuck=0.001
    #[arg(long, value_name = "FAULTS", default_value = "")]
    faults: FaultPlan,
    /// The topic
    #[arg(short, long, value_name = "TOPIC", default_value = model::topics::SENSOR_DATA)]
    topic: String,
}

impl SensorsArgs {
    pub(super) fn settings(&self, layer: &mut Layer) {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        layer.flag("produce.num_sensors", "--num-sensors", self.num_sensors.map(Value::Whole));
        layer.flag("produce.interval", "--interval", text(&self.interval));
        layer.flag("produce.rate", "--rate", self.rate.map(Value::Number));
        layer.flag("produce.seed", "--seed", self.seed.map(Value::Whole));
        layer.flag("produce.key_format", "--key-format", text(&self.key_format));
        layer.flag("produce.cadence", "--cadence", text(&self.cadence));
    }
}

pub(super) fn run(args: &SensorsArgs, context: &Context) -> anyhow::Result<Ending> {
    let mut simulator = simulator(&context.settings.produce, &args.faults);
    simulator.timing.speed = args.speed;
    simulator.timing.start_time = args.start_time;
    simulator.count = args.count;
    produce(context, &args.topic, |target, progress, service| {
        let options = SensorsOptions { simulator, duration: args.duration, target };
        sensors::run(&options, &context.settings.kafka, progress, &service.shutdown)
    })
}

/// What the settings say of the simulator: for ever, in real time, from now.
pub(crate) fn simulator(settings: &ProduceSettings, faults: &FaultPlan) -> SimulatorOptions {
    SimulatorOptions {
        num_sensors: settings.num_sensors,
        key_format: settings.key_format.clone(),
        cadence: settings.cadence,
        faults: faults.clone(),
        seed: settings.seed,
        timing: TimingFlags {
            interval: settings.interval,
            rate: settings.rate,
            speed: None,
            start_time: None,
        },
        count: None,
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a positive number of records a second".to_owned())
}
