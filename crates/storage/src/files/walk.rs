//! What lies in the directories of the tables.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::layout::{FileName, Layout};
use crate::{Error, Table};

/// A file of a table.
#[derive(Clone, Debug)]
pub(super) struct DataFile {
    pub(super) table: Table,
    pub(super) name: FileName,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Whether it is among the staged files too: whoever put it here was killed before it was done.
    pub(super) is_staged: bool,
}

/// Everything below the tables' directories.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Our files, by the directory that they are in; directories and files in the order of their names.
    pub(super) files: BTreeMap<PathBuf, Vec<DataFile>>,
    /// Files that are not ours.
    pub(super) foreign: Vec<PathBuf>,
}

impl Found {
    pub(super) fn all(&self) -> impl Iterator<Item = &DataFile> {
        self.files.values().flatten()
    }
}

/// Looks through the tables' directories.
pub(super) fn walk(layout: &Layout) -> Result<Found, Error> {
    let mut found = Found::default();
    for table in Table::ALL {
        look(table, &layout.root.join(table.name()), &mut found)?;
    }
    found.files.values_mut().for_each(|files| files.sort_by(|one, other| one.path.cmp(&other.path)));
    found.foreign.sort();
    Ok(found)
}

/// One directory and those below it. What goes while it is looked at is not there.
fn look(table: Table, directory: &Path, found: &mut Found) -> Result<(), Error> {
    let listing = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listing => listing.map_err(Error::file("list", directory))?,
    };
    for entry in listing {
        let entry = entry.map_err(Error::file("list", directory))?;
        let path = entry.path();
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata.map_err(Error::file("look at", &path))?,
        };
        if metadata.is_dir() {
            look(table, &path, found)?;
            continue;
        }
        match FileName::parse(&entry.file_name().to_string_lossy()) {
            Some(name) => {
                let is_staged = metadata.nlink() > 1;
                let file = DataFile { table, name, path, bytes: metadata.len(), is_staged };
                found.files.entry(directory.to_owned()).or_default().push(file);
            }
            None => found.foreign.push(path),
        }
    }
    Ok(())
}
