//! Opening a log: from its checkpoint if that can be trusted, else from what can.
//!
//! What is read again begins at the first of these that holds:
//! 1. the checkpoint, if every segment before it has an intact footer and the active segment is as long as it says; after
//!    a loss of power only if what it covers was flushed;
//! 2. the newest intact snapshot of the producers at the beginning of a segment, not after the first segment that is in
//!    doubt;
//! 3. the beginning of the log.
//!
//! From there on every batch is read, its checksum compared, and indexes and producers are made anew. What follows the
//! first bad batch of the last segment is cut off: it is the tail of a write that did not end. A bad batch in an earlier
//! segment ends that segment, and the later ones stay.
//!
//! Invariants: nothing is allocated by what a damaged file says; what was cut off is logged with its size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{self, Checkpoint};
use super::compaction;
use super::control::Marker;
use super::error::LogError;
use super::files::OpenFiles;
use super::producers::{Producers, UNKNOWN_TIME};
use super::scan::{Offsets, Scanner};
use super::segment::{LOG_EXTENSION, Segment, SegmentState};
use super::settings::{LastShutdown, LogSettings};
use super::writer::{Place, Writer, account};

/// A log that was opened.
pub(super) struct Recovered {
    pub(super) writer: Writer,
    pub(super) segments: Vec<Arc<Segment>>,
}

/// Where reading begins.
struct Start {
    /// The number of the first segment that is read.
    segment: usize,
    /// What is known of it: all before is not read.
    state: SegmentState,
    producers: Producers,
}

struct Recovery<'a> {
    directory: &'a Path,
    settings: &'a LogSettings,
    files: &'a OpenFiles,
    /// The segments' base offsets and files, in ascending order.
    found: Vec<(i64, PathBuf)>,
}

/// Opens the log in `directory`, which exists.
pub(super) fn recover(
    directory: &Path,
    settings: &LogSettings,
    shutdown: LastShutdown,
    files: &OpenFiles,
) -> Result<Recovered, LogError> {
    compaction::recover(directory)?;
    let read = Checkpoint::read(directory)?;
    let mut found = checkpoint::numbered_files(directory, LOG_EXTENSION)?;
    let (checkpoint, producers) =
        read.map_or((None, Producers::default()), |(checkpoint, producers)| (Some(checkpoint), producers));
    if found.is_empty() {
        // Offsets are never given again, even if somebody removed the files.
        let base =
            checkpoint.as_ref().map_or(0, |found| found.active.summary.next_offset.max(found.start_offset));
        let segment = Segment::create(directory, base, files)?;
        found.push((base, segment.path().to_path_buf()));
    }
    let recovery = Recovery { directory, settings, files, found };
    let mut segments = recovery.sealed(checkpoint.as_ref(), shutdown)?;
    let covering = checkpoint.as_ref().filter(|found| recovery.covers(found, &segments, shutdown));
    let start = match covering {
        Some(found) => Start { segment: segments.len(), state: found.active, producers },
        None => recovery.start_without_checkpoint(&mut segments)?,
    };
    let producers = recovery.replay(&mut segments, start)?;
    let mut recovered = Recovery::finish(segments, producers, checkpoint.as_ref());
    let covered = covering.map(|found| found.active.summary.next_offset);
    recovered.writer.stale_checkpoint = covered != Some(recovered.writer.next_offset);
    Ok(recovered)
}

impl Recovery<'_> {
    /// The segments from the first on that are certain to be as they were sealed.
    fn sealed(
        &self,
        checkpoint: Option<&Checkpoint>,
        shutdown: LastShutdown,
    ) -> Result<Vec<Arc<Segment>>, LogError> {
        let flushed = match (shutdown, checkpoint) {
            (LastShutdown::Unknown, Some(checkpoint)) => checkpoint.flushed_offset,
            (LastShutdown::Unknown, None) => 0,
            _ => i64::MAX,
        };
        let mut segments = Vec::with_capacity(self.found.len());
        // The last segment is the active one.
        for (base, _) in &self.found[..self.found.len() - 1] {
            match Segment::sealed(self.directory, *base, self.files)? {
                Some(segment) if segment.lock().summary.next_offset <= flushed => {
                    segments.push(Arc::new(segment));
                }
                _ => break,
            }
        }
        Ok(segments)
    }

    /// Whether reading can begin where the checkpoint ends, given the segments that are certain.
    fn covers(&self, checkpoint: &Checkpoint, sealed: &[Arc<Segment>], shutdown: LastShutdown) -> bool {
        let Some((base, path)) = self.found.get(sealed.len()) else { return false };
        let long_enough = path.metadata().is_ok_and(|file| file.len() >= checkpoint.active.size);
        let there = shutdown != LastShutdown::Unknown
            || checkpoint.flushed_offset >= checkpoint.active.summary.next_offset;
        if *base != checkpoint.base || !long_enough || !there {
            return false;
        }
        let segment = Segment::with_state(self.directory, *base, &checkpoint.active, false);
        let indexes = segment.lock();
        let intact = || {
            Ok::<_, std::io::Error>(
                indexes.offsets.is_intact(self.files)?
                    && indexes.times.is_intact(self.files)?
                    && indexes.aborted.is_intact(self.files)?,
            )
        };
        intact().unwrap_or(false)
    }

    /// Begins at a snapshot or at the beginning, and gives up the certain segments that come after.
    fn start_without_checkpoint(&self, segments: &mut Vec<Arc<Segment>>) -> Result<Start, LogError> {
        let bases: Vec<i64> = self.found[..=segments.len()].iter().map(|(base, _)| *base).collect();
        let (number, producers) = match checkpoint::newest_snapshot(self.directory, &bases)? {
            Some((offset, producers)) => (bases.partition_point(|base| *base < offset), producers),
            None => (0, Producers::default()),
        };
        segments.truncate(number);
        Ok(Start { segment: number, state: SegmentState::empty(bases[number]), producers })
    }

    /// Reads all batches from `start` on.
    fn replay(&self, segments: &mut Vec<Arc<Segment>>, start: Start) -> Result<Producers, LogError> {
        let Start { segment: first, state, mut producers } = start;
        for (number, (base, path)) in self.found.iter().enumerate().skip(first) {
            let state = if number == first { state } else { SegmentState::empty(*base) };
            let segment = Segment::with_state(self.directory, *base, &state, true);
            let length = path.metadata().map_err(LogError::io("read the size of", path))?.len();
            let next = self.found.get(number + 1).map(|(base, _)| *base);
            let end = self.replay_segment(&segment, &mut producers, state.size, length, next)?;
            if end < length {
                tracing::error!(
                    path = %path.display(), kept = end, cut_off = length - end,
                    "the log ended in bytes that are no whole batch"
                );
                let file = segment.file(self.files)?;
                file.set_len(end).map_err(LogError::io("truncate", path))?;
            }
            segment.publish(end);
            if next.is_some() {
                let stable = producers.first_unstable().unwrap_or(segment.lock().summary.next_offset);
                segment.seal(self.files, stable)?;
            }
            segments.push(Arc::new(segment));
        }
        Ok(producers)
    }

    /// Reads the batches of a segment from `position` on, and returns where the last good one ends.
    fn replay_segment(
        &self,
        segment: &Segment,
        producers: &mut Producers,
        position: u64,
        length: u64,
        next_base: Option<i64>,
    ) -> Result<u64, LogError> {
        // What was being written was never compacted. Of the others only their footers would know.
        let dense = position > 0 || next_base.is_none();
        let from = segment.lock().summary.next_offset;
        let offsets = Offsets { from, dense, before: next_base.unwrap_or(i64::MAX) };
        let file = segment.file(self.files)?;
        let mut scanner = Scanner::new(file, segment.path(), position, length, offsets);
        let interval = self.settings.index_interval_bytes;
        loop {
            let (position, header) = match scanner.next_header() {
                Ok(Some(found)) => found,
                Ok(None) => {
                    segment.lock().summary.dense &= !scanner.saw_gap();
                    return Ok(length);
                }
                Err(LogError::Damaged { .. }) => return Ok(scanner.position()),
                Err(error) => return Err(error),
            };
            let fits = header.base_offset - segment.base <= i64::from(u32::MAX);
            if !fits || !scanner.is_intact(position, &header)? {
                return Ok(position);
            }
            let marker = if header.is_control() {
                Marker::read(&header, &scanner.payload(position, &header)?)
            } else {
                None
            };
            let place = Place { position, index_interval_bytes: interval, now_ms: UNKNOWN_TIME };
            account(self.files, segment, producers, &header, marker, place);
        }
    }

    fn finish(
        segments: Vec<Arc<Segment>>,
        producers: Producers,
        checkpoint: Option<&Checkpoint>,
    ) -> Recovered {
        let active = Arc::clone(segments.last().expect("a log has at least one segment"));
        let next_offset = active.lock().summary.next_offset;
        let first_offset = segments[0].base;
        let start_offset = checkpoint.map_or(first_offset, |found| found.start_offset.max(first_offset));
        let writer = Writer {
            position: active.size(),
            active,
            next_offset,
            start_offset: start_offset.min(next_offset),
            flushed_offset: checkpoint.map_or(0, |found| found.flushed_offset.min(next_offset)),
            first_dirty_offset: checkpoint.map_or(0, |found| found.first_dirty_offset),
            producers,
            since_checkpoint: 0,
            stale_checkpoint: true,
            unflushed_since_ms: None,
            unfinished_swap: None,
        };
        Recovered { writer, segments }
    }
}
