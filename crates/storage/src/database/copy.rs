//! Rows to PostgreSQL's binary COPY format (version 1, "COPY" in PostgreSQL's manual): for each row the number of fields,
//! for each field its length and its bytes in network order, -1 for null.

use std::borrow::Cow;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt32Type};
use arrow_array::{
    Array, BinaryArray, DictionaryArray, Float64Array, Int32Array, Int64Array, MapArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_schema::DataType;
use model::{write_number, write_string};

/// Rows that are encoded at a time.
pub(super) const PIECE: usize = 1_024;
/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The end: -1 fields.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();
/// PostgreSQL counts microseconds from 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// A column, ready to be asked for its values.
enum Column<'b> {
    Words(&'b DictionaryArray<UInt32Type>, &'b StringArray),
    Text(&'b StringArray),
    Number(&'b Float64Array),
    Whole(&'b Int64Array),
    Short(&'b Int32Array),
    Time(&'b TimestampMicrosecondArray),
    Map(&'b MapArray),
    Bytes(&'b BinaryArray),
}

/// Encodes rows of a batch.
pub(super) struct Copier<'b> {
    columns: Vec<Column<'b>>,
    out: Vec<u8>,
    begun: bool,
}

impl<'b> Copier<'b> {
    pub(super) fn new(batch: &'b RecordBatch) -> Self {
        let columns = batch.columns().iter().map(|column| match column.data_type() {
            DataType::Dictionary(..) => {
                let words = column.as_dictionary::<UInt32Type>();
                Column::Words(words, words.values().as_string::<i32>())
            }
            DataType::Float64 => Column::Number(column.as_primitive::<Float64Type>()),
            DataType::Int64 => Column::Whole(column.as_primitive::<Int64Type>()),
            DataType::Int32 => Column::Short(column.as_primitive::<Int32Type>()),
            DataType::Timestamp(..) => Column::Time(column.as_primitive::<TimestampMicrosecondType>()),
            DataType::Map(..) => Column::Map(column.as_map()),
            DataType::Binary => Column::Bytes(column.as_binary::<i32>()),
            _ => Column::Text(column.as_string::<i32>()),
        });
        Self { columns: columns.collect(), out: Vec::new(), begun: false }
    }

    /// The bytes of these rows; before the first ones those of the header.
    pub(super) fn rows(&mut self, rows: &[u32]) -> &[u8] {
        self.out.clear();
        if !self.begun {
            self.out.extend_from_slice(HEADER);
            self.begun = true;
        }
        let count = i16::try_from(self.columns.len()).expect("a table has a few dozen columns");
        for row in rows {
            self.out.extend_from_slice(&count.to_be_bytes());
            for column in &self.columns {
                column.write(*row as usize, &mut self.out);
            }
        }
        &self.out
    }
}

impl Column<'_> {
    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Words(words, texts) if words.is_valid(row) => {
                write_text(texts.value(words.keys().value(row) as usize), out);
            }
            Self::Text(texts) if texts.is_valid(row) => write_text(texts.value(row), out),
            Self::Number(numbers) if numbers.is_valid(row) => {
                write_field(&numbers.value(row).to_be_bytes(), out);
            }
            Self::Whole(numbers) if numbers.is_valid(row) => {
                write_field(&numbers.value(row).to_be_bytes(), out);
            }
            Self::Short(numbers) if numbers.is_valid(row) => {
                write_field(&numbers.value(row).to_be_bytes(), out);
            }
            Self::Time(times) if times.is_valid(row) => {
                write_field(&times.value(row).saturating_sub(EPOCH_MICROS).to_be_bytes(), out);
            }
            Self::Bytes(bytes) if bytes.is_valid(row) => write_field(bytes.value(row), out),
            Self::Map(map) if map.is_valid(row) => write_map(map, row, out),
            _ => out.extend_from_slice(&NULL),
        }
    }
}

#[inline]
fn write_field(bytes: &[u8], out: &mut Vec<u8>) {
    let length = i32::try_from(bytes.len()).expect("a record is smaller than 2 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

#[inline]
fn write_text(text: &str, out: &mut Vec<u8>) {
    write_field(storable(text).as_bytes(), out);
}

/// PostgreSQL's text holds no character 0: it becomes U+FFFD.
fn storable(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// As `jsonb`: its version, then the text.
fn write_map(map: &MapArray, row: usize, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(1);
    let (from, to) = (map.value_offsets()[row] as usize, map.value_offsets()[row + 1] as usize);
    let names = map.keys().as_string::<i32>();
    out.push(b'{');
    for entry in from..to {
        if entry > from {
            out.push(b',');
        }
        write_string(&storable(names.value(entry)), out);
        out.push(b':');
        match map.values().data_type() {
            DataType::Float64 => write_number(map.values().as_primitive::<Float64Type>().value(entry), out),
            _ => write_string(&storable(map.values().as_string::<i32>().value(entry)), out),
        }
    }
    out.push(b'}');
    let length = i32::try_from(out.len() - at - 4).expect("a record is smaller than 2 GiB");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}
