//! The data directory: who has it, which format it is in, whose cluster it is, and how it was left.
//!
//! # Format, version 1
//! `lock`: locked exclusively (`flock`) while a broker runs; holds its process id in decimal, for people.
//! `format.json`: one object, replaced as a whole:
//! `version` 1; `cluster_id`, Kafka's form of a UUID (16 bytes in URL-safe base64 without padding, 22 characters);
//! `boot_id`, the kernel's id of the boot in which a broker last opened the directory; `clean`, whether that broker closed
//! everything. A newer version is refused.
//!
//! Invariant: `clean` is true only between a complete close and the next open.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BrokerError;
use crate::log::LastShutdown;

/// The version of the format that this program writes.
const VERSION: u32 = 1;
const FORMAT: &str = "format.json";
const LOCK: &str = "lock";
/// The kernel's id of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Serialize, Deserialize)]
struct Format {
    version: u32,
    cluster_id: String,
    boot_id: String,
    clean: bool,
}

/// Only what every version has, so that a newer one can be told.
#[derive(Deserialize)]
struct AnyFormat {
    version: u32,
}

/// The data directory of this broker alone.
pub(crate) struct DataDirectory {
    path: PathBuf,
    format: Format,
    /// Held for as long as the directory is used.
    _lock: File,
}

impl DataDirectory {
    /// Creates what is missing, takes the lock and says how the directory was left.
    pub(crate) fn open(path: &Path) -> Result<(Self, LastShutdown), BrokerError> {
        let failed = |source| BrokerError::Directory { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = lock(path)?;
        let boot_id = boot_id();
        let (cluster_id, last) = match read_format(path)? {
            None => (new_cluster_id().map_err(failed)?, LastShutdown::Unknown),
            Some(format) if format.clean => (format.cluster_id, LastShutdown::Clean),
            Some(format) if !boot_id.is_empty() && format.boot_id == boot_id => {
                (format.cluster_id, LastShutdown::SameBoot)
            }
            Some(format) => (format.cluster_id, LastShutdown::Unknown),
        };
        let format = Format { version: VERSION, cluster_id, boot_id, clean: false };
        write_format(path, &format).map_err(failed)?;
        Ok((Self { path: path.to_owned(), format, _lock: lock }, last))
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.format.cluster_id
    }

    /// Notes that everything was closed. The lock goes with the value.
    pub(crate) fn close(mut self) -> Result<(), BrokerError> {
        self.format.clean = true;
        write_format(&self.path, &self.format)
            .map_err(|source| BrokerError::Directory { path: self.path.clone(), source })
    }
}

fn lock(directory: &Path) -> Result<File, BrokerError> {
    let failed = |source| BrokerError::Directory { path: directory.to_owned(), source };
    let options =
        File::options().read(true).write(true).create(true).truncate(false).open(directory.join(LOCK));
    let mut file = options.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(source)) => return Err(failed(source)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The id is for people alone: without it the message is still true.
            let read = file.read_to_string(&mut holder);
            let process = read.ok().and_then(|_| holder.trim().parse().ok());
            return Err(BrokerError::Locked { path: directory.to_owned(), holder: Holder(process) });
        }
    }
    let written =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    written.map_err(failed)?;
    Ok(file)
}

/// The process that has a directory, if it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder(pub Option<u32>);

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(process) => write!(formatter, "process {process}"),
            None => formatter.write_str("another process"),
        }
    }
}

fn read_format(directory: &Path) -> Result<Option<Format>, BrokerError> {
    let path = directory.join(FORMAT);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BrokerError::Directory { path, source }),
    };
    let broken = |source| BrokerError::Format { path: path.clone(), source };
    let AnyFormat { version } = serde_json::from_slice(&bytes).map_err(broken)?;
    if version > VERSION {
        return Err(BrokerError::NewerFormat { path, version, known: VERSION });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(broken)
}

/// Replaces the file as a whole: a crash leaves the old one or the new one.
fn write_format(directory: &Path, format: &Format) -> io::Result<()> {
    let next = directory.join("format.json.tmp");
    let mut file = File::create(&next)?;
    file.write_all(&serde_json::to_vec_pretty(format)?)?;
    file.sync_all()?;
    fs::rename(&next, directory.join(FORMAT))?;
    File::open(directory)?.sync_all()
}

/// Empty where the kernel does not tell; then no boot is the same as another.
fn boot_id() -> String {
    fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// A random UUID in Kafka's form. One that begins with a dash would look like an option to Kafka's tools.
fn new_cluster_id() -> io::Result<String> {
    loop {
        let mut bytes = [0; 16];
        openssl::rand::rand_bytes(&mut bytes).map_err(io::Error::other)?;
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let text = openssl::base64::encode_block(uuid.as_bytes());
        let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
        if !text.starts_with('-') {
            return Ok(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_id_stays_and_the_last_shutdown_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (first, last) = DataDirectory::open(directory.path()).unwrap();
        assert_eq!(last, LastShutdown::Unknown);
        let id = first.cluster_id().to_owned();
        assert_eq!(id.len(), 22);
        first.close().unwrap();
        let (second, last) = DataDirectory::open(directory.path()).unwrap();
        assert_eq!((second.cluster_id(), last), (id.as_str(), LastShutdown::Clean));
        drop(second);
        let (third, last) = DataDirectory::open(directory.path()).unwrap();
        assert_eq!((third.cluster_id(), last), (id.as_str(), LastShutdown::SameBoot));
        drop(third);
        let path = directory.path().join(FORMAT);
        let text = fs::read_to_string(&path).unwrap();
        let boot = boot_id();
        fs::write(&path, text.replace(&boot, "another boot")).unwrap();
        assert_eq!(DataDirectory::open(directory.path()).unwrap().1, LastShutdown::Unknown);
    }

    #[test]
    fn a_directory_that_is_taken_newer_or_broken_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let held = DataDirectory::open(directory.path()).unwrap();
        let error = DataDirectory::open(directory.path()).err().unwrap();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        let path = directory.path().join(FORMAT);
        fs::write(&path, r#"{"version": 9, "shards": []}"#).unwrap();
        let error = DataDirectory::open(directory.path()).err().unwrap();
        assert!(matches!(error, BrokerError::NewerFormat { version: 9, .. }), "{error}");
        fs::write(&path, "{").unwrap();
        assert!(matches!(DataDirectory::open(directory.path()), Err(BrokerError::Format { .. })));
    }
}
