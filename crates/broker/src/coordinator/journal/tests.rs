//! The journal on good files and bad ones.

use std::fs;
use std::path::Path;

use super::super::entry::Entry;
use super::{FRAME_HEADER_BYTES, HEADER_BYTES, Journal, JournalError, VERSION};

fn entry(next: i64) -> Entry {
    Entry::ProducerIds { next }
}

fn entries(directory: &Path) -> Vec<Entry> {
    Journal::open(directory).unwrap().1
}

#[test]
fn entries_come_back_in_order_and_a_snapshot_replaces_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("below");
    let (mut journal, none) = Journal::open(&path).unwrap();
    assert!(none.is_empty());
    journal.append(&[entry(1), entry(2)]).unwrap();
    journal.append(&[entry(3)]).unwrap();
    assert_eq!(entries(&path), [entry(1), entry(2), entry(3)]);
    journal.rewrite(&[entry(9)]).unwrap();
    journal.append(&[entry(10)]).unwrap();
    assert_eq!(entries(&path), [entry(9), entry(10)]);
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let (mut journal, _) = Journal::open(directory.path()).unwrap();
    let mut ends = vec![journal.length() as usize];
    for next in 0..4 {
        journal.append(&[entry(next)]).unwrap();
        ends.push(journal.length() as usize);
    }
    let whole = fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let kept = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
        let (mut journal, found) = Journal::open(directory.path()).unwrap();
        assert_eq!(found.len(), kept, "cut at {length}");
        journal.append(&[entry(77)]).unwrap();
        assert_eq!(entries(directory.path()).len(), kept + 1);
    }
}

#[test]
fn a_flipped_bit_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let (mut journal, _) = Journal::open(directory.path()).unwrap();
    journal.append(&[entry(1)]).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in HEADER_BYTES..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert!(entries(directory.path()).is_empty(), "flipped at {at}");
    }
}

#[test]
fn a_newer_or_foreign_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let mut newer = b"COORDJNL".to_vec();
    newer.extend((VERSION + 1).to_le_bytes());
    newer.extend(crc32c::crc32c(&newer).to_le_bytes());
    fs::write(&path, &newer).unwrap();
    assert!(matches!(Journal::open(directory.path()), Err(JournalError::Newer { version: 2, .. })));
    let foreign = b"something else entirely";
    fs::write(&path, foreign).unwrap();
    assert!(matches!(Journal::open(directory.path()), Err(JournalError::Foreign { .. })));
    assert_eq!(fs::read(&path).unwrap(), foreign);
}

#[test]
fn an_entry_that_is_whole_but_not_understood_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    drop(Journal::open(directory.path()).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    let payload = br#"{"Unheard":1}"#;
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(crc32c::crc32c(payload).to_le_bytes());
    bytes.extend(payload);
    fs::write(&path, &bytes).unwrap();
    let offset = bytes.len() - payload.len() - FRAME_HEADER_BYTES;
    assert!(
        matches!(Journal::open(directory.path()), Err(JournalError::Entry { offset: at, .. }) if at == offset)
    );
}
