//! One at a time: compacting, expiring and verifying exclude each other. Storing goes on beside each of them, but for the
//! instant in which a compaction exchanges a directory.

use std::fs::{File, TryLockError};

use super::layout::Layout;
use crate::Error;

/// Held until it is dropped; the system drops it with the process.
#[derive(Debug)]
pub(super) struct Maintenance(#[expect(dead_code, reason = "it holds the lock")] File);

impl Maintenance {
    pub(super) fn begin(layout: &Layout) -> Result<Self, Error> {
        let path = layout.own().join("maintenance.lock");
        let file =
            File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Busy { path: layout.root.clone() }),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
        }
    }
}

/// Held while files are linked into the directories of the tables, by many at once.
#[derive(Debug)]
pub(super) struct Publishing(#[expect(dead_code, reason = "it holds the lock")] File);

impl Publishing {
    /// Waits while a directory is exchanged.
    pub(super) fn begin(layout: &Layout) -> Result<Self, Error> {
        lock(layout, File::lock_shared)
    }

    /// Waits until nobody publishes, and keeps everybody from it.
    pub(super) fn hold_back(layout: &Layout) -> Result<Self, Error> {
        lock(layout, File::lock)
    }
}

fn lock(layout: &Layout, take: impl FnOnce(&File) -> std::io::Result<()>) -> Result<Publishing, Error> {
    let path = layout.own().join("publish.lock");
    let file = File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
    take(&file).map_err(Error::file("lock", &path))?;
    Ok(Publishing(file))
}
