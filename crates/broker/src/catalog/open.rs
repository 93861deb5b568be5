//! Opening the catalog: the list of topics, and the logs of all partitions, several at a time.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use tokio::sync::{Notify, watch};

use super::configuration::Defaults;
use super::directories::Directories;
use super::error::CatalogError;
use super::file::{self, Entry};
use super::topic::Topic;
use super::{Catalog, Topics};
use crate::log::{DEFAULT_OPEN_FILES, LastShutdown, Log, LogSettings, OpenFiles};
use crate::settings::Settings;

/// How many threads open logs at once, at most. Recovery reads the ends of files, so there is some waiting to overlap.
const OPENING_THREADS: usize = 8;

/// A partition to be opened.
struct Wanted<'a> {
    topic: &'a str,
    partition: usize,
    directory: PathBuf,
    settings: &'a LogSettings,
}

impl Catalog {
    /// Opens what is in the data directory, which must exist, or begins with no topic. Recovers every log as far as the
    /// last shutdown makes it necessary, removes what a crash left of a creation or a deletion.
    pub(crate) fn open(settings: &Settings, shutdown: LastShutdown) -> Result<Self, CatalogError> {
        let defaults = Defaults::new(settings).map_err(CatalogError::Default)?;
        let file = settings.data_directory.join("topics.json");
        let directories = Directories::open(settings.data_directory.join("topics"))?;
        let entries = match file::read(&file)? {
            Some(entries) => entries,
            None if directories.any()? => {
                return Err(CatalogError::Missing { path: file, topics: directories.root().to_owned() });
            }
            None => {
                file::write(&file, Vec::new())?;
                Vec::new()
            }
        };
        let partitions = entries.iter().map(|entry| (entry.name.as_str(), entry.partitions)).collect();
        distinct(&entries, &partitions)
            .map_err(|problem| CatalogError::Malformed { path: file.clone(), problem })?;
        directories.discard_strays(&partitions)?;
        let files = Arc::new(OpenFiles::new(DEFAULT_OPEN_FILES));
        let topics = open_topics(&entries, &directories, &defaults, shutdown, &files)?;
        Ok(Self {
            topics: RwLock::new(topics),
            changing: Mutex::default(),
            file,
            directories,
            defaults,
            files,
            changed: Notify::new(),
            released: watch::Sender::new(false),
            closed: RwLock::default(),
            partition_limit: settings.limits.partitions,
        })
    }
}

fn distinct(entries: &[Entry], names: &BTreeMap<&str, usize>) -> Result<(), String> {
    let ids: std::collections::HashSet<_> = entries.iter().map(|entry| entry.id).collect();
    if names.len() < entries.len() || ids.len() < entries.len() {
        return Err("a name or an id is there twice".to_owned());
    }
    Ok(())
}

fn open_topics(
    entries: &[Entry],
    directories: &Directories,
    defaults: &Defaults,
    shutdown: LastShutdown,
    files: &Arc<OpenFiles>,
) -> Result<Topics, CatalogError> {
    let settings: Vec<LogSettings> =
        entries.iter().map(|entry| defaults.log_settings(&entry.settings)).collect();
    let wanted: Vec<Wanted<'_>> = entries
        .iter()
        .zip(&settings)
        .flat_map(|(entry, settings)| {
            (0..entry.partitions).map(move |partition| Wanted {
                topic: &entry.name,
                partition,
                directory: directories.partition(&entry.name, partition),
                settings,
            })
        })
        .collect();
    let mut logs = open_logs(&wanted, shutdown, files)?.into_iter();
    let mut topics = Topics::default();
    for entry in entries {
        let logs = logs.by_ref().take(entry.partitions).collect();
        topics.insert(Arc::new(Topic::new(&entry.name, entry.id, entry.settings.clone(), logs)));
    }
    Ok(topics)
}

/// Opens the logs on a few threads and returns them in order; with one of the errors if there is any.
fn open_logs(
    wanted: &[Wanted<'_>],
    shutdown: LastShutdown,
    files: &Arc<OpenFiles>,
) -> Result<Vec<Arc<Log>>, CatalogError> {
    let next = AtomicUsize::new(0);
    let open_some = || {
        let mut opened = Vec::new();
        while let Some((index, wanted)) = take(wanted, &next) {
            match Log::open(&wanted.directory, wanted.settings.clone(), shutdown, files) {
                Ok(log) => opened.push((index, Arc::new(log))),
                Err(source) => {
                    // The others need not go on.
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                    let (topic, partition) = (wanted.topic.to_owned(), wanted.partition);
                    return Err(CatalogError::Log { topic, partition, source: source.into() });
                }
            }
        }
        Ok(opened)
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(OPENING_THREADS);
    let mut logs = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(wanted.len())).map(|_| scope.spawn(open_some)).collect();
        let mut logs = open_some()?;
        for helper in helpers {
            logs.extend(helper.join().expect("opening a log does not panic")?);
        }
        Ok(logs)
    })?;
    logs.sort_unstable_by_key(|(index, _)| *index);
    Ok(logs.into_iter().map(|(_, log)| log).collect())
}

fn take<'a, 'b>(wanted: &'b [Wanted<'a>], next: &AtomicUsize) -> Option<(usize, &'b Wanted<'a>)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, wanted.get(index)?))
}
