//! What is written down of a log so that opening it need not read all of it: the checkpoint, and snapshots of the
//! producers alone, which stand in for a damaged checkpoint.
//!
//! Invariants: each file is replaced as a whole and carries a checksum; one that is missing or damaged makes opening
//! slower, never wrong.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use super::disk;
use super::error::LogError;
use super::producers::{Producer, Producers, RECENT_BATCHES, RecentBatch};
use super::segment::{SegmentState, file_name};

/// The name of the checkpoint.
const CHECKPOINT: &str = "checkpoint";
const CHECKPOINT_MAGIC: [u8; 4] = *b"LOGC";
const SNAPSHOT_MAGIC: [u8; 4] = *b"LOGP";
/// The version of both files that this code writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u16 = 1;
/// The extension of snapshots; their name is the offset up to which they speak.
const SNAPSHOT_EXTENSION: &str = "snapshot";
/// Snapshots that are kept.
const SNAPSHOTS_KEPT: usize = 3;

/// The state of a log up to an offset.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// The first offset that clients may read.
    pub(crate) start_offset: i64,
    /// Everything before this offset was flushed to the disk.
    pub(crate) flushed_offset: i64,
    /// Everything before this offset was compacted.
    pub(crate) first_dirty_offset: i64,
    /// The base offset of the segment that is written.
    pub(crate) base: i64,
    /// The state of that segment; its next offset is that of the checkpoint.
    pub(crate) active: SegmentState,
}

impl Checkpoint {
    /// Replaces the checkpoint of the log in `directory`. It is not flushed: should a loss of power take it away, the
    /// segments say everything.
    pub(crate) fn write(&self, directory: &Path, producers: &Producers) -> Result<(), LogError> {
        let mut payload = Vec::new();
        payload.put_i64(self.start_offset);
        payload.put_i64(self.flushed_offset);
        payload.put_i64(self.first_dirty_offset);
        payload.put_i64(self.base);
        self.active.encode(&mut payload);
        encode_producers(producers, &mut payload);
        disk::write_framed(&directory.join(CHECKPOINT), CHECKPOINT_MAGIC, FORMAT_VERSION, &payload, false)
    }

    /// Reads the checkpoint of the log in `directory`; `None` if there is none that can be used.
    pub(crate) fn read(directory: &Path) -> Result<Option<(Self, Producers)>, LogError> {
        let path = directory.join(CHECKPOINT);
        let payload = disk::read_framed(&path, CHECKPOINT_MAGIC, FORMAT_VERSION)?;
        Ok(payload.and_then(|payload| Self::decode(&payload)))
    }

    fn decode(mut input: &[u8]) -> Option<(Self, Producers)> {
        let checkpoint = Self {
            start_offset: input.try_get_i64().ok()?,
            flushed_offset: input.try_get_i64().ok()?,
            first_dirty_offset: input.try_get_i64().ok()?,
            base: input.try_get_i64().ok()?,
            active: SegmentState::decode(&mut input)?,
        };
        let sound = checkpoint.start_offset >= 0
            && checkpoint.base >= 0
            && checkpoint.active.summary.next_offset >= checkpoint.base;
        sound.then_some((checkpoint, decode_producers(input)?))
    }
}

/// Writes down the producers as they are after all records before `offset`, and removes old snapshots.
pub(crate) fn write_snapshot(directory: &Path, offset: i64, producers: &Producers) -> Result<(), LogError> {
    let mut payload = Vec::new();
    encode_producers(producers, &mut payload);
    let path = directory.join(file_name(offset, SNAPSHOT_EXTENSION));
    disk::write_framed(&path, SNAPSHOT_MAGIC, FORMAT_VERSION, &payload, false)?;
    for (_, path) in snapshots(directory)?.iter().rev().skip(SNAPSHOTS_KEPT) {
        disk::remove(path)?;
    }
    Ok(())
}

/// The newest usable snapshot whose offset is one of `offsets`, which ascend.
pub(crate) fn newest_snapshot(
    directory: &Path,
    offsets: &[i64],
) -> Result<Option<(i64, Producers)>, LogError> {
    for (offset, path) in snapshots(directory)?.into_iter().rev() {
        if offsets.binary_search(&offset).is_err() {
            continue;
        }
        if let Some(payload) = disk::read_framed(&path, SNAPSHOT_MAGIC, FORMAT_VERSION)?
            && let Some(producers) = decode_producers(&payload)
        {
            return Ok(Some((offset, producers)));
        }
    }
    Ok(None)
}

fn snapshots(directory: &Path) -> Result<Vec<(i64, PathBuf)>, LogError> {
    numbered_files(directory, SNAPSHOT_EXTENSION)
}

/// The files with this extension and a name of 20 digits, in ascending order.
pub(crate) fn numbered_files(directory: &Path, extension: &str) -> Result<Vec<(i64, PathBuf)>, LogError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(LogError::io("list", directory))? {
        let path = entry.map_err(LogError::io("list", directory))?.path();
        if path.extension().is_none_or(|found| found != extension) {
            continue;
        }
        let number = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 20);
        if let Some(number) = number.and_then(|stem| stem.parse().ok()).filter(|number: &i64| *number >= 0) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn encode_producers(producers: &Producers, output: &mut Vec<u8>) {
    output.put_u32(producers.len() as u32);
    for (producer_id, producer) in producers.iter() {
        output.put_i64(producer_id);
        output.put_i16(producer.epoch);
        output.put_i32(producer.coordinator_epoch);
        output.put_i64(producer.last_active_ms);
        output.put_i64(producer.open_since.unwrap_or(-1));
        output.put_u8(producer.recent.len() as u8);
        for batch in &producer.recent {
            output.put_i32(batch.last_sequence);
            output.put_i64(batch.last_offset);
            output.put_i32(batch.offset_delta);
            output.put_i64(batch.timestamp);
        }
    }
}

fn decode_producers(mut input: &[u8]) -> Option<Producers> {
    let mut producers = Producers::default();
    for _ in 0..input.try_get_u32().ok()? {
        let producer_id = input.try_get_i64().ok()?;
        let mut producer = Producer {
            epoch: input.try_get_i16().ok()?,
            coordinator_epoch: input.try_get_i32().ok()?,
            last_active_ms: input.try_get_i64().ok()?,
            open_since: Some(input.try_get_i64().ok()?).filter(|offset| *offset >= 0),
            recent: Vec::new(),
        };
        let recent = input.try_get_u8().ok()?;
        if usize::from(recent) > RECENT_BATCHES {
            return None;
        }
        for _ in 0..recent {
            producer.recent.push(RecentBatch {
                last_sequence: input.try_get_i32().ok()?,
                last_offset: input.try_get_i64().ok()?,
                offset_delta: input.try_get_i32().ok()?,
                timestamp: input.try_get_i64().ok()?,
            });
        }
        producers.restore(producer_id, producer);
    }
    input.is_empty().then_some(producers)
}
