//! The names of further measurements, each kept once and known by a small number.
//!
//! Names come from the input, so there is a bound on how many are taken.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::reading::{HUMIDITY, PRESSURE, TEMPERATURE};

/// How many different names of further measurements one table knows; readings under any other name are counted
/// and dropped.
pub const MAX_METRIC_NAMES: usize = 1_024;

/// A name's number in the [`MetricNames`] that gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricId(u16);

impl MetricId {
    /// The named measurements, which a table made by [`MetricNames::with_named`] knows by these.
    pub(crate) const NAMED: [Self; 3] = [Self(0), Self(1), Self(2)];
    /// Their names.
    pub(crate) const NAMES: [&str; 3] = [TEMPERATURE, HUMIDITY, PRESSURE];

    pub(crate) fn is_named(self) -> bool {
        self.index() < Self::NAMED.len()
    }

    /// The number, counted from 0 without gaps.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The names known so far.
#[derive(Clone, Debug)]
pub struct MetricNames {
    hasher: FixedState,
    ids: HashTable<u16>,
    names: Vec<Box<str>>,
}

impl MetricNames {
    /// No names yet; `seed` decides the order in the hash table and nothing that can be seen.
    pub fn new(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), ids: HashTable::new(), names: Vec::new() }
    }

    /// A table that knows the named measurements already.
    pub(crate) fn with_named(seed: u64) -> Self {
        let mut names = Self::new(seed);
        for name in MetricId::NAMES {
            names.intern(name);
        }
        names
    }

    /// The number of a name, given now if the name is new; `None` if there are too many already.
    pub fn intern(&mut self, name: &str) -> Option<MetricId> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let (ids, names) = (&mut self.ids, &mut self.names);
        if let Some(id) = ids.find(hash, |id| *names[usize::from(*id)] == *name) {
            return Some(MetricId(*id));
        }
        if names.len() >= MAX_METRIC_NAMES {
            return None;
        }
        let id = u16::try_from(names.len()).ok()?;
        names.push(name.into());
        ids.insert_unique(hash, id, |id| self.hasher.hash_one(names[usize::from(*id)].as_bytes()));
        Some(MetricId(id))
    }

    /// The name of a number that this table gave out.
    pub fn name(&self, id: MetricId) -> &str {
        &self.names[usize::from(id.0)]
    }

    /// All names, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Forgets all names; the numbers given out mean nothing any more.
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.names.clear();
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no name is known.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let mut names = MetricNames::new(1);
        let (voltage, light) = (names.intern("voltage"), names.intern("light"));
        assert_ne!(voltage, light);
        assert_eq!(names.intern("voltage"), voltage);
        assert_eq!(names.name(light.expect("there is room")), "light");
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn names_are_bounded() {
        let mut names = MetricNames::new(1);
        for number in 0..MAX_METRIC_NAMES {
            assert!(names.intern(&format!("metric-{number}")).is_some());
        }
        assert_eq!(names.intern("one-more"), None);
        assert!(names.intern("metric-0").is_some(), "a known name is still found");
    }
}
