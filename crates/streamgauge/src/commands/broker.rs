//! `streamgauge broker`: the embedded broker alone, for any Kafka client.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::embedded::EmbeddedBroker;
use crate::exit::Ending;
use crate::output;
use crate::service::Service;
use crate::settings::{DataDirectory, Layer, Value};

/// How often a broker that has failed by itself is looked for.
const WATCH: Duration = Duration::from_millis(100);

/// Run the embedded Kafka-compatible broker.
#[derive(Debug, Args)]
#[command(
    after_help = "One node, without replication: for a laptop, a test, an edge box. Any Kafka client can use it.
What was acknowledged survives a crash of the process; for a loss of power set flush.messages or flush.ms of a topic.
Authentication, TLS, limits and defaults of topics are in the section [broker] of the settings.

Examples:
  streamgauge broker
  streamgauge broker --data-dir ./kafka --listen 127.0.0.1:19092
  streamgauge broker --listen 0.0.0.0:9092 --advertise pi.local:9092 --open-to-the-network"
)]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    listener: ListenerArgs,
}

/// Flags of every command with an embedded broker.
#[derive(Debug, Args)]
pub(crate) struct ListenerArgs {
    /// Where topics, groups and transactions are kept [default: ~/.local/share/streamgauge]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the broker listens; port 0 takes a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// What clients are told to connect to [default: the address that it listens on]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Listen beyond this machine for clients that need not authenticate
    #[arg(long)]
    open_to_the_network: bool,
}

impl ListenerArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        layer.flag("broker.listen", "--listen", text(&self.listen));
        layer.flag("broker.advertise", "--advertise", text(&self.advertise));
        let open = self.open_to_the_network.then_some(Value::Switch(true));
        layer.flag("broker.security.open_to_the_network", "--open-to-the-network", open);
    }

    /// Where the flags say that the data is.
    pub(crate) fn data_directory(&self) -> DataDirectory {
        self.data_dir.clone().map_or(DataDirectory::Settings, DataDirectory::At)
    }
}

impl BrokerArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        self.listener.settings(layer);
    }
}

/// Serves until a signal ends it.
pub(crate) fn run(args: &BrokerArgs, context: &Context) -> anyhow::Result<Ending> {
    let settings = context.settings.broker.complete(&args.listener.data_directory())?;
    let directory = settings.data_directory.clone();
    let service = Service::start(&context.settings)?;
    let broker = EmbeddedBroker::start(settings, &service.metrics)?;
    let address = broker.address;
    service.status.set_ready("broker");
    output::print(|out| match context.output {
        OutputFormat::Json => writeln!(out, "{}", json!({"address": address, "data_dir": directory})),
        OutputFormat::Table => {
            writeln!(out, "broker listens on {address}, data in {}", directory.display())
        }
    })?;
    while !service.shutdown.wait(WATCH) && !broker.failed.is_requested() {}
    service.status.set_unready("broker", "stopping");
    let outcome = broker.stop(context.settings.shutdown_deadline);
    let ending = Ending::of(&service.shutdown);
    service.stop();
    outcome?;
    Ok(ending)
}
