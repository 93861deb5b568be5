//! What is stored of one partition: a chain of numbered entries, each made once and never changed.
//!
//! An entry says that the records from one offset up to another are stored, in which files, how many rows they are, and how
//! many records were refused. **Making an entry is the moment at which its rows are stored**: its files are whole and
//! synced before, in the directory of staged files; after it they are linked to their places, by this worker or, if it
//! dies, by the next that takes the partition over.
//!
//! # Fencing
//! An entry is made by linking a finished file to the name of the next number, which fails if it is there. Whoever
//! takes a partition over makes an empty entry first. A worker that was thought dead then finds the number that it wants
//! taken, whatever it was in the middle of; and staged files that no entry names can never be named by one any more, so
//! they are removed.
//!
//! # Merging
//! Many entries become one *base* of the number of the last of them. A base is never changed either; the highest counts,
//! and it is there before the entries that it stands for are removed. A worker that slept through a merge could make an
//! entry of a number that was used before: so whoever made an entry looks for a base above it, and if there is one, the
//! entry does not count, to nobody.

use std::fs;
use std::path::{Path, PathBuf};

use kafka::TopicPartition;
use serde::{Deserialize, Serialize};

use super::disk::{create, names, read_json, remove_if_there, sync_directory};
use crate::{Error, Table};

/// Entries are merged when there are more.
const MERGE_BEYOND: usize = 64;
/// How often a listing is tried again that a merge by the owner made incomplete.
const READ_TRIES: u32 = 5;

/// A file of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedFile {
    /// Its name among the staged files.
    pub(crate) staged: String,
    /// Its path below the store's.
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What one flush stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The first offset.
    pub(crate) first: i64,
    /// The offset after the last.
    pub(crate) next: i64,
    pub(crate) rows: u64,
    /// Records that were no rows and went to the dead-letter topic.
    pub(crate) refused: u64,
    /// The newest event time and append time of its rows, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) appended: Option<i64>,
    /// The table of the partition: in the entry of whoever takes it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<Table>,
    /// Who made it, for people.
    pub(crate) by: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<StagedFile>,
    /// Deleted by retention before they could be read: offsets that are missing on purpose.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) gap: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// All entries up to a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Base {
    /// The first offset ever stored; `None` before the first row or gap.
    pub(crate) first: Option<i64>,
    /// The offset after the last.
    pub(crate) next: Option<i64>,
    pub(crate) rows: u64,
    pub(crate) refused: u64,
    pub(crate) gap: u64,
    pub(crate) newest: Option<i64>,
    pub(crate) appended: Option<i64>,
    pub(crate) table: Option<Table>,
}

impl Base {
    fn add(&mut self, entry: &Entry) {
        if entry.next > entry.first || entry.gap > 0 {
            self.first = self.first.or(Some(entry.first));
            self.next = Some(entry.next);
        }
        self.rows += entry.rows;
        self.refused += entry.refused;
        self.gap += entry.gap;
        self.table = entry.table.or(self.table);
        self.newest = self.newest.max(entry.newest);
        self.appended = self.appended.max(entry.appended);
    }
}

/// A partition's ledger as it was read.
#[derive(Debug)]
pub(crate) struct Ledger {
    directory: PathBuf,
    /// The number of the last entry, or of the base; 0 if there is neither.
    number: u64,
    base_number: u64,
    base: Base,
    entries: Vec<Entry>,
}

impl Ledger {
    /// Reads the ledger; empty if it is not there yet.
    pub(crate) fn read(directory: &Path) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Self::try_read(directory)? {
                Ok(ledger) => return Ok(ledger),
                Err(missing) if tries == READ_TRIES => {
                    let detail = format!(
                        "entry {missing} is missing, so what is stored is not known; restore the directory from a backup, or store elsewhere"
                    );
                    return Err(Error::Damaged { path: directory.to_owned(), detail });
                }
                Err(_) => tries += 1,
            }
        }
    }

    /// `Ok(Err(number))`: that entry is not there, or went away while it was looked for.
    fn try_read(directory: &Path) -> Result<Result<Self, u64>, Error> {
        let names = names(directory)?;
        let base_number = names.iter().filter_map(|name| base_of(name)).max().unwrap_or(0);
        let base = match base_number {
            0 => Base::default(),
            number => match read_json(&directory.join(base_name(number)))? {
                Some(base) => base,
                None => return Ok(Err(number)),
            },
        };
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| entry_of(name)).filter(|number| *number > base_number).collect();
        numbers.sort_unstable();
        let mut entries = Vec::with_capacity(numbers.len());
        for (number, expected) in numbers.iter().zip(base_number + 1..) {
            if *number != expected {
                return Ok(Err(expected));
            }
            match read_json(&directory.join(entry_name(*number)))? {
                Some(entry) => entries.push(entry),
                None => return Ok(Err(*number)),
            }
        }
        let number = base_number + entries.len() as u64;
        Ok(Ok(Self { directory: directory.to_owned(), number, base_number, base, entries }))
    }

    /// Everything that the ledger says, in sum.
    pub(crate) fn total(&self) -> Base {
        let mut total = self.base.clone();
        self.entries.iter().for_each(|entry| total.add(entry));
        total
    }

    /// The next offset to store; `None` if nothing is stored yet.
    pub(crate) fn next(&self) -> Option<i64> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.next > entry.first || entry.gap > 0)
            .map_or(self.base.next, |entry| Some(entry.next))
    }

    /// The files of the entries that are not merged, which may still be among the staged ones.
    pub(crate) fn files(&self) -> impl Iterator<Item = &StagedFile> {
        self.entries.iter().flat_map(|entry| &entry.files)
    }

    /// The files of the last entry.
    pub(crate) fn last_files(&self) -> &[StagedFile] {
        self.entries.last().map_or(&[], |entry| &entry.files)
    }

    /// Reads it again, after a failure that left open whether an entry was made.
    pub(crate) fn reload(&mut self) -> Result<(), Error> {
        *self = Self::read(&self.directory)?;
        Ok(())
    }

    /// Makes the next entry; `false` if somebody else has made it.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<bool, Error> {
        if self.number == 0 {
            fs::create_dir_all(&self.directory).map_err(Error::file("make", &self.directory))?;
            if let Some(parent) = self.directory.parent() {
                sync_directory(parent)?;
            }
        }
        let number = self.number + 1;
        if !create(&self.directory, &entry_name(number), &entry)? {
            return Ok(false);
        }
        if self.newest_base()? >= number {
            return Ok(false);
        }
        self.number = number;
        self.entries.push(entry);
        Ok(true)
    }

    fn newest_base(&self) -> Result<u64, Error> {
        Ok(names(&self.directory)?.iter().filter_map(|name| base_of(name)).max().unwrap_or(0))
    }

    /// Merges the entries if there are many of them. To be called by the owner when all their files are in their places.
    pub(crate) fn merge(&mut self) -> Result<(), Error> {
        if self.entries.len() <= MERGE_BEYOND {
            return Ok(());
        }
        let total = self.total();
        // If somebody else has made it, then from the same entries.
        create(&self.directory, &base_name(self.number), &total)?;
        let (from, to, old_base) = (self.base_number + 1, self.number, self.base_number);
        self.base_number = self.number;
        self.base = total;
        self.entries.clear();
        let old = (from..=to).map(entry_name).chain((old_base > 0).then(|| base_name(old_base)));
        for name in old {
            remove_if_there(&self.directory.join(name))?;
        }
        Ok(())
    }
}

fn entry_name(number: u64) -> String {
    format!("{number:020}.json")
}

fn base_name(number: u64) -> String {
    format!("base-{number:020}.json")
}

fn entry_of(name: &str) -> Option<u64> {
    name.strip_suffix(".json").filter(|digits| digits.len() == 20)?.parse().ok()
}

fn base_of(name: &str) -> Option<u64> {
    entry_of(name.strip_prefix("base-")?)
}

/// The ledgers of a store, by partition.
pub(super) fn all(directory: &Path) -> Result<Vec<(TopicPartition, Ledger)>, Error> {
    let mut found = Vec::new();
    for name in names(directory)? {
        if let Some(place) = super::layout::ledger_place(&name) {
            found.push((place, Ledger::read(&directory.join(name))?));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(first: i64, next: i64) -> Entry {
        Entry { first, next, rows: (next - first) as u64, by: "test".into(), ..Entry::default() }
    }

    fn make(ledger: &mut Ledger, first: i64, next: i64) -> bool {
        ledger.append(entry(first, next)).expect("can be written")
    }

    #[test]
    fn what_one_wrote_another_reads() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sensor-data-0");
        let mut ledger = Ledger::read(&path).expect("empty");
        assert_eq!((ledger.next(), ledger.total()), (None, Base::default()));
        assert!(make(&mut ledger, 5, 10) && make(&mut ledger, 10, 10) && make(&mut ledger, 10, 12));
        let again = Ledger::read(&path).expect("can be read");
        assert_eq!((again.next(), again.total().first, again.total().rows), (Some(12), Some(5), 7));
    }

    #[test]
    fn whoever_takes_over_fences_the_one_before() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("t-0");
        let mut sleeper = Ledger::read(&path).expect("empty");
        assert!(make(&mut sleeper, 0, 10));
        let mut owner = Ledger::read(&path).expect("can be read");
        assert!(make(&mut owner, 10, 10));
        assert!(!make(&mut sleeper, 10, 20));
        assert!(make(&mut owner, 10, 15));
        assert_eq!(Ledger::read(&path).expect("can be read").next(), Some(15));
    }

    #[test]
    fn one_that_slept_through_a_merge_is_fenced_too_and_its_entry_counts_to_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("t-0");
        let mut sleeper = Ledger::read(&path).expect("empty");
        assert!(make(&mut sleeper, 0, 1));
        let mut owner = Ledger::read(&path).expect("can be read");
        let many = MERGE_BEYOND as i64 + 10;
        for at in 1..many {
            assert!(make(&mut owner, at, at + 1));
            owner.merge().expect("can be merged");
        }
        assert!(fs::read_dir(&path).expect("is there").count() < 20);
        assert!(!path.join(entry_name(2)).exists(), "merged and removed");
        assert!(!make(&mut sleeper, 1, 100));
        assert!(make(&mut owner, many, many + 1));
        let total = Ledger::read(&path).expect("can be read").total();
        assert_eq!((total.first, total.next, total.rows), (Some(0), Some(many + 1), many as u64 + 1));
    }

    #[test]
    fn a_missing_entry_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("t-0");
        let mut ledger = Ledger::read(&path).expect("empty");
        assert!(make(&mut ledger, 0, 1) && make(&mut ledger, 1, 2) && make(&mut ledger, 2, 3));
        fs::remove_file(path.join(entry_name(2))).expect("is there");
        let error = Ledger::read(&path).expect_err("a hole").to_string();
        assert!(error.contains("entry 2 is missing"), "{error}");
        fs::write(path.join(entry_name(2)), b"{").expect("can be written");
        let error = Ledger::read(&path).expect_err("no entry").to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
