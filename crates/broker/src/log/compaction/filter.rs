//! What compaction keeps of a batch. The rules are those of Kafka's `Cleaner` and `MemoryRecords.filterTo`, with the
//! delete horizon of KIP-534: tombstones and markers that are no longer needed get a time, and go when it has passed.
//!
//! Invariants: offsets, sequence numbers and the range of offsets of a batch never change; a batch that stays whole is
//! not encoded again.

use super::super::batch::{BatchHeader, attribute};
use super::super::compression;
use super::super::control::encode_batch;
use super::super::records::{self, Malformed, Record, Records, put_varint};
use super::keys::Keys;

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it, as it is.
    Whole,
    /// Another batch in its place.
    Rewritten(Vec<u8>),
    /// Nothing.
    Nothing,
}

/// What was found out about a batch before its records are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) header: &'a BatchHeader,
    pub(super) payload: &'a [u8],
    /// It belongs to an aborted transaction.
    pub(super) aborted: bool,
    /// It is a marker of a transaction of which nothing is left.
    pub(super) unneeded_marker: bool,
    /// It is the last of a producer that is still known: its sequence numbers must survive.
    pub(super) last_of_producer: bool,
}

/// What holds for all batches of a round.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) keys: &'a Keys,
    /// The last offset that `keys` speaks of; later records stay.
    pub(super) last_mapped: i64,
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
}

impl Rules<'_> {
    /// Decides about a batch.
    pub(super) fn apply(&self, batch: Batch<'_>) -> Result<Kept, Malformed> {
        let header = batch.header;
        let horizon = header.delete_horizon();
        let passed = horizon.is_some_and(|horizon| horizon <= self.now_ms);
        let discard = if header.is_control() { batch.unneeded_marker && passed } else { batch.aborted };
        if discard || header.count == 0 {
            return Ok(emptied(&batch));
        }
        let inflated = records::inflated(header, batch.payload)?;
        let mut kept = Vec::new();
        let mut tombstones = false;
        for record in Records::new(&inflated, header.count) {
            let record = record?;
            if header.is_control() || self.stays(header, &record, passed) {
                tombstones |= !header.is_control() && record.value.is_none();
                kept.push(record);
            }
        }
        if kept.is_empty() {
            return Ok(emptied(&batch));
        }
        let new_horizon = (horizon.is_none() && (tombstones || batch.unneeded_marker))
            .then(|| self.now_ms.saturating_add(self.delete_retention_ms));
        if kept.len() as i64 == i64::from(header.count) && new_horizon.is_none() {
            return Ok(Kept::Whole);
        }
        Ok(rewrite(header, &kept, new_horizon).map_or(Kept::Whole, Kept::Rewritten))
    }

    fn stays(&self, header: &BatchHeader, record: &Record<'_>, horizon_passed: bool) -> bool {
        let offset = header.base_offset + i64::from(record.offset_delta);
        if offset > self.last_mapped {
            return true;
        }
        // What has no key came before the topic was compacted, and nothing could ever replace it.
        let Some(key) = record.key else { return false };
        self.keys.is_newest(key, offset) && (record.value.is_some() || !horizon_passed)
    }
}

/// A batch without records keeps what is known of its producer.
fn emptied(batch: &Batch<'_>) -> Kept {
    if !batch.last_of_producer {
        return Kept::Nothing;
    }
    if batch.header.count == 0 {
        return Kept::Whole;
    }
    let attributes = batch.header.attributes & !(attribute::CODEC | attribute::DELETE_HORIZON);
    let header =
        BatchHeader { count: 0, attributes, base_timestamp: batch.header.max_timestamp, ..*batch.header };
    Kept::Rewritten(encode_batch(&header, &[]))
}

/// Encodes a batch of the records that stay; `None` if they cannot be compressed.
fn rewrite(header: &BatchHeader, kept: &[Record<'_>], new_horizon: Option<i64>) -> Option<Vec<u8>> {
    let mut header = *header;
    let own = header;
    let mut records = Vec::new();
    for record in kept {
        match new_horizon {
            None => records.extend_from_slice(record.whole),
            Some(horizon) => {
                put_with_delta(record, record.timestamp(&own).saturating_sub(horizon), &mut records);
            }
        }
    }
    header.count = kept.len() as i32;
    if header.attributes & attribute::LOG_APPEND_TIME == 0 {
        header.max_timestamp = kept.iter().map(|record| record.timestamp(&own)).max()?;
    }
    if let Some(horizon) = new_horizon {
        header.attributes |= attribute::DELETE_HORIZON;
        header.base_timestamp = horizon;
    }
    let payload = compression::deflate(header.codec(), &records).ok()?;
    Some(encode_batch(&header, &payload))
}

/// Appends a record with another timestamp delta.
fn put_with_delta(record: &Record<'_>, delta: i64, output: &mut Vec<u8>) {
    let mut start = vec![record.attributes];
    put_varint(delta, &mut start);
    put_varint((start.len() + record.after_timestamp.len()) as i64, output);
    output.extend_from_slice(&start);
    output.extend_from_slice(record.after_timestamp);
}
