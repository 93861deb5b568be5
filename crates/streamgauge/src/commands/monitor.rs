//! `streamgauge monitor`: the live page.

use std::io::Write as _;

use clap::Args;
use model::topics::{ALERTS, SENSOR_DATA};
use monitor::{Page, PageOptions, serve_page};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output;
use crate::service::Service;
use crate::settings::{Layer, Value};

/// Serve the live page: sensors, alarms, topics and messages, groups, dead letters.
#[derive(Debug, Args)]
#[command(
    after_help = "The page only reads, and is served on this machine alone; from elsewhere use a tunnel. The same figures are JSON under
/api/v1, with /healthz, /readyz, /version and /metrics beside them.

Examples:
  streamgauge monitor
  streamgauge monitor -b kafka.example.com:9092 --page 127.0.0.1:9000
  ssh -L 8080:127.0.0.1:8080 gateway          # then open http://127.0.0.1:8080
  curl -s http://127.0.0.1:8080/api/v1/overview | jq .alarms"
)]
pub(crate) struct MonitorArgs {
    /// Where the page is served: HOST:PORT, or PORT on 127.0.0.1 [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    page: Option<String>,
    /// The topic of readings
    #[arg(short, long, value_name = "TOPIC", default_value = SENSOR_DATA)]
    topic: String,
    /// The topic of alarms
    #[arg(long, value_name = "TOPIC", default_value = ALERTS)]
    alerts: String,
}

impl MonitorArgs {
    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        layer.flag("monitor.listen", "--page", self.page.clone().map(Value::Text));
    }
}

/// Serves the page until a signal ends it.
pub(crate) fn run(args: &MonitorArgs, context: &Context) -> anyhow::Result<Ending> {
    let service = Service::start(&context.settings)?;
    let options = PageOptions {
        listen: context.settings.page_listen.clone(),
        readings: args.topic.clone(),
        alerts: args.alerts.clone(),
    };
    let page = serve_page(options, &context.settings.kafka, service.endpoint())?;
    service.status.set_ready("page");
    announce(&page, context)?;
    service.shutdown.wait_forever();
    page.stop();
    let ending = Ending::of(&service.shutdown);
    service.stop();
    Ok(ending)
}

fn announce(page: &Page, context: &Context) -> anyhow::Result<()> {
    let (url, kafka) = (page.url(), context.settings.kafka.bootstrap());
    output::print(|out| match context.output {
        OutputFormat::Json => writeln!(out, "{}", json!({"page": url, "bootstrap": kafka})),
        OutputFormat::Table => writeln!(out, "the page is at {url}, Kafka at {kafka}; Ctrl-C stops it"),
    })
}
