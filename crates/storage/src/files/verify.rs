//! `store verify`: is every row there that the ledgers say, and none twice?
//!
//! The offsets in all files are read and marked. Of each partition there have to be as many different offsets as the ledger
//! counts rows, less those that have expired, none of them twice, and all of them within what the ledger says is stored. A
//! ledger counts rows when they are stored and before anybody can read them, so a file that got lost, was changed, or was
//! copied is seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use kafka::TopicPartition;
use serde::Serialize;

use super::layout::{Layout, ledger_name};
use super::ledger::{self, Base, Ledger};
use super::lock::Maintenance;
use super::{compact, decode, expire, open_existing, walk};
use crate::table::OFFSET;
use crate::{Error, Table};

/// Bits of one piece of the set of offsets.
const PIECE: i64 = 65_536;
/// So many missing stretches are named.
const NAMED: usize = 5;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// By partition.
    pub partitions: Vec<PartitionVerdict>,
    /// Files read.
    pub files: u64,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// Files in the directories of the tables that are not the store's. Readers that take all files see them too.
    pub foreign: Vec<PathBuf>,
}

impl Verdict {
    /// Whether nothing is missing, doubled or foreign.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.foreign.is_empty()
    }
}

/// What was found of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionVerdict {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The first offset stored, and the one after the last.
    pub first: Option<i64>,
    /// The offset after the last.
    pub next: Option<i64>,
    /// Rows that have to be there.
    pub expected: u64,
    /// Different offsets that are there.
    pub found: u64,
    /// Rows whose offset is there already.
    pub doubled: u64,
    /// Rows outside of what is stored.
    pub outside: u64,
}

/// A set of offsets.
#[derive(Default)]
struct Offsets(BTreeMap<i64, Box<[u64; (PIECE / 64) as usize]>>);

impl Offsets {
    /// Adds an offset; `false` if it is there already.
    fn insert(&mut self, offset: i64) -> bool {
        let piece =
            self.0.entry(offset.div_euclid(PIECE)).or_insert_with(|| Box::new([0; (PIECE / 64) as usize]));
        let bit = offset.rem_euclid(PIECE) as usize;
        let (word, mask) = (&mut piece[bit / 64], 1 << (bit % 64));
        let is_new = *word & mask == 0;
        *word |= mask;
        is_new
    }

    fn contains(&self, offset: i64) -> bool {
        let bit = offset.rem_euclid(PIECE) as usize;
        self.0.get(&offset.div_euclid(PIECE)).is_some_and(|piece| piece[bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// The first stretches of missing offsets, each with its first and the one after its last.
    fn holes(&self, first: i64, next: i64) -> Vec<(i64, i64)> {
        let mut holes: Vec<(i64, i64)> = Vec::new();
        for offset in (first..next).filter(|offset| !self.contains(*offset)) {
            let (count, last) = (holes.len(), holes.last_mut());
            match last {
                Some((_, end)) if *end == offset => *end += 1,
                _ if count == NAMED => break,
                _ => holes.push((offset, offset + 1)),
            }
        }
        holes
    }
}

/// What one partition's files are to hold, and what they do.
struct Partition {
    total: Base,
    expired: u64,
    offsets: Offsets,
    verdict: PartitionVerdict,
}

/// Checks the store at `root`. `progress` is told files done and all files.
pub fn verify(root: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Verdict, Error> {
    let layout = open_existing(root)?;
    let _alone = Maintenance::begin(&layout)?;
    compact::recover(&layout)?;
    expire::finish(&layout, &expire::read(&layout)?)?;
    let ledgers = ledger::all(&layout.ledgers())?;
    // After the ledgers, so that what they say is there already; what comes later is outside of them.
    let found = walk::walk(&layout)?;
    let mut files: Vec<(Table, TopicPartition, PathBuf)> =
        found.all().map(|file| (file.table, file.name.place.clone(), file.path.clone())).collect();
    let mut expired = expire::rows(&layout)?;
    let mut partitions = BTreeMap::new();
    for (place, ledger) in ledgers {
        files.extend(staged(&layout, &place, &ledger, &files));
        let (total, expired) = (ledger.total(), expired.remove(&place).unwrap_or(0));
        let verdict = PartitionVerdict {
            topic: place.topic.to_string(),
            partition: place.partition,
            first: total.first,
            next: total.next,
            expected: total.rows.saturating_sub(expired),
            ..PartitionVerdict::default()
        };
        partitions.insert(place, Partition { total, expired, offsets: Offsets::default(), verdict });
    }
    let mut verdict = Verdict { files: files.len() as u64, foreign: found.foreign, ..Verdict::default() };
    for (done, (table, place, path)) in files.iter().enumerate() {
        progress(done as u64, verdict.files);
        let Some(partition) = partitions.get_mut(place) else {
            verdict.problems.push(format!(
                "{}: nothing is known of partition {place}; move the file elsewhere",
                path.display()
            ));
            continue;
        };
        if let Err(error) = read(*table, path, partition) {
            verdict.problems.push(error.to_string());
        }
    }
    progress(verdict.files, verdict.files);
    for partition in partitions.into_values() {
        verdict.problems.extend(partition.problems());
        verdict.partitions.push(partition.verdict);
    }
    Ok(verdict)
}

/// Files that are stored and not at their places yet.
fn staged(
    layout: &Layout,
    place: &TopicPartition,
    ledger: &Ledger,
    files: &[(Table, TopicPartition, PathBuf)],
) -> Vec<(Table, TopicPartition, PathBuf)> {
    let directory = layout.staged().join(ledger_name(place));
    let still = ledger.files().filter(|file| {
        let at = layout.root.join(&file.path);
        directory.join(&file.staged).exists() && files.iter().all(|(_, _, path)| *path != at)
    });
    let table = |path: &str| path.split('/').next().and_then(Table::of_name);
    still.filter_map(|file| Some((table(&file.path)?, place.clone(), directory.join(&file.staged)))).collect()
}

fn read(table: Table, path: &Path, partition: &mut Partition) -> Result<(), Error> {
    let Partition { total, offsets, verdict, .. } = partition;
    let stored = total.first.unwrap_or(0)..total.next.unwrap_or(0);
    for batch in decode::columns(table, path, &[OFFSET])? {
        let batch = batch?;
        let column = batch.column(0).as_primitive_opt::<Int64Type>();
        let column = column
            .ok_or_else(|| decode::not_rows(table, path, "its column \"offset\" has no whole numbers"))?;
        for offset in column.iter().flatten() {
            // A worker that stores goes on while we read.
            if offset >= stored.end {
                continue;
            }
            if !stored.contains(&offset) {
                verdict.outside += 1;
            } else if offsets.insert(offset) {
                verdict.found += 1;
            } else {
                verdict.doubled += 1;
            }
        }
    }
    Ok(())
}

impl Partition {
    /// What is wrong, in words.
    fn problems(&self) -> Vec<String> {
        let PartitionVerdict { topic, partition, expected, found, doubled, outside, .. } = &self.verdict;
        let place = format!("{topic}-{partition}");
        let mut problems = Vec::new();
        if found < expected {
            let (first, next) = (self.total.first.unwrap_or(0), self.total.next.unwrap_or(0));
            let holes = self.offsets.holes(first, next);
            let holes: Vec<String> = holes.iter().map(|(from, to)| format!("{from} to {}", to - 1)).collect();
            let why = if self.total.refused + self.total.gap + self.expired > 0 {
                ", dead letters and expired rows among them"
            } else {
                ""
            };
            problems.push(format!(
                "{place}: {} rows are missing; the first offsets that are not there{why}: {}",
                expected - found,
                holes.join(", ")
            ));
        }
        if found > expected {
            problems.push(format!("{place}: {} rows more than were stored", found - expected));
        }
        if *doubled > 0 {
            problems.push(format!("{place}: {doubled} rows are there twice"));
        }
        if *outside > 0 {
            problems.push(format!("{place}: {outside} rows lie outside of what was stored"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_a_set_with_holes() {
        let mut offsets = Offsets::default();
        for offset in [0, 1, 5, PIECE - 1, PIECE, 3 * PIECE] {
            assert!(offsets.insert(offset));
            assert!(!offsets.insert(offset));
        }
        assert_eq!(offsets.holes(0, 7), [(2, 5), (6, 7)]);
        assert_eq!(offsets.holes(PIECE - 1, PIECE + 2), [(PIECE + 1, PIECE + 2)]);
        assert!(offsets.holes(3, 3).is_empty());
    }
}
