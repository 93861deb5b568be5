//! A segment: a file of batches, and the indexes into it.
//!
//! While a segment is written its state is in memory and in the log's checkpoint. When it is sealed, that state goes
//! into a footer after the entries of its `.index`, and the segment never grows again.
//!
//! Invariants: readers see only the bytes up to `size`, which whole batches make up; a retired segment's files may be
//! gone or may be those of its successor, so whoever opened one checks [`Segment::is_retired`] afterwards.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut};

use super::batch::{BatchHeader, NO_TIMESTAMP};
use super::disk;
use super::error::LogError;
use super::files::{FileSlot, OpenFiles};
use super::index::{AbortedEntry, Index, OffsetEntry, Stored, TimeEntry};
use super::scan::{Offsets, Scanner};

/// The first bytes of a footer.
const FOOTER_MAGIC: [u8; 4] = *b"SEAL";
/// The version of footers that this code writes, and the newest that it reads.
const FOOTER_VERSION: u16 = 1;
/// Magic, version, checksum and state.
const FOOTER_BYTES: usize = 4 + 2 + 4 + SegmentState::BYTES;

/// The extension of a file of batches.
pub(crate) const LOG_EXTENSION: &str = "log";
/// The extensions of the indexes into it.
pub(crate) const INDEX_EXTENSIONS: [&str; 3] = ["index", "timeindex", "txnindex"];

/// The name of a segment's file: its base offset in 20 digits, like Kafka's.
pub(crate) fn file_name(base: i64, extension: &str) -> String {
    format!("{base:020}.{extension}")
}

/// What is known of a segment's batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The offset after the last record.
    pub(crate) next_offset: i64,
    /// The largest timestamp of a batch, or [`NO_TIMESTAMP`].
    pub(crate) max_timestamp: i64,
    /// The last offset of the first batch that has it.
    pub(crate) max_timestamp_offset: i64,
    /// When the first batch was appended, by the broker's clock; [`NO_TIMESTAMP`] if not known.
    pub(crate) first_append_ms: i64,
    /// The last stable offset when the segment was sealed: no transaction that ended later reaches back before it.
    pub(crate) stable_offset: i64,
    /// No offset is missing, so that every batch says where the next begins. Compaction leaves gaps.
    pub(crate) dense: bool,
}

/// A segment's state as it is stored in a footer or in the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentState {
    /// Bytes of batches.
    pub(crate) size: u64,
    /// See [`Summary`].
    pub(crate) summary: Summary,
    /// The stored part of `.index`.
    pub(crate) offsets: Stored,
    /// The stored part of `.timeindex`.
    pub(crate) times: Stored,
    /// The stored part of `.txnindex`.
    pub(crate) aborted: Stored,
}

impl SegmentState {
    /// Its size in bytes.
    pub(crate) const BYTES: usize = 6 * 8 + 1 + 3 * 8;

    /// That of a segment without batches.
    pub(crate) fn empty(base: i64) -> Self {
        let summary = Summary {
            next_offset: base,
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_offset: base,
            first_append_ms: NO_TIMESTAMP,
            stable_offset: base,
            dense: true,
        };
        let none = Stored::default();
        Self { size: 0, summary, offsets: none, times: none, aborted: none }
    }

    /// Appends its bytes.
    pub(crate) fn encode(&self, output: &mut Vec<u8>) {
        output.put_u64(self.size);
        output.put_i64(self.summary.next_offset);
        output.put_i64(self.summary.max_timestamp);
        output.put_i64(self.summary.max_timestamp_offset);
        output.put_i64(self.summary.first_append_ms);
        output.put_i64(self.summary.stable_offset);
        output.put_u8(self.summary.dense.into());
        for stored in [self.offsets, self.times, self.aborted] {
            output.put_u32(stored.entries);
            output.put_u32(stored.crc);
        }
    }

    /// Takes it off the front of checked bytes.
    pub(crate) fn decode(input: &mut &[u8]) -> Option<Self> {
        if input.len() < Self::BYTES {
            return None;
        }
        let size = input.get_u64();
        let summary = Summary {
            next_offset: input.get_i64(),
            max_timestamp: input.get_i64(),
            max_timestamp_offset: input.get_i64(),
            first_append_ms: input.get_i64(),
            stable_offset: input.get_i64(),
            dense: input.get_u8() != 0,
        };
        let mut stored = || Stored { entries: input.get_u32(), crc: input.get_u32() };
        Some(Self { size, summary, offsets: stored(), times: stored(), aborted: stored() })
    }
}

/// The indexes of a segment and what they are made from.
#[derive(Debug)]
pub(crate) struct Indexes {
    /// Offsets to positions.
    pub(crate) offsets: Index<OffsetEntry>,
    /// Timestamps to offsets.
    pub(crate) times: Index<TimeEntry>,
    /// Aborted transactions whose marker is in this segment.
    pub(crate) aborted: Index<AbortedEntry>,
    /// See [`Summary`].
    pub(crate) summary: Summary,
    /// Bytes since the last entry of `offsets`.
    since_entry: u64,
    /// The timestamp of the last entry of `times`.
    last_time: i64,
    /// Whether the stored part is known to be what was stored.
    checked: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The offset that its name says; no record in it has a smaller one.
    pub(crate) base: i64,
    log: Arc<FileSlot>,
    size: AtomicU64,
    retired: AtomicBool,
    indexes: Mutex<Indexes>,
}

impl Segment {
    /// Creates the files of a new segment; what a file of its name held is lost.
    pub(crate) fn create(directory: &Path, base: i64, files: &OpenFiles) -> Result<Self, LogError> {
        let segment = Self::with_state(directory, base, &SegmentState::empty(base), true);
        let path = segment.log.path();
        let file = segment.log.create(files).map_err(LogError::io("create", path))?;
        file.set_len(0).map_err(LogError::io("truncate", path))?;
        Ok(segment)
    }

    /// A segment whose files are there. `checked` says that the indexes need no check before their first use.
    pub(crate) fn with_state(directory: &Path, base: i64, state: &SegmentState, checked: bool) -> Self {
        let path = |extension| directory.join(file_name(base, extension));
        let [offsets, times, aborted] = INDEX_EXTENSIONS.map(path);
        let indexes = Indexes {
            offsets: Index::new(offsets, state.offsets),
            times: Index::new(times, state.times),
            aborted: Index::new(aborted, state.aborted),
            summary: state.summary,
            since_entry: 0,
            last_time: state.summary.max_timestamp,
            checked,
        };
        Self {
            base,
            log: FileSlot::new(path(LOG_EXTENSION)),
            size: AtomicU64::new(state.size),
            retired: AtomicBool::new(false),
            indexes: Mutex::new(indexes),
        }
    }

    /// The sealed segment with this base, if its footer is intact and fits its file. The aborted transactions are
    /// checked now, the other indexes when they are first used: they can be made again from this segment alone.
    pub(crate) fn sealed(directory: &Path, base: i64, files: &OpenFiles) -> Result<Option<Self>, LogError> {
        let path = directory.join(file_name(base, INDEX_EXTENSIONS[0]));
        let Some(state) = read_footer(&path)? else { return Ok(None) };
        let log = directory.join(file_name(base, LOG_EXTENSION));
        let size = log.metadata().map_err(LogError::io("read the size of", &log))?.len();
        let segment = Self::with_state(directory, base, &state, false);
        let intact = segment.lock().aborted.is_intact(files).map_err(LogError::io("read", &path))?;
        Ok((intact && size == state.size && state.summary.next_offset >= base).then_some(segment))
    }

    /// The indexes. Held for the time of a look-up at most.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Indexes> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where its batches are.
    pub(crate) fn path(&self) -> &Path {
        self.log.path()
    }

    /// The open file of batches.
    pub(crate) fn file(&self, files: &OpenFiles) -> Result<Arc<File>, LogError> {
        self.log.get(files).map_err(LogError::io("open", self.log.path()))
    }

    /// Bytes that readers may see.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Lets readers see the batches up to `size`.
    pub(crate) fn publish(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// Whether the files no longer are this segment's.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Says that the files are about to go.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.log.close();
        let indexes = self.lock();
        for slot in [indexes.offsets.file(), indexes.times.file(), indexes.aborted.file()] {
            slot.close();
        }
    }

    /// Removes the files.
    pub(crate) fn remove_files(&self) -> Result<(), LogError> {
        self.retire();
        disk::remove(self.log.path())?;
        for path in self.index_paths() {
            disk::remove(&path)?;
        }
        Ok(())
    }

    /// Where the indexes are.
    pub(crate) fn index_paths(&self) -> [PathBuf; 3] {
        let indexes = self.lock();
        [indexes.offsets.file(), indexes.times.file(), indexes.aborted.file()]
            .map(|slot| slot.path().to_path_buf())
    }

    /// Takes note of a batch that was written at `position`: index entries, and the summary.
    pub(crate) fn note(&self, files: &OpenFiles, header: &BatchHeader, position: u64, interval: u64) {
        let mut indexes = self.lock();
        if indexes.note(self.base, header, position, interval) {
            // The entries stay in memory, and they are written with the next ones.
            if let Err(error) = indexes.store(files) {
                tracing::warn!(path = %self.log.path().display(), %error, "cannot write an index");
            }
        }
    }

    /// Writes what is in memory of the indexes, and returns the state that describes it.
    pub(crate) fn store(&self, files: &OpenFiles) -> Result<SegmentState, LogError> {
        let mut indexes = self.lock();
        indexes.store(files).map_err(LogError::io("write the indexes of", self.log.path()))?;
        Ok(self.state(&indexes))
    }

    fn state(&self, indexes: &Indexes) -> SegmentState {
        SegmentState {
            size: self.size(),
            summary: indexes.summary,
            offsets: indexes.offsets.stored(),
            times: indexes.times.stored(),
            aborted: indexes.aborted.stored(),
        }
    }

    /// Writes the footer: nothing will be appended any more.
    pub(crate) fn seal(&self, files: &OpenFiles, stable_offset: i64) -> Result<(), LogError> {
        let mut indexes = self.lock();
        indexes.summary.stable_offset = stable_offset;
        let mut write = || {
            indexes.store(files)?;
            let file = indexes.offsets.file().create(files)?;
            let end = indexes.offsets.stored_bytes();
            file.set_len(end)?;
            disk::write_at(&*file, &encode_footer(&self.state(&indexes)), end)
        };
        write().map_err(LogError::io("seal the index of", self.log.path()))
    }

    /// Flushes batches and indexes to the disk.
    pub(crate) fn sync(&self, files: &OpenFiles) -> Result<(), LogError> {
        self.file(files)?.sync_data().map_err(LogError::io("flush", self.log.path()))?;
        for path in self.index_paths() {
            match File::open(&path).and_then(|file| file.sync_data()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LogError::io("flush", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Walks over all batches from `position` on, where the batch of `offset` begins.
    pub(crate) fn scan(&self, files: &OpenFiles, position: u64, offset: i64) -> Result<Scanner, LogError> {
        let Summary { dense, next_offset, .. } = self.lock().summary;
        // The size may be that of a later moment than the summary, which only matters while the segment grows.
        let offsets = Offsets { from: offset, dense, before: i64::MAX };
        let offsets = if dense { offsets } else { Offsets { before: next_offset, ..offsets } };
        Ok(Scanner::new(self.file(files)?, self.path(), position, self.size(), offsets))
    }

    /// The position and the base offset of a batch at or before the one that holds `offset`, and at most an index
    /// interval and a batch away.
    pub(crate) fn place_before(&self, files: &OpenFiles, offset: i64) -> Result<(u64, i64), LogError> {
        let relative = u32::try_from(offset.saturating_sub(self.base).max(0)).unwrap_or(u32::MAX);
        let indexes = self.checked(files)?;
        let search = || {
            let after = indexes.offsets.count_before(files, |entry| entry.offset <= relative)?;
            match after.checked_sub(1) {
                Some(number) => {
                    let entry = indexes.offsets.get(files, number)?;
                    Ok((u64::from(entry.position), self.base + i64::from(entry.offset)))
                }
                None => Ok((0, self.base)),
            }
        };
        search().map_err(LogError::io("search the index of", self.log.path()))
    }

    /// The indexes, after making sure that what is stored of them is intact.
    pub(crate) fn checked(&self, files: &OpenFiles) -> Result<MutexGuard<'_, Indexes>, LogError> {
        let mut indexes = self.lock();
        if indexes.checked {
            return Ok(indexes);
        }
        let check =
            || Ok::<_, io::Error>(indexes.offsets.is_intact(files)? && indexes.times.is_intact(files)?);
        if !check().map_err(LogError::io("check the indexes of", self.log.path()))? {
            tracing::warn!(path = %self.log.path().display(), "an index is damaged and is made again");
            self.rebuild(files, &mut indexes)?;
        }
        indexes.checked = true;
        Ok(indexes)
    }

    /// Makes the offset and time indexes again from the batches.
    fn rebuild(&self, files: &OpenFiles, indexes: &mut Indexes) -> Result<(), LogError> {
        const INTERVAL_BYTES: u64 = 4096;
        let (offsets, times) = (indexes.offsets.file().path(), indexes.times.file().path());
        let (offsets, times) = (offsets.to_path_buf(), times.to_path_buf());
        let kept = indexes.summary;
        indexes.offsets = Index::new(offsets, Stored::default());
        indexes.times = Index::new(times, Stored::default());
        indexes.last_time = NO_TIMESTAMP;
        indexes.summary.max_timestamp = NO_TIMESTAMP;
        let offsets = Offsets { from: self.base, dense: kept.dense, before: i64::MAX };
        let mut scanner = Scanner::new(self.file(files)?, self.path(), 0, self.size(), offsets);
        while let Some((position, header)) = scanner.next_header()? {
            indexes.note(self.base, &header, position, INTERVAL_BYTES);
        }
        indexes.summary = kept;
        Ok(())
    }
}

impl Indexes {
    /// See [`Segment::note`]; `true` says that it is time to store.
    fn note(&mut self, base: i64, header: &BatchHeader, position: u64, interval: u64) -> bool {
        let mut full = false;
        let summary = &mut self.summary;
        if header.max_timestamp > summary.max_timestamp {
            summary.max_timestamp = header.max_timestamp;
            summary.max_timestamp_offset = header.last_offset();
        }
        summary.next_offset = header.next_offset();
        if position > 0 && self.since_entry >= interval {
            let offset = (header.base_offset - base) as u32;
            full |= self.offsets.push(OffsetEntry { offset, position: position as u32 });
            if self.summary.max_timestamp > self.last_time {
                self.last_time = self.summary.max_timestamp;
                let offset = (self.summary.max_timestamp_offset - base) as u32;
                full |= self.times.push(TimeEntry { timestamp: self.last_time, offset });
            }
            self.since_entry = 0;
        }
        self.since_entry += header.size as u64;
        full
    }

    fn store(&mut self, files: &OpenFiles) -> io::Result<()> {
        self.offsets.store(files)?;
        self.times.store(files)?;
        self.aborted.store(files)
    }
}

fn encode_footer(state: &SegmentState) -> Vec<u8> {
    let mut body = Vec::with_capacity(SegmentState::BYTES);
    state.encode(&mut body);
    let mut footer = Vec::with_capacity(FOOTER_BYTES);
    footer.put_slice(&FOOTER_MAGIC);
    footer.put_u16(FOOTER_VERSION);
    footer.put_u32(crc32c::crc32c_append(crc32c::crc32c(&FOOTER_VERSION.to_be_bytes()), &body));
    footer.put_slice(&body);
    footer
}

/// Reads the footer at the end of an `.index`; `None` if there is none or if it is damaged.
fn read_footer(path: &Path) -> Result<Option<SegmentState>, LogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("open", path)(error)),
    };
    let length = file.metadata().map_err(LogError::io("read the size of", path))?.len();
    let Some(start) = length.checked_sub(FOOTER_BYTES as u64) else { return Ok(None) };
    let mut bytes = Vec::new();
    disk::read_at(&file, &mut bytes, FOOTER_BYTES, start).map_err(LogError::io("read", path))?;
    let mut footer = bytes.as_slice();
    if footer.len() < FOOTER_BYTES || footer[..4] != FOOTER_MAGIC {
        return Ok(None);
    }
    footer.advance(4);
    let (version, crc) = (footer.get_u16(), footer.get_u32());
    if crc32c::crc32c_append(crc32c::crc32c(&version.to_be_bytes()), footer) != crc {
        return Ok(None);
    }
    if version > FOOTER_VERSION {
        let path = path.to_path_buf();
        return Err(LogError::NewerFormat { path, found: version, known: FOOTER_VERSION });
    }
    let state = SegmentState::decode(&mut footer);
    Ok(state.filter(|state| u64::from(state.offsets.entries) * 8 == start))
}
