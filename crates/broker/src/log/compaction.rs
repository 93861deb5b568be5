//! Compaction: of the records with one key only the last stays. The rules are those of Kafka's `LogCleaner`.
//!
//! A round maps the keys of the part that was not compacted yet to their newest offsets, then writes all sealed segments
//! up to the end of what was mapped anew, without the records that a later one replaces, without what aborted
//! transactions left, and without tombstones and markers whose time has passed. Small segments are written into one.
//!
//! Invariants: only records before the last stable offset take part, and never the active segment; the writer's lock is
//! held for the swap only; memory is bounded by [`keys::MOST_KEYS`], a batch inflated and what it is rewritten to; a log
//! in which a checksum is wrong is left as it is.

mod filter;
mod keys;
mod swap;
mod transactions;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub(super) use swap::{Swap, recover};

use super::Log;
use super::batch::{BatchHeader, HEADER_BYTES};
use super::control::{Marker, encode_batch};
use super::disk;
use super::error::LogError;
use super::index::AbortedEntry;
use super::records::{self, Malformed, Records};
use super::scan::Scanner;
use super::segment::{Segment, SegmentState, Summary};
use super::settings::LogSettings;
use filter::{Batch, Kept, Rules};
use keys::Keys;
use transactions::{MarkerUse, Transactions};

/// Bytes of a compacted segment that are collected before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// A compacted segment covers no more offsets than its indexes can count.
const WIDEST_GROUP: i64 = i32::MAX as i64;

/// What a round works on.
struct Round {
    /// All sealed segments that may be compacted, in ascending order.
    segments: Vec<Arc<Segment>>,
    /// Records before this offset were compacted in an earlier round.
    first_dirty: i64,
    /// The offset after the last record that may be compacted.
    end: i64,
    /// The aborted transactions in there.
    aborted: Vec<AbortedEntry>,
    /// For each producer that is known, its last batch.
    last_batches: HashMap<i64, LastBatch>,
}

/// The last batch of a producer.
#[derive(Debug, Clone, Copy)]
enum LastBatch {
    /// Its last data batch ends with this offset.
    Data(i64),
    /// Only a marker of this epoch is left.
    Marker(i16),
}

impl Log {
    /// Compacts if enough has come together.
    pub(super) fn compact(&self, settings: &LogSettings, now_ms: i64) -> Result<(), LogError> {
        self.finish_swap()?;
        let Some(round) = self.plan(settings, now_ms)? else { return Ok(()) };
        let (keys, mapped_end) = self.map_keys(&round)?;
        let rules = Rules {
            keys: &keys,
            last_mapped: mapped_end - 1,
            now_ms,
            delete_retention_ms: settings.delete_retention_ms,
        };
        let mut transactions = Transactions::new(round.aborted.clone());
        let upto = round.segments.partition_point(|segment| segment.base < mapped_end);
        for group in groups(&round.segments[..upto], settings.segment_bytes) {
            self.compact_group(group, &rules, &mut transactions, &round, settings)?;
        }
        let mut writer = self.writer();
        writer.first_dirty_offset = mapped_end;
        writer.stale_checkpoint = true;
        Ok(())
    }

    /// Decides whether there is enough to do, and on what.
    fn plan(&self, settings: &LogSettings, now_ms: i64) -> Result<Option<Round>, LogError> {
        let (first_dirty, stable, last_batches) = {
            let writer = self.writer();
            let last_batches = writer
                .producers
                .iter()
                .map(|(producer_id, producer)| {
                    let last = producer.recent.last().map(|batch| LastBatch::Data(batch.last_offset));
                    (producer_id, last.unwrap_or(LastBatch::Marker(producer.epoch)))
                })
                .collect();
            (writer.first_dirty_offset.max(writer.start_offset), writer.stable_offset(), last_batches)
        };
        let all = Arc::clone(&self.view().segments);
        let cleanable = |segment: &&Arc<Segment>| {
            let summary = segment.lock().summary;
            let newest = summary.max_timestamp.max(summary.first_append_ms);
            let old_enough = settings.min_compaction_lag_ms <= 0
                || now_ms.saturating_sub(newest.max(0)) >= settings.min_compaction_lag_ms;
            summary.next_offset <= stable && old_enough
        };
        let segments: Vec<_> = all[..all.len() - 1].iter().take_while(cleanable).cloned().collect();
        let Some(end) = segments.last().map(|segment| segment.lock().summary.next_offset) else {
            return Ok(None);
        };
        let size = |dirty: bool| -> u64 {
            let is_dirty = |segment: &&Arc<Segment>| segment.lock().summary.next_offset > first_dirty;
            let side = segments.iter().filter(|segment| is_dirty(segment) == dirty);
            side.map(|segment| segment.size()).sum()
        };
        let (clean, dirty) = (size(false), size(true));
        let ratio = dirty as f64 / (clean + dirty).max(1) as f64;
        if dirty == 0 || end <= first_dirty || ratio < settings.min_cleanable_dirty_ratio {
            return Ok(None);
        }
        let aborted = self.aborted_between(&all, segments[0].base, end)?;
        Ok(Some(Round { segments, first_dirty, end, aborted, last_batches }))
    }

    /// Maps keys to offsets from the first dirty offset on, until there is no more room; returns the offset after the
    /// last that was mapped.
    fn map_keys(&self, round: &Round) -> Result<(Keys, i64), LogError> {
        let mut keys = Keys::default();
        let mut transactions = Transactions::new(round.aborted.clone());
        let mut mapped_end = round.first_dirty;
        for segment in &round.segments {
            let mut scanner = segment.scan(&self.files, 0, segment.base)?;
            while let Some((position, header)) = scanner.next_header()? {
                if header.is_control() {
                    let marker = read_marker(&scanner, position, &header)?;
                    transactions.marker(&header, marker);
                } else if !transactions.is_aborted(&header) && header.last_offset() >= round.first_dirty {
                    // Every record takes a place at most.
                    let count = header.count as usize;
                    if count > keys.room() && count <= keys::MOST_KEYS {
                        return Ok((keys, mapped_end));
                    }
                    let payload = scanner.payload(position, &header)?;
                    let mapped = if count > keys::MOST_KEYS {
                        Err(Malformed)
                    } else {
                        put_keys(&mut keys, &header, &payload, round.first_dirty)
                    };
                    if let Err(Malformed) = mapped {
                        tracing::warn!(
                            path = %segment.path().display(), offset = header.base_offset,
                            "a batch cannot be read or is too large, and replaces no earlier records"
                        );
                    }
                }
                mapped_end = mapped_end.max(header.next_offset());
            }
        }
        Ok((keys, mapped_end.max(round.end)))
    }

    /// Writes a group of segments anew and puts the result in their place.
    fn compact_group(
        &self,
        group: &[Arc<Segment>],
        rules: &Rules<'_>,
        transactions: &mut Transactions,
        round: &Round,
        settings: &LogSettings,
    ) -> Result<(), LogError> {
        drop(self.writer_unless_deleted()?);
        let directory = swap::prepare(&self.directory)?;
        let base = group[0].base;
        let mut output = Output::new(self, &directory, base, settings.index_interval_bytes)?;
        for segment in group {
            let mut scanner = segment.scan(&self.files, 0, segment.base)?;
            while let Some((position, header)) = scanner.next_header()? {
                if !scanner.is_intact(position, &header)? {
                    let path = segment.path().to_path_buf();
                    return Err(LogError::Damaged { path, position, detail: "the checksum is wrong" });
                }
                let payload = scanner.payload(position, &header)?;
                let last_of_producer = round.is_last_of_producer(&header);
                let mut batch = Batch {
                    header: &header,
                    payload: &payload,
                    aborted: false,
                    unneeded_marker: false,
                    last_of_producer,
                };
                if header.is_control() {
                    match transactions.marker(&header, Marker::read(&header, &payload)) {
                        MarkerUse::Needed => {}
                        MarkerUse::Unneeded => batch.unneeded_marker = true,
                        MarkerUse::Aborts(entry) => {
                            output.segment.lock().aborted.push(entry);
                        }
                    }
                } else {
                    batch.aborted = transactions.is_aborted(&header);
                }
                match rules.apply(batch) {
                    Ok(Kept::Nothing) => {}
                    Ok(Kept::Rewritten(bytes)) => output.put(&bytes)?,
                    Ok(Kept::Whole) | Err(Malformed) => output.put(&encode_batch(&header, &payload))?,
                }
            }
        }
        let state = output.finish(group)?;
        // The first segment stays even if nothing is left in it: the log's start is not moved by compaction.
        let is_first = base == round.segments[0].base;
        let compacted = (state.size > 0 || is_first).then_some(base);
        let replaced = group.iter().map(|segment| segment.base).collect();
        self.swap(group, &Swap { compacted, replaced }, &state)
    }

    /// Puts the compacted segment in the place of `group`, unless that was removed meanwhile.
    fn swap(&self, group: &[Arc<Segment>], swap: &Swap, state: &SegmentState) -> Result<(), LogError> {
        let mut writer = self.writer_unless_deleted()?;
        let segments = Arc::clone(&self.view().segments);
        let Some(first) = segments.iter().position(|segment| Arc::ptr_eq(segment, &group[0])) else {
            return swap::clear(&self.directory);
        };
        swap.decide(&self.directory)?;
        for segment in group {
            segment.retire();
        }
        let result = swap.complete(&self.directory);
        let compacted = swap.compacted.map(|base| Segment::with_state(&self.directory, base, state, true));
        let kept = segments[..first].iter().cloned();
        let rest = segments[first + group.len()..].iter().cloned();
        {
            let mut view = self.view();
            view.segments = kept.chain(compacted.map(Arc::new)).chain(rest).collect();
            view.forget_cursors();
        }
        if result.is_err() {
            writer.unfinished_swap = Some(swap.clone());
        }
        result
    }

    /// Tries again what the operating system refused in the middle of a swap.
    fn finish_swap(&self) -> Result<(), LogError> {
        let mut writer = self.writer();
        if let Some(swap) = &writer.unfinished_swap {
            swap.complete(&self.directory)?;
            writer.unfinished_swap = None;
        }
        Ok(())
    }
}

impl Round {
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        match self.last_batches.get(&header.producer_id) {
            Some(LastBatch::Data(offset)) => header.last_offset() == *offset,
            Some(LastBatch::Marker(epoch)) => header.is_control() && header.producer_epoch == *epoch,
            None => false,
        }
    }
}

/// Splits segments into groups that each fit into one segment.
fn groups(segments: &[Arc<Segment>], segment_bytes: u64) -> Vec<&[Arc<Segment>]> {
    let mut groups = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (number, segment) in segments.iter().enumerate() {
        let wide = segment.lock().summary.next_offset - segments[first].base > WIDEST_GROUP;
        if number > first && (bytes + segment.size() > segment_bytes || wide) {
            groups.push(&segments[first..number]);
            (first, bytes) = (number, 0);
        }
        bytes += segment.size();
    }
    if first < segments.len() {
        groups.push(&segments[first..]);
    }
    groups
}

fn read_marker(scanner: &Scanner, position: u64, header: &BatchHeader) -> Result<Option<Marker>, LogError> {
    Ok(Marker::read(header, &scanner.payload(position, header)?))
}

fn put_keys(keys: &mut Keys, header: &BatchHeader, payload: &[u8], from: i64) -> Result<(), Malformed> {
    let inflated = records::inflated(header, payload)?;
    // All or none: what is not mapped must not be judged by the map.
    for record in Records::new(&inflated, header.count) {
        record?;
    }
    for record in Records::new(&inflated, header.count) {
        let record = record?;
        let offset = header.base_offset + i64::from(record.offset_delta);
        if let Some(key) = record.key.filter(|_| offset >= from) {
            keys.put(key, offset);
        }
    }
    Ok(())
}

/// A compacted segment that is being written.
struct Output<'a> {
    log: &'a Log,
    segment: Segment,
    index_interval_bytes: u64,
    /// Bytes written to the file.
    written: u64,
    /// Bytes still to be written.
    pending: Vec<u8>,
}

impl<'a> Output<'a> {
    fn new(log: &'a Log, directory: &Path, base: i64, index_interval_bytes: u64) -> Result<Self, LogError> {
        let segment = Segment::create(directory, base, &log.files)?;
        Ok(Self { log, segment, index_interval_bytes, written: 0, pending: Vec::new() })
    }

    fn put(&mut self, batch: &[u8]) -> Result<(), LogError> {
        let header = BatchHeader::parse(batch).expect("the batch was just encoded");
        debug_assert!(batch.len() >= HEADER_BYTES);
        let position = self.written + self.pending.len() as u64;
        self.segment.note(&self.log.files, &header, position, self.index_interval_bytes);
        self.pending.extend_from_slice(batch);
        if self.pending.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), LogError> {
        let file = self.segment.file(&self.log.files)?;
        disk::write_at(&*file, &self.pending, self.written)
            .map_err(LogError::io("append to", self.segment.path()))?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes the rest and flushes it to the disk, for what it replaces may be there already.
    fn finish(mut self, group: &[Arc<Segment>]) -> Result<SegmentState, LogError> {
        self.write()?;
        self.segment.publish(self.written);
        // One at a time: a group of one segment has one lock.
        let first = group[0].lock().summary;
        let last = group[group.len() - 1].lock().summary;
        {
            let summary: &mut Summary = &mut self.segment.lock().summary;
            summary.next_offset = last.next_offset;
            summary.first_append_ms = first.first_append_ms;
            summary.dense = false;
        }
        self.segment.seal(&self.log.files, last.stable_offset)?;
        self.segment.sync(&self.log.files)?;
        let state = self.segment.store(&self.log.files)?;
        self.segment.retire();
        Ok(state)
    }
}
