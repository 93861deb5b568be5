//! Which shards to write down when: round robin, a few with each commit, so that there is no pause.

use std::time::Duration;

use engine::Partition;
use engine::partition::SHARDS;
use kafka::TopicPartition;

use super::outbox::{Outbox, Target};
use super::snapshots::{ChunkKey, Found, Header, chunks};

/// The most shards of a partition in one commit.
const MAX_SHARDS: usize = 8;
/// So much state in one commit is enough, in bytes: a few milliseconds of work.
const ENOUGH_BYTES: usize = 4 << 20;
/// So many shards have to be due for a commit that is for nothing else.
const WORTH_SHARDS: i64 = 8;

/// Writes the snapshots of one input partition.
#[derive(Debug)]
pub(super) struct Saver {
    place: TopicPartition,
    /// The partition of the snapshots' topic.
    internal: i32,
    /// How much time one shard has, in microseconds.
    share: i64,
    /// Time that is not used up yet, in microseconds.
    credit: i64,
    last: i64,
    next: usize,
    /// The slot that each shard's next snapshot takes.
    slots: [u8; SHARDS],
    /// How many chunks lie in each slot.
    written: [[u16; 2]; SHARDS],
    bytes: Vec<u8>,
    chunk: Vec<u8>,
}

impl Saver {
    /// For a partition whose shards are all to be written in `interval`. Times are in microseconds since the epoch.
    pub(super) fn new(place: TopicPartition, internal: i32, interval: Duration, now: i64) -> Self {
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        Self {
            place,
            internal,
            share: (interval / SHARDS as i64).max(1),
            credit: 0,
            last: now,
            next: 0,
            slots: [0; SHARDS],
            written: [[0; 2]; SHARDS],
            bytes: Vec::new(),
            chunk: Vec::new(),
        }
    }

    /// Takes note of what lies in the topic already, so that the newest snapshots are not written over first.
    pub(super) fn learn(&mut self, found: &Found) {
        for (shard, found) in found.shards.iter().enumerate() {
            self.written[shard] = found.written;
            if let Some(newest) = found.snapshots.last() {
                self.slots[shard] = 1 - newest.slot;
            }
        }
    }

    fn earn(&mut self, now: i64) {
        let most = self.share.saturating_mul(SHARDS as i64);
        self.credit = self.credit.saturating_add((now - self.last).max(0)).min(most);
        self.last = now;
    }

    /// Whether a commit for snapshots alone is worth it.
    pub(super) fn is_due(&mut self, partition: &Partition, now: i64) -> bool {
        self.earn(now);
        self.credit >= self.share.saturating_mul(WORTH_SHARDS)
            && (0..SHARDS).any(|shard| partition.shard_state(shard).dirty)
    }

    /// Writes the shards whose turn it is.
    pub(super) fn save(&mut self, partition: &mut Partition, clock: i64, now: i64, out: &mut Outbox) {
        self.earn(now);
        let before = out.bytes();
        let mut shards = 0;
        while self.credit >= self.share && shards < MAX_SHARDS && out.bytes() - before < ENOUGH_BYTES {
            let turns = (0..SHARDS).map(|turn| (self.next + turn) % SHARDS);
            let Some(shard) = turns.into_iter().find(|shard| partition.shard_state(*shard).dirty) else {
                // What has not changed for a whole round has nothing to catch up on.
                self.credit = 0;
                return;
            };
            self.credit -= self.share;
            self.next = (shard + 1) % SHARDS;
            self.write(partition, shard, clock, now, out);
            shards += 1;
        }
    }

    /// Writes every shard that changed, as long as all of it stays below `most` bytes.
    pub(super) fn save_all(
        &mut self,
        partition: &mut Partition,
        clock: i64,
        now: i64,
        most: usize,
        out: &mut Outbox,
    ) {
        for shard in 0..SHARDS {
            if out.bytes() >= most {
                return;
            }
            if partition.shard_state(shard).dirty {
                self.write(partition, shard, clock, now, out);
            }
        }
    }

    fn write(&mut self, partition: &mut Partition, shard: usize, clock: i64, now: i64, out: &mut Outbox) {
        self.bytes.clear();
        partition.snapshot(shard, &mut self.bytes);
        let state = partition.shard_state(shard);
        let header = Header {
            fingerprint: partition.plan().fingerprint(),
            next_offset: state.next_offset,
            last_sequence: state.last_sequence,
            clock,
            written: now,
            chunks: 0,
        };
        let (slot, target) = (self.slots[shard], Target::Snapshots(self.internal));
        let (topic, number) = (&*self.place.topic, self.place.partition);
        let key = |chunk| ChunkKey { topic, partition: number, shard, slot, chunk };
        let count = chunks(header, &self.bytes, &mut self.chunk, |chunk, value| {
            let value = |out: &mut Vec<u8>| out.extend_from_slice(value);
            out.put(target, None, |out| key(chunk).encode(out), Some(value));
            Ok::<(), std::convert::Infallible>(())
        });
        let count = count.unwrap_or_else(|never| match never {});
        // What is left of a longer one before it.
        for chunk in count..self.written[shard][usize::from(slot)] {
            out.put(target, None, |out| key(chunk).encode(out), None::<fn(&mut Vec<u8>)>);
        }
        self.written[shard][usize::from(slot)] = count;
        self.slots[shard] = 1 - slot;
        // If what it was written with is thrown away, so is the partition.
        partition.saved(shard);
    }
}
