//! Walking over the batches of a segment from the beginning to the end.
//!
//! Invariants: memory is bounded by [`BUFFER_BYTES`] except where a whole batch is asked for, and then by the file; a
//! batch is returned only if it lies within the bytes that the scan was told of and its offset follows the last one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{BatchHeader, CHECKED_FROM, HEADER_BYTES};
use super::disk;
use super::error::LogError;

/// How many bytes are read at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// How many bytes are read where a few headers are probably enough.
pub(crate) const SHORT_BUFFER_BYTES: usize = 8 << 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Scanner {
    file: Arc<File>,
    path: PathBuf,
    /// Where the next batch begins.
    position: u64,
    end: u64,
    /// The offset that the next batch begins with, or may not be before.
    next_offset: i64,
    offsets: Offsets,
    saw_gap: bool,
    buffer: Vec<u8>,
    /// Where the buffer's bytes are in the file.
    buffer_start: u64,
    buffer_bytes: usize,
}

/// What is known of the offsets ahead. The checksum of a batch does not cover them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offsets {
    /// The first offset ahead.
    pub(crate) from: i64,
    /// There are no gaps, so that the first batch begins with it.
    pub(crate) dense: bool,
    /// All are before this one.
    pub(crate) before: i64,
}

impl Scanner {
    /// Scans the bytes from `position`, where a batch begins, to `end`.
    pub(crate) fn new(file: Arc<File>, path: &Path, position: u64, end: u64, offsets: Offsets) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            position,
            end,
            next_offset: offsets.from,
            offsets,
            saw_gap: false,
            buffer: Vec::new(),
            buffer_start: position,
            buffer_bytes: BUFFER_BYTES,
        }
    }

    /// Reads less at a time, because the scan will be short.
    pub(crate) fn short(mut self) -> Self {
        self.buffer_bytes = SHORT_BUFFER_BYTES;
        self
    }

    /// Whether offsets were missing between the batches so far.
    pub(crate) fn saw_gap(&self) -> bool {
        self.saw_gap
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch's position and header, without its checksum being compared; `None` at the end.
    pub(crate) fn next_header(&mut self) -> Result<Option<(u64, BatchHeader)>, LogError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let header = BatchHeader::parse_stored(self.fill(self.position, HEADER_BYTES)?)
            .ok_or_else(|| self.damaged("there is no batch"))?;
        if self.end - self.position < header.size as u64 {
            return Err(self.damaged("the batch is cut off"));
        }
        self.check_offset(&header)?;
        self.next_offset = header.next_offset();
        let position = self.position;
        self.position += header.size as u64;
        Ok(Some((position, header)))
    }

    /// Compares a batch's offset with what is known of it. A gap, where there may be one, must also leave room for what
    /// comes after it: an offset that was changed by damage rarely does.
    fn check_offset(&mut self, header: &BatchHeader) -> Result<(), LogError> {
        let gap = header.base_offset.checked_sub(self.next_offset).filter(|gap| *gap >= 0);
        let gap = gap.ok_or_else(|| self.damaged("the offsets do not ascend"))?;
        if header.next_offset() > self.offsets.before || (gap > 0 && self.offsets.dense) {
            return Err(self.damaged("an offset is too large"));
        }
        if gap > 0 {
            self.saw_gap = true;
            let next = self.position + header.size as u64;
            let following = if next < self.end { self.fill(next, HEADER_BYTES)? } else { return Ok(()) };
            if BatchHeader::parse_stored(following)
                .is_some_and(|following| following.base_offset < header.next_offset())
            {
                return Err(self.damaged("an offset is too large"));
            }
        }
        Ok(())
    }

    /// Whether the bytes of a batch match its checksum. The batch is read piece by piece.
    pub(crate) fn is_intact(&mut self, position: u64, header: &BatchHeader) -> Result<bool, LogError> {
        let end = position + header.size as u64;
        let mut position = position + CHECKED_FROM as u64;
        let mut crc = 0;
        while position < end {
            let wanted = self.buffer_bytes.min((end - position) as usize);
            let piece = self.fill(position, wanted)?;
            if piece.is_empty() {
                return Ok(false);
            }
            let piece = &piece[..piece.len().min((end - position) as usize)];
            crc = crc32c::crc32c_append(crc, piece);
            position += piece.len() as u64;
        }
        Ok(crc == header.crc)
    }

    /// The records of a batch, as they are stored. Takes as much memory as the batch.
    pub(crate) fn payload(&self, position: u64, header: &BatchHeader) -> Result<Vec<u8>, LogError> {
        let mut payload = Vec::new();
        let length = header.size - HEADER_BYTES;
        disk::read_at(&*self.file, &mut payload, length, position + HEADER_BYTES as u64)
            .map_err(LogError::io("read", &self.path))?;
        if payload.len() < length {
            return Err(self.damaged("the batch is cut off"));
        }
        Ok(payload)
    }

    fn damaged(&self, detail: &'static str) -> LogError {
        LogError::Damaged { path: self.path.clone(), position: self.position, detail }
    }

    /// The bytes from `position`: at least `wanted`, or those up to the end.
    fn fill(&mut self, position: u64, wanted: usize) -> Result<&[u8], LogError> {
        let wanted_end = (position + wanted as u64).min(self.end);
        let buffer_end = self.buffer_start + self.buffer.len() as u64;
        if position < self.buffer_start || wanted_end > buffer_end {
            self.buffer.clear();
            self.buffer_start = position;
            let length = wanted.max(self.buffer_bytes).min((self.end - position) as usize);
            disk::read_at(&*self.file, &mut self.buffer, length, position)
                .map_err(LogError::io("read", &self.path))?;
        }
        Ok(&self.buffer[(position - self.buffer_start) as usize..])
    }
}
