//! The journal: the one file in which everything lives that the coordinator must not forget.
//!
//! # Stored format, version 1
//!
//! `DATA/coordinator/journal` begins with a header of 16 bytes: the 8 bytes `COORDJNL`, the version of the format
//! (u32, little-endian) and the CRC-32C of these 12 bytes (u32, little-endian). Frames follow until the end:
//!
//! | field | type |
//! |---|---|
//! | length of the payload in bytes | u32, little-endian |
//! | CRC-32C of the payload | u32, little-endian |
//! | payload | JSON of one [`Entry`] |
//!
//! The state is what the entries make of an empty one, in order. A version that is higher than this one is refused.
//! `DATA/coordinator/journal.new` is a snapshot that was being written when the process ended; it is of no value.
//!
//! # Invariants
//!
//! An entry is in the page cache before [`Journal::append`] returns, so it survives the process. An append that failed
//! leaves nothing behind: the file is cut to its last good length before anything else is appended. The file never
//! grows beyond a few times what it would be as a snapshot, and the snapshot is on the disk before it takes the place
//! of the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::entry::Entry;

const MAGIC: &[u8; 8] = b"COORDJNL";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
const FRAME_HEADER_BYTES: usize = 8;

/// The largest entry: a group of many members with large subscriptions. A larger one is refused.
const MAX_ENTRY_BYTES: usize = 64 << 20;

/// A journal below this size is never rewritten.
const REWRITE_FROM_BYTES: u64 = 16 << 20;

/// A journal is rewritten when it is this many times as large as its last snapshot.
const REWRITE_GROWTH: u64 = 4;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read or written; a full disk is among the causes.
    #[error("{path}: {source}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A newer version of this program wrote it.
    #[error("{path} has version {version} of the format; this program knows versions up to {VERSION}")]
    Newer {
        /// The journal.
        path: PathBuf,
        /// The version that it says.
        version: u32,
    },
    /// It does not begin like a journal.
    #[error("{path} is not a journal of the coordinator")]
    Foreign {
        /// The journal.
        path: PathBuf,
    },
    /// An entry is whole but not understood.
    #[error("{path}: the entry at byte {offset} is not understood: {source}")]
    Entry {
        /// The journal.
        path: PathBuf,
        /// Where its frame begins.
        offset: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An entry is larger than any that is read back.
    #[error("{path}: an entry of {bytes} bytes is larger than the {MAX_ENTRY_BYTES} allowed")]
    TooLarge {
        /// The journal.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
}

/// The open journal.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes up to the end of the last good entry.
    length: u64,
    /// Something may be behind `length` that a failed append left.
    torn: bool,
    /// The length at which the next snapshot is due.
    rewrite_at: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens the journal in `directory`, which is created if it is missing, and returns it with its entries. A torn
    /// tail, which nobody was told of, is cut off.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<Entry>), JournalError> {
        let path = directory.join("journal");
        let (file, bytes) =
            read(directory, &path).map_err(|source| JournalError::Io { path: path.clone(), source })?;
        let mut journal =
            Self { file, path, length: 0, torn: false, rewrite_at: REWRITE_FROM_BYTES, buffer: Vec::new() };
        if bytes.len() < HEADER_BYTES {
            // Either new, or the process ended while it wrote the header: no entry can have been acknowledged.
            journal.write_header()?;
            return Ok((journal, Vec::new()));
        }
        journal.check_header(&bytes)?;
        let (entries, end) = journal.decode(&bytes)?;
        journal.length = end as u64;
        journal.rewrite_at = journal.rewrite_at.max(journal.length);
        if end < bytes.len() {
            tracing::warn!(path = %journal.path.display(), bytes = bytes.len() - end, "cutting off a torn tail");
            journal.torn = true;
            journal.cut()?;
        }
        Ok((journal, entries))
    }

    /// Appends `entries` at once: they are all in the page cache when this returns, or none is in the file.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        self.cut()?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let written = entries.iter().try_for_each(|entry| self.encode(entry, &mut buffer)).and_then(|()| {
            self.torn = true;
            self.file.write_all_at(&buffer, self.length).map_err(|source| self.io(source))
        });
        match &written {
            Ok(()) => {
                self.torn = false;
                self.length += buffer.len() as u64;
            }
            // The cut is tried again by the next append, which fails as long as it fails.
            Err(_) => drop(self.cut()),
        }
        self.buffer = buffer;
        written
    }

    /// Whether the journal has grown enough for [`Journal::rewrite`].
    pub(super) fn wants_rewrite(&self) -> bool {
        self.length > self.rewrite_at
    }

    /// Replaces all entries by `snapshot`, which must make the same state of an empty one. If that fails the journal
    /// goes on as it was and asks again when it has grown as much once more.
    pub(super) fn rewrite(&mut self, snapshot: &[Entry]) -> Result<(), JournalError> {
        let retry_at = self.length + REWRITE_FROM_BYTES;
        self.rewrite_at = retry_at;
        let mut bytes = header();
        for entry in snapshot {
            self.encode(entry, &mut bytes)?;
        }
        let replacement = self.path.with_extension("new");
        self.file = replace(&replacement, &self.path, &bytes).map_err(|source| self.io(source))?;
        self.length = bytes.len() as u64;
        self.torn = false;
        self.rewrite_at = (self.length * REWRITE_GROWTH).max(REWRITE_FROM_BYTES);
        Ok(())
    }

    /// Brings everything to the disk.
    pub(super) fn flush(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|source| self.io(source))
    }

    /// Bytes in the journal.
    #[cfg(test)]
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Puts a file of the tests' choice in the place of the journal's, to see appends fail.
    #[cfg(test)]
    pub(super) fn swap_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    fn write_header(&mut self) -> Result<(), JournalError> {
        let header = header();
        let written = self.file.set_len(0).and_then(|()| self.file.write_all_at(&header, 0));
        written.map_err(|source| self.io(source))?;
        self.length = header.len() as u64;
        Ok(())
    }

    fn check_header(&self, bytes: &[u8]) -> Result<(), JournalError> {
        let version = u32_at(bytes, MAGIC.len());
        if !bytes.starts_with(MAGIC) || u32_at(bytes, 12) != crc32c::crc32c(&bytes[..12]) {
            return Err(JournalError::Foreign { path: self.path.clone() });
        }
        if version > VERSION {
            return Err(JournalError::Newer { path: self.path.clone(), version });
        }
        Ok(())
    }

    /// The entries of the file, and where the last whole one ends.
    fn decode(&self, bytes: &[u8]) -> Result<(Vec<Entry>, usize), JournalError> {
        let mut entries = Vec::new();
        let mut offset = HEADER_BYTES;
        while let Some(payload) = frame(bytes, offset) {
            let entry = serde_json::from_slice(payload).map_err(|source| JournalError::Entry {
                path: self.path.clone(),
                offset,
                source,
            })?;
            entries.push(entry);
            offset += FRAME_HEADER_BYTES + payload.len();
        }
        Ok((entries, offset))
    }

    fn encode(&self, entry: &Entry, buffer: &mut Vec<u8>) -> Result<(), JournalError> {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        serde_json::to_writer(&mut *buffer, entry).expect("entries have string keys and only finite numbers");
        let payload = start + FRAME_HEADER_BYTES;
        let bytes = buffer.len() - payload;
        if bytes > MAX_ENTRY_BYTES {
            return Err(JournalError::TooLarge { path: self.path.clone(), bytes });
        }
        let checksum = crc32c::crc32c(&buffer[payload..]);
        buffer[start..start + 4].copy_from_slice(&(bytes as u32).to_le_bytes());
        buffer[start + 4..payload].copy_from_slice(&checksum.to_le_bytes());
        Ok(())
    }

    /// Removes what a failed append left behind the last good entry.
    fn cut(&mut self) -> Result<(), JournalError> {
        if self.torn {
            self.file.set_len(self.length).map_err(|source| self.io(source))?;
            self.torn = false;
        }
        Ok(())
    }

    fn io(&self, source: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), source }
    }
}

fn read(directory: &Path, path: &Path) -> io::Result<(File, Vec<u8>)> {
    fs::create_dir_all(directory)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((file, bytes))
}

/// Writes `bytes` to `replacement`, to the disk, and then moves it to `path`; returns the open file.
fn replace(replacement: &Path, path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(replacement)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(replacement, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}

fn header() -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = crc32c::crc32c(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    header
}

/// The payload of the frame at `offset`, if it is whole.
fn frame(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let start = offset + FRAME_HEADER_BYTES;
    if bytes.len() < start {
        return None;
    }
    let length = u32_at(bytes, offset) as usize;
    if length > MAX_ENTRY_BYTES {
        return None;
    }
    let payload = bytes.get(start..start + length)?;
    (crc32c::crc32c(payload) == u32_at(bytes, offset + 4)).then_some(payload)
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("a slice of four bytes"))
}

#[cfg(test)]
mod tests;
