//! Which transactions the batches of a log belong to while it is walked over from its beginning, and which markers are
//! still needed. The rules are those of Kafka's `CleanedTransactionMetadata`.

use std::collections::{HashMap, HashSet};

use super::super::batch::BatchHeader;
use super::super::control::Marker;
use super::super::index::AbortedEntry;

/// See the module.
#[derive(Debug)]
pub(super) struct Transactions {
    /// The aborted transactions ahead, the next one last.
    ahead: Vec<AbortedEntry>,
    /// Aborted transactions whose marker was not reached, with whether a batch of them was seen.
    aborted: HashMap<i64, (AbortedEntry, bool)>,
    /// Producers of which batches were seen that were committed, or are not known to be aborted.
    committed: HashSet<i64>,
}

/// What a marker means to compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkerUse {
    /// No batch of its transaction is left: it may go once its time has come.
    Unneeded,
    /// Batches of its transaction are there.
    Needed,
    /// Batches of its transaction are there, and readers must be told that it was aborted.
    Aborts(AbortedEntry),
}

impl Transactions {
    /// Begins before the first batch, with all aborted transactions of the part that will be walked over.
    pub(super) fn new(mut aborted: Vec<AbortedEntry>) -> Self {
        aborted.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.first_offset));
        Self { ahead: aborted, aborted: HashMap::new(), committed: HashSet::new() }
    }

    fn reach(&mut self, offset: i64) {
        while let Some(entry) = self.ahead.pop_if(|entry| entry.first_offset <= offset) {
            self.aborted.entry(entry.producer_id).or_insert((entry, false));
        }
    }

    /// Whether a data batch belongs to an aborted transaction.
    pub(super) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.reach(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        if let Some((_, seen)) = self.aborted.get_mut(&header.producer_id) {
            *seen = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// What a control batch is for.
    pub(super) fn marker(&mut self, header: &BatchHeader, marker: Option<Marker>) -> MarkerUse {
        self.reach(header.last_offset());
        match marker {
            Some(Marker { commit: true, .. }) if self.committed.remove(&header.producer_id) => {
                MarkerUse::Needed
            }
            Some(Marker { commit: false, .. }) => match self.aborted.remove(&header.producer_id) {
                Some((entry, true)) => MarkerUse::Aborts(entry),
                _ => MarkerUse::Unneeded,
            },
            // A commit of nothing, or a batch that compaction has emptied.
            Some(_) | None => MarkerUse::Unneeded,
        }
    }
}
