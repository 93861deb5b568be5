//! Appending: batches of clients, and the markers of the transaction coordinator.
//!
//! Invariants: what was acknowledged is in the file before anyone can see it; a write that fails leaves the log as it
//! was; offsets are given in the order of the appends and never again.

use std::io::IoSlice;

use bytes::Bytes;

use super::Log;
use super::batch::{self, BatchHeader};
use super::control::Marker;
use super::error::AppendError;
use super::writer::Writer;

/// Where records went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The offset of the first record; if the batch was there already, of its first appearance.
    pub(crate) base_offset: i64,
    /// The time that the records were stamped with, or -1 if they keep their own.
    pub(crate) log_append_time: i64,
    /// The first offset that clients may read.
    pub(crate) log_start_offset: i64,
}

impl Log {
    /// Appends a client's record set.
    pub(crate) fn append(&self, records: &Bytes, now_ms: i64) -> Result<Appended, AppendError> {
        let settings = self.settings();
        let mut batches = batch::validate(records, &settings, now_ms)?;
        let log_append_time = if settings.log_append_time { now_ms } else { batch::NO_TIMESTAMP };

        let mut writer = self.writer_unless_deleted()?;
        let answer = |base_offset, log_append_time, writer: &Writer| Appended {
            base_offset,
            log_append_time,
            log_start_offset: writer.start_offset,
        };
        // Only one of several batches could be a duplicate, and then they have no producer at all.
        if let Some(duplicate) = writer.producers.check(&batches[0].header)? {
            let stamp = if settings.log_append_time { duplicate.timestamp } else { batch::NO_TIMESTAMP };
            return Ok(answer(duplicate.first_offset(), stamp, &writer));
        }
        self.make_room(&mut writer, &settings, records.len() as u64, now_ms)?;
        let base_offset = writer.next_offset;
        let mut next_offset = base_offset;
        for batch in &mut batches {
            batch.set_base_offset(next_offset);
            next_offset = batch.header.next_offset();
        }
        let mut slices: Vec<IoSlice<'_>> =
            batches.iter().flat_map(|batch| batch.parts(records)).map(IoSlice::new).collect();
        self.write(&writer, &mut slices)?;
        for batch in &batches {
            self.account(&mut writer, &settings, &batch.header, None, now_ms);
        }
        self.finish(&mut writer, &settings, now_ms)?;
        Ok(answer(base_offset, log_append_time, &writer))
    }

    /// Lets a producer append batches of a transaction to this partition. Asking again changes nothing.
    pub(crate) fn begin_transaction(&self, producer_id: i64, epoch: i16) -> Result<(), AppendError> {
        self.writer_unless_deleted()?.producers.permit(producer_id, epoch)
    }

    /// Ends a producer's transaction with a marker and returns the marker's offset. Does nothing if no batch of a
    /// transaction was appended, except that none may be appended any more.
    pub(crate) fn end_transaction(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
        commit: bool,
        now_ms: i64,
    ) -> Result<Option<i64>, AppendError> {
        let settings = self.settings();
        let mut writer = self.writer_unless_deleted()?;
        if !writer.producers.check_end(producer_id, epoch, coordinator_epoch)? {
            return Ok(None);
        }
        let marker = Marker { commit, coordinator_epoch };
        self.make_room(&mut writer, &settings, Marker::BATCH_BYTES, now_ms)?;
        let offset = writer.next_offset;
        let batch = marker.batch(producer_id, epoch, offset, now_ms, settings.log_append_time);
        let header = BatchHeader::parse(&batch).expect("the marker was just encoded");
        self.write(&writer, &mut [IoSlice::new(&batch)])?;
        self.account(&mut writer, &settings, &header, Some(marker), now_ms);
        self.finish(&mut writer, &settings, now_ms)?;
        Ok(Some(offset))
    }
}
