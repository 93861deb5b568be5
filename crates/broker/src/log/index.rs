//! An index: entries of fixed size in ascending order, the newest in memory, the others in a file that is searched in
//! place.
//!
//! Invariants: at most [`TAIL_ENTRIES`] entries are in memory unless the disk is full; the checksum of those in the file
//! is known, so that a file that was damaged can be told before it is used; an entry is never changed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk;
use super::files::{FileSlot, OpenFiles};

/// Entries that are collected before they are written to the file.
const TAIL_ENTRIES: usize = 256;
/// How many bytes of a file are checked at a time.
const CHECK_BYTES: usize = 64 << 10;

/// An entry of an index.
pub(crate) trait Entry: Copy {
    /// Its size in bytes.
    const BYTES: usize;
    /// Appends its bytes.
    fn encode(&self, output: &mut Vec<u8>);
    /// Reads it from [`Self::BYTES`] bytes.
    fn decode(bytes: &[u8]) -> Self;
}

/// Where a batch is: an entry of `.index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// The base offset of the batch less that of the segment.
    pub(crate) offset: u32,
    /// Where the batch begins in the segment's file.
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn encode(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.offset.to_be_bytes());
        output.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { offset: u32_at(bytes, 0), position: u32_at(bytes, 4) }
    }
}

/// The largest timestamp up to an offset: an entry of `.timeindex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The largest timestamp of all batches up to the one that ends with `offset`.
    pub(crate) timestamp: i64,
    /// The last offset of the batch that has it, less the base offset of the segment.
    pub(crate) offset: u32,
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;

    fn encode(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.timestamp.to_be_bytes());
        output.extend_from_slice(&self.offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { timestamp: i64_at(bytes, 0), offset: u32_at(bytes, 8) }
    }
}

/// An aborted transaction: an entry of `.txnindex`, ordered by the offset of the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedEntry {
    /// Whose transaction it was.
    pub(crate) producer_id: i64,
    /// The offset of its first record.
    pub(crate) first_offset: i64,
    /// The offset of the marker that ended it.
    pub(crate) last_offset: i64,
    /// The last stable offset after it had ended: no transaction that ends later reaches back before it.
    pub(crate) stable_offset: i64,
}

impl Entry for AbortedEntry {
    const BYTES: usize = 34;

    fn encode(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&0_i16.to_be_bytes());
        for field in [self.producer_id, self.first_offset, self.last_offset, self.stable_offset] {
            output.extend_from_slice(&field.to_be_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        Self {
            producer_id: i64_at(bytes, 2),
            first_offset: i64_at(bytes, 10),
            last_offset: i64_at(bytes, 18),
            stable_offset: i64_at(bytes, 26),
        }
    }
}

/// How much of an index is in its file, and the checksum of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stored {
    /// Entries in the file.
    pub(crate) entries: u32,
    /// CRC32C of their bytes.
    pub(crate) crc: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Index<E> {
    file: Arc<FileSlot>,
    stored: Stored,
    tail: Vec<E>,
}

impl<E: Entry> Index<E> {
    /// An index of which `stored` is in the file; what else the file holds is overwritten.
    pub(crate) fn new(path: PathBuf, stored: Stored) -> Self {
        Self { file: FileSlot::new(path), stored, tail: Vec::new() }
    }

    /// The file.
    pub(crate) fn file(&self) -> &Arc<FileSlot> {
        &self.file
    }

    /// How much is in the file.
    pub(crate) fn stored(&self) -> Stored {
        self.stored
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.stored.entries as usize + self.tail.len()
    }

    /// Adds an entry after all others. `true` says that it is time to [`store`](Self::store).
    pub(crate) fn push(&mut self, entry: E) -> bool {
        self.tail.push(entry);
        self.tail.len().is_multiple_of(TAIL_ENTRIES)
    }

    /// Writes the entries in memory to the file. If that fails they stay in memory.
    pub(crate) fn store(&mut self, files: &OpenFiles) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.tail.len() * E::BYTES);
        for entry in &self.tail {
            entry.encode(&mut bytes);
        }
        disk::write_at(&*self.file.create(files)?, &bytes, self.stored_bytes())?;
        self.stored.crc = crc32c::crc32c_append(self.stored.crc, &bytes);
        self.stored.entries += self.tail.len() as u32;
        self.tail = Vec::new();
        Ok(())
    }

    /// Whether the file holds what was stored in it.
    pub(crate) fn is_intact(&self, files: &OpenFiles) -> io::Result<bool> {
        if self.stored.entries == 0 {
            return Ok(true);
        }
        let file = match self.file.get(files) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let (mut crc, mut position, end) = (0, 0, self.stored_bytes());
        let mut buffer = Vec::new();
        while position < end {
            buffer.clear();
            let wanted = CHECK_BYTES.min((end - position) as usize);
            disk::read_at(&*file, &mut buffer, wanted, position)?;
            if buffer.is_empty() {
                return Ok(false);
            }
            crc = crc32c::crc32c_append(crc, &buffer);
            position += buffer.len() as u64;
        }
        Ok(crc == self.stored.crc)
    }

    /// How many entries come before the first for which `before` is false; it must be true for a prefix of them.
    pub(crate) fn count_before(&self, files: &OpenFiles, before: impl Fn(&E) -> bool) -> io::Result<usize> {
        if self.stored.entries == 0 || self.tail.first().is_some_and(&before) {
            return Ok(self.stored.entries as usize + self.tail.partition_point(before));
        }
        let (mut low, mut high) = (0, self.stored.entries as usize);
        while low < high {
            let middle = low.midpoint(high);
            if before(&self.get(files, middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The entry with this number, which must be below [`len`](Self::len).
    pub(crate) fn get(&self, files: &OpenFiles, number: usize) -> io::Result<E> {
        if let Some(in_tail) = number.checked_sub(self.stored.entries as usize) {
            return Ok(self.tail[in_tail]);
        }
        let mut bytes = Vec::with_capacity(E::BYTES);
        disk::read_at(&*self.file.get(files)?, &mut bytes, E::BYTES, (number * E::BYTES) as u64)?;
        if bytes.len() < E::BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(E::decode(&bytes))
    }

    /// The size of all entries in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.len() * E::BYTES) as u64
    }

    /// Bytes of the file that hold entries.
    pub(crate) fn stored_bytes(&self) -> u64 {
        u64::from(self.stored.entries) * E::BYTES as u64
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(field)
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(field)
}
