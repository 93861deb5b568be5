//! `store export`: rows of a time range, or of some sensors, in a form that others read, and that `produce replay` reads.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read, Write};
use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array as _, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use model::EventTime;
use serde::Serialize;

use super::encode::Encoder;
use super::text::{Csv, FURTHER, Lines, json_line};
use super::walk::DataFile;
use super::{decode, open_existing, walk};
use crate::table::words_of;
use crate::{Error, Table};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A header and a line for each row; the further measurements of readings are columns.
    Csv,
    /// An object a line; readings as they stand in their topic.
    JsonLines,
    /// One Parquet file with the columns of the table.
    Parquet,
}

/// What is exported.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Of this table.
    pub table: Table,
    /// Rows of this event time or later.
    pub from: Option<EventTime>,
    /// Rows before this event time.
    pub until: Option<EventTime>,
    /// Rows of these sensors (of events: types); of all, if there are none.
    pub sensors: Vec<String>,
    /// How they are written.
    pub format: ExportFormat,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Rows.
    pub rows: u64,
    /// Files that were read.
    pub files: u64,
}

/// Which rows are wanted.
struct Wanted {
    from: i64,
    until: i64,
    sensors: HashSet<String>,
}

impl Wanted {
    fn of(options: &ExportOptions) -> Self {
        Self {
            from: options.from.map_or(i64::MIN, EventTime::micros),
            until: options.until.map_or(i64::MAX, EventTime::micros),
            sensors: options.sensors.iter().cloned().collect(),
        }
    }

    /// The rows of a batch that are wanted.
    fn rows(&self, table: Table, batch: RecordBatch) -> Result<RecordBatch, arrow_schema::ArrowError> {
        if self.from == i64::MIN && self.until == i64::MAX && self.sensors.is_empty() {
            return Ok(batch);
        }
        let times = batch.column_by_name(table.time_column()).expect("every table has its time column");
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let words = words_of(batch.column(0));
        let texts = words.values().as_string::<i32>();
        let good: Vec<bool> =
            texts.iter().map(|text| text.is_some_and(|text| self.sensors.contains(text))).collect();
        let unbounded = self.from == i64::MIN && self.until == i64::MAX;
        let is_wanted = |row: usize| {
            let in_time = if times.is_valid(row) {
                (self.from..self.until).contains(&times.value(row))
            } else {
                unbounded
            };
            let of_sensor = || words.keys().is_valid(row) && good[words.keys().value(row) as usize];
            in_time && (self.sensors.is_empty() || of_sensor())
        };
        let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_wanted(row))).collect();
        filter_record_batch(&batch, &mask)
    }
}

/// Writes rows of the store at `root` to `out`, directory by directory and file by file. `progress` is told files done
/// and all files. What cannot be written is the error of `out`.
pub fn export(
    root: &Path,
    options: &ExportOptions,
    out: &mut (dyn Write + Send),
    mut progress: impl FnMut(u64, u64),
) -> Result<Exported, Error> {
    let layout = open_existing(root)?;
    let found = walk::walk(&layout)?;
    let files: Vec<&DataFile> = found.all().filter(|file| file.table == options.table).collect();
    let mut exported = Exported::default();
    let wanted = Wanted::of(options);
    let mut writer = Writer::begin(options, &files, out)?;
    for (done, file) in files.iter().enumerate() {
        progress(done as u64, files.len() as u64);
        for batch in decode::rows(file.table, &file.path)? {
            let batch = wanted.rows(file.table, batch?);
            let batch =
                batch.map_err(|error| decode::not_rows(file.table, &file.path, &error.to_string()))?;
            exported.rows += batch.num_rows() as u64;
            writer.write(&batch)?;
        }
        exported.files += 1;
    }
    writer.finish()?;
    progress(files.len() as u64, files.len() as u64);
    Ok(exported)
}

/// Writes in one of the forms.
enum Writer<'o> {
    Csv(Csv, &'o mut (dyn Write + Send)),
    JsonLines(Table, &'o mut (dyn Write + Send)),
    Parquet(Box<parquet::arrow::ArrowWriter<&'o mut (dyn Write + Send)>>),
}

/// The level of Zstandard of exported Parquet.
const LEVEL: i32 = 3;

impl<'o> Writer<'o> {
    fn begin(
        options: &ExportOptions,
        files: &[&DataFile],
        out: &'o mut (dyn Write + Send),
    ) -> Result<Self, Error> {
        let table = options.table;
        match options.format {
            ExportFormat::JsonLines => Ok(Self::JsonLines(table, out)),
            ExportFormat::Parquet => Encoder::unsorted(table, LEVEL)
                .writer(out)
                .map(|writer| Self::Parquet(Box::new(writer)))
                .map_err(failed),
            ExportFormat::Csv => {
                let csv =
                    Csv::new(table, if table == Table::Readings { further(files)? } else { BTreeSet::new() });
                let mut header = Vec::new();
                csv.header(&mut header);
                out.write_all(&header).map_err(Error::Output)?;
                Ok(Self::Csv(csv, out))
            }
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut text = Vec::new();
        let out = match self {
            Self::Parquet(writer) => return writer.write(batch).map_err(failed),
            Self::Csv(csv, out) => {
                (0..batch.num_rows()).for_each(|row| csv.line(batch, row, &mut text));
                out
            }
            Self::JsonLines(table, out) => {
                (0..batch.num_rows()).for_each(|row| json_line(*table, batch, row, &mut text));
                out
            }
        };
        out.write_all(&text).map_err(Error::Output)
    }

    fn finish(self) -> Result<(), Error> {
        match self {
            Self::Parquet(writer) => writer.close().map(drop).map_err(failed),
            Self::Csv(_, out) | Self::JsonLines(_, out) => out.flush().map_err(Error::Output),
        }
    }
}

/// The error of whatever the writer writes to.
fn failed(error: parquet::errors::ParquetError) -> Error {
    match error {
        parquet::errors::ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => Error::Output(*error),
            Err(source) => Error::Output(io::Error::other(source)),
        },
        other => Error::Output(io::Error::other(other)),
    }
}

/// The names of all further measurements.
fn further(files: &[&DataFile]) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    for file in files {
        for batch in decode::columns(file.table, &file.path, &[FURTHER])? {
            let batch = batch?;
            let keys = batch.column(0).as_map_opt().map(arrow_array::MapArray::keys);
            for name in keys.and_then(|keys| keys.as_string_opt::<i32>()).into_iter().flatten().flatten() {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    Ok(names)
}

/// Whether a file begins as Parquet files do.
pub fn is_parquet(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"PAR1"
}

/// The readings of a Parquet file, as lines of JSON as they stand in their topic.
pub fn readings_as_json_lines(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let batches = decode::rows(Table::Readings, path).map_err(io::Error::other)?;
    Ok(Box::new(Lines { batches, ready: Vec::new(), taken: 0 }))
}
