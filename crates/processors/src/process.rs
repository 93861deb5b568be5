//! A run of the processor: threads that share the partitions, and the summary at the end.

use std::sync::Arc;
use std::time::Instant;

use kafka::{Admin, CONNECT_TIMEOUT, Ends, KafkaSettings};
use runtime::{Metrics, Shutdown, Status, Tasks, random_seed, worker_count};

use crate::figures::Figures;
use crate::inputs::Names;
use crate::meters::Meters;
use crate::standby::{self, Standby};
use crate::worker;
use crate::{Error, ProcessOptions, ProcessSummary};

/// What the workers share.
pub(crate) struct Shared {
    pub(crate) options: ProcessOptions,
    pub(crate) settings: KafkaSettings,
    pub(crate) names: Names,
    pub(crate) figures: Arc<Figures>,
    pub(crate) meters: Meters,
    pub(crate) end: Option<Ends>,
    pub(crate) standby: Option<Standby>,
    pub(crate) status: Status,
    pub(crate) shutdown: Shutdown,
    /// Of the engine's hash tables.
    pub(crate) seed: u64,
}

impl Shared {
    /// Whether a partition without a position is read from its end.
    pub(crate) fn starts_at_end(&self) -> bool {
        let key = "auto.offset.reset";
        let set = self.settings.consumer.get(key).or_else(|| self.settings.common.get(key));
        // librdkafka's own default is the end, under several names.
        set.is_none_or(|value| ["latest", "largest", "end"].contains(&value.as_str()))
    }
}

/// Processes until the end is asked for or, with `exit_at_end`, reached.
pub fn run(
    options: &ProcessOptions,
    settings: &KafkaSettings,
    metrics: &Metrics,
    status: &Status,
    shutdown: &Shutdown,
) -> Result<ProcessSummary, Error> {
    let start = Instant::now();
    let admin = Admin::connect(settings, CONNECT_TIMEOUT)?;
    let plan = options.plan.current();
    let names = Names::look_up(&options.topics, &options.group, &plan, &admin, settings)?;
    let end = if options.exit_at_end { Some(Ends::now(&admin, &names.inputs)?) } else { None };
    drop(admin);
    let workers = worker_count(options.workers, names.places.len());
    let figures = Arc::new(Figures::new(workers));
    options.watch.begin(&figures);
    let shared = Arc::new(Shared {
        meters: Meters::new(metrics, &options.group),
        options: options.clone(),
        settings: settings.clone(),
        figures,
        standby: options.standby.then(|| Standby::new(&names, settings)),
        names,
        end,
        status: status.clone(),
        shutdown: shutdown.clone(),
        seed: random_seed(),
    });
    let mut tasks = Tasks::new(shutdown.clone());
    for number in 0..workers {
        let name = worker::thread_name(number);
        status.set_unready(&name, worker::NOT_JOINED);
        let own = Arc::clone(&shared);
        tasks
            .spawn(name.clone(), move || worker::work(&own, number))
            .map_err(|source| Error::Thread { name, source })?;
    }
    if options.standby {
        let own = Arc::clone(&shared);
        let work = move || own.standby.as_ref().map_or(Ok(()), |standby| standby.work(&own.shutdown));
        let name = standby::THREAD_NAME.to_owned();
        tasks.spawn(name.clone(), work).map_err(|source| Error::Thread { name, source })?;
    }
    tasks.join(options.drain_timeout).map_err(|error| error.downcast().unwrap_or_else(Error::Task))?;
    Ok(summary(&shared, start))
}

fn summary(shared: &Shared, start: Instant) -> ProcessSummary {
    let done = shared.figures.progress();
    let (active, restore) = shared.meters.spent();
    let seconds = active.as_secs_f64();
    ProcessSummary {
        records: done.records,
        taken: done.taken,
        late: done.late,
        dead_letters: done.dead_letters,
        dead_letters_by_reason: done.dead_letters_by_reason,
        windows_closed: done.windows_closed,
        revisions: done.revisions,
        alarms_fired: done.alarms_fired,
        alarms_cleared: done.alarms_cleared,
        alarms_held_back: done.alarms_held_back,
        commits: done.commits,
        aborts: done.aborts,
        sensors: done.sensors,
        elapsed: start.elapsed(),
        active,
        active_rate: if seconds > 0.0 { done.records as f64 / seconds } else { 0.0 },
        restore,
        latency: shared.meters.latency(),
    }
}
