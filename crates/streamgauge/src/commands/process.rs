//! `streamgauge process`: windows and rules over readings and events, exactly once.
//!
//! While it runs, a line of figures on a terminal; at the end the summary, with `-o json` as one object, see
//! [`processors::ProcessSummary`]. Windows and rules are read again at SIGHUP and when the settings file changes.

mod instance;
mod reload;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use engine::Plan;
use model::topics::{ALERTS, ANALYTICS, EVENTS, SENSOR_DATA};
use processors::{Guarantee, PlanHandle, ProcessOptions, ProcessSummary, Topics, Watch};
use runtime::{RateMeter, Shutdown};

pub(crate) use instance::Instance;
pub(crate) use reload::Reloading;

use crate::cli::{self, Cli, OutputFormat};
use crate::commands::status_line::{Look, StatusLine};
use crate::commands::{Context, followed};
use crate::exit::Ending;
use crate::output;
use crate::service::Service;
use crate::settings::{self, Layer, Loaded, Settings, Value};

/// The shown rate is that of so much time.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// Process readings and events: window summaries to analytics, alarms to alerts, exactly once.
#[derive(Debug, Args)]
#[command(
    after_help = "Windows and rules stand in the settings file; they are read again at SIGHUP and when the file changes. Instances
with the same group share the partitions. What windows and rules know survives any crash: it is kept in Kafka.

Examples:
  streamgauge process
  streamgauge process -c rules.toml --exit-at-end -o json | jq .windows_closed
  streamgauge process --guarantee at-least-once --workers 2
  streamgauge process --instance a --standby"
)]
pub(crate) struct ProcessArgs {
    /// The consumer group [default: process]
    #[arg(short = 'g', long, value_name = "GROUP")]
    group: Option<String>,
    /// What is promised: exactly-once, or at-least-once [default: exactly-once]
    #[arg(long, value_name = "GUARANTEE", value_parser = ["exactly-once", "at-least-once"])]
    guarantee: Option<String>,
    /// Worker threads [default: one per processor, at most one per partition]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    workers: Option<i64>,
    /// This instance's name, another than those of the other instances of the group [default: the host's and a number]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Keep a warm copy of the state of other instances' partitions
    #[arg(long)]
    standby: bool,
    /// How often a transaction ends while no alarm waits in it [default: 100ms]
    #[arg(long, value_name = "DURATION", value_parser = cli::duration_text)]
    commit_interval: Option<String>,
    /// Records a poll hands out at most [default: 5000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    max_poll_records: Option<i64>,
    /// Stop at the end of what was there at the start; open windows stay in the state
    #[arg(long)]
    exit_at_end: bool,
    /// The topic of readings
    #[arg(short, long, value_name = "TOPIC", default_value = SENSOR_DATA)]
    topic: String,
    /// The topic of events, read if a window counts events
    #[arg(long, value_name = "TOPIC", default_value = EVENTS)]
    events: String,
    /// Where window summaries go
    #[arg(long, value_name = "TOPIC", default_value = ANALYTICS)]
    analytics: String,
    /// Where alarms go
    #[arg(long, value_name = "TOPIC", default_value = ALERTS)]
    alerts: String,
}

impl ProcessArgs {
    fn topics(&self) -> Topics {
        Topics {
            readings: self.topic.clone(),
            events: self.events.clone(),
            analytics: self.analytics.clone(),
            alerts: self.alerts.clone(),
        }
    }

    /// The settings that these flags set.
    pub(crate) fn settings(&self, layer: &mut Layer) {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        layer.flag("process.group", "--group", text(&self.group));
        layer.flag("process.guarantee", "--guarantee", text(&self.guarantee));
        layer.flag("process.workers", "--workers", self.workers.map(Value::Whole));
        layer.flag("process.instance", "--instance", text(&self.instance));
        layer.flag("process.standby", "--standby", self.standby.then_some(Value::Switch(true)));
        layer.flag("process.commit_interval", "--commit-interval", text(&self.commit_interval));
        layer.flag("process.max_poll_records", "--max-poll-records", self.max_poll_records.map(Value::Whole));
    }
}

/// The windows and rules of the settings, ready to be replaced.
pub(crate) fn plan(settings: &Settings) -> anyhow::Result<PlanHandle> {
    // The settings were checked with the same words.
    let plan = Plan::compile(settings.process.plan.clone());
    let plan = plan.map_err(|mistakes| anyhow::anyhow!("windows and rules: {mistakes:?}"))?;
    Ok(PlanHandle::new(Arc::new(plan)))
}

/// The processor's options by the settings.
pub(crate) fn options(
    context: &Context,
    plan: PlanHandle,
    instance: &Instance,
    exit_at_end: bool,
) -> ProcessOptions {
    let settings = &context.settings.process;
    ProcessOptions {
        group: settings.group.clone(),
        guarantee: match settings.guarantee {
            settings::Guarantee::ExactlyOnce => Guarantee::ExactlyOnce,
            settings::Guarantee::AtLeastOnce => Guarantee::AtLeastOnce,
        },
        workers: settings.workers,
        instance: instance.name.clone(),
        standby: settings.standby,
        commit_interval: settings.commit_interval,
        snapshot_interval: settings.snapshot_interval,
        transaction_timeout: settings.transaction_timeout,
        max_batch: settings.max_poll_records,
        stall_timeout: settings.stall_timeout,
        drain_timeout: context.settings.shutdown_deadline,
        exit_at_end,
        topics: Topics::default(),
        plan,
        watch: Watch::default(),
    }
}

/// Processes until the end is reached or a signal ends it.
pub(crate) fn run(
    args: &ProcessArgs,
    cli: &Cli,
    loaded: &Loaded,
    context: &Context,
) -> anyhow::Result<Ending> {
    let (service, hang_ups) = Service::start_reloading(&context.settings)?;
    let plan = plan(&context.settings)?;
    let process_settings = &context.settings.process;
    let instance = Instance::of(process_settings.instance.as_deref(), &process_settings.group)?;
    let reloading = Reloading::start(&plan, cli, loaded, hang_ups, &service)?;
    let options =
        ProcessOptions { topics: args.topics(), ..options(context, plan, &instance, args.exit_at_end) };
    let outcome = process(options, context, &service);
    let ending = Ending::of(&service.shutdown);
    reloading.stop();
    service.stop();
    let summary = outcome?;
    output::print(|out| match context.output {
        OutputFormat::Json => out.write_all(summary.to_json().as_bytes()),
        OutputFormat::Table => write!(out, "{summary}"),
    })?;
    Ok(ending)
}

/// Runs the processor on a thread of its own, and shows its figures on this one.
fn process(options: ProcessOptions, context: &Context, service: &Service) -> anyhow::Result<ProcessSummary> {
    let (watch, deadline) = (options.watch.clone(), options.drain_timeout);
    let (kafka, metrics, status) =
        (context.settings.kafka.clone(), service.metrics.clone(), service.status.clone());
    let work = move |asked: &Shutdown| processors::run(&options, &kafka, &metrics, &status, asked);
    let mut rate = RateMeter::new(RATE_WINDOW);
    followed::follow("processor", deadline, context, service, work, |line| show(line, &mut rate, &watch))
}

fn show(line: &mut StatusLine, rate: &mut RateMeter, watch: &Watch) {
    let Some(look) = line.due() else { return };
    let seen = watch.progress().unwrap_or_default();
    let rate = rate.sample(std::time::Instant::now(), seen.records);
    match look {
        Look::Logged => tracing::info!(
            records = seen.records,
            per_second = rate,
            windows = seen.windows_closed,
            alarms = seen.alarms_fired,
            dead_letters = seen.dead_letters,
            lag = seen.lag,
            problem = seen.problem,
            "processing"
        ),
        Look::Shown { elapsed } => {
            let figures = match (&seen.problem, &seen.restoring) {
                (Some(problem), _) => format!("waiting for Kafka: {problem}"),
                (None, Some(restoring)) => format!(
                    "restoring {} partitions: {} of {} records, {:.1} s",
                    restoring.partitions, restoring.records, restoring.total, restoring.seconds
                ),
                (None, None) if !seen.joined => "joining the group".to_owned(),
                (None, None) => format!(
                    "{rate:.0} records/s  {} sensors  {} windows  {} alarms  {} late  {} dead letters  lag {}",
                    seen.sensors,
                    seen.windows_closed,
                    seen.alarms_fired,
                    seen.late,
                    seen.dead_letters,
                    seen.lag
                ),
            };
            line.show(&format!("{elapsed:>4} s  {figures}"));
        }
    }
}
