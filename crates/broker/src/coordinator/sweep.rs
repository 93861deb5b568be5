//! What nobody used for long is forgotten: offsets (KIP-211), groups without any, transactional ids.

use super::entry::{Entry, GroupState, TransactionState};
use super::group::Group;
use super::state::State;
use super::subscription::subscribed_topics;
use super::timers::Timer;

/// How often that is looked after (Kafka's `offsets.retention.check.interval.ms`).
const SWEEP_MS: i64 = 10 * 60 * 1_000;

impl State {
    /// The next sweep is when it is due.
    pub(super) fn watch_sweep(&mut self, now_ms: i64) {
        self.timers.arm(Timer::Sweep, now_ms + SWEEP_MS);
    }

    /// Forgets what nobody used for long.
    pub(super) fn sweep(&mut self, now_ms: i64) {
        self.abort_orphans();
        let retention_ms = self.bounds.offsets_retention_ms;
        let mut entries = Vec::new();
        for (name, group) in &self.groups {
            let partitions = expired(group, retention_ms, now_ms);
            let count = group.offsets.records().count();
            let idle =
                group.state == GroupState::Empty && group.pending.is_empty() && group.promised.is_empty();
            if idle && partitions.len() == count {
                entries.push(Entry::GroupDeleted { group: name.clone() });
            } else if !partitions.is_empty() {
                entries.push(Entry::OffsetsDeleted { group: name.clone(), partitions });
            }
        }
        for (id, transaction) in &self.transactions {
            let idle = matches!(
                transaction.state,
                TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort
            );
            if idle && now_ms - transaction.updated_ms >= self.bounds.id_retention_ms {
                entries.push(Entry::TransactionForgotten { id: id.clone() });
            }
        }
        if !entries.is_empty() {
            tracing::info!(
                count = entries.len(),
                "forgetting offsets, groups and transactional ids of long ago"
            );
            if let Err(error) = self.commit(entries) {
                tracing::warn!(%error, "they are forgotten by the next sweep");
            }
        }
    }
}

/// Partitions whose offsets nobody used for long: since the group is empty, or, if nobody joins it or subscribes to
/// the topic, since they were committed. What an open transaction may replace stays.
fn expired(group: &Group, retention_ms: i64, now_ms: i64) -> Vec<(String, i32)> {
    let consumers = group.protocol_type.as_deref() == Some(super::CONSUMER_PROTOCOL);
    let subscribed = match group.state {
        GroupState::Empty => Some(Vec::new()),
        GroupState::Stable if consumers => subscribed_topics(group),
        _ => None,
    };
    // What cannot be told is taken to be in use.
    let Some(subscribed) = subscribed else { return Vec::new() };
    let unused_since_ms = match group.protocol_type {
        Some(_) if group.state == GroupState::Empty => group.since_ms,
        _ => i64::MIN,
    };
    let expired = group.offsets.records().filter(|record| {
        let pending =
            group.pending.values().any(|offsets| offsets.get(&record.topic, record.partition).is_some());
        let at_ms = match record.committed.expires_ms {
            Some(at_ms) => at_ms,
            None => record.committed.committed_ms.max(unused_since_ms).saturating_add(retention_ms),
        };
        !pending && !subscribed.contains(&record.topic) && at_ms <= now_ms
    });
    expired.map(|record| (record.topic, record.partition)).collect()
}
