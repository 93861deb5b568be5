//! The names and numbers of a reading's fields beyond the known ones, and the memory they are kept in.
//!
//! Invariant: a [`Scratch`] only grows while a record is larger than all before it, and is bounded by the largest
//! payload allowed.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::json::Span;

/// Up to so many names are compared one by one; beyond, they are hashed.
const FEW: usize = 16;

/// Memory reused from one [`decode`](crate::decode) to the next, so that decoding allocates nothing once it has seen
/// the largest record.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The strings that had escapes, one after the other.
    pub(super) unescaped: String,
    /// The unknown fields of the reading.
    pub(super) names: Names,
    /// The unknown fields of its location.
    pub(super) location_names: Names,
    /// Those of the reading's unknown fields that are numbers.
    pub(super) further: Vec<(Span, f64)>,
}

impl Scratch {
    /// Empty; it grows with the first records.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn clear(&mut self) {
        self.unescaped.clear();
        self.names.clear();
        self.location_names.clear();
        self.further.clear();
    }
}

/// A set of names, without their characters.
#[derive(Debug, Default)]
pub(super) struct Names {
    spans: Vec<Span>,
    /// Positions in `spans`, once there are more than [`FEW`]. The hash is seeded at random, so that nobody can
    /// choose names that collide.
    table: HashTable<u16>,
    hasher: RandomState,
}

impl Names {
    fn clear(&mut self) {
        self.spans.clear();
        // Not by the number of spans: a record may be refused just after the table has been filled.
        if !self.table.is_empty() {
            self.table.clear();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Adds a name; `false` if it is there already. There must be fewer than 65,536.
    pub(super) fn insert<'t>(&mut self, name: Span, resolve: impl Fn(Span) -> &'t str) -> bool {
        if self.spans.len() >= FEW {
            return self.insert_hashed(name, resolve);
        }
        let text = resolve(name);
        let is_new = self.spans.iter().all(|&known| resolve(known) != text);
        if is_new {
            self.spans.push(name);
        }
        is_new
    }

    #[inline(never)]
    fn insert_hashed<'t>(&mut self, name: Span, resolve: impl Fn(Span) -> &'t str) -> bool {
        let Self { spans, table, hasher } = self;
        if table.is_empty() {
            for at in 0..spans.len() as u16 {
                let hash = |&at: &u16| hasher.hash_one(resolve(spans[usize::from(at)]));
                table.insert_unique(hash(&at), at, hash);
            }
        }
        let text = resolve(name);
        let text_hash = hasher.hash_one(text);
        if table.find(text_hash, |&at| resolve(spans[usize::from(at)]) == text).is_some() {
            return false;
        }
        spans.push(name);
        let newest = (spans.len() - 1) as u16;
        table.insert_unique(text_hash, newest, |&at| hasher.hash_one(resolve(spans[usize::from(at)])));
        true
    }
}

/// The further measurements of a reading, from wherever it came.
#[derive(Clone, Copy)]
pub(super) enum Further<'a> {
    /// Given by a producer.
    Listed(&'a [(&'a str, f64)]),
    /// Decoded: the names are parts of the payload or of the unescaped strings.
    /// `skipped`: there were fields that are no measurements, in the payload or in its location.
    Decoded { spans: &'a [(Span, f64)], text: &'a str, unescaped: &'a str, skipped: bool },
}

impl<'a> Further<'a> {
    pub(super) const NONE: Self = Self::Listed(&[]);

    pub(super) fn listed(further: &'a [(&'a str, f64)]) -> Self {
        Self::Listed(further)
    }

    pub(super) fn has_skipped(self) -> bool {
        matches!(self, Self::Decoded { skipped: true, .. })
    }

    pub(super) fn iter(self) -> impl Iterator<Item = (&'a str, f64)> {
        let count = match self {
            Self::Listed(list) => list.len(),
            Self::Decoded { spans, .. } => spans.len(),
        };
        (0..count).map(move |at| match self {
            Self::Listed(list) => list[at],
            Self::Decoded { spans, text, unescaped, .. } => {
                (spans[at].0.resolve(text, unescaped), spans[at].1)
            }
        })
    }
}

impl PartialEq for Further<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::decode;

    /// Decodes a payload of `count` unknown fields, the last of them again, and gives how many names are in the table.
    fn refuse_duplicate_after(count: usize, scratch: &mut Scratch) -> usize {
        let fields = (0..count).fold(String::from("{"), |all, at| format!("{all}\"f{at}\":{at},"));
        let payload = format!("{fields}\"f{}\":0}}", count - 1);
        let reject = decode(payload.as_bytes(), scratch).expect_err("a key occurs twice");
        assert_eq!(reject.reason(), "duplicate-key");
        scratch.names.table.len()
    }

    #[test]
    fn refused_records_leave_no_names_behind() {
        let mut scratch = Scratch::new();
        for count in [FEW - 1, FEW, FEW + 1, FEW, FEW, 2 * FEW, FEW] {
            let hashed = if count < FEW { 0 } else { count };
            assert_eq!(refuse_duplicate_after(count, &mut scratch), hashed, "{count} fields");
        }
    }
}
