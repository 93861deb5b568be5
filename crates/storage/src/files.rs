//! Parquet files in a directory.
//!
//! Rows become a file for each directory that they belong to, staged, synced, then made part of the store by an entry in the
//! partition's ledger (see [`ledger`]), then linked to their places. A reader sees whole files only.

mod compact;
mod decode;
mod disk;
mod encode;
mod expire;
mod export;
mod layout;
mod ledger;
mod lock;
mod status;
mod text;
mod verify;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use arrow_array::{Array as _, Int64Array, StringArray, TimestampMicrosecondArray};
use kafka::TopicPartition;
use serde::{Deserialize, Serialize};
use tracing::{debug, info};

pub use compact::{Compacted, compact};
pub use expire::{Expired, expire};
pub use export::{ExportFormat, ExportOptions, Exported, export, is_parquet, readings_as_json_lines};
pub use layout::PartitionBy;
pub use status::{PartitionStatus, StoreStatus, TableStatus, status};
pub use verify::{PartitionVerdict, Verdict, verify};

use crate::sink::{Sink, Span, Stored};
use crate::table::{Finished, OFFSET, words_of};
use crate::{Error, Table};
use disk::{create, names, read_json, remove_if_there, sync_directory, unique, write_synced};
use encode::Encoder;
use layout::{FileName, Layout, bucket_of, ledger_name};
use ledger::{Entry, Ledger, StagedFile};

/// The version of the store's own files. A store of a later one is not touched.
const FORMAT: u32 = 1;

/// How often a file is linked to its place again when its directory has just gone.
const PUBLISH_TRIES: u32 = 20;

/// The content of `format.json`.
#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
    made_by: String,
}

/// Opens a store to write to; makes it if the directory is new or empty.
pub(crate) fn open(root: &Path) -> Result<Layout, Error> {
    let layout = Layout::new(root);
    fs::create_dir_all(root).map_err(Error::file("make", root))?;
    if !layout.own().exists() {
        // The second is in the root of every ext4, the first may just have been made by another worker.
        let ours = [".streamgauge", "lost+found"];
        if let Some(found) = names(root)?.into_iter().find(|name| !ours.contains(&name.as_str())) {
            return Err(Error::NotAStore { path: root.to_owned(), found });
        }
    }
    for directory in [layout.own(), layout.staged(), layout.ledgers()] {
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
    }
    let made_by = format!("streamgauge {}", env!("CARGO_PKG_VERSION"));
    create(&layout.own(), "format.json", &Format { format: FORMAT, made_by })?;
    sync_directory(root)?;
    check_format(&layout)?;
    // What a compaction left that was killed may hold files that nobody else sees. Looked at first, so that a start does not
    // keep others from looking after the store.
    if compact::is_under_way(&layout) {
        match lock::Maintenance::begin(&layout) {
            Ok(_alone) => compact::recover(&layout)?,
            Err(Error::Busy { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(layout)
}

/// Opens a store that is there.
pub(crate) fn open_existing(root: &Path) -> Result<Layout, Error> {
    let layout = Layout::new(root);
    check_format(&layout)?;
    Ok(layout)
}

fn check_format(layout: &Layout) -> Result<(), Error> {
    let path = layout.format();
    let Some(format) = read_json::<Format>(&path)? else {
        return Err(Error::NoStore { path: layout.root.clone() });
    };
    if format.format > FORMAT {
        return Err(Error::Newer { path, found: format.format, known: FORMAT });
    }
    Ok(())
}

/// The sink of one worker.
pub(crate) struct Files {
    layout: Layout,
    partition_by: PartitionBy,
    level: i32,
    who: String,
    encoders: BTreeMap<Table, Encoder>,
    ledgers: HashMap<TopicPartition, Ledger>,
}

impl Files {
    pub(crate) fn new(layout: Layout, partition_by: PartitionBy, level: i32, who: String) -> Self {
        Self { layout, partition_by, level, who, encoders: BTreeMap::new(), ledgers: HashMap::new() }
    }

    fn fenced(&self, place: &TopicPartition) -> Error {
        Error::Fenced { place: place.clone(), store: self.name() }
    }

    fn staged(&self, place: &TopicPartition) -> PathBuf {
        self.layout.staged().join(ledger_name(place))
    }

    fn ledger(&mut self, place: &TopicPartition) -> &mut Ledger {
        self.ledgers.get_mut(place).expect("a partition is taken over before it is stored")
    }

    /// Writes the files of rows and makes the entry that names them.
    fn append(&mut self, place: &TopicPartition, rows: Option<&Finished>, span: Span) -> Result<(), Error> {
        let files = rows.map_or(Ok(Vec::new()), |rows| self.stage(place, rows))?;
        let entry = Entry {
            first: span.first,
            next: span.next,
            rows: rows.map_or(0, Finished::rows) as u64,
            refused: span.refused,
            newest: rows.and_then(|rows| rows.times.iter().max().copied()),
            appended: rows.and_then(newest_append),
            table: None,
            by: self.who.clone(),
            gap: span.gap,
            files: files.clone(),
        };
        let directory = self.staged(place);
        let ledger = self.ledger(place);
        match ledger.append(entry) {
            Ok(true) => Ok(()),
            Ok(false) => {
                discard(&directory, &files);
                Err(self.fenced(place))
            }
            Err(error) => {
                // Whether it was made is seen by reading the ledger again.
                ledger.reload()?;
                if !ledger.files().any(|file| files.contains(file)) {
                    discard(&directory, &files);
                }
                Err(error)
            }
        }
    }

    /// Writes the files of rows, without anybody seeing them yet.
    fn stage(&mut self, place: &TopicPartition, rows: &Finished) -> Result<Vec<StagedFile>, Error> {
        let directory = self.staged(place);
        let level = self.level;
        let encoder = self.encoders.entry(rows.table).or_insert_with(|| Encoder::new(rows.table, level));
        let offsets =
            rows.batch.column_by_name(OFFSET).and_then(|column| column.as_any().downcast_ref::<Int64Array>());
        let offsets = offsets.expect("every table has the column");
        let mut files = Vec::new();
        for (where_to, order) in split(self.partition_by, rows) {
            let of = |row: &u32| offsets.value(*row as usize);
            let (first, last) = (order.iter().map(of).min(), order.iter().map(of).max());
            let (Some(first), Some(last)) = (first, last) else { continue };
            let name = FileName { place: place.clone(), first, last };
            let path = format!("{}/{}/{name}", rows.table, self.partition_by.directory_name(where_to));
            let bytes = encoder.encode(&rows.batch, &order).map_err(|error| Error::Damaged {
                path: PathBuf::from(&path),
                detail: format!("rows cannot be encoded: {error}"),
            })?;
            let staged = unique();
            write_synced(&directory.join(&staged), &bytes)?;
            files.push(StagedFile { staged, path, rows: order.len() as u64, bytes: bytes.len() as u64 });
        }
        sync_directory(&directory)?;
        Ok(files)
    }
}

impl Sink for Files {
    fn name(&self) -> String {
        self.layout.root.display().to_string()
    }

    fn position(&mut self, place: &TopicPartition) -> Result<Option<i64>, Error> {
        Ok(Ledger::read(&self.layout.ledger(place))?.next())
    }

    fn take_over(&mut self, place: &TopicPartition, table: Table) -> Result<Option<i64>, Error> {
        let mut ledger = Ledger::read(&self.layout.ledger(place))?;
        if let Some(other) = ledger.total().table.filter(|other| *other != table) {
            return Err(Error::OtherTable { place: place.clone(), table, other, store: self.name() });
        }
        let next = ledger.next();
        let at = next.unwrap_or(0);
        let fence =
            Entry { first: at, next: at, table: Some(table), by: self.who.clone(), ..Entry::default() };
        if !ledger.append(fence)? {
            return Err(self.fenced(place));
        }
        let directory = self.staged(place);
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        publish(&self.layout, &directory, ledger.files())?;
        // Nobody can make an entry that names what is left: see the ledger.
        for name in names(&directory)? {
            let path = directory.join(name);
            info!(path = %path.display(), "removing a file that was never finished");
            remove_if_there(&path)?;
        }
        ledger.merge()?;
        self.ledgers.insert(place.clone(), ledger);
        Ok(next)
    }

    fn give_up(&mut self, place: &TopicPartition) {
        self.ledgers.remove(place);
    }

    fn store(
        &mut self,
        place: &TopicPartition,
        rows: Option<&Finished>,
        span: Span,
    ) -> Result<Stored, Error> {
        let (layout, directory) = (self.layout.clone(), self.staged(place));
        // After a failure in the middle the entry may have been made.
        if self.ledger(place).next() != Some(span.next) {
            self.append(place, rows, span)?;
        }
        let ledger = self.ledger(place);
        publish(&layout, &directory, ledger.files())?;
        let files = ledger.last_files();
        let stored = Stored { files: files.len() as u64, bytes: files.iter().map(|file| file.bytes).sum() };
        ledger.merge()?;
        debug!(%place, first = span.first, next = span.next, files = stored.files, "stored");
        Ok(stored)
    }
}

/// The rows of each directory, in order.
fn split(by: PartitionBy, rows: &Finished) -> BTreeMap<(i64, u16), Vec<u32>> {
    let buckets = match by {
        PartitionBy::Bucket(count) => Some(buckets(rows, count)),
        PartitionBy::Day | PartitionBy::Hour => None,
    };
    let directory = |row: u32| {
        let row = row as usize;
        by.directory_of(rows.times[row], || buckets.as_ref().map_or(0, |buckets| buckets[row]))
    };
    let mut found: BTreeMap<(i64, u16), Vec<u32>> = BTreeMap::new();
    // Mostly all rows are of one directory.
    if let (Some(oldest), Some(newest), None) = (rows.times.iter().min(), rows.times.iter().max(), &buckets) {
        let (first, last) = (by.directory_of(*oldest, || 0), by.directory_of(*newest, || 0));
        if first == last {
            found.insert(first, rows.order.clone());
            return found;
        }
    }
    for row in &rows.order {
        found.entry(directory(*row)).or_default().push(*row);
    }
    found
}

/// The bucket of every row, by the first column.
fn buckets(rows: &Finished, count: u16) -> Vec<u16> {
    let column = words_of(rows.batch.column(0));
    let words = column.values().as_any().downcast_ref::<StringArray>().expect("words are texts");
    let of_word: Vec<u16> = words.iter().map(|word| bucket_of(word.unwrap_or_default(), count)).collect();
    let of_none = bucket_of("", count);
    column.keys().iter().map(|key| key.map_or(of_none, |key| of_word[key as usize])).collect()
}

fn newest_append(rows: &Finished) -> Option<i64> {
    let column = rows.batch.columns().last()?.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    column.iter().flatten().max()
}

/// Removes staged files that no entry names.
fn discard(directory: &Path, files: &[StagedFile]) {
    for file in files {
        let path = directory.join(&file.staged);
        // What stays is removed by whoever takes the partition over next.
        if let Err(error) = fs::remove_file(&path) {
            debug!(path = %path.display(), %error, "a staged file stays");
        }
    }
}

/// Links staged files to their places, where they are not there already.
fn publish<'f>(
    layout: &Layout,
    staged: &Path,
    files: impl Iterator<Item = &'f StagedFile>,
) -> Result<(), Error> {
    let mut published = Vec::new();
    let _publishing = lock::Publishing::begin(layout)?;
    for file in files {
        let (from, to) = (staged.join(&file.staged), layout.root.join(&file.path));
        let directory = to.parent().expect("a file of a table is in a directory");
        if !from.exists() {
            continue;
        }
        let mut tries = 0;
        // A directory that is just being replaced by a compacted one may be gone for a moment.
        while from.exists() {
            make_directories(&layout.root, directory)?;
            match fs::hard_link(&from, &to) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !is_same_file(&from, &to)? {
                        return Err(Error::InTheWay { path: to });
                    }
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < PUBLISH_TRIES => tries += 1,
                Err(error) => return Err(Error::file("write", &to)(error)),
            }
        }
        published.push((from, directory.to_owned()));
    }
    let mut directories: Vec<&PathBuf> = published.iter().map(|(_, directory)| directory).collect();
    directories.sort_unstable();
    directories.dedup();
    for directory in directories {
        sync_directory(directory)?;
    }
    published.iter().try_for_each(|(from, _)| remove_if_there(from))
}

/// Makes a directory below the root and makes its name last, and those of the directories on the way.
fn make_directories(root: &Path, directory: &Path) -> Result<(), Error> {
    if directory.exists() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(Error::file("make", directory))?;
    let mut above = directory.parent();
    while let Some(path) = above.filter(|path| path.starts_with(root)) {
        sync_directory(path)?;
        above = path.parent();
    }
    Ok(())
}

fn is_same_file(one: &Path, other: &Path) -> Result<bool, Error> {
    let (one, other) = (
        fs::metadata(one).map_err(Error::file("look at", one))?,
        fs::metadata(other).map_err(Error::file("look at", other))?,
    );
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}
