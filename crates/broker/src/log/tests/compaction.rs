//! Compaction.

use super::*;

/// Every housekeeping compacts what is sealed.
fn compacted() -> LogSettings {
    LogSettings {
        compact: true,
        delete: false,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 100,
        ..small_segments()
    }
}

/// Begins a new segment, so that all records so far can be compacted.
fn seal(log: &Log) {
    log.roll(&mut log.writer()).unwrap();
}

#[test]
fn only_the_last_record_of_a_key_stays_at_its_offset() {
    let fixture = Fixture::new(compacted());
    let log = fixture.open(LastShutdown::Unknown);
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for number in 0..100_usize {
        let keys = [format!("k{}", number % 10), format!("k{}", number % 7)];
        let value = format!("value {number}");
        let batch = Batch::keyed(&[(&keys[0], Some(&value)), (&keys[1], Some(&value))]);
        log.append(&batch.compressed(codecs[number % 5]).encode(), 5).unwrap();
    }
    seal(&log);
    let before = log.size_bytes();
    log.housekeep(10).unwrap();
    assert!(log.size_bytes() < before / 3, "{} of {before}", log.size_bytes());
    let mut expected = Vec::new();
    for key in 0..10 {
        let last = (0..200).rev().find(|n| if n % 2 == 0 { n / 2 % 10 == key } else { n / 2 % 7 == key });
        let offset = last.unwrap();
        expected.push((offset, format!("value {}", offset / 2)));
    }
    expected.sort_unstable();
    assert_eq!(read_all(&log, 0, false), expected);
    assert_eq!(log.offsets(), LogOffsets { start: 0, stable: 200, end: 200 });
    log.housekeep(20).unwrap();
    for shutdown in [LastShutdown::SameBoot, LastShutdown::Unknown] {
        let log = fixture.open(shutdown);
        assert_eq!(read_all(&log, 0, false), expected);
        assert_eq!(log.offsets().end, 200);
        assert_eq!(log.offset_of_max_timestamp().unwrap().map(|(_, time)| time), Some(1001));
    }
}

#[test]
fn tombstones_go_after_their_time() {
    let fixture = Fixture::new(compacted());
    let log = fixture.open(LastShutdown::Unknown);
    log.append(&Batch::keyed(&[("a", Some("1")), ("b", Some("1"))]).encode(), 5).unwrap();
    log.append(&Batch::keyed(&[("a", None)]).encode(), 5).unwrap();
    seal(&log);
    log.housekeep(10).unwrap();
    let both = [(1, "1".to_owned()), (2, "-".to_owned())];
    assert_eq!(read_all(&log, 0, false), both);
    for (now, left) in [(109, 2), (110, 1)] {
        log.append(&Batch::keyed(&[("c", Some("1"))]).encode(), 5).unwrap();
        seal(&log);
        log.housekeep(now).unwrap();
        let old = read_all(&log, 0, false).into_iter().filter(|(offset, _)| *offset < 3).collect::<Vec<_>>();
        assert_eq!(old, both[..left]);
    }
    assert_eq!(log.offset_for_time(1000, false).unwrap(), Some((1, 1001)));
}

#[test]
fn what_transactions_aborted_goes_and_markers_stay_as_long_as_they_are_needed() {
    let fixture = Fixture::new(compacted());
    let log = fixture.open(LastShutdown::Unknown);
    log.append(&Batch::keyed(&[("a", Some("kept"))]).encode(), 5).unwrap();
    for (producer, commit) in [(1, false), (2, true)] {
        log.begin_transaction(producer, 0).unwrap();
        let key = format!("of {producer}");
        let batch = Batch::keyed(&[("a", Some("new")), (&key, Some("x"))]).from(producer, 0, 0);
        if commit {
            log.append(&Batch::keyed(&[(&key, Some("x"))]).from(producer, 0, 0).transactional().encode(), 5)
                .unwrap();
        } else {
            log.append(&batch.transactional().encode(), 5).unwrap();
        }
        log.end_transaction(producer, 0, 0, commit, 6).unwrap().unwrap();
    }
    seal(&log);
    log.housekeep(10).unwrap();
    let expected = [(0, "kept".to_owned()), (4, "x".to_owned())];
    assert_eq!(read_all(&log, 0, true), expected, "what was aborted replaces nothing");
    assert_eq!(read_all(&log, 0, false), expected);
    // Producer 1's sequence is known still: its last batch stayed without its records.
    let duplicate = Batch::keyed(&[("a", Some("new")), ("of 1", Some("x"))]).from(1, 0, 0).transactional();
    for log in [log, fixture.open(LastShutdown::Unknown)] {
        assert_eq!(log.append(&duplicate.encode(), 5).unwrap().base_offset, 1);
        assert_eq!(read_all(&log, 0, true), expected);
    }
}

#[test]
fn an_open_transaction_is_left_alone() {
    let fixture = Fixture::new(compacted());
    let log = fixture.open(LastShutdown::Unknown);
    log.begin_transaction(1, 0).unwrap();
    log.append(&Batch::keyed(&[("a", Some("1"))]).from(1, 0, 0).transactional().encode(), 5).unwrap();
    log.append(&Batch::keyed(&[("a", Some("2"))]).encode(), 5).unwrap();
    seal(&log);
    log.housekeep(10).unwrap();
    assert_eq!(read_all(&log, 0, false).len(), 2);
    log.end_transaction(1, 0, 0, true, 6).unwrap().unwrap();
    seal(&log);
    log.housekeep(20).unwrap();
    assert_eq!(read_all(&log, 0, true), [(1, "2".to_owned())]);
}

#[test]
fn a_reader_stays_in_order_while_segments_are_replaced() {
    let fixture = Fixture::new(compacted());
    let log = fixture.open(LastShutdown::Unknown);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..2000 {
                let key = format!("k{}", number % 10);
                let value = format!("value {number}");
                log.append(&Batch::keyed(&[(&key, Some(&value))]).encode(), 5).unwrap();
                if number % 100 == 0 {
                    log.housekeep(number).unwrap();
                }
            }
        });
        while !writer.is_finished() {
            let mut last = -1;
            for (offset, value) in read_all(&log, 0, false) {
                assert!(offset > last, "{offset} after {last}");
                assert_eq!(value, format!("value {offset}"));
                last = offset;
            }
        }
    });
}
