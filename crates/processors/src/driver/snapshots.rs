//! Snapshots of shards, and the plans that they were made under: how they are written and found again.
//!
//! # Format
//! The topic is compacted. A snapshot is cut into chunks of at most [`CHUNK_BYTES`]. The key of a chunk is
//! `<topic>/<partition>/<shard>/<slot>/<chunk>`, all of it text. A shard's snapshots take the slots 0 and 1 in turn, so that
//! compaction leaves the newest two. The value begins with a header, numbers in little-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 8 | fingerprint of the plan |
//! | 8 | next offset of the shard |
//! | 8 | last control record that the shard has seen |
//! | 8 | the time of the last tick, in microseconds since the epoch |
//! | 8 | when it was written, in microseconds since the epoch: chunks that belong together have the same |
//! | 2 | how many chunks |
//!
//! The rest is a part of what [`Partition::snapshot`](engine::Partition::snapshot) says. Chunks of a slot that are left of a
//! longer snapshot before are deleted by tombstones.
//!
//! Plans have the key `plan/<fingerprint>`, 16 hexadecimal digits, and the JSON form of [`engine::PlanSpec`] as value. A
//! plan is there before any snapshot that was made under it, and stays.

use std::collections::BTreeMap;

use engine::PlanSpec;
use engine::partition::SHARDS;

/// The most bytes of state in one record: what brokers take by default, less keys and headers.
pub const CHUNK_BYTES: usize = 900_000;
/// The version of the header.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 5 * 8 + 2;

/// What is known of a snapshot beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The fingerprint of the plan that it was made under.
    pub fingerprint: u64,
    /// The first offset that the shard had not seen.
    pub next_offset: i64,
    /// The last control record that the shard had seen.
    pub last_sequence: u64,
    /// The time of the last tick, in microseconds since the epoch.
    pub clock: i64,
    /// When it was written, in microseconds since the epoch.
    pub written: i64,
    /// How many chunks it has.
    pub chunks: u16,
}

impl Header {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.fingerprint.to_le_bytes());
        out.extend_from_slice(&self.next_offset.to_le_bytes());
        out.extend_from_slice(&self.last_sequence.to_le_bytes());
        out.extend_from_slice(&self.clock.to_le_bytes());
        out.extend_from_slice(&self.written.to_le_bytes());
        out.extend_from_slice(&self.chunks.to_le_bytes());
    }

    /// The header and what follows it; `None` if it is of another version or cut short.
    fn decode(value: &[u8]) -> Option<(Self, &[u8])> {
        let (&version, mut rest) = value.split_first()?;
        let mut word = || -> Option<[u8; 8]> {
            let (word, tail) = rest.split_first_chunk()?;
            rest = tail;
            Some(*word)
        };
        if version != VERSION {
            return None;
        }
        let (fingerprint, next_offset) = (u64::from_le_bytes(word()?), i64::from_le_bytes(word()?));
        let (last_sequence, clock) = (u64::from_le_bytes(word()?), i64::from_le_bytes(word()?));
        let written = i64::from_le_bytes(word()?);
        let (chunks, rest) = rest.split_first_chunk()?;
        let chunks = u16::from_le_bytes(*chunks);
        Some((Self { fingerprint, next_offset, last_sequence, clock, written, chunks }, rest))
    }
}

/// The key of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkKey<'a> {
    /// The input topic.
    pub topic: &'a str,
    /// The input partition.
    pub partition: i32,
    /// The shard.
    pub shard: usize,
    /// 0 or 1.
    pub slot: u8,
    /// The number of the chunk, from 0.
    pub chunk: u16,
}

impl<'a> ChunkKey<'a> {
    /// Appends the key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self { topic, partition, shard, slot, chunk } = self;
        out.extend_from_slice(format!("{topic}/{partition}/{shard}/{slot}/{chunk}").as_bytes());
    }

    /// Reads a key; `None` if it is another one.
    pub fn decode(key: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(key).ok()?.rsplitn(5, '/');
        let chunk = parts.next()?.parse().ok()?;
        let slot = parts.next()?.parse().ok().filter(|slot| *slot < 2)?;
        let shard = parts.next()?.parse().ok().filter(|shard| *shard < SHARDS)?;
        let partition = parts.next()?.parse().ok()?;
        Some(Self { topic: parts.next()?, partition, shard, slot, chunk })
    }
}

/// Calls `write` with the value of every chunk of a snapshot, in order.
///
/// # Panics
/// If there would be more than 65,535 chunks, 59 GB.
pub fn chunks<E>(
    mut header: Header,
    bytes: &[u8],
    scratch: &mut Vec<u8>,
    mut write: impl FnMut(u16, &[u8]) -> Result<(), E>,
) -> Result<u16, E> {
    let count = bytes.len().div_ceil(CHUNK_BYTES).max(1);
    header.chunks = u16::try_from(count).expect("a shard is far smaller");
    for (number, start) in (0..header.chunks).zip((0..).step_by(CHUNK_BYTES)) {
        scratch.clear();
        scratch.reserve(HEADER_BYTES + CHUNK_BYTES);
        header.encode(scratch);
        scratch.extend_from_slice(&bytes[start..bytes.len().min(start + CHUNK_BYTES)]);
        write(number, scratch)?;
    }
    Ok(header.chunks)
}

/// Appends the key of a plan.
pub fn write_plan_key(fingerprint: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("plan/{fingerprint:016x}").as_bytes());
}

fn read_plan_key(key: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(key).ok()?.strip_prefix("plan/")?;
    if digits.len() == 16 { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// A snapshot that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What is known of it.
    pub header: Header,
    /// The slot that it is in.
    pub slot: u8,
    /// The shard's bytes.
    pub bytes: Vec<u8>,
}

/// The plans that were found, by fingerprint.
pub type Plans = BTreeMap<u64, PlanSpec>;

/// Puts snapshots together from the records of their topic, which come in order.
#[derive(Debug, Default)]
pub struct Collector {
    slots: BTreeMap<(String, i32), Vec<Slots>>,
    plans: Plans,
    seen: u64,
    unreadable: u64,
}

/// The two slots of a shard.
type Slots = [Slot; 2];

#[derive(Clone, Debug, Default)]
struct Slot {
    /// When its last chunk came: the later, the newer.
    order: u64,
    header: Option<Header>,
    chunks: Vec<Option<Vec<u8>>>,
    /// Chunks that were written to it, whether they are of use or not: what tombstones are needed for.
    written: u16,
}

impl Collector {
    /// Collects the snapshots of these input partitions.
    pub fn new<'a>(places: impl IntoIterator<Item = (&'a str, i32)>) -> Self {
        let shards = || vec![Slots::default(); SHARDS];
        let slots = places.into_iter().map(|(topic, partition)| ((topic.to_owned(), partition), shards()));
        Self { slots: slots.collect(), ..Self::default() }
    }

    /// Takes the next record.
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.seen += 1;
        if let Some(fingerprint) = read_plan_key(key) {
            match value.map(serde_json::from_slice) {
                Some(Ok(spec)) => drop(self.plans.insert(fingerprint, spec)),
                Some(Err(_)) => self.unreadable += 1,
                None => {}
            }
            return;
        }
        let Some(key) = ChunkKey::decode(key) else { return };
        let Some(shards) = self.slots.get_mut(&(key.topic.to_owned(), key.partition)) else { return };
        let slot = &mut shards[key.shard][usize::from(key.slot)];
        match value {
            None => slot.written = slot.written.min(key.chunk),
            Some(value) => {
                slot.written = slot.written.max(key.chunk.saturating_add(1));
                match Header::decode(value) {
                    Some((header, bytes)) => slot.add(self.seen, key.chunk, header, bytes),
                    None => self.unreadable += 1,
                }
            }
        }
    }

    /// Chunks and plans that could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The plans that were found.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// Whether the snapshots of an input partition are collected.
    pub fn knows(&self, topic: &str, partition: i32) -> bool {
        self.slots.contains_key(&(topic.to_owned(), partition))
    }

    /// What was found of one input partition so far.
    pub fn found(&self, topic: &str, partition: i32) -> Found {
        let shards = self.slots.get(&(topic.to_owned(), partition));
        let shards = shards.cloned().unwrap_or_else(|| vec![Slots::default(); SHARDS]);
        Found { shards: shards.into_iter().map(FoundShard::of).collect() }
    }

    /// What was found of one input partition, which is collected no more.
    pub fn take(&mut self, topic: &str, partition: i32) -> Found {
        let shards = self.slots.remove(&(topic.to_owned(), partition));
        let shards = shards.unwrap_or_else(|| vec![Slots::default(); SHARDS]);
        Found { shards: shards.into_iter().map(FoundShard::of).collect() }
    }
}

impl Slot {
    fn add(&mut self, order: u64, chunk: u16, header: Header, bytes: &[u8]) {
        if self.header != Some(header) {
            self.header = Some(header);
            self.chunks = vec![None; usize::from(header.chunks)];
        }
        if let Some(place) = self.chunks.get_mut(usize::from(chunk)) {
            *place = Some(bytes.to_vec());
            self.order = order;
        }
    }

    fn snapshot(self, slot: u8) -> Option<(u64, Snapshot)> {
        let header = self.header?;
        let mut chunks = self.chunks.into_iter();
        let mut bytes = chunks.next()??;
        for chunk in chunks {
            bytes.extend_from_slice(&chunk?);
        }
        Some((self.order, Snapshot { header, slot, bytes }))
    }
}

/// The snapshots of one input partition.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// By shard.
    pub shards: Vec<FoundShard>,
}

/// The snapshots of one shard.
#[derive(Clone, Debug, Default)]
pub struct FoundShard {
    /// Those that are complete, the newest last.
    pub snapshots: Vec<Snapshot>,
    /// How many chunks lie in each slot.
    pub written: [u16; 2],
}

impl FoundShard {
    fn of(slots: Slots) -> Self {
        let written = [slots[0].written, slots[1].written];
        let mut found: Vec<_> = (0..).zip(slots).filter_map(|(number, slot)| slot.snapshot(number)).collect();
        found.sort_by_key(|(order, _)| *order);
        Self { snapshots: found.into_iter().map(|(_, snapshot)| snapshot).collect(), written }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn header(written: i64) -> Header {
        Header { fingerprint: 7, next_offset: 100, last_sequence: 3, clock: 5, written, chunks: 0 }
    }

    /// The records of a snapshot of shard 3, in slot `slot`.
    fn records(written: i64, slot: u8, bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut records = Vec::new();
        let count = chunks(header(written), bytes, &mut Vec::new(), |chunk, value| {
            let mut key = Vec::new();
            ChunkKey { topic: "a/b", partition: 2, shard: 3, slot, chunk }.encode(&mut key);
            records.push((key, value.to_vec()));
            Ok::<(), Infallible>(())
        });
        assert_eq!(count, Ok(records.len() as u16));
        records
    }

    fn collect<'a>(records: impl IntoIterator<Item = &'a (Vec<u8>, Vec<u8>)>) -> FoundShard {
        let mut collector = Collector::new([("a/b", 2)]);
        for (key, value) in records {
            collector.add(key, Some(value));
        }
        assert_eq!(collector.unreadable(), 0);
        collector.take("a/b", 2).shards.swap_remove(3)
    }

    #[test]
    fn a_snapshot_of_several_chunks_is_put_together() {
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 5).map(|at| (at % 251) as u8).collect();
        let records = records(1, 0, &bytes);
        assert_eq!(records.len(), 3);
        let found = collect(&records);
        assert_eq!(found.snapshots[0].bytes, bytes);
        assert_eq!(found.snapshots[0].header, Header { chunks: 3, ..header(1) });
        assert_eq!(found.written, [3, 0]);
        assert_eq!(collect(&records[..2]).snapshots, [], "one chunk is missing");
    }

    #[test]
    fn the_newest_comes_last_and_a_longer_one_before_does_not_mix_in() {
        let long = vec![1; CHUNK_BYTES + 1];
        let (old, between, new) = (records(1, 0, &long), records(2, 1, b"between"), records(3, 0, b"new"));
        let found = collect(old.iter().chain(&between).chain(&new));
        let bytes: Vec<&[u8]> = found.snapshots.iter().map(|snapshot| &*snapshot.bytes).collect();
        assert_eq!(bytes, [&b"between"[..], b"new"]);
        assert_eq!(found.written, [2, 1], "the tail of the long one is still there");
        // Compaction has taken the first chunk of the long one away.
        let found = collect(old[1..].iter().chain(&between).chain(&new));
        assert_eq!(found.snapshots.len(), 2);
        assert_eq!(collect(old[1..].iter().chain(&between)).snapshots.len(), 1, "the half is of no use");
    }

    #[test]
    fn other_partitions_and_versions_are_left() {
        let (key, mut value) = records(1, 0, b"state").remove(0);
        let mut collector = Collector::new([("a/b", 1)]);
        collector.add(&key, Some(&value));
        assert_eq!(collector.take("a/b", 1).shards[3].snapshots, []);
        let mut collector = Collector::new([("a/b", 2)]);
        value[0] = 9;
        collector.add(&key, Some(&value));
        assert_eq!((collector.unreadable(), collector.take("a/b", 2).shards[3].written), (1, [1, 0]));
    }

    #[test]
    fn plans_are_found() {
        let mut collector = Collector::default();
        let mut key = Vec::new();
        write_plan_key(0xab, &mut key);
        assert_eq!(key, b"plan/00000000000000ab");
        let spec = crate::driver::tests::spec();
        collector.add(&key, Some(&serde_json::to_vec(&spec).expect("plain data")));
        collector.add(b"plan/00000000000000ac", Some(b"{"));
        assert_eq!(collector.plans(), &Plans::from([(0xab, spec)]));
        assert_eq!(collector.unreadable(), 1);
    }

    proptest! {
        #[test]
        fn headers_are_read_back(fingerprint: u64, next_offset: i64, last_sequence: u64, clock: i64, written: i64, chunks: u16) {
            let header = Header { fingerprint, next_offset, last_sequence, clock, written, chunks };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), HEADER_BYTES);
            prop_assert_eq!(Header::decode(&bytes), Some((header, &[][..])));
            for cut in 0..HEADER_BYTES {
                prop_assert_eq!(Header::decode(&bytes[..cut]), None);
            }
        }

        #[test]
        fn keys_are_read_back(partition: i32, shard in 0..SHARDS, slot in 0_u8..2, chunk: u16) {
            let key = ChunkKey { topic: "sensor-data", partition, shard, slot, chunk };
            let mut bytes = Vec::new();
            key.encode(&mut bytes);
            prop_assert_eq!(ChunkKey::decode(&bytes), Some(key));
        }

        #[test]
        fn garbage_is_refused(key: Vec<u8>, value: Vec<u8>) {
            Collector::new([("", 0)]).add(&key, Some(&value));
        }
    }
}
