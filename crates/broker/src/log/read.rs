//! Reading: whole batches, as they are stored.
//!
//! Invariants: no lock is held over I/O; what is returned are whole batches with ascending offsets; batches that were
//! there before the log was opened are returned only if their checksum is right, because nobody else may look at it.

use std::sync::Arc;

use bytes::Bytes;

use super::Log;
use super::batch::{BatchHeader, CHECKED_FROM, HEADER_BYTES};
use super::disk;
use super::error::{LogError, ReadError};
use super::index::AbortedEntry;
use super::segment::Segment;

/// Sequential readers whose places are remembered.
const CURSORS: usize = 8;

/// What [`Log::read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadBatch {
    /// Whole batches, the first of which holds the offset; empty if there are none yet.
    pub(crate) records: Bytes,
    /// The offset after the last record that is safe; on a single node, of the last record.
    pub(crate) high_watermark: i64,
    /// Records before this offset belong to no open transaction.
    pub(crate) last_stable_offset: i64,
    /// The first offset that clients may read.
    pub(crate) log_start_offset: i64,
    /// Aborted transactions with records among those returned, as producer and first offset; only for `read_committed`.
    pub(crate) aborted: Vec<(i64, i64)>,
}

/// The offsets of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogOffsets {
    /// The first offset that clients may read.
    pub(crate) start: i64,
    /// Records before this offset belong to no open transaction.
    pub(crate) stable: i64,
    /// The offset that the next record will get; the high watermark too.
    pub(crate) end: i64,
}

/// What readers see; changed in one step after each append.
#[derive(Debug)]
pub(super) struct View {
    pub(super) start: i64,
    pub(super) stable: i64,
    pub(super) end: i64,
    /// In ascending order; the last is being written. Never empty.
    pub(super) segments: Arc<[Arc<Segment>]>,
    /// Where sequential readers stopped.
    cursors: [Option<Cursor>; CURSORS],
    next_cursor: usize,
}

/// Where the batch that begins with an offset is, or will be.
#[derive(Debug, Clone)]
struct Cursor {
    offset: i64,
    segment: Arc<Segment>,
    position: u64,
}

impl View {
    /// The view of a log that was just opened.
    pub(super) fn new(offsets: LogOffsets, segments: Arc<[Arc<Segment>]>) -> Self {
        let LogOffsets { start, stable, end } = offsets;
        Self { start, stable, end, segments, cursors: [const { None }; CURSORS], next_cursor: 0 }
    }

    /// The offsets.
    pub(super) fn offsets(&self) -> LogOffsets {
        LogOffsets { start: self.start, stable: self.stable, end: self.end }
    }

    /// Forgets the cursors: they keep segments alive that may be gone.
    pub(super) fn forget_cursors(&mut self) {
        self.cursors = [const { None }; CURSORS];
    }

    /// The number of the segment that holds `offset`, or would.
    pub(super) fn segment_of(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }
}

/// A request, and what the view said when it came.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    offset: i64,
    /// Only records before this offset.
    limit: i64,
    max_bytes: usize,
    at_least_one: bool,
}

impl Log {
    /// The offsets as they are now.
    pub(crate) fn offsets(&self) -> LogOffsets {
        self.view().offsets()
    }

    /// Reads whole batches of up to `max_bytes`, beginning with the one that holds `offset`. With `at_least_one` the
    /// first batch is returned even if it is larger. With `read_committed` only what no open transaction can change is
    /// returned, and the aborted transactions in it are named.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        read_committed: bool,
        at_least_one: bool,
    ) -> Result<ReadBatch, ReadError> {
        loop {
            self.check_not_deleted()?;
            let (offsets, segments, cursor) = {
                let mut view = self.view();
                let cursor = view.take_cursor(offset);
                (view.offsets(), Arc::clone(&view.segments), cursor)
            };
            if offset < offsets.start || offset > offsets.end {
                return Err(ReadError::OutOfRange { offset, start: offsets.start, end: offsets.end });
            }
            let mut answer = ReadBatch {
                records: Bytes::new(),
                high_watermark: offsets.end,
                last_stable_offset: offsets.stable,
                log_start_offset: offsets.start,
                aborted: Vec::new(),
            };
            let limit = if read_committed { offsets.stable } else { offsets.end };
            if offset >= limit || max_bytes == 0 && !at_least_one {
                return Ok(answer);
            }
            let wanted = Wanted { offset, limit, max_bytes, at_least_one };
            // What fails because the segment was removed or replaced meanwhile is tried again with what there is once
            // the writer, who does that, is done.
            match self.read_segments(&segments, cursor.as_ref(), wanted) {
                Ok(Found::Retired) => drop(self.writer()),
                Err(_) if is_outdated(&segments, offset) => drop(self.writer()),
                Err(error) => return Err(error.into()),
                Ok(Found::Nothing) => return Ok(answer),
                Ok(Found::Batches { records, next_offset }) => {
                    answer.records = records;
                    if read_committed {
                        answer.aborted = self
                            .aborted_between(&segments, offset, next_offset)?
                            .into_iter()
                            .map(|entry| (entry.producer_id, entry.first_offset))
                            .collect();
                    }
                    // Files may have been opened where a partition of the same name is by now.
                    self.check_not_deleted()?;
                    return Ok(answer);
                }
            }
        }
    }

    fn read_segments(
        &self,
        segments: &[Arc<Segment>],
        cursor: Option<&Cursor>,
        wanted: Wanted,
    ) -> Result<Found, LogError> {
        let first = segments.partition_point(|segment| segment.base <= wanted.offset).saturating_sub(1);
        for segment in &segments[first..] {
            let known = cursor.filter(|cursor| Arc::ptr_eq(&cursor.segment, segment));
            let place = match known {
                Some(cursor) if cursor.position < segment.size() => Some((cursor.position, cursor.offset)),
                _ => self.find(segment, wanted.offset)?,
            };
            if segment.is_retired() {
                return Ok(Found::Retired);
            }
            if let Some(place) = place {
                return self.read_from(segment, place, wanted);
            }
        }
        Ok(Found::Nothing)
    }

    /// The position and the base offset of the batch that holds `offset`, or of the next one; `None` if the segment has
    /// neither.
    pub(super) fn find(&self, segment: &Segment, offset: i64) -> Result<Option<(u64, i64)>, LogError> {
        let (start, base_offset) = segment.place_before(&self.files, offset)?;
        let mut scanner = segment.scan(&self.files, start, base_offset)?.short();
        while let Some((position, header)) = scanner.next_header()? {
            if header.last_offset() >= offset {
                return Ok(Some((position, header.base_offset)));
            }
        }
        Ok(None)
    }

    /// Reads from a position, and the offset that the batch there begins with; in a compacted segment maybe a later one.
    fn read_from(
        &self,
        segment: &Arc<Segment>,
        place: (u64, i64),
        wanted: Wanted,
    ) -> Result<Found, LogError> {
        let position = place.0;
        let available = segment.size().saturating_sub(position);
        let file = segment.file(&self.files)?;
        let mut bytes = Vec::new();
        let mut length = (wanted.max_bytes as u64).min(available) as usize;
        loop {
            let read = bytes.len();
            disk::read_at(&*file, &mut bytes, length - read, position + read as u64)
                .map_err(LogError::io("read", segment.path()))?;
            if segment.is_retired() {
                return Ok(Found::Retired);
            }
            let whole = self.whole_batches(segment, &bytes, place, wanted)?;
            match whole {
                Whole::Batches { end, next_offset } => {
                    bytes.truncate(end);
                    self.view().put_cursor(Cursor {
                        offset: next_offset,
                        segment: Arc::clone(segment),
                        position: position + end as u64,
                    });
                    return Ok(Found::Batches { records: bytes.into(), next_offset });
                }
                Whole::Needs(size) if wanted.at_least_one && size as u64 <= available => length = size,
                Whole::Needs(size) if size as u64 > available => {
                    let path = segment.path().to_path_buf();
                    return Err(LogError::Damaged { path, position, detail: "the batch is cut off" });
                }
                Whole::Needs(_) | Whole::PastLimit => return Ok(Found::Nothing),
            }
        }
    }

    /// How much of `bytes` is whole batches that may be returned.
    fn whole_batches(
        &self,
        segment: &Segment,
        bytes: &[u8],
        (position, mut next_offset): (u64, i64),
        wanted: Wanted,
    ) -> Result<Whole, LogError> {
        let dense = segment.lock().summary.dense;
        let mut end = 0;
        let problem = loop {
            let rest = &bytes[end..];
            if rest.len() < HEADER_BYTES {
                return Ok(if end > 0 {
                    Whole::Batches { end, next_offset }
                } else {
                    Whole::Needs(HEADER_BYTES)
                });
            }
            let Some(header) = BatchHeader::parse_stored(rest) else { break "there is no batch" };
            if header.base_offset < next_offset || (dense && header.base_offset != next_offset) {
                break "an offset is not the one that follows";
            }
            if header.base_offset >= wanted.limit {
                return Ok(if end > 0 { Whole::Batches { end, next_offset } } else { Whole::PastLimit });
            }
            if header.size > rest.len() {
                return Ok(if end > 0 {
                    Whole::Batches { end, next_offset }
                } else {
                    Whole::Needs(header.size)
                });
            }
            if header.base_offset < self.verify_before
                && crc32c::crc32c(&rest[CHECKED_FROM..header.size]) != header.crc
            {
                break "the checksum is wrong";
            }
            end += header.size;
            next_offset = header.next_offset();
        };
        if end > 0 {
            // What comes before is good; the next read begins with the damage, and says so.
            return Ok(Whole::Batches { end, next_offset });
        }
        Err(LogError::Damaged { path: segment.path().to_path_buf(), position, detail: problem })
    }

    /// The aborted transactions that have records from `first` to before `end`.
    pub(super) fn aborted_between(
        &self,
        segments: &[Arc<Segment>],
        first: i64,
        end: i64,
    ) -> Result<Vec<AbortedEntry>, LogError> {
        let mut found = Vec::new();
        let number = segments.partition_point(|segment| segment.base <= first).saturating_sub(1);
        for (number, segment) in segments.iter().enumerate().skip(number) {
            let indexes = segment.lock();
            let mut search = || {
                let start = indexes.aborted.count_before(&self.files, |entry| entry.last_offset < first)?;
                for number in start..indexes.aborted.len() {
                    let entry = indexes.aborted.get(&self.files, number)?;
                    if entry.first_offset < end {
                        found.push(entry);
                    }
                    if entry.stable_offset >= end {
                        return Ok(true);
                    }
                }
                Ok(false)
            };
            let complete = search().map_err(LogError::io("search the index of", segment.path()))?;
            let sealed = number + 1 < segments.len();
            if complete || (sealed && indexes.summary.stable_offset >= end) {
                break;
            }
        }
        Ok(found)
    }
}

/// Whether the segment that held `offset`, or the next, is no longer part of the log.
fn is_outdated(segments: &[Arc<Segment>], offset: i64) -> bool {
    let number = segments.partition_point(|segment| segment.base <= offset).saturating_sub(1);
    segments[number..].iter().take(2).any(|segment| segment.is_retired())
}

/// What came of reading a segment.
#[derive(Debug)]
enum Found {
    /// Whole batches, and the offset after them.
    Batches { records: Bytes, next_offset: i64 },
    /// There is nothing that may be returned.
    Nothing,
    /// The segment was removed or replaced meanwhile.
    Retired,
}

/// What the bytes of a read are.
#[derive(Debug)]
enum Whole {
    /// Whole batches up to a byte, and the offset after them.
    Batches { end: usize, next_offset: i64 },
    /// The first batch needs more bytes than were read.
    Needs(usize),
    /// The first batch is not to be returned yet.
    PastLimit,
}

impl View {
    fn take_cursor(&mut self, offset: i64) -> Option<Cursor> {
        self.cursors
            .iter()
            .flatten()
            .find(|cursor| cursor.offset == offset && !cursor.segment.is_retired())
            .cloned()
    }

    fn put_cursor(&mut self, cursor: Cursor) {
        if cursor.segment.is_retired() {
            return;
        }
        let same =
            |known: &&mut Option<Cursor>| known.as_ref().is_some_and(|known| known.offset == cursor.offset);
        if let Some(known) = self.cursors.iter_mut().find(same) {
            *known = Some(cursor);
            return;
        }
        self.cursors[self.next_cursor] = Some(cursor);
        self.next_cursor = (self.next_cursor + 1) % CURSORS;
    }
}
