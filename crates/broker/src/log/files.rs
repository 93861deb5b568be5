//! Open files, shared by all logs of a broker: how many are open at once is bounded, however many segments there are.
//!
//! Invariants: a file is opened when it is first needed and may be closed whenever nobody uses it; nobody relies on a
//! file's cursor, all access is by position.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How many files the logs of a broker keep open unless told otherwise.
pub(crate) const DEFAULT_OPEN_FILES: usize = 512;

/// Which files are open. Closing follows the clock algorithm: the oldest that was not used since it was last asked.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    limit: usize,
    open: Mutex<VecDeque<Weak<FileSlot>>>,
}

impl OpenFiles {
    /// Keeps at most `limit` files open, at least one. A file in use stays open until it is no longer used.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), open: Mutex::new(VecDeque::new()) }
    }

    /// Closes files until there is room for one more, and notes that `slot` is open.
    fn opened(&self, slot: &Arc<FileSlot>) {
        let mut open = lock(&self.open);
        while open.len() >= self.limit {
            let Some(oldest) = open.pop_front() else { break };
            let Some(oldest) = oldest.upgrade() else { continue };
            if oldest.used.swap(false, Ordering::Relaxed) {
                open.push_back(Arc::downgrade(&oldest));
            } else if !Arc::ptr_eq(&oldest, slot) {
                *lock(&oldest.file) = None;
            }
        }
        open.push_back(Arc::downgrade(slot));
    }
}

/// A file that is open or can be opened.
#[derive(Debug)]
pub(crate) struct FileSlot {
    path: PathBuf,
    file: Mutex<Option<Arc<File>>>,
    used: AtomicBool,
}

impl FileSlot {
    /// Nothing is opened yet.
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, file: Mutex::new(None), used: AtomicBool::new(false) })
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for reading and writing; it must exist.
    pub(crate) fn get(self: &Arc<Self>, files: &OpenFiles) -> io::Result<Arc<File>> {
        self.open(files, OpenOptions::new().read(true).write(true))
    }

    /// The open file, for reading and writing; created if it is missing.
    pub(crate) fn create(self: &Arc<Self>, files: &OpenFiles) -> io::Result<Arc<File>> {
        self.open(files, OpenOptions::new().read(true).write(true).create(true).truncate(false))
    }

    fn open(self: &Arc<Self>, files: &OpenFiles, options: &OpenOptions) -> io::Result<Arc<File>> {
        if let Some(file) = &*lock(&self.file) {
            self.used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(file));
        }
        let opened = Arc::new(options.open(&self.path)?);
        let mut file = lock(&self.file);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        *file = Some(Arc::clone(&opened));
        drop(file);
        files.opened(self);
        Ok(opened)
    }

    /// Forgets the open file, because another one takes its name.
    pub(crate) fn close(&self) {
        *lock(&self.file) = None;
    }
}

/// Locks; a panic of another holder is no reason to fail, for nothing here is left half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_files_are_open_than_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let files = OpenFiles::new(3);
        let slots: Vec<_> = (0..10).map(|n| FileSlot::new(directory.path().join(format!("{n}")))).collect();
        for _ in 0..3 {
            for slot in &slots {
                slot.create(&files).unwrap();
                let open = slots.iter().filter(|slot| lock(&slot.file).is_some()).count();
                assert!(open <= 3, "{open} are open");
            }
        }
    }
}
