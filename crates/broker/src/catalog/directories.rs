//! The directories of the partitions: `DATA/topics/NAME-PARTITION`.
//!
//! A directory that is no longer wanted is first renamed to `ID.deleted`, which no partition can be called, and removed
//! later: so a topic of the same name can be created at once, and a crash in between leaves nothing that could be taken
//! for a partition. What a crash leaves behind before that (a directory that belongs to no topic of the list) is
//! found at the next start and treated alike: it was never acknowledged, or its deletion was.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use super::error::CatalogError;
use super::new_id;

/// What the name of an unwanted directory ends in.
const DELETED: &str = ".deleted";

/// The directory that the partitions' directories are in.
#[derive(Debug)]
pub(super) struct Directories {
    root: PathBuf,
    /// What is to be removed.
    deleted: Mutex<Vec<PathBuf>>,
}

impl Directories {
    /// Creates the directory if it is not there.
    pub(super) fn open(root: PathBuf) -> Result<Self, CatalogError> {
        match fs::create_dir_all(&root) {
            Ok(()) => Ok(Self { root, deleted: Mutex::default() }),
            Err(source) => Err(CatalogError::Io { path: root, source }),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a partition is, or would be.
    pub(super) fn partition(&self, topic: &str, partition: usize) -> PathBuf {
        self.root.join(format!("{topic}-{partition}"))
    }

    /// Whether there is any partition, of whatever topic.
    pub(super) fn any(&self) -> Result<bool, CatalogError> {
        Ok(self.list()?.iter().any(|name| partition_of(name).is_some()))
    }

    /// Discards what belongs to no topic; `partitions` says how many every topic has.
    pub(super) fn discard_strays(&self, partitions: &BTreeMap<&str, usize>) -> Result<(), CatalogError> {
        for name in self.list()? {
            let path = self.root.join(&name);
            if name.ends_with(DELETED) {
                self.deleted().push(path);
                continue;
            }
            match partition_of(&name) {
                Some((topic, number)) if partitions.get(topic).is_some_and(|count| number < *count) => {}
                Some(_) => {
                    tracing::warn!(directory = name, "removing a partition that belongs to no topic");
                    self.discard(&path).map_err(|source| CatalogError::Io { path, source })?;
                }
                None => tracing::warn!(directory = name, "ignoring what is not a partition"),
            }
        }
        Ok(())
    }

    /// Takes a directory out of the way; it is removed by the next [`remove_discarded`](Self::remove_discarded).
    pub(super) fn discard(&self, path: &Path) -> io::Result<()> {
        let aside = self.root.join(format!("{}{DELETED}", new_id()));
        match fs::rename(path, &aside) {
            Ok(()) => self.deleted().push(aside),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Removes what was discarded. What cannot be removed is tried again at the next call.
    pub(super) fn remove_discarded(&self) {
        let discarded = std::mem::take(&mut *self.deleted());
        for path in discarded {
            match fs::remove_dir_all(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot remove a deleted partition yet");
                    self.deleted().push(path);
                }
            }
        }
    }

    /// The names of everything in the directory that has a readable one.
    fn list(&self) -> Result<Vec<String>, CatalogError> {
        let names = || {
            fs::read_dir(&self.root)?
                .map(|entry| Ok(entry?.file_name().into_string().ok()))
                .filter_map(Result::transpose)
                .collect::<io::Result<Vec<String>>>()
        };
        names().map_err(|source| CatalogError::Io { path: self.root.clone(), source })
    }

    fn deleted(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.deleted.lock().expect("nothing that holds this lock panics")
    }
}

/// The topic and the number in a directory's name.
fn partition_of(name: &str) -> Option<(&str, usize)> {
    let (topic, number) = name.rsplit_once('-')?;
    let canonical = number == "0" || !number.starts_with('0');
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits && !topic.is_empty()).then(|| Some((topic, number.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_told_by_its_name() {
        assert_eq!(partition_of("a-b-12"), Some(("a-b", 12)));
        assert_eq!(partition_of("a-0"), Some(("a", 0)));
        for other in ["a", "a-", "a-b", "-1", "a-01", "a-+1", "a-1.deleted"] {
            assert_eq!(partition_of(other), None, "{other}");
        }
    }

    #[test]
    fn strays_are_removed_and_everything_else_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let directories = Directories::open(directory.path().join("topics")).expect("a directory");
        for name in ["a-0", "a-1", "gone-0", "x.deleted", "lost+found"] {
            fs::create_dir(directories.root().join(name)).expect("a directory");
        }
        directories.discard_strays(&BTreeMap::from([("a", 1)])).expect("readable");
        assert!(!directories.partition("gone", 0).exists());
        directories.remove_discarded();
        let mut left = directories.list().expect("readable");
        left.sort();
        assert_eq!(left, ["a-0", "lost+found"]);
    }

    #[test]
    fn discarding_what_is_not_there_is_fine() {
        let directory = tempfile::tempdir().expect("a directory");
        let directories = Directories::open(directory.path().to_owned()).expect("a directory");
        directories.discard(&directories.partition("a", 0)).expect("nothing to do");
    }
}
