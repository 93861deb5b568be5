//! The topics: their ids, settings and partitions.
//!
//! Which topics there are is in one file ([`file`](self::file) specifies it) that is replaced as a whole, so a change is
//! done or not done, whenever the process ends: a creation makes the directories first and then the file, a deletion
//! the file first and then takes the directories away ([`directories`](self::directories)).
//!
//! Invariants: one change at a time; a topic that a request looks up is as it was at one moment and stays so; lookups
//! hold a lock only to find a name, never over input or output.

mod change;
mod configuration;
mod directories;
mod error;
mod file;
mod housekeeping;
mod name;
mod open;
mod partitions;
mod setting;
#[cfg(test)]
pub(crate) mod tests;
mod topic;

pub(crate) use change::NewTopic;
pub(crate) use configuration::{Defaults, Overrides};
pub use error::CatalogError;
pub(crate) use error::ChangeError;
pub(crate) use housekeeping::keep_house;
pub(crate) use name::{check as check_name, is_internal};
pub(crate) use setting::{Definition, all as all_settings, elements, find as find_setting};
pub(crate) use topic::Topic;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::log::{Log, OpenFiles};
use directories::Directories;

/// All topics of the broker.
#[derive(Debug)]
pub(crate) struct Catalog {
    topics: RwLock<Topics>,
    /// Held by the one change that is being made, over its input and output too.
    changing: Mutex<()>,
    file: PathBuf,
    directories: Directories,
    defaults: Defaults,
    /// What all logs share: how many of their files are open at once.
    files: Arc<OpenFiles>,
    /// Told when topics or their settings change, which the next flush may depend on.
    changed: Notify,
    /// Whether the broker ends, so that nobody should wait any more.
    released: watch::Sender<bool>,
    /// Whether the logs are closed. Read while one of them is looked after, so that none is closed meanwhile.
    closed: RwLock<bool>,
    /// The most partitions that all topics may have together.
    partition_limit: usize,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: BTreeMap<Box<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Catalog {
    /// The topic of this name.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics().by_name.get(name).cloned()
    }

    /// The topic with this id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.topics().by_id.get(&id).cloned()
    }

    /// The log of a partition.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        self.topics().by_name.get(topic)?.partition(partition).cloned()
    }

    /// All topics, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.topics().by_name.values().cloned().collect()
    }

    /// At most this many topics, by name, from this name on.
    pub(crate) fn from(&self, name: &str, most: usize) -> Vec<Arc<Topic>> {
        let range = (Bound::Included(name), Bound::Unbounded);
        self.topics().by_name.range::<str, _>(range).take(most).map(|(_, topic)| Arc::clone(topic)).collect()
    }

    /// How many partitions all topics have together.
    pub(crate) fn partitions(&self) -> usize {
        self.topics().partitions()
    }

    /// What topics that do not say otherwise are given.
    pub(crate) fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// The directory that the partitions are in.
    pub(crate) fn directory(&self) -> &Path {
        self.directories.root()
    }

    /// Ends all waits for records, those to come too; for the end of the broker.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    /// Completes when the broker ends.
    pub(crate) fn released(&self) -> impl Future<Output = ()> + use<> {
        let mut released = self.released.subscribe();
        // Without a sender there is no broker any more either.
        async move { drop(released.wait_for(|released| *released).await) }
    }

    /// Writes every log to the disk and notes that it was closed; for the end of the broker. Waits for the disk.
    ///
    /// Whether all of them could be.
    pub(crate) fn close(&self) -> bool {
        *self.closed.write().expect("no work on a log panics") = true;
        let mut clean = true;
        for topic in self.all() {
            for (partition, log) in topic.partitions.iter().enumerate() {
                if let Err(error) = log.close() {
                    tracing::error!(topic = %topic.name.0, partition, %error, "cannot close a log");
                    clean = false;
                }
            }
        }
        clean
    }

    fn topics(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().expect("nothing that holds this lock panics")
    }
}

impl Topics {
    fn insert(&mut self, topic: Arc<Topic>) {
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.by_name.insert(topic.name.as_str().into(), topic);
    }

    fn remove(&mut self, topic: &Topic) {
        self.by_id.remove(&topic.id);
        self.by_name.remove(topic.name.as_str());
    }

    fn partitions(&self) -> usize {
        self.by_name.values().map(|topic| topic.partitions.len()).sum()
    }
}

/// A random UUID (version 4), as topic ids are.
fn new_id() -> Uuid {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes).expect("the system has a source of randomness");
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
