//! Rows to the bytes of a Parquet file.
//!
//! Zstandard; statistics for every page; the columns by which rows are sorted are named in the file. Encodings by what a
//! column holds: words and numbers by dictionary, and where there are too many different ones, numbers split into the
//! streams of their bytes (which then look alike) and texts with their lengths apart; times and offsets as differences.
//! The files carry no Arrow schema: engines see plain strings, doubles and timestamps.

use std::io::Write;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::take::take_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::Table;

/// Rows of a row group: what engines hand to their threads, and DuckDB's own size.
const ROW_GROUP: usize = 122_880;
/// Rows that are copied in their new order at a time.
const PIECE: usize = 32_768;
/// How files of a table are written.
#[derive(Clone)]
pub(crate) struct Encoder {
    schema: SchemaRef,
    options: ArrowWriterOptions,
}

impl Encoder {
    /// `level` is that of Zstandard, 1 to 22.
    ///
    /// # Panics
    /// If there is no such level.
    pub(crate) fn new(table: Table, level: i32) -> Self {
        Self::sorted_by(table, level, Some(sorting(table)))
    }

    /// For rows in any order; `level` as for [`Encoder::new`].
    pub(crate) fn unsorted(table: Table, level: i32) -> Self {
        Self::sorted_by(table, level, None)
    }

    fn sorted_by(table: Table, level: i32, sorting: Option<Vec<SortingColumn>>) -> Self {
        let schema = table.schema();
        let level = ZstdLevel::try_new(level).expect("the settings allow 1 to 22");
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by(format!("streamgauge {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(vec![KeyValue::new(
                "streamgauge.table".to_owned(),
                table.name().to_owned(),
            )]))
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_sorting_columns(sorting);
        for field in schema.fields() {
            let path = ColumnPath::new(vec![field.name().clone()]);
            properties = match field.data_type() {
                DataType::Timestamp(..) | DataType::Int64 | DataType::Int32 => properties
                    .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                    .set_column_dictionary_enabled(path, matches!(field.data_type(), DataType::Int32)),
                DataType::Float64 => properties.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
                DataType::Utf8 | DataType::Binary => {
                    properties.set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
                }
                _ => properties,
            };
        }
        let options =
            ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
        Self { schema, options }
    }

    /// The file of the rows of `batch` that `order` names, in that order.
    pub(crate) fn encode(&self, batch: &RecordBatch, order: &[u32]) -> Result<Vec<u8>, ParquetError> {
        let mut writer = self.writer(Vec::new())?;
        for piece in order.chunks(PIECE) {
            let piece = UInt32Array::from(piece.to_vec());
            writer.write(&take_record_batch(batch, &piece)?)?;
        }
        writer.into_inner()
    }

    /// For batches that are in order already.
    pub(crate) fn writer<W: Write + Send>(&self, out: W) -> Result<ArrowWriter<W>, ParquetError> {
        ArrowWriter::try_new_with_options(out, self.schema.clone(), self.options.clone())
    }
}

/// The first column and the time, rising, nulls last.
fn sorting(table: Table) -> Vec<SortingColumn> {
    let schema = table.schema();
    // Among the leaves of the file a map takes two places; all maps come after the time.
    let time = schema.index_of(table.time_column()).expect("a table has its time column");
    [0, time]
        .into_iter()
        .map(|column| SortingColumn { column_idx: column as i32, descending: false, nulls_first: false })
        .collect()
}
