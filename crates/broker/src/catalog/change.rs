//! Changes of the catalog. Each is done as a whole, or not at all and says why; several topics cost one write of the file.
//!
//! These wait for the disk: they belong on a thread that may.

use std::sync::{Arc, MutexGuard, RwLockWriteGuard};

use uuid::Uuid;

use super::configuration::Overrides;
use super::error::{CatalogError, ChangeError};
use super::file::{self, Entry};
use super::topic::Topic;
use super::{Catalog, Topics, name, new_id};
use crate::log::{LastShutdown, Log};

/// A topic to be created.
#[derive(Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    /// At least 1.
    pub(crate) partitions: usize,
    pub(crate) overrides: Overrides,
}

impl Catalog {
    /// Creates topics; returns what became of each. If they are only tried out, nothing is created, and the topics
    /// returned have neither an id nor partitions.
    pub(crate) fn create(&self, wanted: &[NewTopic], only_try: bool) -> Vec<Result<Arc<Topic>, ChangeError>> {
        let _changing = self.changing();
        let mut partitions = self.partitions();
        let mut results = Vec::with_capacity(wanted.len());
        for (index, new) in wanted.iter().enumerate() {
            let result = self.check_new(new, &wanted[..index], partitions).and_then(|()| {
                let (id, count) = if only_try { (Uuid::nil(), 0) } else { (new_id(), new.partitions) };
                let logs = self.open_new(&new.name, 0..count, &new.overrides)?;
                Ok(Arc::new(Topic::new(&new.name, id, new.overrides.clone(), logs)))
            });
            if result.is_ok() {
                partitions += new.partitions;
            }
            results.push(result);
        }
        let created: Vec<Arc<Topic>> = results.iter().flatten().cloned().collect();
        if only_try || created.is_empty() {
            return results;
        }
        if let Err(error) = self.store(|entries| entries.extend(created.iter().map(|topic| entry(topic)))) {
            for topic in &created {
                self.discard(topic);
            }
            return results.into_iter().map(|result| result.and(Err(error.clone().into()))).collect();
        }
        let mut topics = self.topics_mut();
        for topic in created {
            tracing::info!(topic = %topic.name.0, partitions = topic.partitions.len(), "created a topic");
            topics.insert(topic);
        }
        self.changed.notify_one();
        results
    }

    /// Deletes topics; returns what became of each. Their directories are out of the way afterwards, and are removed by
    /// [`remove_deleted`](Self::remove_deleted).
    pub(crate) fn delete(&self, names: &[&str]) -> Vec<Result<Arc<Topic>, ChangeError>> {
        let _changing = self.changing();
        let found: Vec<Option<Arc<Topic>>> = names.iter().map(|name| self.topic(name)).collect();
        let gone = |entry: &Entry| found.iter().flatten().any(|topic| topic.id == entry.id);
        if found.iter().any(Option::is_some)
            && let Err(error) = self.store(|entries| entries.retain(|entry| !gone(entry)))
        {
            return found
                .iter()
                .map(|found| Err(found.as_ref().map_or(ChangeError::Unknown, |_| error.clone().into())))
                .collect();
        }
        for topic in found.iter().flatten() {
            self.topics_mut().remove(topic);
            self.discard(topic);
            tracing::info!(topic = %topic.name.0, "deleted a topic");
        }
        found.into_iter().map(|topic| topic.ok_or(ChangeError::Unknown)).collect()
    }

    /// Adds partitions until there are `count`, which must be more than there are.
    pub(crate) fn grow(&self, name: &str, count: usize, only_try: bool) -> Result<(), ChangeError> {
        let _changing = self.changing();
        let topic = self.topic(name).ok_or(ChangeError::Unknown)?;
        let before = topic.partitions.len();
        if count == before {
            return Err(ChangeError::Partitions(format!("Topic already has {before} partition(s).")));
        }
        if count < before {
            return Err(ChangeError::Partitions(format!(
                "The topic {name} currently has {before} partition(s); {count} would not be an increase."
            )));
        }
        self.check_limit(self.partitions(), count - before)?;
        if only_try {
            return Ok(());
        }
        let added = self.open_new(name, before..count, &topic.overrides)?;
        let logs = topic.partitions.iter().cloned().chain(added).collect();
        let grown = Arc::new(Topic::new(name, topic.id, topic.overrides.clone(), logs));
        if let Err(error) = self.replace(&grown) {
            self.discard_partitions(&grown, before..count);
            return Err(error.into());
        }
        tracing::info!(topic = name, partitions = count, "added partitions to a topic");
        Ok(())
    }

    /// Replaces the settings of a topic by what `change` makes of them.
    pub(crate) fn alter(
        &self,
        name: &str,
        only_try: bool,
        change: impl FnOnce(&Overrides) -> Result<Overrides, String>,
    ) -> Result<(), ChangeError> {
        let _changing = self.changing();
        let topic = self.topic(name).ok_or(ChangeError::Unknown)?;
        let overrides = change(&topic.overrides).map_err(ChangeError::Setting)?;
        self.defaults.check(&overrides).map_err(ChangeError::Setting)?;
        if only_try || overrides == topic.overrides {
            return Ok(());
        }
        let altered = Arc::new(Topic::new(name, topic.id, overrides, topic.partitions.clone()));
        self.replace(&altered)?;
        let settings = self.defaults.log_settings(&altered.overrides);
        for log in &altered.partitions {
            log.set_settings(settings.clone());
        }
        self.changed.notify_one();
        tracing::info!(topic = name, "changed the settings of a topic");
        Ok(())
    }

    /// Removes the directories of topics that were deleted.
    pub(crate) fn remove_deleted(&self) {
        self.directories.remove_discarded();
    }

    fn check_new(&self, new: &NewTopic, before: &[NewTopic], partitions: usize) -> Result<(), ChangeError> {
        name::check(&new.name).map_err(ChangeError::Name)?;
        if new.partitions == 0 {
            return Err(ChangeError::Partitions(
                "Number of partitions was set to an invalid non-positive value.".to_owned(),
            ));
        }
        if self.topic(&new.name).is_some() || before.iter().any(|other| other.name == new.name) {
            return Err(ChangeError::Exists(new.name.clone()));
        }
        if new.name.contains(['.', '_']) {
            let topics = self.topics();
            let others = topics.by_name.keys().map(AsRef::as_ref);
            let mut others = others.chain(before.iter().map(|other| other.name.as_str()));
            if let Some(other) = others.find(|other| name::collide(&new.name, other)) {
                return Err(ChangeError::Collision { name: new.name.clone(), other: other.to_owned() });
            }
        }
        self.defaults.check(&new.overrides).map_err(ChangeError::Setting)?;
        self.check_limit(partitions, new.partitions)
    }

    fn check_limit(&self, partitions: usize, more: usize) -> Result<(), ChangeError> {
        let (limit, wanted) = (self.partition_limit, partitions.saturating_add(more));
        if wanted > limit { Err(ChangeError::Limit { limit, wanted }) } else { Ok(()) }
    }

    /// Opens partitions that were not there; discards them all if one of them cannot be opened.
    fn open_new(
        &self,
        topic: &str,
        numbers: std::ops::Range<usize>,
        overrides: &Overrides,
    ) -> Result<Vec<Arc<Log>>, ChangeError> {
        let settings = self.defaults.log_settings(overrides);
        let open = |partition| {
            let directory = self.directories.partition(topic, partition);
            // Whatever is there belongs to no topic, so it must not become part of this one.
            self.directories
                .discard(&directory)
                .map_err(|source| CatalogError::Io { path: directory.clone(), source })?;
            Log::open(&directory, settings.clone(), LastShutdown::Clean, &self.files).map(Arc::new).map_err(
                |source| CatalogError::Log { topic: topic.to_owned(), partition, source: source.into() },
            )
        };
        numbers.clone().map(open).collect::<Result<_, _>>().map_err(|error| {
            for partition in numbers {
                self.discard_partition(topic, partition);
            }
            Arc::new(error).into()
        })
    }

    /// Writes the file with the topics there are after `change`.
    fn store(&self, change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), Arc<CatalogError>> {
        let mut entries = self.topics().by_name.values().map(|topic| entry(topic)).collect();
        change(&mut entries);
        file::write(&self.file, entries).map_err(|error| {
            tracing::error!(%error, "cannot store the list of topics");
            Arc::new(error)
        })
    }

    /// Stores a changed topic, then lets everybody see it.
    fn replace(&self, topic: &Arc<Topic>) -> Result<(), Arc<CatalogError>> {
        self.store(|entries| {
            for stored in entries.iter_mut().filter(|stored| stored.id == topic.id) {
                *stored = entry(topic);
            }
        })?;
        self.topics_mut().insert(Arc::clone(topic));
        Ok(())
    }

    fn discard(&self, topic: &Topic) {
        self.discard_partitions(topic, 0..topic.partitions.len());
    }

    /// Ends the logs, so that nobody who still holds one writes into a successor's directory, and takes them away.
    fn discard_partitions(&self, topic: &Topic, numbers: std::ops::Range<usize>) {
        for partition in numbers {
            topic.partitions[partition].delete();
            self.discard_partition(&topic.name, partition);
        }
    }

    fn discard_partition(&self, topic: &str, partition: usize) {
        let directory = self.directories.partition(topic, partition);
        if let Err(error) = self.directories.discard(&directory) {
            // It belongs to no topic, so the next creation or start discards it.
            tracing::warn!(topic, partition, %error, "cannot take a deleted partition away yet");
        }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().expect("no change panics")
    }

    fn topics_mut(&self) -> RwLockWriteGuard<'_, Topics> {
        self.topics.write().expect("nothing that holds this lock panics")
    }
}

fn entry(topic: &Topic) -> Entry {
    Entry {
        name: topic.name.to_string(),
        id: topic.id,
        partitions: topic.partitions.len(),
        settings: topic.overrides.clone(),
    }
}
