//! Rows of one partition on their way into storage: built column by column, sorted once, handed on in pieces.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, Int64Builder, MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::types::UInt32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use kafka::{Record, TopicPartition};

use super::{APPEND_TIME, Reject, Table, alerts, analytics, events, readings};

/// A column of few different texts.
pub(super) type Words = StringDictionaryBuilder<UInt32Type>;

/// The key in the dictionary of a row without one.
const NO_KEY: u32 = u32::MAX;
/// So many values a dictionary may have at most; a batch of a sink's largest size has fewer rows.
const MANY_KEYS: &str = "fewer keys than a u32 counts";

/// What a table's columns say of a row that they took.
pub(super) struct Row {
    /// The key in the dictionary of the first column.
    pub(super) key: Option<u32>,
    /// The event time, in microseconds.
    pub(super) time: Option<i64>,
    pub(super) extra: Option<String>,
    /// Memory beyond [`Columns::row_bytes`].
    pub(super) bytes: usize,
}

/// The columns of a kind of record.
pub(super) trait Columns: Send {
    /// Takes a record with a value; on refusal nothing is changed.
    fn append(&mut self, record: &Record<'_>, payload: &[u8]) -> Result<Row, Reject>;

    /// Memory that every row takes, in bytes.
    fn row_bytes(&self) -> usize;

    /// The columns; the next row begins new ones. The first is a dictionary.
    fn finish(&mut self) -> Vec<ArrayRef>;
}

/// The rows of one partition that are not stored yet, in the order of their offsets.
pub(crate) struct Rows {
    table: Table,
    place: TopicPartition,
    columns: Box<dyn Columns>,
    extra: StringBuilder,
    offsets: Vec<i64>,
    appended: TimestampMicrosecondBuilder,
    keys: Vec<u32>,
    /// Event times, or where a row has none the record's timestamp: what rows are sorted and partitioned by.
    times: Vec<i64>,
    bytes: usize,
}

impl Rows {
    pub(crate) fn new(table: Table, place: TopicPartition) -> Self {
        let columns: Box<dyn Columns> = match table {
            Table::Readings => Box::<readings::Readings>::default(),
            Table::Events => Box::<events::Events>::default(),
            Table::Alerts => Box::<alerts::Alerts>::default(),
            Table::Analytics => Box::<analytics::Analytics>::default(),
        };
        Self {
            table,
            place,
            columns,
            extra: StringBuilder::new(),
            offsets: Vec::new(),
            appended: utc(),
            keys: Vec::new(),
            times: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The memory of the rows, in bytes, a little more rather than less.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a record. Refused: the rows are as before.
    #[inline]
    pub(crate) fn append(&mut self, record: &Record<'_>) -> Result<(), Reject> {
        let Some(payload) = record.value else {
            return Err(Reject { class: "null-value", message: "the record has no value".to_owned() });
        };
        let row = self.columns.append(record, payload)?;
        let appended = record.timestamp_ms().map(|millis| millis.saturating_mul(1_000));
        self.offsets.push(record.offset);
        self.appended.append_option(appended);
        self.keys.push(row.key.unwrap_or(NO_KEY));
        self.times.push(row.time.or(appended).unwrap_or(0));
        let extra_bytes = row.extra.as_ref().map_or(0, String::len);
        self.extra.append_option(row.extra);
        // Beside the columns' own: offset, append time, time and key for sorting, and the order that comes of it.
        self.bytes += self.columns.row_bytes() + 40 + row.bytes + extra_bytes;
        Ok(())
    }

    /// The rows so far as columns, sorted; the next row begins anew.
    pub(crate) fn finish(&mut self) -> Finished {
        let offsets = std::mem::take(&mut self.offsets);
        let rows = offsets.len();
        let mut columns = self.columns.finish();
        let ranks = ranks(&columns[0]);
        let keys = std::mem::take(&mut self.keys);
        let times = std::mem::take(&mut self.times);
        let order = sorted(&keys, &ranks, &times);
        columns.push(finished(&mut self.extra));
        let topic = StringArray::from(vec![&*self.place.topic]);
        let zeros = UInt32Array::from(vec![0; rows]);
        columns.push(Arc::new(DictionaryArray::new(zeros, Arc::new(topic))));
        columns.push(Arc::new(Int32Array::from(vec![self.place.partition; rows])));
        columns.push(Arc::new(Int64Array::from(offsets)));
        columns.push(finished(&mut self.appended));
        self.bytes = 0;
        let batch = RecordBatch::try_new(self.table.schema(), columns);
        let batch = batch.expect("the columns of the table, all as long as the offsets");
        Finished { table: self.table, batch, order, times }
    }
}

/// Rows ready to be stored.
pub(crate) struct Finished {
    pub(crate) table: Table,
    /// The rows in the order of their offsets.
    pub(crate) batch: RecordBatch,
    /// Row numbers, by the first column and then by time.
    pub(crate) order: Vec<u32>,
    /// What each row is partitioned by, in microseconds.
    pub(crate) times: Vec<i64>,
}

impl Finished {
    /// Rows that were read from files, to be sorted anew.
    pub(crate) fn of_batch(table: Table, batch: RecordBatch) -> Self {
        let first = words_of(batch.column(0));
        let keys: Vec<u32> = first.keys().iter().map(|key| key.unwrap_or(NO_KEY)).collect();
        let column = |name: &str| {
            let column = batch
                .column_by_name(name)
                .and_then(|it| it.as_any().downcast_ref::<TimestampMicrosecondArray>());
            column.expect("a column of times of the table")
        };
        let (times, appended) = (column(table.time_column()), column(APPEND_TIME));
        let times = times
            .iter()
            .zip(appended)
            .map(|(time, appended)| time.or(appended).unwrap_or(0))
            .collect::<Vec<_>>();
        let order = sorted(&keys, &ranks(batch.column(0)), &times);
        Self { table, batch, order, times }
    }

    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }
}

/// The first column.
pub(crate) fn words_of(column: &ArrayRef) -> &DictionaryArray<UInt32Type> {
    column.as_any().downcast_ref().expect("the first column is a dictionary of words")
}

/// For each key of the dictionary its place in the order of the texts.
fn ranks(column: &ArrayRef) -> Vec<u32> {
    let values = words_of(column).values().as_any().downcast_ref::<StringArray>().expect("words are texts");
    let mut by_text: Vec<u32> = (0..u32::try_from(values.len()).expect(MANY_KEYS)).collect();
    by_text.sort_unstable_by_key(|key| values.value(*key as usize));
    let mut ranks = vec![0; by_text.len()];
    let (mut rank, mut before) = (0, None);
    for key in by_text {
        // Dictionaries that were put together may have a text twice.
        let text = values.value(key as usize);
        rank += u32::from(before.is_some_and(|before| before != text));
        before = Some(text);
        ranks[key as usize] = rank;
    }
    ranks
}

/// Row numbers by rank (rows without a key last), then by time, then as they came: a counting sort by rank, and within a
/// rank a stable sort, which is one pass where times came in order.
fn sorted(keys: &[u32], ranks: &[u32], times: &[i64]) -> Vec<u32> {
    let rank_of = |row: usize| match keys[row] {
        NO_KEY => ranks.len(),
        key => ranks[key as usize] as usize,
    };
    let mut starts = vec![0_u32; ranks.len() + 2];
    for row in 0..keys.len() {
        starts[rank_of(row) + 1] += 1;
    }
    for rank in 1..starts.len() {
        starts[rank] += starts[rank - 1];
    }
    let mut next = starts.clone();
    let mut order = vec![0; keys.len()];
    for row in 0..keys.len() {
        let at = &mut next[rank_of(row)];
        order[*at as usize] = u32::try_from(row).expect("fewer rows than a u32 counts");
        *at += 1;
    }
    for ends in starts.windows(2) {
        let run = &mut order[ends[0] as usize..ends[1] as usize];
        if !run.is_sorted_by_key(|row| times[*row as usize]) {
            run.sort_by_key(|row| times[*row as usize]);
        }
    }
    order
}

pub(super) fn utc() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondArray::builder(0).with_timezone("UTC")
}

pub(super) fn append_key(words: &mut Words, value: &str) -> u32 {
    words.append(value).expect(MANY_KEYS)
}

/// A builder of a column of values by name, with the names that its field has.
pub(super) fn names_and_values<V: ArrayBuilder>(values: V) -> MapBuilder<StringBuilder, V> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), values)
}

pub(super) fn finished(builder: &mut dyn ArrayBuilder) -> ArrayRef {
    builder.finish()
}

/// The number as a column of whole numbers holds it.
pub(super) fn whole(column: &mut Int64Builder, value: Option<u64>) {
    column.append_option(value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_in_the_order_that_a_plain_stable_sort_gives(
            rows in prop::collection::vec((prop::option::of(0_u32..7), -3_i64..3), 0..200),
            shift in 0_u32..7,
        ) {
            let keys: Vec<u32> = rows.iter().map(|(key, _)| key.unwrap_or(NO_KEY)).collect();
            let times: Vec<i64> = rows.iter().map(|(_, time)| *time).collect();
            let ranks: Vec<u32> = (0..7).map(|key| (key + shift) % 7).collect();
            let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
            expected.sort_by_key(|&row| {
                let key = keys[row as usize];
                let rank = if key == NO_KEY { NO_KEY } else { ranks[key as usize] };
                (rank, times[row as usize])
            });
            prop_assert_eq!(sorted(&keys, &ranks, &times), expected);
        }
    }

    #[test]
    fn every_table_finishes_with_the_columns_of_its_schema() {
        for table in Table::ALL {
            let place = TopicPartition { topic: "t".into(), partition: 3 };
            let finished = Rows::new(table, place).finish();
            assert_eq!(finished.rows(), 0, "{table}");
            assert_eq!(finished.batch.schema(), table.schema(), "{table}");
        }
    }
}
