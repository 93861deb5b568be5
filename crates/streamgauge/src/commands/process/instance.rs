//! The name of this copy of the processor: the same again after a restart, another than those of other copies.
//!
//! The transactional ids are made of it. A copy that is started again under its name ends at once what its predecessor left
//! open; two copies with one name would throw each other out. So, where the settings give none, it is the host's name and
//! the first number that no other copy of the group on this machine holds: each holds a lock on a file of its number, which
//! the system gives up when the process ends, however it does.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;

use anyhow::Context as _;

/// More copies than this on one machine are a mistake.
const MOST: usize = 1_000;

/// A name, and the lock that keeps it ours.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) name: String,
    _lock: Option<File>,
}

impl Instance {
    /// The name of the settings, or the first that is free.
    pub(crate) fn of(wanted: Option<&str>, group: &str) -> anyhow::Result<Self> {
        if let Some(name) = wanted {
            return Ok(Self { name: name.to_owned(), _lock: None });
        }
        let directory = directory();
        let cannot = || {
            format!(
                "cannot keep a lock in {}; name this copy with --instance (process.instance)",
                directory.display()
            )
        };
        std::fs::create_dir_all(&directory).with_context(cannot)?;
        // A group's name can have any characters; a file's cannot.
        let group: String =
            group.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        for number in 0..MOST {
            let path = directory.join(format!("{group}-{number}.lock"));
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
                .with_context(cannot)?;
            match file.try_lock() {
                Ok(()) => {
                    let name = format!("{}-{number}", runtime::host_name());
                    return Ok(Self { name, _lock: Some(file) });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
            }
        }
        anyhow::bail!("there are {MOST} copies of group {group:?} on this machine already")
    }
}

fn directory() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = variable("XDG_RUNTIME_DIR").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    own.unwrap_or_else(std::env::temp_dir).join("streamgauge")
}
