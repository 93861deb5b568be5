//! `streamgauge up`: the whole pipeline in one process.
//!
//! Broker (or a real one), topics, simulated sensors and events, analytics, the stream processor, storage: started in the order of the data, stopped in
//! the same order, so that what was produced is acknowledged and what was acknowledged is counted. Each part runs on
//! threads of its own and fails for the whole: a pipeline is never half there in silence.
//!
//! With `-o json` the start and the end are an object each, on a line each:
//! `{"bootstrap", "embedded", "data_dir", "continued", "metrics", "store", "page"}` and
//! `{"sensors", "events", "analytics", "processor", "storage", "first_analytics_seconds"}`, with the summaries of the parts.

mod pipeline;
mod screen;

use clap::Args;
use producers::sensors::{FaultPlan, MAX_SENSORS};

use crate::cli::{self, Cli};
use crate::commands::broker::ListenerArgs;
use crate::commands::{Context, process};
use crate::exit::Ending;
use crate::service::Service;
use crate::settings::{DataDirectory, Layer, Loaded, Value};

use pipeline::{Pipeline, Plan};

/// What `--page` says for no page.
const PAGE_OFF: &str = "off";

/// Run everything in one process: broker, simulated sensors and events, analytics, windows and alarms, storage, the page.
#[derive(Debug, Args)]
#[command(
    after_help = "Without -b (or bootstrap.servers in the settings) the embedded broker is started and keeps its data
between runs; with it, the same pipeline runs on that Kafka cluster.

Examples:
  streamgauge up
  streamgauge up --num-sensors 1000 --interval 0.1 --faults all
  streamgauge up --ephemeral --listen 127.0.0.1:0
  streamgauge up --no-simulator                     # wait for readings of real sensors
  streamgauge up -b kafka.example.com:9092"
)]
pub(crate) struct UpArgs {
    /// Simulate nothing: readings and events come from elsewhere
    #[arg(long)]
    no_simulator: bool,
    /// Store nothing
    #[arg(long)]
    no_store: bool,
    /// Where the page is served: HOST:PORT, PORT on 127.0.0.1, or off [default: 127.0.0.1:8080, else a free port]
    #[arg(long, value_name = "ADDR")]
    page: Option<String>,
    /// How many sensors are simulated [default: 10]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MAX_SENSORS as i64))]
    num_sensors: Option<i64>,
    /// Every sensor reports once in so many seconds, or as in 100ms [default: 1s]
    #[arg(short = 'i', long, value_name = "DURATION", value_parser = cli::duration_text)]
    interval: Option<String>,
    /// Faults to inject, as in spike,stuck=0.001 (see produce sensors --help)
    #[arg(long, value_name = "FAULTS", default_value = "")]
    faults: FaultPlan,
    /// Keep nothing: the broker's data is thrown away at the end
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
    #[command(flatten)]
    listener: ListenerArgs,
}

impl UpArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        layer.flag("produce.num_sensors", "--num-sensors", self.num_sensors.map(Value::Whole));
        layer.flag("produce.interval", "--interval", self.interval.clone().map(Value::Text));
        let page = self.page.clone().filter(|page| page != PAGE_OFF);
        layer.flag("monitor.listen", "--page", page.map(Value::Text));
        self.listener.settings(layer);
    }
}

/// Runs the pipeline until a signal ends it or a part of it fails.
pub(crate) fn run(args: &UpArgs, cli: &Cli, loaded: &Loaded, context: &Context) -> anyhow::Result<Ending> {
    let (service, hang_ups) = Service::start_reloading(&context.settings)?;
    // Removed when it is dropped, after the broker has been stopped.
    let ephemeral = if args.ephemeral { Some(tempfile::tempdir()?) } else { None };
    let directory = match &ephemeral {
        Some(directory) => DataDirectory::At(directory.path().to_owned()),
        None => args.listener.data_directory(),
    };
    let processor = process::plan(&context.settings)?;
    let settings = &context.settings.process;
    let instance = process::Instance::of(settings.instance.as_deref(), &settings.group)?;
    let reloading = process::Reloading::start(&processor, cli, loaded, hang_ups, &service)?;
    let plan = Plan {
        directory,
        simulate: !args.no_simulator,
        store: !args.no_store,
        page: args.page.as_deref() != Some(PAGE_OFF),
        faults: args.faults.clone(),
        processor,
        instance,
    };
    let outcome = Pipeline::start(&plan, context, &service)
        .and_then(|pipeline| screen::follow(pipeline, context, &service));
    let ending = Ending::of(&service.shutdown);
    reloading.stop();
    service.stop();
    outcome?;
    Ok(ending)
}
