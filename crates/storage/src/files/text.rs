//! Rows as text: JSON that is what came in, and CSV.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt32Type};
use arrow_array::{Array, ArrayRef, MapArray, RecordBatch};
use arrow_schema::DataType;
use model::{EventTime, write_number, write_string};
use serde_json::value::RawValue;

use crate::Table;
use crate::table::{APPEND_TIME, EXTRA, OFFSET, PARTITION, TOPIC};

/// Appends a row as a line of JSON: a reading as it stands in its topic, any other row as an object of its columns.
/// Fields without a column are beside the others, as they came.
pub(super) fn json_line(table: Table, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
    let mut object = Object { out, is_empty: true };
    if table == Table::Readings {
        reading(batch, row, &mut object);
    } else {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if field.name() != EXTRA && !column.is_null(row) {
                object.key(field.name());
                json_value(column, row, object.out);
            }
        }
        object.extra(batch, row);
    }
    object.out.extend_from_slice(if object.is_empty { b"{}\n" } else { b"}\n" });
}

struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl Object<'_> {
    fn key(&mut self, name: &str) {
        self.out.push(if self.is_empty { b'{' } else { b',' });
        self.is_empty = false;
        write_string(name, self.out);
        self.out.push(b':');
    }

    fn fields(&mut self, fields: Fields) {
        for (name, value) in fields {
            self.key(&name);
            self.out.extend_from_slice(value.get().as_bytes());
        }
    }

    fn extra(&mut self, batch: &RecordBatch, row: usize) {
        let extra = batch.column_by_name(EXTRA).and_then(|column| words_at(column, row));
        if let Some(inner) = extra.and_then(|text| text.strip_prefix('{')?.strip_suffix('}')) {
            self.out.push(if self.is_empty { b'{' } else { b',' });
            self.is_empty = false;
            self.out.extend_from_slice(inner.as_bytes());
        }
    }
}

/// In the order that [`model::encode`] writes.
fn reading(batch: &RecordBatch, row: usize, object: &mut Object<'_>) {
    let column = |name: &str| batch.column_by_name(name).filter(|column| !column.is_null(row));
    for (name, key) in [
        ("sensor_id", "sensor_id"),
        ("time", "timestamp"),
        ("temperature", "temperature"),
        ("humidity", "humidity"),
        ("pressure", "pressure"),
    ] {
        if let Some(column) = column(name) {
            object.key(key);
            json_value(column, row, object.out);
        }
    }
    if let Some(further) = column("further") {
        for (name, value) in entries(further.as_map(), row) {
            object.key(&name);
            value(object.out);
        }
    }
    let extra = column(EXTRA).and_then(|column| words_at(column, row));
    let mut extra: Fields = extra.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    // What a location has beside its coordinates.
    let beside = extra.remove("location").and_then(|location| serde_json::from_str(location.get()).ok());
    let beside: Fields = beside.unwrap_or_default();
    let (latitude, longitude) = (column("latitude"), column("longitude"));
    if latitude.is_some() || !beside.is_empty() {
        object.key("location");
        let mut location = Object { out: object.out, is_empty: true };
        for (name, column) in [("latitude", latitude), ("longitude", longitude)] {
            if let Some(column) = column {
                location.key(name);
                json_value(column, row, location.out);
            }
        }
        location.fields(beside);
        location.out.push(b'}');
    }
    if let Some(status) = column("status") {
        object.key("status");
        json_value(status, row, object.out);
    }
    object.fields(extra);
}

/// Fields of an object, in order.
type Fields = BTreeMap<String, Box<RawValue>>;

/// The text of a column of texts or words.
fn words_at(column: &ArrayRef, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::Dictionary(..) => {
            let words = column.as_dictionary::<UInt32Type>();
            Some(words.values().as_string::<i32>().value(words.keys().value(row) as usize))
        }
        _ => None,
    }
}

type WriteValue<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;

/// The entries of a map: the name, and what writes the value as JSON.
fn entries(map: &MapArray, row: usize) -> impl Iterator<Item = (String, WriteValue<'_>)> {
    let (from, to) = (map.value_offsets()[row] as usize, map.value_offsets()[row + 1] as usize);
    let names = map.keys().as_string::<i32>();
    (from..to).map(move |at| {
        let value: WriteValue<'_> = Box::new(move |out| json_value(map.values(), at, out));
        (names.value(at).to_owned(), value)
    })
}

fn json_value(column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match column.data_type() {
        DataType::Float64 => write_number(column.as_primitive::<Float64Type>().value(row), out),
        DataType::Int64 => write_whole(column.as_primitive::<Int64Type>().value(row), out),
        DataType::Int32 => write_whole(column.as_primitive::<Int32Type>().value(row).into(), out),
        DataType::Map(..) => {
            out.push(b'{');
            for (number, (name, value)) in entries(column.as_map(), row).enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write_string(&name, out);
                out.push(b':');
                value(out);
            }
            out.push(b'}');
        }
        _ => {
            let mut text = Vec::new();
            plain_text(column, row, &mut text);
            write_string(&String::from_utf8_lossy(&text), out);
        }
    }
}

fn write_whole(number: i64, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("memory takes everything");
}

/// A value as it stands in a cell.
fn plain_text(column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    match column.data_type() {
        DataType::Timestamp(..) => {
            EventTime::from_micros(column.as_primitive::<TimestampMicrosecondType>().value(row)).write(out);
        }
        DataType::Binary => {
            for byte in column.as_binary::<i32>().value(row) {
                write!(out, "{byte:02x}").expect("memory takes everything");
            }
        }
        DataType::Utf8 | DataType::Dictionary(..) => {
            out.extend_from_slice(words_at(column, row).unwrap_or_default().as_bytes());
        }
        _ => json_value(column, row, out),
    }
}

/// Rows as CSV: the columns of the table. Of readings those of the reading alone, so that a replay takes nothing else for
/// a measurement, and the further measurements each in a column of its own.
pub(super) struct Csv {
    table: Table,
    further: Vec<String>,
}

/// Where a row came from is no part of a reading.
fn is_of_place(name: &str) -> bool {
    [TOPIC, PARTITION, OFFSET, APPEND_TIME].contains(&name)
}

impl Csv {
    pub(super) fn new(table: Table, further: BTreeSet<String>) -> Self {
        Self { table, further: further.into_iter().collect() }
    }

    fn leaves_out(&self, column: &str) -> bool {
        self.table == Table::Readings && is_of_place(column)
    }

    pub(super) fn header(&self, out: &mut Vec<u8>) {
        for (number, field) in self.table.schema().fields().iter().enumerate() {
            if self.leaves_out(field.name()) {
                continue;
            }
            if number > 0 && field.name() != FURTHER {
                out.push(b',');
            }
            match field.name().as_str() {
                FURTHER => self.further.iter().for_each(|name| {
                    out.push(b',');
                    cell(name.as_bytes(), out);
                }),
                "time" if self.table == Table::Readings => out.extend_from_slice(b"timestamp"),
                name => out.extend_from_slice(name.as_bytes()),
            }
        }
        out.push(b'\n');
    }

    pub(super) fn line(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        for (number, (field, column)) in batch.schema_ref().fields().iter().zip(batch.columns()).enumerate() {
            if self.leaves_out(field.name()) {
                continue;
            }
            if field.name() == FURTHER {
                for name in &self.further {
                    out.push(b',');
                    if let Some((_, value)) = entries(column.as_map(), row).find(|(of, _)| of == name) {
                        value(out);
                    }
                }
                continue;
            }
            if number > 0 {
                out.push(b',');
            }
            if !column.is_null(row) {
                text.clear();
                plain_text(column, row, &mut text);
                cell(&text, out);
            }
        }
        out.push(b'\n');
    }
}

/// The column of a reading's further measurements.
pub(super) const FURTHER: &str = "further";

/// A cell as of RFC 4180.
fn cell(text: &[u8], out: &mut Vec<u8>) {
    if !text.is_empty() && !text.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Lines of JSON of a file of readings, as a stream of bytes.
pub(super) struct Lines<I> {
    pub(super) batches: I,
    pub(super) ready: Vec<u8>,
    pub(super) taken: usize,
}

impl<I: Iterator<Item = Result<RecordBatch, crate::Error>>> io::Read for Lines<I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() {
            (self.taken, self.ready) = (0, std::mem::take(&mut self.ready));
            self.ready.clear();
            let Some(batch) = self.batches.next() else { return Ok(0) };
            let batch = batch.map_err(io::Error::other)?;
            (0..batch.num_rows()).for_each(|row| json_line(Table::Readings, &batch, row, &mut self.ready));
        }
        let count = into.len().min(self.ready.len() - self.taken);
        into[..count].copy_from_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
