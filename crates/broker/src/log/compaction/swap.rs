//! Putting compacted segments in the place of the old ones, so that a kill at any point leaves one or the other.
//!
//! The compacted segment is written in the directory `compacting`. Once it is complete and on the disk, the file `swap`
//! says which segments it replaces; from then on the swap happens, if need be when the log is opened again. Everything
//! in it can be done twice.
//!
//! Invariant: without a `swap` file, what is in `compacting` is worthless.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use super::super::disk;
use super::super::error::LogError;
use super::super::segment::{INDEX_EXTENSIONS, LOG_EXTENSION, file_name};

const SWAP: &str = "swap";
const COMPACTING: &str = "compacting";
const MAGIC: [u8; 4] = *b"LOGS";
const VERSION: u16 = 1;

/// Which segments are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Swap {
    /// The base offset of the compacted segment, which is that of the first it replaces; `None` if nothing was left.
    pub(super) compacted: Option<i64>,
    /// The base offsets of the segments that it replaces.
    pub(super) replaced: Vec<i64>,
}

/// Where compacted segments are written, emptied.
pub(super) fn prepare(directory: &Path) -> Result<PathBuf, LogError> {
    let path = directory.join(COMPACTING);
    clear(directory)?;
    fs::create_dir(&path).map_err(LogError::io("create", &path))?;
    Ok(path)
}

/// Removes what a compaction has left behind.
pub(super) fn clear(directory: &Path) -> Result<(), LogError> {
    let path = directory.join(COMPACTING);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// Ends a swap that was decided on before the log was closed or killed, and clears up.
pub(in super::super) fn recover(directory: &Path) -> Result<(), LogError> {
    let payload = disk::read_framed(&directory.join(SWAP), MAGIC, VERSION)?;
    if let Some(swap) = payload.as_deref().and_then(Swap::decode) {
        swap.complete(directory)?;
    }
    disk::remove(&directory.join(SWAP))?;
    clear(directory)
}

impl Swap {
    /// Decides on the swap.
    pub(super) fn decide(&self, directory: &Path) -> Result<(), LogError> {
        let mut payload = Vec::new();
        payload.put_i64(self.compacted.unwrap_or(-1));
        for base in &self.replaced {
            payload.put_i64(*base);
        }
        disk::write_framed(&directory.join(SWAP), MAGIC, VERSION, &payload, true)
    }

    fn decode(mut payload: &[u8]) -> Option<Self> {
        let compacted = Some(payload.try_get_i64().ok()?).filter(|base| *base >= 0);
        let mut replaced = Vec::with_capacity(payload.len() / 8);
        while !payload.is_empty() {
            replaced.push(payload.try_get_i64().ok()?);
        }
        Some(Self { compacted, replaced })
    }

    /// Does it, and forgets that it was decided on.
    pub(in super::super) fn complete(&self, directory: &Path) -> Result<(), LogError> {
        for base in self.replaced.iter().filter(|base| Some(**base) != self.compacted) {
            for extension in INDEX_EXTENSIONS.into_iter().chain([LOG_EXTENSION]) {
                disk::remove(&directory.join(file_name(*base, extension)))?;
            }
        }
        if let Some(base) = self.compacted {
            for extension in INDEX_EXTENSIONS.into_iter().chain([LOG_EXTENSION]) {
                let name = file_name(base, extension);
                let (from, to) = (directory.join(COMPACTING).join(&name), directory.join(&name));
                match fs::rename(&from, &to) {
                    // It was done before, or there is no such index, and the footer says so.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => other.map_err(LogError::io("rename", &from))?,
                }
            }
        }
        let swap = directory.join(SWAP);
        disk::sync_directory_of(&swap).map_err(LogError::io("flush", directory))?;
        disk::remove(&swap)
    }
}
