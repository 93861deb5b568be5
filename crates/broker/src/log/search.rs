//! Finding records by their timestamp, as `ListOffsets` asks for.
//!
//! Invariants: no lock is held over I/O other than an index's; a batch is only looked into if its header says that the
//! record is in it; one that cannot be inflated within the bound counts by its header.

use std::sync::Arc;

use super::Log;
use super::batch::{BatchHeader, NO_TIMESTAMP, attribute};
use super::error::LogError;
use super::records::{self, Record, Records};
use super::segment::Segment;

/// A record's offset and timestamp.
pub(crate) type OffsetAndTime = (i64, i64);

impl Log {
    /// The first record with a timestamp of at least `timestamp_ms`, as offset and timestamp; with `read_committed`
    /// only if no open transaction comes before it.
    pub(crate) fn offset_for_time(
        &self,
        timestamp_ms: i64,
        read_committed: bool,
    ) -> Result<Option<OffsetAndTime>, LogError> {
        self.with_segments(|segments, start, stable| {
            let first = segments.partition_point(|segment| segment.base <= start).saturating_sub(1);
            for segment in &segments[first..] {
                if segment.lock().summary.max_timestamp < timestamp_ms {
                    continue;
                }
                if let Some(found) = self.first_since(segment, timestamp_ms, start)? {
                    return Ok((!read_committed || found.0 < stable).then_some(found));
                }
            }
            Ok(None)
        })
    }

    /// The first record with the largest timestamp of all, as offset and timestamp.
    pub(crate) fn offset_of_max_timestamp(&self) -> Result<Option<OffsetAndTime>, LogError> {
        self.with_segments(|segments, start, _| {
            let mut newest: Option<(i64, i64, &Arc<Segment>)> = None;
            for segment in segments {
                let summary = segment.lock().summary;
                let later = newest.is_none_or(|(timestamp, ..)| summary.max_timestamp > timestamp);
                if later && summary.max_timestamp > NO_TIMESTAMP {
                    newest = Some((summary.max_timestamp, summary.max_timestamp_offset, segment));
                }
            }
            let Some((timestamp, offset, segment)) = newest else { return Ok(None) };
            self.first_in_segment(segment, offset, timestamp, start)
        })
    }

    /// Does `search` with the segments, the start offset and the last stable offset; again if segments are removed
    /// meanwhile.
    fn with_segments<T>(
        &self,
        search: impl Fn(&[Arc<Segment>], i64, i64) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        loop {
            let (segments, offsets) = {
                let view = self.view();
                (Arc::clone(&view.segments), view.offsets())
            };
            let found = search(&segments, offsets.start, offsets.stable);
            if !segments.iter().any(|segment| segment.is_retired()) {
                return found;
            }
            // Whoever removes or replaces segments holds this lock until there are others.
            drop(self.writer());
        }
    }

    fn first_since(
        &self,
        segment: &Arc<Segment>,
        timestamp_ms: i64,
        start: i64,
    ) -> Result<Option<OffsetAndTime>, LogError> {
        // Everything up to the last entry with a smaller timestamp is older.
        let older = {
            let indexes = segment.checked(&self.files)?;
            let search = || {
                let after =
                    indexes.times.count_before(&self.files, |entry| entry.timestamp < timestamp_ms)?;
                after.checked_sub(1).map(|number| indexes.times.get(&self.files, number)).transpose()
            };
            search().map_err(LogError::io("search the index of", segment.path()))?
        };
        let from = older.map_or(segment.base, |entry| segment.base + i64::from(entry.offset)).max(start);
        self.first_in_segment(segment, from, timestamp_ms, start)
    }

    /// The first record from `from` on, and not before `start`, whose timestamp is at least `timestamp_ms`.
    fn first_in_segment(
        &self,
        segment: &Arc<Segment>,
        from: i64,
        timestamp_ms: i64,
        start: i64,
    ) -> Result<Option<OffsetAndTime>, LogError> {
        let Some((position, base_offset)) = self.find(segment, from)? else { return Ok(None) };
        let mut scanner = segment.scan(&self.files, position, base_offset)?;
        while let Some((position, header)) = scanner.next_header()? {
            if header.max_timestamp < timestamp_ms || header.last_offset() < start || header.count == 0 {
                continue;
            }
            if header.attributes & attribute::LOG_APPEND_TIME != 0 {
                return Ok(Some((header.base_offset.max(start), header.max_timestamp)));
            }
            let payload = scanner.payload(position, &header)?;
            let found = first_in_batch(&header, &payload, timestamp_ms, start);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn first_in_batch(
    header: &BatchHeader,
    payload: &[u8],
    timestamp_ms: i64,
    start: i64,
) -> Option<OffsetAndTime> {
    let by_header = Some((header.base_offset.max(start), header.max_timestamp));
    let Ok(records) = records::inflated(header, payload) else { return by_header };
    let place =
        |record: Record<'_>| (header.base_offset + i64::from(record.offset_delta), record.timestamp(header));
    for record in Records::new(&records, header.count) {
        let Ok(record) = record else { return by_header };
        let (offset, timestamp) = place(record);
        if offset >= start && timestamp >= timestamp_ms {
            return Some((offset, timestamp));
        }
    }
    None
}
