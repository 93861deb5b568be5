//! What is done to a log now and then: rolling by age, retention, forgetting idle producers, flushing, checkpoints.
//!
//! Invariants: only sealed segments are removed, from the front, after readers can no longer find them; the log's start
//! never moves back.

use super::Log;
use super::error::{LogError, ReadError};
use super::settings::LogSettings;
use super::writer::Writer;

impl Log {
    /// Does what has become due. To be called regularly, from one thread at a time.
    pub(crate) fn housekeep(&self, now_ms: i64) -> Result<(), LogError> {
        let settings = self.settings();
        let mut writer = self.writer_unless_deleted()?;
        writer.producers.expire(now_ms, settings.producer_retention_ms);
        if writer.position > 0 && Self::is_old_or_indexed_out(&writer, &settings, now_ms) {
            self.roll(&mut writer)?;
        }
        if settings.delete {
            self.apply_retention(&mut writer, &settings, now_ms)?;
        }
        self.remove_before_start(&mut writer)?;
        if let (Some(flush_ms), Some(since)) = (settings.flush_ms, writer.unflushed_since_ms)
            && now_ms.saturating_sub(since) >= flush_ms
        {
            self.flush_all(&mut writer)?;
        }
        drop(writer);
        self.flush_sealed()?;
        let compacted = if settings.compact { self.compact(&settings, now_ms) } else { Ok(()) };
        let mut writer = self.writer();
        if writer.since_checkpoint > 0 || writer.stale_checkpoint {
            self.checkpoint(&mut writer)?;
        }
        compacted
    }

    /// Deletes all records before `offset` and returns the log's start. Segments that hold none of the others are
    /// removed; what is deleted in the first that stays is only no longer returned.
    pub(crate) fn delete_before(&self, offset: i64) -> Result<i64, ReadError> {
        let mut writer = self.writer_unless_deleted()?;
        let (start, end) = (writer.start_offset, writer.next_offset);
        if offset < 0 || offset > end {
            return Err(ReadError::OutOfRange { offset, start, end });
        }
        if offset > start {
            writer.start_offset = offset;
            // Before any file is removed, and before the caller tells the client.
            self.checkpoint(&mut writer)?;
            self.publish(&writer);
            self.remove_before_start(&mut writer)?;
        }
        Ok(writer.start_offset)
    }

    /// Moves the log's start past the segments that are too old or too much.
    fn apply_retention(
        &self,
        writer: &mut Writer,
        settings: &LogSettings,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let segments = std::sync::Arc::clone(&self.view().segments);
        let expired = |timestamp: i64| {
            settings.retention_ms.is_some_and(|kept| now_ms.saturating_sub(timestamp) > kept)
        };
        let mut excess = settings.retention_bytes.map_or(0, |kept| {
            segments.iter().map(|segment| segment.size()).sum::<u64>().saturating_sub(kept)
        });
        let mut start = writer.start_offset;
        for (number, segment) in segments.iter().enumerate() {
            let summary = segment.lock().summary;
            let size = segment.size();
            // Batches without a timestamp count by when they were appended.
            let newest = summary.max_timestamp.max(summary.first_append_ms);
            let goes =
                if size > 0 && expired(newest) && newest >= 0 { true } else { size > 0 && size <= excess };
            if !goes {
                break;
            }
            if number + 1 == segments.len() {
                self.roll(writer)?;
                start = writer.next_offset;
                break;
            }
            excess = excess.saturating_sub(size);
            start = segments[number + 1].base;
        }
        if start > writer.start_offset {
            writer.start_offset = start;
            writer.stale_checkpoint = true;
            self.publish(writer);
        }
        Ok(())
    }

    /// Removes the segments that hold nothing from the log's start on.
    fn remove_before_start(&self, writer: &mut Writer) -> Result<(), LogError> {
        let removed = {
            let mut view = self.view();
            let kept =
                view.segments.partition_point(|segment| segment.base <= writer.start_offset).max(1) - 1;
            if kept == 0 {
                return Ok(());
            }
            let removed = view.segments[..kept].to_vec();
            view.segments = view.segments[kept..].into();
            view.forget_cursors();
            removed
        };
        // The checkpoint first: a start that lies before the files would be raised to them, but not lowered.
        self.checkpoint(writer)?;
        for segment in removed {
            segment.remove_files()?;
        }
        Ok(())
    }
}
