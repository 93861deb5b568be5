//! `store compact`: the small files of a directory become few large ones.
//!
//! A compacted copy of the whole directory is made beside the tables and then exchanged with the old one in one step, so a
//! reader that lists the directory sees the old files or the new ones, never both and never neither. (One that had listed
//! the old ones and opens them after that finds them gone, which is an error and not a wrong answer; it reads again.)
//!
//! Storing goes on meanwhile, but for the instant of the exchange: files that were published while the copy was made are
//! linked into it first. What is under way is written down, so that a run that is killed is finished, or undone, by whoever
//! comes next. A file that is among the staged ones too is not merged: its publication is not over.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use kafka::TopicPartition;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::disk::{create, names, read_json, remove_if_there, sync_directory, write_synced};
use super::encode::Encoder;
use super::layout::{FileName, Layout};
use super::lock::{Maintenance, Publishing};
use super::walk::DataFile;
use super::{decode, expire, open_existing, walk};
use crate::table::Finished;
use crate::{Error, Table};

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Directories that were exchanged.
    pub directories: u64,
    /// Files before.
    pub files_before: u64,
    /// Files after.
    pub files_after: u64,
    /// Their size before, in bytes.
    pub bytes_before: u64,
    /// Their size after, in bytes.
    pub bytes_after: u64,
    /// Rows written anew.
    pub rows: u64,
}

/// A directory under way.
#[derive(Debug, Serialize, Deserialize)]
struct Exchange {
    /// The directory below the store's.
    directory: String,
    /// The names of the files that became others.
    merged: Vec<String>,
    /// The names of those others.
    new: Vec<String>,
}

/// Merges small files in all directories of the store at `root`, up to `max_rows` rows in each. `progress` is told
/// directories done and all directories.
pub fn compact(
    root: &Path,
    tables: &[Table],
    max_rows: u64,
    level: i32,
    mut progress: impl FnMut(u64, u64),
) -> Result<Compacted, Error> {
    let layout = open_existing(root)?;
    let _alone = Maintenance::begin(&layout)?;
    recover(&layout)?;
    expire::finish(&layout, &expire::read(&layout)?)?;
    let found = walk::walk(&layout)?;
    let mut done = Compacted::default();
    let all = found.files.len() as u64;
    for (number, (directory, files)) in found.files.iter().enumerate() {
        progress(number as u64, all);
        let foreign = found.foreign.iter().find(|path| path.parent() == Some(directory));
        if !tables.contains(&files[0].table) {
            continue;
        }
        if let Some(foreign) = foreign {
            warn!(file = %foreign.display(), "a file that is not the store's: its directory is left as it is");
            continue;
        }
        compact_directory(&layout, directory, files, max_rows, level, &mut done)?;
    }
    progress(all, all);
    Ok(done)
}

/// Which files become one: those of a partition, in the order of their offsets, as long as their rows fit.
fn plan(files: &[DataFile], max_rows: u64) -> Result<Vec<Vec<&DataFile>>, Error> {
    let mut of_place: BTreeMap<&TopicPartition, Vec<&DataFile>> = BTreeMap::new();
    // A file that is still staged would be put here once more after it was merged.
    for file in files.iter().filter(|file| !file.is_staged) {
        of_place.entry(&file.name.place).or_default().push(file);
    }
    let mut groups = Vec::new();
    for files in of_place.into_values() {
        let (mut group, mut rows): (Vec<&DataFile>, u64) = (Vec::new(), 0);
        for file in files {
            let more = decode::count(file.table, &file.path)?;
            if !group.is_empty() && rows + more > max_rows {
                groups.push(std::mem::take(&mut group));
                rows = 0;
            }
            group.push(file);
            rows += more;
        }
        groups.push(group);
    }
    groups.retain(|group| group.len() > 1);
    Ok(groups)
}

fn compact_directory(
    layout: &Layout,
    directory: &Path,
    files: &[DataFile],
    max_rows: u64,
    level: i32,
    done: &mut Compacted,
) -> Result<(), Error> {
    let groups = plan(files, max_rows)?;
    if groups.is_empty() {
        return Ok(());
    }
    let table = files[0].table;
    let copy = layout.own().join(COPY);
    remove_directory(&copy)?;
    fs::create_dir_all(&copy).map_err(Error::file("make", &copy))?;
    let mut new = Vec::new();
    for group in &groups {
        let (first, last) =
            (group.iter().map(|file| file.name.first), group.iter().map(|file| file.name.last));
        let (Some(first), Some(last)) = (first.min(), last.max()) else { continue };
        let name = FileName { place: group[0].name.place.clone(), first, last }.to_string();
        let (rows, bytes) = merge(table, group, &copy.join(&name), level)?;
        done.rows += rows;
        done.bytes_after += bytes;
        done.bytes_before += group.iter().map(|file| file.bytes).sum::<u64>();
        done.files_before += group.len() as u64;
        done.files_after += 1;
        new.push(name);
    }
    let below = directory.strip_prefix(&layout.root).expect("it was found below the root");
    let merged = groups.iter().flatten().map(|file| file.name.to_string()).collect();
    let exchange = Exchange { directory: below.to_string_lossy().into_owned(), merged, new };
    {
        // Nothing is published between the last look at the old directory and the exchange.
        let _alone = Publishing::hold_back(layout)?;
        link_others(&exchange, directory, &copy)?;
        sync_directory(&copy)?;
        create(&layout.own(), JOURNAL, &exchange)?;
        renameat_with(CWD, &copy, CWD, directory, RenameFlags::EXCHANGE)
            .map_err(|error| Error::file("exchange", directory)(error.into()))?;
    }
    finish(layout, &exchange)?;
    done.directories += 1;
    info!(directory = %directory.display(), files = files.len(), "compacted");
    Ok(())
}

/// The file of what is under way.
const JOURNAL: &str = "compacting.json";
/// The directory of the copy; after the exchange it is the old one.
const COPY: &str = "compacting";

/// Whether a compaction goes on, or was killed.
pub(super) fn is_under_way(layout: &Layout) -> bool {
    layout.own().join(COPY).exists() || layout.own().join(JOURNAL).exists()
}

/// Writes the rows of a group as one file, sorted anew. Rows and bytes.
fn merge(table: Table, group: &[&DataFile], to: &Path, level: i32) -> Result<(u64, u64), Error> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    for file in group {
        for batch in decode::rows(table, &file.path)? {
            batches.push(batch?);
        }
    }
    let not_rows =
        |error: &dyn std::fmt::Display| decode::not_rows(table, &group[0].path, &error.to_string());
    let batch = concat_batches(&table.schema(), &batches).map_err(|error| not_rows(&error))?;
    drop(batches);
    let rows = Finished::of_batch(table, batch);
    let bytes =
        Encoder::new(table, level).encode(&rows.batch, &rows.order).map_err(|error| not_rows(&error))?;
    write_synced(to, &bytes)?;
    Ok((rows.rows() as u64, bytes.len() as u64))
}

/// After the exchange: what is in the old directory alone goes into the new one; the rest goes.
fn finish(layout: &Layout, exchange: &Exchange) -> Result<(), Error> {
    let (old, new) = (layout.own().join(COPY), layout.root.join(&exchange.directory));
    if let Some(above) = new.parent() {
        sync_directory(above)?;
    }
    loop {
        let names = names(&old)?;
        // On a file system without locks something may have been published at the last moment.
        link_others(exchange, &old, &new)?;
        sync_directory(&new)?;
        for name in &names {
            remove_if_there(&old.join(name))?;
        }
        match fs::remove_dir(&old) {
            // Published between the listing and now.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &old)(error));
            }
            _ => break,
        }
    }
    remove_if_there(&layout.own().join(JOURNAL))
}

/// Links every file but those that became others from one directory to another, where it is not there yet.
fn link_others(exchange: &Exchange, from: &Path, to: &Path) -> Result<(), Error> {
    for name in names(from)?.iter().filter(|name| !exchange.merged.contains(name)) {
        let to = to.join(name);
        match fs::hard_link(from.join(name), &to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::file("write", &to)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Finishes, or undoes, what a run that was killed had under way.
pub(super) fn recover(layout: &Layout) -> Result<(), Error> {
    let (journal, copy) = (layout.own().join(JOURNAL), layout.own().join(COPY));
    let Some(exchange) = read_json::<Exchange>(&journal)? else { return remove_directory(&copy) };
    let exchanged = exchange.new.iter().all(|name| layout.root.join(&exchange.directory).join(name).exists());
    info!(directory = exchange.directory, exchanged, "a compaction was interrupted");
    if exchanged {
        return finish(layout, &exchange);
    }
    remove_directory(&copy)?;
    remove_if_there(&journal)
}

/// Removes a directory of files, if it is there.
fn remove_directory(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::table::Rows;

    /// A store with three files of a partition in one directory.
    fn store(root: &Path) -> (Layout, PathBuf, Vec<PathBuf>) {
        let layout = super::super::open(root).expect("a store");
        let place = TopicPartition { topic: "t".into(), partition: 0 };
        let directory = root.join("readings/day=2026-03-01");
        fs::create_dir_all(&directory).expect("a directory");
        let empty = Rows::new(Table::Readings, place.clone()).finish();
        let bytes = Encoder::new(Table::Readings, 1).encode(&empty.batch, &empty.order).expect("encoded");
        let files = (0..3).map(|at| {
            let name = FileName { place: place.clone(), first: 10 * at, last: 10 * at + 9 };
            let path = directory.join(name.to_string());
            fs::write(&path, &bytes).expect("written");
            path
        });
        let files = files.collect();
        (layout, directory, files)
    }

    fn sorted_names(directory: &Path) -> Vec<String> {
        let mut names = names(directory).expect("listed");
        names.sort();
        names
    }

    #[test]
    fn files_of_a_partition_become_one_and_those_still_staged_stay() {
        let root = tempfile::tempdir().expect("a directory");
        let (layout, directory, files) = store(root.path());
        let staged = layout.staged().join("twin");
        fs::hard_link(&files[1], &staged).expect("linked");
        let done = compact(root.path(), &Table::ALL, 1_000, 1, |_, _| {}).expect("compacted");
        assert_eq!((done.files_before, done.files_after), (2, 1));
        let still = files[1].file_name().expect("a name").to_string_lossy().into_owned();
        let merged = "t-0-00000000000000000000-00000000000000000029.parquet".to_owned();
        assert_eq!(sorted_names(&directory), [merged.clone(), still]);
        fs::remove_file(&staged).expect("removed");
        compact(root.path(), &Table::ALL, 1_000, 1, |_, _| {}).expect("compacted");
        assert_eq!(sorted_names(&directory), [merged]);
    }

    #[test]
    fn a_compaction_that_was_killed_is_undone_or_finished() {
        for exchanged in [false, true] {
            let root = tempfile::tempdir().expect("a directory");
            let (layout, directory, files) = store(root.path());
            let copy = layout.own().join(COPY);
            fs::create_dir_all(&copy).expect("a directory");
            let merged = "t-0-00000000000000000000-00000000000000000019.parquet".to_owned();
            fs::copy(&files[0], copy.join(&merged)).expect("copied");
            let old = files[..2]
                .iter()
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned());
            let exchange = Exchange {
                directory: "readings/day=2026-03-01".into(),
                merged: old.collect(),
                new: vec![merged.clone()],
            };
            link_others(&exchange, &directory, &copy).expect("linked");
            create(&layout.own(), JOURNAL, &exchange).expect("written");
            if exchanged {
                renameat_with(CWD, &copy, CWD, &directory, RenameFlags::EXCHANGE).expect("exchanged");
                // Published at the last moment, into the directory on its way out.
                fs::write(copy.join("late.parquet"), "").expect("written");
            }
            let before = sorted_names(&directory);
            recover(&layout).expect("recovered");
            let third = files[2].file_name().expect("a name").to_string_lossy().into_owned();
            let after = vec!["late.parquet".to_owned(), merged, third];
            let expected = if exchanged { after } else { before };
            assert_eq!(sorted_names(&directory), expected, "exchanged: {exchanged}");
            assert!(!copy.exists() && !layout.own().join(JOURNAL).exists());
        }
    }
}
