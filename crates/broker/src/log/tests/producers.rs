//! Idempotent producers and transactions, with Kafka's error codes.

use kafka_protocol::ResponseError as Code;

use super::super::error::AppendError;
use super::*;

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the batch for this call")]
fn append(log: &Log, batch: Batch) -> Result<i64, Code> {
    log.append(&batch.encode(), 5).map(|appended| appended.base_offset).map_err(|error| error.code())
}

/// A batch of two records.
fn two(producer_id: i64, epoch: i16, sequence: i32) -> Batch {
    Batch::of(&["a", "b"]).from(producer_id, epoch, sequence)
}

#[test]
fn sequences_follow_each_other_and_duplicates_are_acknowledged() {
    let fixture = Fixture::new(small_segments());
    let mut log = fixture.open(LastShutdown::Unknown);
    assert_eq!(append(&log, two(1, 0, 10)), Ok(0), "an unknown producer begins anywhere");
    for number in 1..7 {
        assert_eq!(append(&log, two(1, 0, 10 + number * 2)), Ok(i64::from(number) * 2));
    }
    for _ in 0..2 {
        assert_eq!(append(&log, two(1, 0, 22)), Ok(12));
        assert_eq!(append(&log, two(1, 0, 14)), Ok(4), "the fifth last");
        assert_eq!(append(&log, two(1, 0, 12)), Err(Code::OutOfOrderSequenceNumber), "the sixth last");
        assert_eq!(append(&log, two(1, 0, 26)), Err(Code::OutOfOrderSequenceNumber), "a gap");
        assert_eq!(append(&log, Batch::of(&["a"]).from(1, 0, 22)), Err(Code::OutOfOrderSequenceNumber));
        assert_eq!(log.offsets().end, 14);
        drop(log);
        log = fixture.open(LastShutdown::SameBoot);
    }
    assert_eq!(append(&log, two(1, 1, 24)), Err(Code::OutOfOrderSequenceNumber), "a new epoch begins at 0");
    assert_eq!(append(&log, two(1, 1, 0)), Ok(14));
    assert_eq!(append(&log, two(1, 0, 24)), Err(Code::InvalidProducerEpoch));
}

#[test]
fn sequences_wrap() {
    let fixture = Fixture::new(small_segments());
    let log = fixture.open(LastShutdown::Unknown);
    assert_eq!(append(&log, two(1, 0, i32::MAX - 2)), Ok(0));
    assert_eq!(append(&log, two(1, 0, i32::MAX)), Ok(2));
    assert_eq!(append(&log, two(1, 0, i32::MAX)), Ok(2), "a duplicate over the edge");
    assert_eq!(append(&log, two(1, 0, 1)), Ok(4));
}

#[test]
fn idle_producers_are_forgotten() {
    let fixture = Fixture::new(LogSettings { producer_retention_ms: 100, ..small_segments() });
    let log = fixture.open(LastShutdown::Unknown);
    append(&log, two(1, 0, 0)).unwrap();
    log.begin_transaction(2, 0).unwrap();
    append(&log, two(2, 0, 0).transactional()).unwrap();
    log.housekeep(104).unwrap();
    assert_eq!(log.producers().len(), 2);
    log.housekeep(105).unwrap();
    let left: Vec<_> = log.producers().iter().map(|producer| producer.producer_id).collect();
    assert_eq!(left, [2], "the one with an open transaction stays");
    assert_eq!(append(&log, two(1, 0, 77)), Ok(4), "and the other may begin anywhere");
}

#[test]
fn a_transaction_needs_the_coordinator() {
    let fixture = Fixture::new(small_segments());
    let log = fixture.open(LastShutdown::Unknown);
    assert_eq!(append(&log, two(1, 0, 0).transactional()), Err(Code::InvalidTxnState));
    log.begin_transaction(1, 0).unwrap();
    log.begin_transaction(1, 0).unwrap();
    assert_eq!(append(&log, two(1, 0, 0).transactional()), Ok(0));
    assert_eq!(append(&log, two(1, 0, 2)), Err(Code::InvalidTxnState), "plain within a transaction");
    assert_eq!(append(&log, two(1, 0, 2).transactional()), Ok(2));
    assert_eq!(log.open_transactions(), [(1, 0, 0)]);
    assert_eq!(log.end_transaction(1, 0, 0, true, 9).unwrap(), Some(4));
    assert_eq!(log.end_transaction(1, 0, 0, true, 9).unwrap(), None, "there is nothing to end");
    assert_eq!(append(&log, two(1, 0, 4).transactional()), Err(Code::InvalidTxnState));
    assert_eq!(append(&log, two(1, 0, 2).transactional()), Ok(2), "a duplicate is still one");
    log.begin_transaction(1, 1).unwrap();
    assert_eq!(append(&log, two(1, 0, 4).transactional()), Err(Code::InvalidProducerEpoch), "fenced");
    assert_eq!(log.end_transaction(1, 1, 3, false, 9).unwrap(), None);
    assert_eq!(append(&log, two(1, 1, 0).transactional()), Err(Code::InvalidTxnState), "the permit is gone");
}

#[test]
fn a_marker_fences_older_epochs_and_coordinators() {
    let fixture = Fixture::new(small_segments());
    let log = fixture.open(LastShutdown::Unknown);
    log.begin_transaction(1, 0).unwrap();
    append(&log, two(1, 0, 0).transactional()).unwrap();
    log.end_transaction(1, 1, 5, false, 9).unwrap().unwrap();
    let code = |result: Result<_, AppendError>| result.unwrap_err().code();
    assert_eq!(code(log.end_transaction(1, 0, 5, false, 9)), Code::InvalidProducerEpoch);
    assert_eq!(code(log.begin_transaction(1, 0).map(|()| None)), Code::InvalidProducerEpoch);
    assert_eq!(code(log.end_transaction(1, 1, 4, false, 9)), Code::TransactionCoordinatorFenced);
    log.begin_transaction(1, 1).unwrap();
    assert_eq!(append(&log, two(1, 1, 2).transactional()), Err(Code::OutOfOrderSequenceNumber));
    assert_eq!(append(&log, two(1, 1, 0).transactional()), Ok(3));
}

#[test]
fn readers_of_committed_records_see_nothing_that_is_open_or_aborted() {
    let fixture = Fixture::new(small_segments());
    let mut log = fixture.open(LastShutdown::Unknown);
    let mut expected = Vec::new();
    let mut sequence = [0; 3];
    for round in 0..40_i64 {
        for producer in [1, 2] {
            log.begin_transaction(producer, 0).unwrap();
            let value = format!("{round} of {producer}");
            let batch = Batch::of(&[&value]).from(producer, 0, sequence[producer as usize]).transactional();
            sequence[producer as usize] += 1;
            let offset = append(&log, batch).unwrap();
            if (round + producer) % 3 != 0 {
                expected.push((offset, value));
            }
        }
        let plain = append(&log, Batch::of(&["plain"])).unwrap();
        expected.push((plain, "plain".into()));
        assert!(log.offsets().stable <= plain - 2);
        for producer in [2, 1] {
            log.end_transaction(producer, 0, 0, (round + producer) % 3 != 0, 9).unwrap().unwrap();
        }
        assert_eq!(log.offsets().stable, log.offsets().end);
        if round % 7 == 0 {
            drop(log);
            log = fixture.open([LastShutdown::SameBoot, LastShutdown::Unknown][round as usize / 7 % 2]);
        }
    }
    assert_eq!(read_all(&log, 0, true), expected);
    for start in [1, 50, 100, 133] {
        let part: Vec<_> = expected.iter().filter(|(offset, _)| *offset >= start).cloned().collect();
        assert_eq!(read_all(&log, start, true), part, "from {start}");
    }
}

#[test]
fn an_open_transaction_survives_a_kill() {
    let fixture = Fixture::new(small_segments());
    let log = fixture.open(LastShutdown::Unknown);
    log.begin_transaction(1, 3).unwrap();
    append(&log, two(1, 3, 0).transactional()).unwrap();
    drop(log);
    let log = fixture.open(LastShutdown::SameBoot);
    assert_eq!(log.open_transactions(), [(1, 3, 0)]);
    assert_eq!(log.offsets(), LogOffsets { start: 0, stable: 0, end: 2 });
    assert_eq!(append(&log, two(1, 3, 2).transactional()), Ok(2), "it goes on without a new permit");
    assert_eq!(log.end_transaction(1, 3, 0, true, 9).unwrap(), Some(4));
    assert_eq!(read_all(&log, 0, true).len(), 4);
}
