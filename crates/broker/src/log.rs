//! The log of one partition: record batches in segments, as they arrived.
//!
//! # Guarantees
//! What an append returned for is in the page cache: it survives the end of the process at any instant, and the loss of
//! power once it was flushed. Offsets are given once. Readers get whole batches that were appended, in order. An append
//! that fails leaves the log as it was, and reading goes on.
//!
//! # Stored format, version 1
//! A partition is a directory. All numbers are big-endian, all checksums CRC32C. `N` is the base offset of a segment in 20
//! decimal digits; no record in the segment has a smaller offset.
//!
//! | file | content |
//! |---|---|
//! | `N.log` | record batches of format 2, one after the other ([`batch`]), with leader epoch 0 |
//! | `N.index` | `offset - N: u32, position: u32` of a batch every `index.interval.bytes`; of a sealed segment, a footer |
//! | `N.timeindex` | `timestamp: i64, offset - N: u32`: the largest timestamp so far, and the last offset of its batch |
//! | `N.txnindex` | `version 0: i16, producer id: i64, first offset: i64, offset of the marker: i64, last stable offset: i64` of each transaction that a marker in this segment aborted |
//! | `N.snapshot` | frame `LOGP`: the producers as they are after all records before N |
//! | `checkpoint` | frame `LOGC`: `start offset: i64, flushed offset: i64, first offset not compacted: i64, N: i64`, the state of the segment N, the producers |
//! | `swap`, `compacting/` | frame `LOGS` and segments: compaction in progress ([`compaction`]) |
//!
//! A *frame* is `magic: 4 bytes, version: u16, length: u32, checksum of version and payload: u32, payload`. A *footer* is
//! `SEAL, version: u16, checksum of version and state: u32, state`. The *state* of a segment is `size of N.log: u64, next
//! offset: i64, largest timestamp: i64, its offset: i64, time of the first append: i64, last stable offset: i64, no
//! offset is missing: u8`, then for each of the three indexes in the order above `entries: u32, checksum of them: u32`.
//! *Producers* are `count: u32`, each `id: i64, epoch: i16, coordinator epoch: i32, last active: i64, first offset of the
//! open transaction or -1: i64, count: u8` and as many recent batches, each `last sequence: i32, last offset: i64, last
//! offset less the first: i32, timestamp: i64`.
//!
//! A frame or footer of a later version is refused; one that is damaged counts as missing. Only `N.log` cannot be made
//! again from other files: everything else is there to make opening fast ([`recovery`]).
//!
//! # Locks
//! `writer` orders appends and everything that changes the files. `view` holds what readers need, for moments only, so
//! that reading never waits for a write. A segment's indexes have a lock of their own, held for a look-up. They are taken
//! in this order.

mod append;
mod batch;
mod checkpoint;
mod compaction;
mod compression;
mod control;
mod disk;
mod error;
mod files;
mod index;
mod producers;
mod read;
mod records;
mod recovery;
mod retention;
mod scan;
mod search;
mod segment;
mod settings;
#[cfg(test)]
mod tests;
mod waiters;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(crate) use batch::LEADER_EPOCH;
pub(crate) use error::LogError;
pub(crate) use files::{DEFAULT_OPEN_FILES, OpenFiles};
pub(crate) use read::{LogOffsets, ReadBatch};
pub(crate) use settings::{LastShutdown, LogSettings};

use read::View;
use waiters::Waiters;
use writer::Writer;

/// What is known of a producer, for `DescribeProducers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerStatus {
    /// The producer.
    pub(crate) producer_id: i64,
    /// Its epoch, or -1.
    pub(crate) epoch: i16,
    /// The sequence number of its last record, or -1.
    pub(crate) last_sequence: i32,
    /// The largest timestamp of its last batch, or -1.
    pub(crate) last_timestamp: i64,
    /// The epoch of the coordinator that wrote its last marker, or -1.
    pub(crate) coordinator_epoch: i32,
    /// The first offset of its open transaction.
    pub(crate) open_since: Option<i64>,
}

/// The log of one partition.
#[derive(Debug)]
pub(crate) struct Log {
    directory: PathBuf,
    files: Arc<OpenFiles>,
    settings: Mutex<Arc<LogSettings>>,
    writer: Mutex<Writer>,
    /// Locked for moments only, and after `writer` if both are.
    view: Mutex<View>,
    waiters: Waiters,
    /// Batches before this offset were not checked by this process.
    verify_before: i64,
    /// Set under the writer's lock.
    deleted: AtomicBool,
}

impl Log {
    /// Opens the log in a directory, which is created if it is missing, and makes good what a crash left behind.
    pub(crate) fn open(
        directory: &Path,
        settings: LogSettings,
        shutdown: LastShutdown,
        files: &Arc<OpenFiles>,
    ) -> Result<Self, LogError> {
        fs::create_dir_all(directory).map_err(LogError::io("create", directory))?;
        let recovery::Recovered { writer, segments } =
            recovery::recover(directory, &settings, shutdown, files)?;
        let offsets = LogOffsets {
            start: writer.start_offset,
            stable: writer.stable_offset(),
            end: writer.next_offset,
        };
        Ok(Self {
            directory: directory.to_path_buf(),
            files: Arc::clone(files),
            settings: Mutex::new(Arc::new(settings)),
            writer: Mutex::new(writer),
            view: Mutex::new(View::new(offsets, segments.into())),
            waiters: Waiters::default(),
            verify_before: offsets.end,
            deleted: AtomicBool::new(false),
        })
    }

    /// Flushes what was appended to the disk and writes down what is in memory: a clean end. The log can still be used
    /// afterwards.
    pub(crate) fn close(&self) -> Result<(), LogError> {
        let mut writer = self.writer();
        self.flush_all(&mut writer)?;
        if writer.stale_checkpoint || writer.since_checkpoint > 0 {
            self.checkpoint(&mut writer)?;
        }
        Ok(())
    }

    /// Flushes what was appended to the disk.
    pub(crate) fn flush(&self) -> Result<(), LogError> {
        self.flush_all(&mut self.writer())
    }

    /// Ends the log of a partition that is being deleted: it takes and gives nothing any more, so that nothing gets into
    /// the directory of a successor with the same name, and who waits for it is woken.
    pub(crate) fn delete(&self) {
        {
            let _writer = self.writer();
            self.deleted.store(true, Ordering::SeqCst);
        }
        self.waiters.notify();
    }

    /// Uses other settings from now on.
    pub(crate) fn set_settings(&self, settings: LogSettings) {
        *lock(&self.settings) = Arc::new(settings);
    }

    /// Has `waiter` notified whenever the end or the last stable offset moves, until
    /// [`remove_waiter`](Self::remove_waiter). Look at the offsets after adding it, lest a move in between be missed.
    pub(crate) fn add_waiter(&self, waiter: &Arc<Notify>) {
        self.waiters.add(waiter);
    }

    /// Undoes [`add_waiter`](Self::add_waiter).
    pub(crate) fn remove_waiter(&self, waiter: &Arc<Notify>) {
        self.waiters.remove(waiter);
    }

    /// How many waiters there are.
    #[cfg(test)]
    pub(crate) fn waiters(&self) -> usize {
        self.waiters.count()
    }

    /// The producers that are known, in the order of their ids.
    pub(crate) fn producers(&self) -> Vec<ProducerStatus> {
        let writer = self.writer();
        let mut producers: Vec<_> = writer
            .producers
            .iter()
            .map(|(producer_id, producer)| ProducerStatus {
                producer_id,
                epoch: producer.epoch,
                last_sequence: producer.recent.last().map_or(-1, |batch| batch.last_sequence),
                last_timestamp: producer.recent.last().map_or(-1, |batch| batch.timestamp),
                coordinator_epoch: producer.coordinator_epoch,
                open_since: producer.open_since,
            })
            .collect();
        producers.sort_unstable_by_key(|producer| producer.producer_id);
        producers
    }

    /// The open transactions: producer, epoch, first offset.
    pub(crate) fn open_transactions(&self) -> Vec<(i64, i16, i64)> {
        self.writer().producers.open().collect()
    }

    /// Bytes of all batches.
    pub(crate) fn size_bytes(&self) -> u64 {
        let segments = Arc::clone(&self.view().segments);
        segments.iter().map(|segment| segment.size()).sum()
    }

    fn settings(&self) -> Arc<LogSettings> {
        Arc::clone(&lock(&self.settings))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }

    fn writer_unless_deleted(&self) -> Result<MutexGuard<'_, Writer>, LogError> {
        let writer = self.writer();
        self.check_not_deleted().map(|()| writer)
    }

    fn check_not_deleted(&self) -> Result<(), LogError> {
        if self.deleted.load(Ordering::SeqCst) { Err(LogError::Deleted) } else { Ok(()) }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        lock(&self.view)
    }
}

/// Locks. A panic of another holder is a bug that was reported there; the state was changed in whole steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
