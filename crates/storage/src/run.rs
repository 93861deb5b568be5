//! A run: threads that share the partitions, and the summary at the end.

use std::sync::Arc;
use std::time::Instant;

use kafka::{Admin, CONNECT_TIMEOUT, Ends, KafkaSettings, TopicPartition};
use runtime::{Metrics, Shutdown, Status, Tasks, host_name, worker_count};

use crate::database::Database;
use crate::files::{self, Files};
use crate::meters::Meters;
use crate::options::{StoreOptions, Target};
use crate::sink::{Sink, check};
use crate::summary::StoreSummary;
use crate::watch::Figures;
use crate::{Error, Table, worker};

/// What the workers share.
pub(crate) struct Shared {
    pub(crate) options: StoreOptions,
    pub(crate) settings: KafkaSettings,
    pub(crate) workers: usize,
    pub(crate) figures: Arc<Figures>,
    pub(crate) meters: Meters,
    pub(crate) end: Option<Ends>,
    pub(crate) status: Status,
    pub(crate) shutdown: Shutdown,
}

impl Shared {
    /// The table of a topic.
    ///
    /// # Panics
    /// If the topic is none of those that are stored.
    pub(crate) fn table_of(&self, topic: &str) -> Table {
        let found = self.options.topics.iter().find(|stored| stored.topic == topic);
        found.expect("only the topics of the options are subscribed to").table
    }

    /// A sink for one worker.
    pub(crate) fn sink(&self) -> Result<Box<dyn Sink>, Error> {
        let who = format!("{} {}", host_name(), std::process::id());
        match &self.options.target {
            Target::Parquet { path, partition_by, compression_level } => {
                Ok(Box::new(Files::new(files::open(path)?, *partition_by, *compression_level, who)))
            }
            Target::Postgres(options) => {
                let tables: Vec<Table> = self.options.topics.iter().map(|stored| stored.table).collect();
                Ok(Box::new(Database::open(Arc::clone(options), &tables, who)?))
            }
        }
    }
}

/// Stores until the end is asked for or, with `exit_at_end`, reached.
pub fn run(
    options: &StoreOptions,
    settings: &KafkaSettings,
    metrics: &Metrics,
    status: &Status,
    shutdown: &Shutdown,
) -> Result<StoreSummary, Error> {
    let start = Instant::now();
    let admin = Admin::connect(settings, CONNECT_TIMEOUT)?;
    let cluster = admin.cluster()?;
    let mut places = Vec::new();
    for stored in &options.topics {
        let Some(topic) = cluster.topic(&stored.topic) else {
            let (topic, bootstrap) = (stored.topic.clone(), settings.bootstrap().to_owned());
            return Err(kafka::Error::MissingTopic { topic, bootstrap }.into());
        };
        let name: Arc<str> = topic.name.as_str().into();
        let of_it = topic.partitions.iter().map(|info| info.partition);
        places.extend(of_it.map(|partition| TopicPartition { topic: Arc::clone(&name), partition }));
    }
    let topics: Vec<String> = options.topics.iter().map(|stored| stored.topic.clone()).collect();
    let end = if options.exit_at_end { Some(Ends::now(&admin, &topics)?) } else { None };
    let workers = worker_count(options.workers, places.len());
    let figures = Arc::new(Figures::new(workers));
    options.watch.begin(&figures);
    let shared = Arc::new(Shared {
        meters: Meters::new(metrics, &options.group),
        options: options.clone(),
        settings: settings.clone(),
        workers,
        figures,
        end,
        status: status.clone(),
        shutdown: shutdown.clone(),
    });
    // What is wrong with the store, or between it and the topics, is known before a group is joined.
    let mut sink = shared.sink()?;
    for place in &places {
        check(place, sink.position(place)?, admin.watermarks(place)?, options.accept_gaps)?;
    }
    drop((sink, admin));
    let mut tasks = Tasks::new(shutdown.clone());
    for number in 0..workers {
        let name = worker::thread_name(number);
        status.set_unready(&name, worker::NOT_JOINED);
        let own = Arc::clone(&shared);
        tasks
            .spawn(name.clone(), move || worker::work(&own, number))
            .map_err(|source| Error::Thread { name, source })?;
    }
    tasks.join(options.drain_timeout).map_err(|error| error.downcast().unwrap_or_else(Error::Task))?;
    Ok(summary(&shared, start))
}

fn summary(shared: &Shared, start: Instant) -> StoreSummary {
    let done = shared.figures.progress();
    let active = shared.meters.active();
    let (rows, seconds) = (done.all_rows(), active.as_secs_f64());
    StoreSummary {
        rows,
        rows_by_table: done.rows.iter().map(|(table, rows)| (table.name(), *rows)).collect(),
        files: done.files,
        bytes: done.bytes,
        dead_letters: done.all_dead_letters(),
        dead_letters_by_reason: done.dead_letters,
        gap: done.gap,
        elapsed: start.elapsed(),
        active,
        active_rate: if seconds > 0.0 { rows as f64 / seconds } else { 0.0 },
    }
}
