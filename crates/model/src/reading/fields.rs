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
        if self.spans.len() > FEW {
            self.clear_table();
        }
        self.spans.clear();
    }

    #[cold]
    fn clear_table(&mut self) {
        self.table.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Adds a name; `false` if it is there already. Names are at most 65,536.
    pub(super) fn insert<'t>(&mut self, name: Span, resolve: impl Fn(Span) -> &'t str) -> bool {
        let text = resolve(name);
        let count = self.spans.len();
        if count < FEW {
            if self.spans.iter().any(|&known| resolve(known) == text) {
                return false;
            }
        } else if !self.insert_hashed(text, resolve) {
            return false;
        }
        self.spans.push(name);
        true
    }

    #[cold]
    fn insert_hashed<'t>(&mut self, text: &str, resolve: impl Fn(Span) -> &'t str) -> bool {
        let Self { spans, table, hasher } = self;
        let hash = |at: &u16| hasher.hash_one(resolve(spans[usize::from(*at)]));
        if spans.len() == FEW {
            for at in 0..FEW as u16 {
                table.insert_unique(hash(&at), at, hash);
            }
        }
        let text_hash = hasher.hash_one(text);
        let known = |at: &u16| resolve(spans[usize::from(*at)]) == text;
        if table.find(text_hash, known).is_some() {
            return false;
        }
        table.insert_unique(text_hash, spans.len() as u16, |at| {
            // The newest name is not among the spans yet.
            if usize::from(*at) == spans.len() { text_hash } else { hash(at) }
        });
        true
    }
}

/// The further measurements of a reading, from wherever it came.
#[derive(Clone, Copy)]
pub(super) enum Further<'a> {
    /// Given by a producer.
    Listed(&'a [(&'a str, f64)]),
    /// Decoded: the names are parts of the payload or of the unescaped strings.
    Decoded { spans: &'a [(Span, f64)], text: &'a str, unescaped: &'a str },
}

impl<'a> Further<'a> {
    pub(super) const NONE: Self = Self::Listed(&[]);

    pub(super) fn listed(further: &'a [(&'a str, f64)]) -> Self {
        Self::Listed(further)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = (&'a str, f64)> {
        let count = match self {
            Self::Listed(list) => list.len(),
            Self::Decoded { spans, .. } => spans.len(),
        };
        (0..count).map(move |at| match self {
            Self::Listed(list) => list[at],
            Self::Decoded { spans, text, unescaped } => (spans[at].0.resolve(text, unescaped), spans[at].1),
        })
    }
}

impl PartialEq for Further<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
