//! All that the coordinator knows, and how it changes: entries go to the journal first and are then applied.
//!
//! Invariants: what an entry holds changes only by [`State::commit`], so that the journal makes the same state again;
//! the same code applies an entry while the broker runs and when it starts. Votes of a rebalance, promised member ids
//! and deadlines are not in the journal: they are of the generation to come, which a restart may call off.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::entry::{Entry, GroupRecord, GroupState, OffsetRecord, TransactionRecord, TransactionState};
use super::group::Group;
use super::journal::{Journal, JournalError};
use super::timers::{Timer, Timers};
use super::{CoordinatorError, Partitions};
use crate::settings::Settings;

/// How many producer ids are taken at once: a restart loses what is left of them.
const PRODUCER_ID_BLOCK: i64 = 1_000;

/// What an operator can set of the coordinator.
#[expect(clippy::struct_field_names, reason = "a time says its unit")]
pub(super) struct Bounds {
    pub(super) initial_rebalance_delay_ms: i64,
    pub(super) session_timeouts_ms: (i64, i64),
    pub(super) offsets_retention_ms: i64,
    pub(super) longest_transaction_ms: i64,
    pub(super) id_retention_ms: i64,
}

impl Bounds {
    fn of(settings: &Settings) -> Self {
        let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self {
            initial_rebalance_delay_ms: ms(settings.initial_rebalance_delay),
            session_timeouts_ms: (ms(settings.session_timeouts.0), ms(settings.session_timeouts.1)),
            offsets_retention_ms: ms(settings.offsets_retention),
            longest_transaction_ms: ms(settings.longest_transaction),
            id_retention_ms: ms(settings.producer_retention),
        }
    }
}

/// The state of the coordinator.
pub(super) struct State {
    pub(super) bounds: Bounds,
    pub(super) groups: BTreeMap<String, Group>,
    /// By transactional id.
    pub(super) transactions: BTreeMap<String, TransactionRecord>,
    pub(super) partitions: Arc<dyn Partitions>,
    pub(super) timers: Timers,
    pub(super) journal: Journal,
    /// The broker is about to stop: nobody may begin to wait.
    pub(super) closing: bool,
    /// The next producer id, and the first one that the journal does not reserve.
    producer_ids: (i64, i64),
    member_ids: (RandomState, u64),
}

impl State {
    /// The state that the journal in `directory` makes. Transactions are not looked after yet.
    pub(super) fn open(
        settings: &Settings,
        directory: &Path,
        partitions: Arc<dyn Partitions>,
        now_ms: i64,
    ) -> Result<Self, CoordinatorError> {
        let (journal, entries) = Journal::open(directory)?;
        let mut state = Self {
            bounds: Bounds::of(settings),
            groups: BTreeMap::new(),
            transactions: BTreeMap::new(),
            partitions,
            timers: Timers::default(),
            journal,
            closing: false,
            producer_ids: (0, 0),
            member_ids: (RandomState::new(), 0),
        };
        for entry in entries {
            state.apply(entry);
        }
        state.producer_ids.0 = state.producer_ids.1;
        state.resume_groups(now_ms);
        Ok(state)
    }

    /// Makes `entries` durable and true. If they cannot be written nothing changes, and the client is told to come
    /// again: the code for it is one that every client retries.
    pub(super) fn commit(&mut self, entries: Vec<Entry>) -> Result<(), ResponseError> {
        if let Err(error) = self.journal.append(&entries) {
            tracing::error!(%error, "the coordinator cannot write its journal");
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        for entry in entries {
            self.apply(entry);
        }
        if self.journal.wants_rewrite() {
            let snapshot = self.snapshot();
            if let Err(error) = self.journal.rewrite(&snapshot) {
                tracing::error!(%error, "the coordinator cannot shorten its journal; it goes on with the long one");
            }
        }
        Ok(())
    }

    /// The next timer for a group is at its next deadline.
    pub(super) fn watch_group(&mut self, group: &str) {
        if let Some(deadline_ms) = self.groups.get(group).and_then(Group::next_deadline_ms) {
            self.timers.arm(Timer::Group(group.to_owned()), deadline_ms);
        }
    }

    /// A member id that nobody had before.
    pub(super) fn new_member_id(&mut self, prefix: &str) -> String {
        let (random, count) = &mut self.member_ids;
        *count += 1;
        let (high, low) = (random.hash_one(*count), random.hash_one((*count, "low")));
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        format!("{prefix}-{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }

    /// A producer id that nobody had before.
    pub(super) fn new_producer_id(&mut self) -> Result<i64, ResponseError> {
        let (id, reserved) = self.producer_ids;
        if id == reserved {
            self.commit(vec![Entry::ProducerIds { next: reserved + PRODUCER_ID_BLOCK }])?;
        }
        self.producer_ids.0 = id + 1;
        Ok(id)
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::ProducerIds { next } => self.producer_ids.1 = self.producer_ids.1.max(next),
            Entry::Group(record) => self.apply_group(record),
            Entry::MembersRemoved { group, members } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    for id in &members {
                        drop(group.remove(id));
                    }
                }
            }
            Entry::GroupDeleted { group } => drop(self.groups.remove(&group)),
            Entry::Offsets { group, offsets } => self.apply_offsets(group, offsets),
            Entry::OffsetsDeleted { group, partitions } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.forget_offsets(&partitions);
                }
            }
            Entry::PendingOffsets { group, producer_id, offsets } => {
                let since_ms = offsets.first().map_or(0, |offset| offset.committed.committed_ms);
                let group = self.groups.entry(group).or_insert_with(|| Group::new(since_ms));
                group.pending.entry(producer_id).or_default().put(offsets);
            }
            Entry::Transaction(record) => drop(self.transactions.insert(record.id.clone(), record)),
            Entry::TransactionGrew { id, partitions, groups, at_ms } => {
                if let Some(transaction) = self.transactions.get_mut(&id) {
                    transaction.grow(partitions, groups, at_ms);
                }
            }
            Entry::TransactionPrepared { id, commit, epoch, at_ms } => {
                if let Some(transaction) = self.transactions.get_mut(&id) {
                    transaction.prepare(commit, epoch, at_ms);
                }
            }
            Entry::TransactionCompleted { id, at_ms } => self.apply_completion(&id, at_ms),
            Entry::TransactionForgotten { id } => drop(self.transactions.remove(&id)),
        }
    }

    fn apply_group(&mut self, record: GroupRecord) {
        let group = self.groups.entry(record.group.clone()).or_insert_with(|| Group::new(record.since_ms));
        group.restore(record);
    }

    fn apply_offsets(&mut self, group: String, offsets: Vec<OffsetRecord>) {
        let since_ms = offsets.first().map_or(0, |offset| offset.committed.committed_ms);
        self.groups.entry(group).or_insert_with(|| Group::new(since_ms)).offsets.put(offsets);
    }

    fn apply_completion(&mut self, id: &str, at_ms: i64) {
        let Some(transaction) = self.transactions.get_mut(id) else { return };
        let committed = transaction.state == TransactionState::PrepareCommit;
        for group in &transaction.groups {
            let Some(group) = self.groups.get_mut(group) else { continue };
            let pending = group.pending.remove(&transaction.producer_id).unwrap_or_default();
            if committed {
                group.offsets.put(pending.records());
            }
        }
        transaction.complete(at_ms);
    }

    /// Members have a whole session to be heard of after a restart.
    fn resume_groups(&mut self, now_ms: i64) {
        let names: Vec<String> = self.groups.keys().cloned().collect();
        for name in names {
            let Some(group) = self.groups.get_mut(&name) else { continue };
            group.members.values_mut().for_each(|member| member.alive(now_ms));
            if group.state == GroupState::CompletingRebalance {
                group.unsynced = group.members.keys().cloned().collect();
                group.sync_deadline_ms = Some(now_ms + group.rebalance_timeout_ms());
            }
            self.watch_group(&name);
        }
    }

    /// Entries that make this state of an empty one. A rebalance that is under way is left out: the journal says
    /// what was before it.
    fn snapshot(&self) -> Vec<Entry> {
        let mut entries = vec![Entry::ProducerIds { next: self.producer_ids.1 }];
        for (name, group) in &self.groups {
            let members =
                group.members.values().filter(|member| !member.new).map(|member| member.record.clone());
            let mut record = group.record(name, members.collect());
            record.state = group.joining.as_ref().map_or(group.state, |joining| joining.before);
            record.leader =
                record.leader.filter(|leader| record.members.iter().any(|member| member.id == *leader));
            entries.push(Entry::Group(record));
            entries.push(Entry::Offsets { group: name.clone(), offsets: group.offsets.records().collect() });
            for (producer_id, offsets) in &group.pending {
                let offsets = offsets.records().collect();
                entries.push(Entry::PendingOffsets {
                    group: name.clone(),
                    producer_id: *producer_id,
                    offsets,
                });
            }
        }
        entries.extend(self.transactions.values().cloned().map(Entry::Transaction));
        entries
    }

    /// Replaces the journal by a snapshot, as it happens by itself when the journal has grown.
    #[cfg(test)]
    pub(super) fn rewrite(&mut self) -> Result<(), JournalError> {
        let snapshot = self.snapshot();
        self.journal.rewrite(&snapshot)
    }

    /// Brings the journal to the disk.
    pub(super) fn flush(&self) -> Result<(), JournalError> {
        self.journal.flush()
    }
}
