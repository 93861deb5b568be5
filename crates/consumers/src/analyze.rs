//! `analyze`: running statistics per sensor from a topic of readings, with alerts, for people at a terminal and for
//! programs at a pipe.
//!
//! # Who does what
//! Each worker is a thread with a Kafka consumer of its own and a tally of its own: it decodes, updates, writes
//! its lines. The thread that calls [`run`] shows the live table, if one is asked for, and the summary. All
//! workers, of this process and of others with the same group, share the topic's partitions.
//!
//! # Guarantee: at least once
//! An offset is committed only after its reading is in the statistics, its line (if lines are shown) has been taken
//! by the reader of standard output, and its dead letter (if it is one) has been acknowledged. After a crash the
//! group goes on from the last commit, so some readings may be counted, and shown, by two runs; none by no run. If
//! standard output is closed in the middle of a batch, that batch stays uncommitted and the run ends quietly.
//!
//! # What counts as what
//! - **Alert**: every reading with a temperature above the bound. Without memory on purpose: counts of several
//!   instances and runs add up.
//! - **Sensor fault**: a reading with a value that cannot be true. It is a reading; that value is in no average.
//! - **Dead letter**: a record that is no reading, by the reason that `model` gives, and a record without value (a
//!   tombstone), by the reason [`NULL_VALUE`].
//!
//! State is in memory alone and begins afresh with each run. The live figures are those of the partitions held
//! now; those of a partition that goes are set apart, and taken up again if it comes back as it was left
//! (see `archive`). The summary covers all that this run processed.

mod archive;
mod end;
mod lines;
mod live;
mod meters;
mod options;
mod output;
mod summary;
mod tally;
mod watch;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use engine::TableOptions;
use kafka::{Admin, CONNECT_TIMEOUT, KafkaSettings, TopicPartition};
use runtime::{Metrics, Shutdown, Status, StopReason, TaskError, Tasks, random_seed, worker_count};

pub use options::{AnalyzeOptions, Format, Show, SortColumn, SortOrder, TableLook, UnknownSortOrder};
pub use summary::AnalyzeSummary;
pub use watch::{Progress, Watch};

use archive::Archive;
use end::End;
use meters::Meters;
use output::Output;
use summary::StatsFile;
use tally::Tally;

/// The reason under which a record without value goes to the dead-letter topic.
pub const NULL_VALUE: &str = "null-value";

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka: unreachable, a missing topic, wrong credentials, …
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// Standard output cannot be written, for another reason than a reader that has gone away.
    #[error("cannot write to standard output: {source}")]
    Output {
        /// The system's reason.
        source: io::Error,
    },
    /// The file for the statistics cannot be made or written.
    #[error("cannot write the statistics file {}: {source}", path.display())]
    StatsFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The terminal does not do what a live table needs.
    #[error("cannot show a live table on this terminal: {source}")]
    Terminal {
        /// The system's reason.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A worker panicked or did not end in time.
    #[error(transparent)]
    Task(TaskError),
}

/// What the workers and the display share.
struct Shared {
    options: AnalyzeOptions,
    settings: KafkaSettings,
    table_options: TableOptions,
    tallies: Vec<Mutex<Tally>>,
    /// Locked only with partitions coming and going, and by the display; always after a tally.
    archive: Mutex<Archive>,
    end: Option<End>,
    output: Output,
    meters: Meters,
    status: Status,
    shutdown: Shutdown,
}

impl Shared {
    fn archive(&self) -> MutexGuard<'_, Archive> {
        lock(&self.archive)
    }

    fn tally(&self, worker: usize) -> MutexGuard<'_, Tally> {
        lock(&self.tallies[worker])
    }

    /// Every worker's tally, one lock at a time.
    fn tallies(&self) -> impl Iterator<Item = MutexGuard<'_, Tally>> {
        self.tallies.iter().map(lock)
    }
}

fn lock<T>(counted: &Mutex<T>) -> MutexGuard<'_, T> {
    // A worker that panics ends the run; what it had counted until then is still worth showing.
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the topic until the end is asked for (or, with `exit_at_end`, reached), and writes lines or a live table,
/// and the summary, to standard output.
///
/// If a worker fails, the summary of what was counted until then is still written before the error is returned.
pub fn run(
    options: AnalyzeOptions,
    settings: &KafkaSettings,
    metrics: &Metrics,
    status: &Status,
    shutdown: &Shutdown,
) -> Result<AnalyzeSummary, Error> {
    let start = Instant::now();
    let stats_file = options.stats_file.as_deref().map(StatsFile::create).transpose()?;
    let topic = Topic::look_up(&options, settings)?;
    let table_options = TableOptions {
        seed: random_seed(),
        high_temperature: options.high_temperature,
        ..TableOptions::default()
    };
    let workers = worker_count(options.workers, topic.partitions);
    let shared = Arc::new(Shared {
        tallies: (0..workers).map(|_| Mutex::new(Tally::new(table_options))).collect(),
        archive: Mutex::new(Archive::new(table_options)),
        table_options,
        end: topic.end,
        output: Output::stdout(),
        meters: Meters::new(metrics, &options.group, &options.topic),
        settings: settings.clone(),
        status: status.clone(),
        shutdown: shutdown.clone(),
        options,
    });

    shared.options.watch.begin(&shared);
    let mut tasks = Tasks::new(shutdown.clone());
    let shown = start_workers(&shared, &mut tasks).and_then(|()| match shared.options.show {
        Show::Table(look) => live::show(&shared, look, topic.partitions, start),
        Show::Readings(_) | Show::Alerts(_) | Show::Nothing => Ok(()),
    });
    if shown.is_err() {
        shutdown.request(StopReason::Failed);
    }
    let worked = tasks
        .join(shared.options.drain_timeout)
        .map_err(|error| error.downcast().unwrap_or_else(Error::Task));
    let summary = finish(&shared, stats_file, start);
    shown.and(worked).and(summary)
}

fn start_workers(shared: &Arc<Shared>, tasks: &mut Tasks) -> Result<(), Error> {
    for number in 0..shared.tallies.len() {
        let name = worker::thread_name(number);
        shared.status.set_unready(&name, worker::NOT_JOINED);
        let own = Arc::clone(shared);
        tasks
            .spawn(name.clone(), move || worker::work(&own, number))
            .map_err(|source| Error::Thread { name, source })?;
    }
    Ok(())
}

/// Gathers all figures, writes the statistics file and the summary.
fn finish(shared: &Shared, stats_file: Option<StatsFile>, start: Instant) -> Result<AnalyzeSummary, Error> {
    let mut all = shared.archive().take_all();
    let mut summary = AnalyzeSummary {
        elapsed: start.elapsed(),
        high_temperature: shared.options.high_temperature,
        latency: shared.meters.latency(),
        active: shared.meters.active(),
        ..AnalyzeSummary::default()
    };
    for mut tally in shared.tallies() {
        for (reason, count) in &tally.dead_letters {
            *summary.dead_letters_by_reason.entry(reason).or_default() += count;
        }
        for held in tally.take_all() {
            all.absorb(held.table);
        }
    }
    summary.dead_letters = summary.dead_letters_by_reason.values().sum();
    summary.count(&all);
    if let Some(file) = stats_file {
        file.finish(&all)?;
    }
    let text = match shared.options.show.format() {
        None => return Ok(summary),
        Some(Format::Text) => summary.to_string(),
        Some(Format::Json) => summary.to_json(),
    };
    // A reader that has gone away wants no summary either.
    shared.output.write(text.as_bytes())?;
    Ok(summary)
}

/// What has to be known of the topic before the first worker starts.
struct Topic {
    partitions: usize,
    end: Option<End>,
}

impl Topic {
    fn look_up(options: &AnalyzeOptions, settings: &KafkaSettings) -> Result<Self, Error> {
        let admin = Admin::connect(settings, CONNECT_TIMEOUT)?;
        let cluster = admin.cluster()?;
        let Some(info) = cluster.topic(&options.topic) else {
            let bootstrap = settings.bootstrap().to_owned();
            return Err(kafka::Error::MissingTopic { topic: options.topic.clone(), bootstrap }.into());
        };
        let end = if options.exit_at_end {
            let name: Arc<str> = options.topic.as_str().into();
            let mut ends = Vec::with_capacity(info.partitions.len());
            for partition in info.partitions.iter().map(|info| info.partition) {
                let (low, high) =
                    admin.watermarks(&TopicPartition { topic: Arc::clone(&name), partition })?;
                ends.push((partition, low, high));
            }
            Some(End::new(ends))
        } else {
            None
        };
        Ok(Self { partitions: info.partitions.len(), end })
    }
}
