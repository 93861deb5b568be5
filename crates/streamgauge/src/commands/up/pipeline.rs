//! The parts of the pipeline: what is started, in which order it is stopped, and who tells when one fails.
//!
//! Invariant: a stage is stopped only after the one that feeds it has ended.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use consumers::analyze::{self, AnalyzeOptions, AnalyzeSummary, Show, Watch};
use kafka::{Admin, CONNECT_TIMEOUT, KafkaSettings};
use model::topics::{ALERTS, EVENTS, SENSOR_DATA};
use monitor::{Page, PageOptions, serve_page};
use processors::{PlanHandle, ProcessOptions, ProcessSummary};
use producers::events::{self, EventsOptions};
use producers::sensors::{self, FaultPlan, SensorsOptions};
use producers::{Display, Progress, Snapshot, Summary, Target};
use runtime::{Shutdown, StopReason, Tasks};
use storage::{StoreOptions, StoreSummary};

use crate::commands::Context;
use crate::commands::process::{self, Instance};
use crate::commands::produce::{self, report};
use crate::commands::store;
use crate::embedded::EmbeddedBroker;
use crate::service::Service;
use crate::settings::DataDirectory;

/// How long the whole pipeline may take to end; half of it goes to each stage at most.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The file whose presence says that a data directory has been used before.
const USED_BEFORE: &str = "format.json";

/// The store's directory in the data directory.
const STORE: &str = "store";

/// What is to be started.
pub(super) struct Plan {
    pub(super) directory: DataDirectory,
    pub(super) simulate: bool,
    pub(super) store: bool,
    pub(super) page: bool,
    pub(super) faults: FaultPlan,
    pub(super) processor: PlanHandle,
    pub(super) instance: Instance,
}

/// Where the pipeline's Kafka is.
pub(super) struct Home {
    pub(super) bootstrap: String,
    /// The embedded broker's data directory, and whether it was used before.
    pub(super) data: Option<(PathBuf, bool)>,
}

/// A running pipeline.
pub(super) struct Pipeline {
    pub(super) home: Home,
    pub(super) simulated: bool,
    pub(super) sensors: Arc<Source>,
    pub(super) events: Arc<Source>,
    pub(super) analytics: Watch,
    pub(super) processor: processors::Watch,
    pub(super) storage: storage::Watch,
    /// Where the store is, if anything is stored.
    pub(super) store: Option<PathBuf>,
    pub(super) started: Instant,
    analyzed: Arc<OnceLock<AnalyzeSummary>>,
    processed: Arc<OnceLock<ProcessSummary>>,
    stored: Arc<OnceLock<StoreSummary>>,
    sources: Stage,
    workers: Stage,
    stores: Stage,
    page: Option<Page>,
    broker: Option<EmbeddedBroker>,
}

/// What the parts counted, at the end.
pub(super) struct Totals {
    pub(super) sensors: Option<Summary>,
    pub(super) events: Option<Summary>,
    pub(super) analytics: Option<AnalyzeSummary>,
    pub(super) processor: Option<ProcessSummary>,
    pub(super) storage: Option<StoreSummary>,
}

/// The figures of one source.
#[derive(Default)]
pub(super) struct Source {
    latest: Mutex<Option<Snapshot>>,
    summary: OnceLock<Summary>,
}

impl Source {
    /// Its latest figures, four times a second.
    pub(super) fn latest(&self) -> Option<Snapshot> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passes figures on to the metrics and keeps the latest.
    fn progress(self: &Arc<Self>, topic: &str, service: &Service) -> Progress {
        let (own, mut metrics) = (Arc::clone(self), report::observer(topic, service));
        let observer = move |snapshot: &Snapshot| {
            metrics(snapshot);
            *own.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.clone());
        };
        Progress { display: Display::Silent, observer: Some(Box::new(observer)) }
    }

    fn finish(&self, outcome: Result<Summary, producers::Error>) -> Result<(), producers::Error> {
        let summary = match &outcome {
            Ok(summary) => Some(summary.clone()),
            Err(error) => error.summary().cloned(),
        };
        if let Some(summary) = summary {
            self.summary.get_or_init(|| summary);
        }
        outcome.map(drop)
    }
}

/// Threads that are stopped together.
struct Stage {
    shutdown: Shutdown,
    tasks: Tasks,
}

impl Stage {
    fn new() -> Self {
        let shutdown = Shutdown::new();
        Self { tasks: Tasks::new(shutdown.clone()), shutdown }
    }

    fn stop(self, deadline: Duration) -> anyhow::Result<()> {
        self.shutdown.request(StopReason::Requested);
        Ok(self.tasks.join(deadline)?)
    }
}

impl Pipeline {
    /// Starts everything, the broker first. What was started is stopped again if a later part cannot be.
    pub(super) fn start(plan: &Plan, context: &Context, service: &Service) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut kafka = context.settings.kafka.clone();
        let (broker, data) = if context.settings.names_brokers {
            (None, None)
        } else {
            let (broker, data) = start_broker(&plan.directory, context, service)?;
            let port = broker.address.port();
            // Whatever address it listens on, this machine reaches it by its own.
            let host = if broker.address.ip().is_unspecified() {
                "127.0.0.1".into()
            } else {
                broker.address.ip().to_string()
            };
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            kafka.set_for_all("bootstrap.servers", format!("{host}:{port}"));
            (Some(broker), Some(data))
        };
        let mut pipeline = Self {
            home: Home { bootstrap: kafka.bootstrap().to_owned(), data },
            simulated: plan.simulate,
            sensors: Arc::default(),
            events: Arc::default(),
            analytics: Watch::default(),
            processor: processors::Watch::default(),
            storage: storage::Watch::default(),
            store: None,
            started,
            analyzed: Arc::default(),
            processed: Arc::default(),
            stored: Arc::default(),
            sources: Stage::new(),
            workers: Stage::new(),
            stores: Stage::new(),
            page: None,
            broker,
        };
        let ready = pipeline.fill(plan, &kafka, context, service);
        match ready {
            Ok(()) => Ok(pipeline),
            Err(error) => {
                if let Err(also) = pipeline.stop() {
                    tracing::warn!(error = %also, "stopping after a failed start failed too");
                }
                Err(error)
            }
        }
    }

    /// Makes the topics and starts workers and sources.
    fn fill(
        &mut self,
        plan: &Plan,
        kafka: &KafkaSettings,
        context: &Context,
        service: &Service,
    ) -> anyhow::Result<()> {
        let admin = Admin::connect(kafka, CONNECT_TIMEOUT)?;
        admin.create_topics(&context.settings.topics.catalogue())?;
        drop(admin);
        self.start_analytics(kafka, context, service)?;
        self.start_processor(plan, kafka, context, service)?;
        if plan.store {
            self.start_storage(kafka, context, service)?;
        }
        if plan.page {
            self.page = Some(start_page(kafka, context, service)?);
        }
        if plan.simulate {
            self.start_sensors(&plan.faults, kafka, context, service)?;
            self.start_events(kafka, context, service)?;
        }
        Ok(())
    }

    fn start_analytics(
        &mut self,
        kafka: &KafkaSettings,
        context: &Context,
        service: &Service,
    ) -> anyhow::Result<()> {
        let settings = &context.settings.analyze;
        let options = AnalyzeOptions {
            topic: SENSOR_DATA.to_owned(),
            group: settings.group.clone(),
            high_temperature: settings.high_temperature,
            workers: settings.workers,
            commit: settings.commit,
            max_batch: settings.max_poll_records,
            stall_timeout: settings.stall_timeout,
            drain_timeout: STOP_WITHIN / 2,
            exit_at_end: false,
            show: Show::Nothing,
            stats_file: None,
            watch: self.analytics.clone(),
        };
        let (kafka, analyzed) = (kafka.clone(), Arc::clone(&self.analyzed));
        let (metrics, status) = (service.metrics.clone(), service.status.clone());
        let shutdown = self.workers.shutdown.clone();
        let work = move || {
            let summary = analyze::run(options, &kafka, &metrics, &status, &shutdown)?;
            analyzed.get_or_init(|| summary);
            Ok::<(), analyze::Error>(())
        };
        self.workers.tasks.spawn("analytics", work).context("cannot start the thread of the analytics")
    }

    fn start_processor(
        &mut self,
        plan: &Plan,
        kafka: &KafkaSettings,
        context: &Context,
        service: &Service,
    ) -> anyhow::Result<()> {
        let options = ProcessOptions {
            drain_timeout: STOP_WITHIN / 2,
            watch: self.processor.clone(),
            ..process::options(context, plan.processor.clone(), &plan.instance, false)
        };
        let (kafka, processed) = (kafka.clone(), Arc::clone(&self.processed));
        let (metrics, status) = (service.metrics.clone(), service.status.clone());
        let shutdown = self.workers.shutdown.clone();
        let work = move || {
            let summary = processors::run(&options, &kafka, &metrics, &status, &shutdown)?;
            processed.get_or_init(|| summary);
            Ok::<(), processors::Error>(())
        };
        self.workers.tasks.spawn("processor", work).context("cannot start the thread of the processor")
    }

    /// The page's address, if there is one.
    pub(super) fn page_url(&self) -> Option<String> {
        self.page.as_ref().map(Page::url)
    }

    /// Stores into the place of the settings, else beside the broker's data; on a cluster without a place nothing.
    fn start_storage(
        &mut self,
        kafka: &KafkaSettings,
        context: &Context,
        service: &Service,
    ) -> anyhow::Result<()> {
        let beside = || self.home.data.as_ref().map(|(directory, _)| directory.join(STORE));
        let Some(path) = context.settings.store.parquet.path.clone().or_else(beside) else { return Ok(()) };
        self.store = Some(path.clone());
        let options = StoreOptions {
            // One thread stores far more than one machine produces beside everything else.
            workers: Some(NonZeroUsize::MIN),
            drain_timeout: STOP_WITHIN / 2,
            // Nobody could answer; it is logged, and stays on record.
            accept_gaps: true,
            watch: self.storage.clone(),
            ..store::parquet::options(context, path)
        };
        let (kafka, stored) = (kafka.clone(), Arc::clone(&self.stored));
        let (metrics, status) = (service.metrics.clone(), service.status.clone());
        let shutdown = self.stores.shutdown.clone();
        let work = move || {
            let summary = storage::run(&options, &kafka, &metrics, &status, &shutdown)?;
            stored.get_or_init(|| summary);
            Ok::<(), storage::Error>(())
        };
        self.stores.tasks.spawn("storage", work).context("cannot start the thread of the storage")
    }

    fn start_sensors(
        &mut self,
        faults: &FaultPlan,
        kafka: &KafkaSettings,
        context: &Context,
        service: &Service,
    ) -> anyhow::Result<()> {
        let options = SensorsOptions {
            simulator: produce::sensors::simulator(&context.settings.produce, faults),
            duration: None,
            target: Target { topic: SENSOR_DATA.to_owned(), flush_timeout: STOP_WITHIN / 2 },
        };
        let (kafka, source) = (kafka.clone(), Arc::clone(&self.sensors));
        let progress = source.progress(SENSOR_DATA, service);
        let shutdown = self.sources.shutdown.clone();
        let work = move || source.finish(sensors::run(&options, &kafka, progress, &shutdown));
        self.sources.tasks.spawn("sensors", work).context("cannot start the thread of the sensors")
    }

    fn start_events(
        &mut self,
        kafka: &KafkaSettings,
        context: &Context,
        service: &Service,
    ) -> anyhow::Result<()> {
        let options = EventsOptions {
            stream: produce::events::stream(&context.settings.produce),
            duration: None,
            target: Target { topic: EVENTS.to_owned(), flush_timeout: STOP_WITHIN / 2 },
        };
        let (kafka, source) = (kafka.clone(), Arc::clone(&self.events));
        let progress = source.progress(EVENTS, service);
        let shutdown = self.sources.shutdown.clone();
        let work = move || source.finish(events::run(&options, &kafka, progress, &shutdown));
        self.sources.tasks.spawn("events", work).context("cannot start the thread of the events")
    }

    /// Whether a part has failed.
    pub(super) fn has_failed(&self) -> bool {
        let broker = self.broker.as_ref().is_some_and(|broker| broker.failed.is_requested());
        let stages = [&self.sources, &self.workers, &self.stores];
        broker || stages.iter().any(|stage| stage.shutdown.is_requested())
    }

    /// Stops sources, workers, storage and broker, in this order. The first failure is the one returned.
    pub(super) fn stop(self) -> anyhow::Result<Totals> {
        let deadline = Instant::now() + STOP_WITHIN;
        let left =
            || (deadline.saturating_duration_since(Instant::now()) / 2).max(Duration::from_millis(100));
        // A broker that has failed is the reason of whatever fails next.
        let broker_first = self.broker.as_ref().is_some_and(|broker| broker.failed.is_requested());
        let mut broker = self.broker;
        let mut outcome = Ok(());
        // It only looks on.
        if let Some(page) = self.page {
            page.stop();
        }
        if broker_first {
            outcome = stop_broker(broker.take(), left());
        }
        outcome = first(outcome, self.sources.stop(left()));
        outcome = first(outcome, self.workers.stop(left()));
        outcome = first(outcome, self.stores.stop(left()));
        outcome = first(outcome, stop_broker(broker, left()));
        outcome?;
        Ok(Totals {
            sensors: self.sensors.summary.get().cloned(),
            events: self.events.summary.get().cloned(),
            analytics: self.analyzed.get().cloned(),
            processor: self.processed.get().cloned(),
            storage: self.stored.get().cloned(),
        })
    }
}

fn stop_broker(broker: Option<EmbeddedBroker>, deadline: Duration) -> anyhow::Result<()> {
    Ok(broker.map_or(Ok(()), |broker| broker.stop(deadline))?)
}

/// The first of two outcomes; a later failure is logged.
fn first(before: anyhow::Result<()>, after: anyhow::Result<()>) -> anyhow::Result<()> {
    if let (Err(_), Err(later)) = (&before, &after) {
        tracing::warn!(error = format!("{later:#}"), "another part failed");
    }
    before.and(after)
}

/// On the address of the settings; where nobody chose it and it is taken, on a free one.
fn start_page(kafka: &KafkaSettings, context: &Context, service: &Service) -> anyhow::Result<Page> {
    let options = |listen: &str| PageOptions {
        listen: listen.to_owned(),
        readings: SENSOR_DATA.to_owned(),
        alerts: ALERTS.to_owned(),
    };
    let settings = &context.settings;
    match serve_page(options(&settings.page_listen), kafka, service.endpoint()) {
        Err(error) if error.is_taken() && settings.page_is_default => {
            Ok(serve_page(options("127.0.0.1:0"), kafka, service.endpoint())?)
        }
        page => Ok(page?),
    }
}

fn start_broker(
    directory: &DataDirectory,
    context: &Context,
    service: &Service,
) -> anyhow::Result<(EmbeddedBroker, (PathBuf, bool))> {
    let settings = context.settings.broker.complete(directory)?;
    let directory = settings.data_directory.clone();
    let used_before = directory.join(USED_BEFORE).exists();
    Ok((EmbeddedBroker::start(settings, &service.metrics)?, (directory, used_before)))
}
