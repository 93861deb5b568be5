//! What happens under the lock of the log's writer: writing bytes, taking note of them, rolling segments, writing
//! checkpoints.
//!
//! Invariants: the writer's state and the file agree whenever the lock is free; what readers see is published last, in
//! one step.

use std::io::IoSlice;
use std::sync::Arc;

use super::Log;
use super::batch::BatchHeader;
use super::checkpoint::{self, Checkpoint};
use super::compaction::Swap;
use super::control::Marker;
use super::disk;
use super::error::{AppendError, LogError};
use super::files::OpenFiles;
use super::index::AbortedEntry;
use super::producers::Producers;
use super::segment::Segment;
use super::settings::LogSettings;

/// Bytes appended after which a checkpoint is written: what is to be checked after a kill.
const CHECKPOINT_EVERY_BYTES: u64 = 16 << 20;
/// A segment takes no offsets further than this from its base, because its indexes count in 32 bits.
const WIDEST_SEGMENT: i64 = i32::MAX as i64;

/// The state that only the holder of the writer's lock sees.
#[derive(Debug)]
pub(super) struct Writer {
    /// The segment that is written.
    pub(super) active: Arc<Segment>,
    /// Where its next batch goes.
    pub(super) position: u64,
    /// The offset of the next record.
    pub(super) next_offset: i64,
    /// The first offset that clients may read.
    pub(super) start_offset: i64,
    /// Everything before this offset was flushed to the disk.
    pub(super) flushed_offset: i64,
    /// Everything before this offset was compacted.
    pub(super) first_dirty_offset: i64,
    /// See [`Producers`].
    pub(super) producers: Producers,
    /// Bytes appended since the last checkpoint.
    pub(super) since_checkpoint: u64,
    /// Whether anything else has changed since the last checkpoint.
    pub(super) stale_checkpoint: bool,
    /// When the oldest record that was not flushed was appended.
    pub(super) unflushed_since_ms: Option<i64>,
    /// A swap of compacted segments that failed half-way.
    pub(super) unfinished_swap: Option<Swap>,
}

impl Writer {
    /// Records before this offset belong to no open transaction.
    pub(super) fn stable_offset(&self) -> i64 {
        self.producers.first_unstable().unwrap_or(self.next_offset).max(self.start_offset)
    }
}

/// Takes note of a batch in the segment that holds it, and of what it says of its producer. Both appending and recovery
/// come here, so that they cannot disagree.
pub(super) fn account(
    files: &OpenFiles,
    segment: &Segment,
    producers: &mut Producers,
    header: &BatchHeader,
    marker: Option<Marker>,
    place: Place,
) {
    segment.note(files, header, place.position, place.index_interval_bytes);
    if !header.is_control() {
        producers.appended(header, place.now_ms);
        return;
    }
    let Some(marker) = marker else { return };
    let ended =
        producers.complete(header.producer_id, header.producer_epoch, marker.coordinator_epoch, place.now_ms);
    if let Some(ended) = ended.filter(|_| !marker.commit) {
        segment.lock().aborted.push(AbortedEntry {
            producer_id: header.producer_id,
            first_offset: ended.first_offset,
            last_offset: header.last_offset(),
            stable_offset: ended.next_unstable.unwrap_or(header.next_offset()),
        });
    }
}

/// Where and when [`account`] finds a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The position of the batch in its segment.
    pub(super) position: u64,
    /// See [`LogSettings::index_interval_bytes`].
    pub(super) index_interval_bytes: u64,
    /// The broker's clock.
    pub(super) now_ms: i64,
}

impl Log {
    /// Makes sure that the active segment can take `bytes` more.
    pub(super) fn make_room(
        &self,
        writer: &mut Writer,
        settings: &LogSettings,
        bytes: u64,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        if bytes > settings.segment_bytes {
            return Err(AppendError::LargerThanSegment { size: bytes, limit: settings.segment_bytes });
        }
        if writer.position > 0
            && (writer.position + bytes > settings.segment_bytes
                || writer.next_offset - writer.active.base >= WIDEST_SEGMENT / 2
                || Self::is_old_or_indexed_out(writer, settings, now_ms))
        {
            self.roll(writer)?;
        }
        Ok(())
    }

    /// Whether the active segment is full for another reason than its size.
    pub(super) fn is_old_or_indexed_out(writer: &Writer, settings: &LogSettings, now_ms: i64) -> bool {
        let indexes = writer.active.lock();
        let first = indexes.summary.first_append_ms;
        (first >= 0 && now_ms.saturating_sub(first) >= settings.segment_ms)
            || indexes.offsets.bytes() >= settings.segment_index_bytes
            || indexes.times.bytes() >= settings.segment_index_bytes
    }

    /// Writes the slices after the last batch; the file is as before if that fails.
    pub(super) fn write(&self, writer: &Writer, slices: &mut [IoSlice<'_>]) -> Result<(), LogError> {
        let file = writer.active.file(&self.files)?;
        disk::write_slices_at(&*file, slices, writer.position).map_err(|error| {
            // What was written is not part of the log whether or not it can be cut off: the next batch goes in the
            // same place.
            if let Err(error) = file.set_len(writer.position) {
                tracing::warn!(path = %writer.active.path().display(), %error, "cannot cut off a failed write");
            }
            LogError::io("append to", writer.active.path())(error)
        })
    }

    /// Takes note of the batch that was written at the writer's position.
    pub(super) fn account(
        &self,
        writer: &mut Writer,
        settings: &LogSettings,
        header: &BatchHeader,
        marker: Option<Marker>,
        now_ms: i64,
    ) {
        let index_interval_bytes = settings.index_interval_bytes;
        let place = Place { position: writer.position, index_interval_bytes, now_ms };
        if writer.position == 0 {
            writer.active.lock().summary.first_append_ms = now_ms;
        }
        account(&self.files, &writer.active, &mut writer.producers, header, marker, place);
        writer.position += header.size as u64;
        writer.next_offset = header.next_offset();
        writer.since_checkpoint += header.size as u64;
    }

    /// Ends an append: flushes if the topic wants that, lets readers see the records, and writes a checkpoint if it is
    /// time for one.
    pub(super) fn finish(
        &self,
        writer: &mut Writer,
        settings: &LogSettings,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        writer.unflushed_since_ms.get_or_insert(now_ms);
        let flush = settings.flush_messages.is_some_and(|most| {
            u64::try_from(writer.next_offset - writer.flushed_offset).unwrap_or(0) >= most
        });
        self.publish(writer);
        if flush {
            self.flush_all(writer)?;
        }
        if writer.since_checkpoint >= CHECKPOINT_EVERY_BYTES {
            self.checkpoint_or_warn(writer);
        }
        Ok(())
    }

    /// Lets readers see the writer's state.
    pub(super) fn publish(&self, writer: &Writer) {
        writer.active.publish(writer.position);
        {
            let mut view = self.view();
            view.start = writer.start_offset;
            view.stable = writer.stable_offset();
            view.end = writer.next_offset;
        }
        self.waiters.notify();
    }

    /// Seals the active segment and begins the next.
    pub(super) fn roll(&self, writer: &mut Writer) -> Result<(), LogError> {
        let base = writer.next_offset;
        writer.active.seal(&self.files, writer.stable_offset())?;
        let next = Arc::new(Segment::create(&self.directory, base, &self.files)?);
        checkpoint::write_snapshot(&self.directory, base, &writer.producers)?;
        {
            let mut view = self.view();
            let mut segments = Vec::with_capacity(view.segments.len() + 1);
            segments.extend(view.segments.iter().cloned());
            segments.push(Arc::clone(&next));
            view.segments = segments.into();
        }
        writer.active = next;
        writer.position = 0;
        self.checkpoint_or_warn(writer);
        Ok(())
    }

    /// Flushes everything, the active segment too.
    pub(super) fn flush_all(&self, writer: &mut Writer) -> Result<(), LogError> {
        if writer.flushed_offset == writer.next_offset {
            return Ok(());
        }
        for segment in self.unflushed(writer.flushed_offset) {
            segment.sync(&self.files)?;
        }
        writer.flushed_offset = writer.next_offset;
        writer.unflushed_since_ms = None;
        writer.stale_checkpoint = true;
        Ok(())
    }

    /// Flushes the sealed segments. Appends go on meanwhile.
    pub(super) fn flush_sealed(&self) -> Result<(), LogError> {
        let (flushed, base) = {
            let writer = self.writer();
            (writer.flushed_offset, writer.active.base)
        };
        if flushed >= base {
            return Ok(());
        }
        for segment in self.unflushed(flushed).iter().filter(|segment| segment.base < base) {
            match segment.sync(&self.files) {
                Err(_) if segment.is_retired() => {}
                other => other?,
            }
        }
        let mut writer = self.writer();
        writer.flushed_offset = writer.flushed_offset.max(base);
        writer.stale_checkpoint = true;
        Ok(())
    }

    /// The segments with records from `offset` on.
    fn unflushed(&self, offset: i64) -> Vec<Arc<Segment>> {
        let view = self.view();
        view.segments[view.segment_of(offset)..].to_vec()
    }

    /// Writes the checkpoint; without a new one the next opening reads more.
    pub(super) fn checkpoint_or_warn(&self, writer: &mut Writer) {
        if let Err(error) = self.checkpoint(writer) {
            tracing::warn!(%error, "cannot write a checkpoint");
        }
        // Not again at the next append: whatever is wrong may last.
        writer.since_checkpoint = 0;
    }

    /// Writes the checkpoint.
    pub(super) fn checkpoint(&self, writer: &mut Writer) -> Result<(), LogError> {
        let checkpoint = Checkpoint {
            start_offset: writer.start_offset,
            flushed_offset: writer.flushed_offset,
            first_dirty_offset: writer.first_dirty_offset,
            base: writer.active.base,
            active: writer.active.store(&self.files)?,
        };
        checkpoint.write(&self.directory, &writer.producers)?;
        writer.since_checkpoint = 0;
        writer.stale_checkpoint = false;
        Ok(())
    }
}
