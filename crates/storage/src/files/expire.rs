//! `store expire`: the rows of old days go.
//!
//! What is to go is written down first, with the rows of each file, so that `verify` knows what is missing on purpose, and
//! so that a run that is killed is finished by the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kafka::TopicPartition;
use model::EventTime;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::disk::{create, names, read_json, remove_if_there, sync_directory, unique};
use super::layout::Layout;
use super::lock::Maintenance;
use super::{compact, decode, open_existing, walk};
use crate::{Error, Table};

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Files removed.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// A file that goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ExpiredFile {
    /// Its path below the store's.
    path: String,
    topic: String,
    partition: i32,
    rows: u64,
}

/// Removes the files of all days that ended at or before `until`, in all tables or in some.
pub fn expire(root: &Path, tables: &[Table], until: EventTime) -> Result<Expired, Error> {
    let layout = open_existing(root)?;
    let _alone = Maintenance::begin(&layout)?;
    compact::recover(&layout)?;
    finish(&layout, &read(&layout)?)?;
    let found = walk::walk(&layout)?;
    let mut expired = Expired::default();
    let mut files = Vec::new();
    for (directory, in_it) in &found.files {
        let table = in_it[0].table;
        let ends = day_of(directory, &layout.root.join(table.name())).and_then(end_of_day);
        if !tables.contains(&table) || ends.is_none_or(|end| end > until) {
            continue;
        }
        for file in in_it {
            let rows = decode::count(table, &file.path)?;
            expired.files += 1;
            expired.rows += rows;
            expired.bytes += file.bytes;
            let path = file.path.strip_prefix(&layout.root).unwrap_or(&file.path);
            files.push(ExpiredFile {
                path: path.to_string_lossy().into_owned(),
                topic: file.name.place.topic.to_string(),
                partition: file.name.place.partition,
                rows,
            });
        }
    }
    if !files.is_empty() {
        let directory = records(&layout);
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        create(&directory, &format!("{}.json", unique()), &files)?;
        finish(&layout, &files)?;
    }
    Ok(expired)
}

fn records(layout: &Layout) -> PathBuf {
    layout.own().join("expired")
}

/// Everything that ever expired.
pub(super) fn read(layout: &Layout) -> Result<Vec<ExpiredFile>, Error> {
    let directory = records(layout);
    let mut all = Vec::new();
    let paths = names(&directory)?.into_iter().map(|name| directory.join(name));
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        all.extend(read_json::<Vec<ExpiredFile>>(&path)?.unwrap_or_default());
    }
    Ok(all)
}

/// Expired rows by partition.
pub(super) fn rows(layout: &Layout) -> Result<BTreeMap<TopicPartition, u64>, Error> {
    let mut rows = BTreeMap::new();
    for file in read(layout)? {
        let place = TopicPartition { topic: file.topic.as_str().into(), partition: file.partition };
        *rows.entry(place).or_default() += file.rows;
    }
    Ok(rows)
}

/// Removes what is to go and is still there.
pub(super) fn finish(layout: &Layout, files: &[ExpiredFile]) -> Result<(), Error> {
    let mut directories = Vec::new();
    for file in files {
        let path = layout.root.join(&file.path);
        if path.exists() {
            info!(path = %path.display(), rows = file.rows, "expired");
            remove_if_there(&path)?;
            directories.extend(path.parent().map(Path::to_owned));
        }
    }
    directories.sort_unstable();
    directories.dedup();
    for directory in directories {
        sync_directory(&directory)?;
        // With something else in it, it stays.
        drop(fs::remove_dir(&directory));
    }
    Ok(())
}

/// The text of the day in a directory's name.
fn day_of<'d>(directory: &'d Path, table: &Path) -> Option<&'d str> {
    let first = directory.strip_prefix(table).ok()?.components().next()?.as_os_str().to_str()?;
    first.strip_prefix("day=")
}

/// The first moment after a day.
fn end_of_day(day: &str) -> Option<EventTime> {
    let start = EventTime::parse(format!("{day}T00:00:00").as_bytes())?;
    Some(EventTime::from_millis(start.millis() + 86_400_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_its_last_moment() {
        let table = Path::new("/s/readings");
        let end = |path: &str| day_of(Path::new(path), table).and_then(end_of_day).map(|end| end.to_string());
        assert_eq!(end("/s/readings/day=2024-02-29").as_deref(), Some("2024-03-01T00:00:00"));
        assert_eq!(end("/s/readings/day=2024-02-29/hour=07").as_deref(), Some("2024-03-01T00:00:00"));
        assert_eq!(end("/s/readings/mine"), None);
    }
}
