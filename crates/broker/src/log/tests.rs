//! Tests of the log as a whole.

mod compaction;
mod model;
mod producers;
mod recovery;

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::*;

/// A record's key and value.
type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A client's batch, before it is encoded.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) records: Vec<KeyAndValue>,
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
                // Also without a producer: the encoder begins a new batch where sequences do not go on.
                sequence: sequence.wrapping_add(number as i32),
                timestamp: self.timestamp + number,
                key: key.clone().map(Bytes::from),
                value: value.clone().map(Bytes::from),
                headers: kafka_protocol::indexmap::IndexMap::new(),
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
        assert!(matches!(log.read(201, 100, false, true), Err(error::ReadError::OutOfRange { .. })));
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

#[test]
fn batches_of_every_codec_come_back_as_they_were_sent() {
    let fixture = Fixture::new(LogSettings::default());
    let log = fixture.open(LastShutdown::Unknown);
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for codec in codecs {
        let sent = Batch::of(&["a", "b", "c"]).compressed(codec).encode();
        let offset = log.append(&sent, 5).unwrap().base_offset;
        let read = log.read(offset, 10_000, false, true).unwrap().records;
        assert_eq!(read[16..], sent[16..], "{codec:?}");
        assert_eq!(read[..8], offset.to_be_bytes());
    }
}

#[test]
fn a_set_of_several_batches_is_appended_as_one() {
    let fixture = Fixture::new(LogSettings::default());
    let log = fixture.open(LastShutdown::Unknown);
    let mut set = BytesMut::from(&Batch::of(&["a", "b"]).encode()[..]);
    set.extend_from_slice(&Batch::of(&["c"]).encode());
    let set = set.freeze();
    assert_eq!(log.append(&set, 5).unwrap().base_offset, 0);
    assert_eq!(log.append(&set, 5).unwrap().base_offset, 3);
    let values: Vec<_> = read_all(&log, 0, false).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn what_clients_may_not_send_is_refused_with_the_code_of_kafka() {
    use kafka_protocol::ResponseError as Code;

    fn check(change: impl Fn(&mut Vec<u8>), expected: Code) {
        let fixture = Fixture::new(LogSettings { max_message_bytes: 500, ..LogSettings::default() });
        let log = fixture.open(LastShutdown::Unknown);
        let mut bytes = Batch::of(&["a", "b"]).encode().to_vec();
        change(&mut bytes);
        let error = log.append(&bytes.into(), 5).unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
        assert_eq!(log.offsets().end, 0);
    }
    fn resealed(at: usize, new: &[u8]) -> impl Fn(&mut Vec<u8>) {
        move |bytes| {
            bytes[at..at + new.len()].copy_from_slice(new);
            let crc = crc32c::crc32c(&bytes[batch::CHECKED_FROM..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        }
    }
    check(Vec::clear, Code::InvalidRecord);
    check(|bytes| bytes.truncate(30), Code::CorruptMessage);
    check(|bytes| bytes.truncate(bytes.len() - 1), Code::CorruptMessage);
    check(|bytes| bytes[16] = 1, Code::InvalidRecord);
    check(|bytes| *bytes.last_mut().unwrap() ^= 1, Code::CorruptMessage);
    check(|bytes| bytes.extend_from_slice(&[0; 5]), Code::CorruptMessage);
    check(resealed(21, &[0, 0x20]), Code::InvalidRecord);
    check(resealed(21, &[0, 0x10]), Code::InvalidRecord);
    check(resealed(21, &[0, 5]), Code::UnsupportedCompressionType);
    check(resealed(21, &[0, 8]), Code::InvalidTimestamp);
    check(resealed(57, &[0, 0, 0, 3]), Code::InvalidRecord);
    check(resealed(23, &[0, 0, 0, 2, 0, 0, 0, 0]), Code::InvalidRecord);
    check(resealed(8, &[0x7f, 0, 0, 0]), Code::MessageTooLarge);
    check(resealed(43, &[0, 0, 0, 0, 0, 0, 0, 1]), Code::InvalidRecord);
    let large = Batch::of(&["x".repeat(600).as_str()]).encode();
    check(|bytes| *bytes = large.to_vec(), Code::MessageTooLarge);
}

#[test]
fn a_compacted_topic_takes_no_record_without_a_key() {
    let fixture = Fixture::new(LogSettings { compact: true, ..LogSettings::default() });
    let log = fixture.open(LastShutdown::Unknown);
    for codec in [Compression::None, Compression::Lz4] {
        let error = log.append(&Batch::of(&["a"]).compressed(codec).encode(), 5).unwrap_err();
        assert_eq!(error.code(), kafka_protocol::ResponseError::InvalidRecord);
        log.append(&Batch::keyed(&[("k", Some("v"))]).compressed(codec).encode(), 5).unwrap();
    }
}

#[test]
fn log_append_time_stamps_batches_and_renews_their_checksum() {
    let fixture = Fixture::new(LogSettings { log_append_time: true, ..LogSettings::default() });
    let log = fixture.open(LastShutdown::Unknown);
    assert_eq!(log.append(&Batch::of(&["a", "b"]).encode(), 77).unwrap().log_append_time, 77);
    let mut records = log.read(0, 1000, false, true).unwrap().records;
    let set = RecordBatchDecoder::decode(&mut records).unwrap();
    assert!(set.records.iter().all(|record| record.timestamp_type == TimestampType::LogAppend));
    assert_eq!(log.offset_for_time(77, false).unwrap(), Some((0, 77)));
    assert_eq!(log.offset_for_time(78, false).unwrap(), None);
}

#[test]
fn timestamps_outside_of_the_allowed_range_are_refused() {
    let settings =
        LogSettings { timestamp_before_max_ms: 10, timestamp_after_max_ms: 10, ..LogSettings::default() };
    let fixture = Fixture::new(settings);
    let log = fixture.open(LastShutdown::Unknown);
    for (timestamp, allowed) in [(90, true), (89, false), (110, true), (111, false), (-1, true)] {
        let result = log.append(&Batch::of(&["a"]).at(timestamp).encode(), 100);
        assert_eq!(result.is_ok(), allowed, "timestamp {timestamp}");
    }
}

#[test]
fn offsets_are_found_by_timestamp_inside_of_batches() {
    let fixture = Fixture::new(small_segments());
    let log = fixture.open(LastShutdown::Unknown);
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];
    for number in 0..60_i64 {
        let batch = Batch::of(&["a", "b", "c"]).at(number * 100).compressed(codecs[number as usize % 4]);
        log.append(&batch.encode(), 5).unwrap();
    }
    let check = |log: &Log| {
        for number in 0..60 {
            for record in 0..3 {
                let time = number * 100 + record;
                assert_eq!(log.offset_for_time(time, false).unwrap(), Some((number * 3 + record, time)));
            }
            let next = (number < 59).then_some((number * 3 + 3, number * 100 + 100));
            assert_eq!(log.offset_for_time(number * 100 + 50, false).unwrap(), next);
        }
        assert_eq!(log.offset_of_max_timestamp().unwrap(), Some((179, 5902)));
    };
    check(&log);
    drop(log);
    check(&fixture.open(LastShutdown::SameBoot));
    check(&fixture.open(LastShutdown::Unknown));
    let log = fixture.open(LastShutdown::SameBoot);
    log.delete_before(100).unwrap();
    assert_eq!(log.offset_for_time(0, false).unwrap(), Some((100, 3301)));
}

#[test]
fn records_go_by_age_by_size_and_on_request() {
    let fixture = Fixture::new(LogSettings { retention_ms: Some(1000), ..small_segments() });
    let log = fixture.open(LastShutdown::Unknown);
    for number in 0..100 {
        log.append(&Batch::of(&["some value of some length"]).at(number * 10).encode(), number * 10).unwrap();
    }
    log.housekeep(1500).unwrap();
    let start = log.offsets().start;
    assert!((30..=50).contains(&start), "{start}: what is older than 500, in whole segments");
    assert!(matches!(log.read(start - 1, 100, false, true), Err(error::ReadError::OutOfRange { .. })));

    log.set_settings(LogSettings { retention_ms: None, retention_bytes: Some(3000), ..small_segments() });
    log.housekeep(1500).unwrap();
    assert!((3000..4000).contains(&log.size_bytes()), "{}", log.size_bytes());

    assert_eq!(log.delete_before(95).unwrap(), 95);
    assert_eq!(log.delete_before(20).unwrap(), 95, "the start never moves back");
    assert!(log.delete_before(101).is_err());
    drop(log);
    let log = fixture.open(LastShutdown::SameBoot);
    assert_eq!(log.offsets(), LogOffsets { start: 95, stable: 100, end: 100 });
    assert_eq!(read_all(&log, 95, false).len(), 5);
    log.housekeep(1_000_000).unwrap();
    assert_eq!(log.offsets(), LogOffsets { start: 100, stable: 100, end: 100 });
    assert_eq!(log.append(&Batch::of(&["a"]).encode(), 1_000_000).unwrap().base_offset, 100);
}

#[test]
fn waiters_are_woken_by_an_append() {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    let fixture = Fixture::new(LogSettings::default());
    let log = fixture.open(LastShutdown::Unknown);
    let waiter = Arc::new(Notify::new());
    log.add_waiter(&waiter);
    let mut context = Context::from_waker(Waker::noop());
    let mut woken = Box::pin(waiter.notified());
    assert_eq!(woken.as_mut().poll(&mut context), Poll::Pending);
    log.append(&Batch::of(&["a"]).encode(), 5).unwrap();
    assert_eq!(woken.as_mut().poll(&mut context), Poll::Ready(()));
    log.remove_waiter(&waiter);
    log.append(&Batch::of(&["a"]).encode(), 5).unwrap();
    assert_eq!(Box::pin(waiter.notified()).as_mut().poll(&mut context), Poll::Pending);
}
