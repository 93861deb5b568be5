//! Parquet files back to rows.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, new_null_array};
use arrow_schema::{Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use crate::{Error, Table};

/// Rows that are read at a time.
const BATCH: usize = 16_384;

/// The rows of a file with the columns of the table, those that the file does not have yet as nulls.
pub(super) fn rows(
    table: Table,
    path: &Path,
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
    let (file, there) = open(table, path)?;
    let own = table.schema();
    let known: Vec<Arc<Field>> = there
        .fields()
        .iter()
        .map(|field| match own.field_with_name(field.name()) {
            // A later version's columns may not be lost by whoever rewrites the file.
            Err(_) => Err(not_rows(
                table,
                path,
                &format!(
                    "it has a column {:?} that this version does not know; use a newer streamgauge",
                    field.name()
                ),
            )),
            Ok(wanted) => {
                Ok(Arc::new(Field::new(wanted.name(), wanted.data_type().clone(), field.is_nullable())))
            }
        })
        .collect::<Result<_, _>>()?;
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(known)));
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(|builder| builder.with_batch_size(BATCH).build())
        .map_err(|error| not_rows(table, path, &error.to_string()))?;
    let path = path.to_owned();
    Ok(reader.map(move |batch| {
        let batch = batch.map_err(|error| not_rows(table, &path, &error.to_string()))?;
        let columns = own.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
        RecordBatch::try_new(own.clone(), columns.collect())
            .map_err(|error| not_rows(table, &path, &error.to_string()))
    }))
}

/// Some columns of a file, as the file has them; whole numbers and times are what they are in the table.
pub(super) fn columns(
    table: Table,
    path: &Path,
    names: &[&str],
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
    let (file, there) = open(table, path)?;
    for name in names {
        if there.field_with_name(name).is_err() {
            return Err(not_rows(
                table,
                path,
                &format!("it has no column {name:?}; it is not a file of streamgauge: move it elsewhere"),
            ));
        }
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(|builder| {
            let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder.with_projection(mask).with_batch_size(BATCH).build()
        })
        .map_err(|error| not_rows(table, path, &error.to_string()))?;
    let path = path.to_owned();
    Ok(reader.map(move |batch| batch.map_err(|error| not_rows(table, &path, &error.to_string()))))
}

/// The number of rows of a file, by its footer.
pub(super) fn count(table: Table, path: &Path) -> Result<u64, Error> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|error| not_rows(table, path, &error.to_string()))?;
    Ok(u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0))
}

/// The file and the columns that it has.
fn open(table: Table, path: &Path) -> Result<(File, Arc<Schema>), Error> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|error| not_rows(table, path, &error.to_string()))?;
    Ok((file, Arc::clone(metadata.schema())))
}

pub(super) fn not_rows(table: Table, path: &Path, detail: &str) -> Error {
    Error::NotRows { path: path.to_owned(), table, detail: detail.to_owned() }
}
