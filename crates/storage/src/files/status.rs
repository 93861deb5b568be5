//! `store status`: what is stored, by the ledgers and the directories; no file is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::EventTime;
use serde::Serialize;

use super::layout::{Layout, ledger_name};
use super::{ledger, open_existing, walk};
use crate::Error;

/// What a store holds.
#[derive(Clone, Debug, Serialize)]
pub struct StoreStatus {
    /// By table.
    pub tables: Vec<TableStatus>,
    /// By partition.
    pub partitions: Vec<PartitionStatus>,
    /// Files in the directories of the tables that are not the store's.
    pub foreign: Vec<PathBuf>,
}

/// What a table holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableStatus {
    /// Its name.
    pub table: &'static str,
    /// Directories with files.
    pub directories: u64,
    /// Files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// What is stored of a partition.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionStatus {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The table that it goes to.
    pub table: Option<&'static str>,
    /// The first offset stored; `None` if nothing is yet.
    pub first: Option<i64>,
    /// The offset after the last.
    pub next: Option<i64>,
    /// Rows stored, those that have expired since then included.
    pub rows: u64,
    /// Records that were no rows and went to the dead-letter topic.
    pub dead_letters: u64,
    /// Offsets that retention had deleted before they were read.
    pub gap: u64,
    /// The newest event time.
    pub newest: Option<String>,
    /// The newest append time.
    pub appended: Option<String>,
    /// Files that are stored and not at their places yet: whoever stores the partition next puts them there.
    pub staged: u64,
}

/// What the store at `root` holds.
pub fn status(root: &Path) -> Result<StoreStatus, Error> {
    let layout = open_existing(root)?;
    let found = walk::walk(&layout)?;
    let mut tables: BTreeMap<_, TableStatus> = BTreeMap::new();
    for files in found.files.values() {
        let table = files[0].table;
        let of = tables
            .entry(table)
            .or_insert_with(|| TableStatus { table: table.name(), ..TableStatus::default() });
        of.directories += 1;
        of.files += files.len() as u64;
        of.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
    }
    let partitions = ledger::all(&layout.ledgers())?.into_iter().map(|(place, ledger)| {
        let total = ledger.total();
        PartitionStatus {
            topic: place.topic.to_string(),
            partition: place.partition,
            table: total.table.map(crate::Table::name),
            first: total.first,
            next: total.next,
            rows: total.rows,
            dead_letters: total.refused,
            gap: total.gap,
            newest: total.newest.map(time),
            appended: total.appended.map(time),
            staged: staged(&layout, &ledger_name(&place), &ledger),
        }
    });
    Ok(StoreStatus {
        tables: tables.into_values().collect(),
        partitions: partitions.collect(),
        foreign: found.foreign,
    })
}

fn staged(layout: &Layout, name: &str, ledger: &ledger::Ledger) -> u64 {
    let directory = layout.staged().join(name);
    ledger.files().filter(|file| directory.join(&file.staged).exists()).count() as u64
}

fn time(micros: i64) -> String {
    EventTime::from_micros(micros).to_string()
}
