//! What every part of the store does with files: whole or not at all, synced, and with errors that name the path.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The names in a directory; none if it is not there.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let listing = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(Error::file("list", directory))?,
    };
    let names = listing.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(Error::file("list", directory))
}

/// What a file of JSON holds; `None` if it is not there.
pub(super) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        detail: format!("it cannot be read ({error}); restore it from a backup, or store elsewhere"),
    })
}

/// Makes a file of this content, whole and synced or not at all; `false` if the name is taken.
pub(super) fn create<T: Serialize>(directory: &Path, name: &str, content: &T) -> Result<bool, Error> {
    let bytes = serde_json::to_vec(content).expect("names are strings");
    // Another process may be at the same file.
    let partial = directory.join(format!("{name}.{}", unique()));
    let path = directory.join(name);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&partial, &path));
    // A partial file that stays is in nobody's way.
    drop(fs::remove_file(&partial));
    match linked {
        Ok(()) => {
            sync_directory(directory)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::file("write", &path)(error)),
    }
}

/// A name that no other call gives, in no process on any machine.
pub(super) fn unique() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(0_u8), random.hash_one(1_u8))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes the names in a directory last.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(Error::file("sync", path))
}

/// Makes a file of these bytes, synced; what was written of it goes if that fails.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| {
        // Half a file has no use, and its room may be what is missing.
        drop(fs::remove_file(path));
        Error::file("write", path)(source)
    })
}
