//! Tests of the log as a whole.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::*;

/// A client's batch, before it is encoded.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) records: Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>,
    pub(super) timestamp: i64,
    pub(super) compression: Compression,
    pub(super) producer: Option<(i64, i16, i32)>,
    pub(super) transactional: bool,
}

impl Batch {
    pub(super) fn of(values: &[&str]) -> Self {
        let records = values.iter().map(|value| (None, Some(value.as_bytes().to_vec()))).collect();
        Self {
            records,
            timestamp: 1000,
            compression: Compression::None,
            producer: None,
            transactional: false,
        }
    }

    pub(super) fn keyed(records: &[(&str, Option<&str>)]) -> Self {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let records = records.iter().map(|(key, value)| (Some(bytes(key)), value.map(bytes))).collect();
        Self { records, ..Self::of(&[]) }
    }

    pub(super) fn at(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }

    pub(super) fn compressed(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    pub(super) fn from(self, producer_id: i64, epoch: i16, sequence: i32) -> Self {
        Self { producer: Some((producer_id, epoch, sequence)), ..self }
    }

    pub(super) fn transactional(self) -> Self {
        Self { transactional: true, ..self }
    }

    pub(super) fn encode(&self) -> Bytes {
        let (producer_id, producer_epoch, sequence) =
            self.producer.unwrap_or((NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE));
        let records: Vec<Record> = (0..)
            .zip(&self.records)
            .map(|(number, (key, value))| Record {
                transactional: self.transactional,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
                producer_id,
                producer_epoch,
                timestamp_type: TimestampType::Creation,
                offset: number,
                sequence: if sequence < 0 { sequence } else { sequence.wrapping_add(number as i32) },
                timestamp: self.timestamp + number,
                key: key.clone().map(Bytes::from),
                value: value.clone().map(Bytes::from),
                headers: Default::default(),
            })
            .collect();
        let mut buffer = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: self.compression };
        RecordBatchEncoder::encode(&mut buffer, &records, &options).unwrap();
        buffer.freeze()
    }
}

/// A directory, and what is needed to open a log in it again and again.
pub(super) struct Fixture {
    pub(super) directory: tempfile::TempDir,
    pub(super) files: Arc<OpenFiles>,
    pub(super) settings: LogSettings,
}

impl Fixture {
    pub(super) fn new(settings: LogSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, files: Arc::new(OpenFiles::new(4)), settings }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn open(&self, shutdown: LastShutdown) -> Log {
        Log::open(self.path(), self.settings.clone(), shutdown, &self.files).unwrap()
    }
}

/// Small segments and dense indexes, so that few records make many of both.
pub(super) fn small_segments() -> LogSettings {
    LogSettings {
        segment_bytes: 1000,
        index_interval_bytes: 100,
        retention_ms: None,
        ..LogSettings::default()
    }
}

/// Every data record from `offset` on, as offset and value.
pub(super) fn read_all(log: &Log, mut offset: i64, read_committed: bool) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    loop {
        let read = log.read(offset, 500, read_committed, true).unwrap();
        if read.records.is_empty() {
            return found;
        }
        let mut aborted = read.aborted.clone();
        aborted.sort_unstable_by_key(|(_, first)| *first);
        let mut records = read.records;
        for set in RecordBatchDecoder::decode_all(&mut records).unwrap() {
            for record in set.records {
                if record.offset < offset {
                    continue;
                }
                offset = record.offset + 1;
                let is_aborted = record.transactional
                    && aborted.iter().any(|(id, first)| *id == record.producer_id && *first <= record.offset);
                if record.control {
                    aborted.retain(|(id, first)| *id != record.producer_id || *first > record.offset);
                } else if !is_aborted {
                    let value =
                        record.value.map_or("-".into(), |value| String::from_utf8(value.to_vec()).unwrap());
                    found.push((record.offset, value));
                }
            }
        }
    }
}

#[test]
fn what_was_appended_is_read_before_and_after_reopening() {
    let fixture = Fixture::new(small_segments());
    let log = fixture.open(LastShutdown::Unknown);
    let mut expected = Vec::new();
    for number in 0..100_i64 {
        let value = format!("value {number}");
        let appended = log.append(&Batch::of(&[&value, "b"]).at(number).encode(), 5).unwrap();
        assert_eq!(appended.base_offset, number * 2);
        expected.extend([(number * 2, value), (number * 2 + 1, "b".to_owned())]);
    }
    assert_eq!(log.offsets(), LogOffsets { start: 0, stable: 200, end: 200 });
    for start in [0, 1, 77, 199, 200] {
        assert_eq!(read_all(&log, start, false), expected[start as usize..]);
    }
    log.close().unwrap();
    drop(log);
    for shutdown in [LastShutdown::Clean, LastShutdown::SameBoot, LastShutdown::Unknown] {
        let log = fixture.open(shutdown);
        assert_eq!(read_all(&log, 0, false), expected);
        assert!(matches!(log.read(201, 100, false, true), Err(ReadError::OutOfRange { .. })));
    }
}

#[test]
fn a_kill_loses_nothing_that_was_appended() {
    let fixture = Fixture::new(small_segments());
    let mut expected = Vec::new();
    for round in 0..10_i64 {
        let log = fixture.open(LastShutdown::SameBoot);
        for number in 0..round * 3 {
            let value = format!("{round}.{number}");
            let appended = log.append(&Batch::of(&[&value]).encode(), 5).unwrap();
            expected.push((appended.base_offset, value));
        }
        assert_eq!(read_all(&log, 0, false), expected);
    }
}
