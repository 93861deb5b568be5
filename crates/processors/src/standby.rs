//! `--standby`: the snapshots of all partitions, also of those that other instances have, kept at hand, so that a partition
//! that comes is there as soon as the input behind its snapshots is read.
//!
//! A thread reads the topic of snapshots from where it stopped, again and again. It commits nothing and is in no group. What
//! it keeps is at most two snapshots of each shard, as bytes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka::{KafkaSettings, PartitionReader, ReadAt};
use runtime::Shutdown;
use tracing::warn;

use crate::Error;
use crate::driver::snapshots::Collector;
use crate::inputs::{Names, is_passing};

/// How long the pause between two looks is. A take-over looks once more.
const PAUSE: Duration = Duration::from_secs(2);

/// The name of its thread.
pub(crate) const THREAD_NAME: &str = "process-standby";

/// Snapshots at hand.
pub(crate) struct Standby {
    names: Names,
    settings: KafkaSettings,
    warm: Mutex<Warm>,
}

struct Warm {
    collector: Collector,
    /// The next offset of each partition of the topic.
    next: Vec<i64>,
}

impl Standby {
    pub(crate) fn new(names: &Names, settings: &KafkaSettings) -> Self {
        let places = names.places.iter().map(|place| (&*place.topic, place.partition));
        let next = vec![0; usize::try_from(names.internal_partitions).unwrap_or(0)];
        let warm = Mutex::new(Warm { collector: Collector::new(places), next });
        Self { names: names.clone(), settings: settings.clone(), warm }
    }

    /// Reads on until the end is asked for.
    pub(crate) fn work(&self, shutdown: &Shutdown) -> Result<(), Error> {
        loop {
            match self.catch_up(shutdown) {
                Ok(_) => {}
                Err(error) if is_passing(&error) => warn!(%error, "snapshots cannot be read, trying again"),
                Err(error) => return Err(error),
            }
            if shutdown.wait(PAUSE) {
                return Ok(());
            }
        }
    }

    /// Reads what is new, and returns what is at hand and how many records were read; `None` if the end was asked for.
    pub(crate) fn catch_up(&self, shutdown: &Shutdown) -> Result<Option<(Collected<'_>, u64)>, Error> {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        let parts: Vec<_> = (0..)
            .zip(&warm.next)
            .map(|(partition, next)| (self.names.snapshots(partition), ReadAt::Offset(*next), None))
            .collect();
        let mut reader = PartitionReader::open(&self.settings, &parts)?;
        let ends: Vec<i64> = reader.spans().iter().map(|span| span.to).collect();
        let mut count = 0;
        while let Some(batch) = reader.next_batch()? {
            count += batch.len() as u64;
            for record in batch.iter() {
                warm.collector.add(record.key.unwrap_or_default(), record.value);
                warm.next[record.partition as usize] = record.offset + 1;
            }
            if shutdown.is_requested() {
                return Ok(None);
            }
        }
        for (next, end) in warm.next.iter_mut().zip(ends) {
            *next = end.max(*next);
        }
        Ok(Some((Collected(warm), count)))
    }
}

/// What is at hand.
pub(crate) struct Collected<'a>(MutexGuard<'a, Warm>);

impl Collected<'_> {
    pub(crate) fn collector(&self) -> &Collector {
        &self.0.collector
    }
}
