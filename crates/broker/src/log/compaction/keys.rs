//! The newest offset of each key in the part of the log that was not compacted yet.
//!
//! Invariants: at most [`MOST_KEYS`] keys, whatever the log holds: the rest waits for the next round; keys are told apart
//! by 128 bits of hash under secret random keys, so that no client can make two of them collide.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Keys of one round: a table of 2^19 places, some 13 MB.
pub(super) const MOST_KEYS: usize = (1 << 19) / 8 * 7;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hashers: [RandomState; 2],
    newest: HashMap<[u64; 2], i64>,
}

impl Keys {
    fn hash(&self, key: &[u8]) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    /// How many keys may still be added.
    pub(super) fn room(&self) -> usize {
        MOST_KEYS.saturating_sub(self.newest.len())
    }

    /// Takes note of a record. Offsets ascend.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) {
        self.newest.insert(self.hash(key), offset);
    }

    /// Whether no later record with this key is known.
    pub(super) fn is_newest(&self, key: &[u8], offset: i64) -> bool {
        self.newest.get(&self.hash(key)).is_none_or(|newest| offset >= *newest)
    }
}
