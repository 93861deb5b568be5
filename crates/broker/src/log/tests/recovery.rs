//! Opening logs whose files were cut, flipped or removed.

use std::fs;

use proptest::prelude::*;

use super::*;

/// Cuts a file at a share of its length, or flips a bit there.
#[derive(Debug, Clone)]
enum Harm {
    Cut(f64),
    Flip(f64, u8),
    Remove,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (0.0..1.0).prop_map(Harm::Cut),
        (0.0..1.0, 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        Just(Harm::Remove),
    ]
}

fn do_harm(path: &Path, harm: &Harm) {
    let mut bytes = fs::read(path).unwrap();
    match harm {
        Harm::Cut(at) => bytes.truncate((bytes.len() as f64 * at) as usize),
        Harm::Flip(at, bit) => {
            let at = (bytes.len() as f64 * at) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        Harm::Remove => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

/// A log with transactions and several segments; returns what a reader of committed records sees.
fn fill(log: &Log) -> Vec<(i64, String)> {
    for number in 0..40_i32 {
        log.begin_transaction(7, 0).unwrap();
        let value = format!("transactional {number}");
        log.append(&Batch::of(&[&value]).from(7, 0, number).transactional().encode(), 5).unwrap();
        log.append(&Batch::of(&[&format!("plain {number}")]).encode(), 5).unwrap();
        log.end_transaction(7, 0, 0, number % 3 > 0, 6).unwrap().unwrap();
    }
    read_all(log, 0, true)
}

/// Reads as far as the log is good, and checks that all of it was written there.
fn check_records(log: &Log, expected: &[(i64, String)]) {
    let mut offset = log.offsets().start;
    loop {
        let Ok(read) = log.read(offset, 300, false, true) else { return };
        if read.records.is_empty() {
            return;
        }
        let mut records = read.records;
        for set in RecordBatchDecoder::decode_all(&mut records).unwrap() {
            for record in set.records.into_iter().filter(|record| !record.control) {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                assert_eq!(expected[record.offset as usize], (record.offset, value));
                offset = record.offset;
            }
        }
        offset += 1;
        while offset < log.offsets().end && expected[offset as usize].1.is_empty() {
            offset += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_harm_makes_a_log_panic_or_tell_what_is_not_so(
        harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..4),
        closed: bool,
        unknown: bool,
    ) {
        let fixture = Fixture::new(small_segments());
        let log = fixture.open(LastShutdown::Unknown);
        fill(&log);
        let mut expected = vec![(0, String::new()); log.offsets().end as usize];
        for (offset, value) in read_all(&log, 0, false) {
            expected[offset as usize] = (offset, value);
        }
        if closed {
            log.close().unwrap();
        }
        drop(log);
        let mut paths: Vec<_> = fs::read_dir(fixture.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for (index, harm) in harms {
            let path = index.get(&paths);
            if path.exists() {
                do_harm(path, &harm);
            }
        }
        let shutdown = if unknown { LastShutdown::Unknown } else { LastShutdown::SameBoot };
        let log = fixture.open(shutdown);
        check_records(&log, &expected);
        log.append(&Batch::of(&["after"]).encode(), 5).unwrap();
        log.housekeep(10).unwrap();
        let end = log.offsets().end;
        drop(log);
        let log = fixture.open(LastShutdown::SameBoot);
        prop_assert_eq!(log.offsets().end, end);
        prop_assert_eq!(&read_all(&log, end - 1, false)[0].1, "after");
    }
}

#[test]
fn indexes_snapshots_and_the_checkpoint_are_made_again() {
    let fixture = Fixture::new(small_segments());
    let log = fixture.open(LastShutdown::Unknown);
    let expected = fill(&log);
    let offsets = log.offsets();
    let producers = log.producers();
    drop(log);
    for entry in fs::read_dir(fixture.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "log") {
            fs::remove_file(path).unwrap();
        }
    }
    let log = fixture.open(LastShutdown::SameBoot);
    assert_eq!(log.offsets(), offsets);
    assert_eq!(log.producers(), producers);
    assert_eq!(read_all(&log, 0, true), expected);
}

#[test]
fn a_torn_tail_is_cut_off() {
    let fixture = Fixture::new(LogSettings::default());
    let log = fixture.open(LastShutdown::Unknown);
    fill(&log);
    let path = fixture.path().join("00000000000000000000.log");
    let whole = fs::read(&path).unwrap();
    log.append(&Batch::of(&["torn"]).encode(), 5).unwrap();
    let end = log.offsets().end;
    drop(log);
    for cut in [1, 30, 61, 65] {
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(whole.len() + cut);
        fs::write(&path, bytes).unwrap();
        let log = fixture.open(LastShutdown::SameBoot);
        assert_eq!(log.offsets().end, end - 1);
        assert_eq!(fs::read(&path).unwrap(), whole);
        log.append(&Batch::of(&["torn"]).encode(), 5).unwrap();
    }
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let fixture = Fixture::new(LogSettings::default());
    fixture.open(LastShutdown::Unknown).close().unwrap();
    let path = fixture.path().join("checkpoint");
    disk::write_framed(&path, *b"LOGC", checkpoint::FORMAT_VERSION + 1, &[], false).unwrap();
    let opened = Log::open(fixture.path(), LogSettings::default(), LastShutdown::Clean, &fixture.files);
    assert!(matches!(opened, Err(LogError::NewerFormat { .. })));
}
