//! The phases of a rebalance: members are called to join, a generation begins, members that are missing are removed.
//!
//! Invariants: a generation is in the journal before any member hears of it, and so is its assignment; thus there is
//! one assignment a generation at most, whenever the process ends.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;

use super::entry::{Entry, GroupRecord, GroupState, MemberRecord, Opaque};
use super::group::{Group, InitialDelay, Joining, Member, join_failed, sync_failed};
use super::state::State;

/// When the end of a phase is tried again after the journal could not be written.
const RETRY_MS: i64 = 1_000;

impl State {
    /// Calls the members to join the next generation, if they are not called already, and begins it if all are there.
    pub(super) fn rebalance(&mut self, name: &str, now_ms: i64) {
        let delay_ms = self.bounds.initial_rebalance_delay_ms;
        let Some(group) = self.groups.get_mut(name) else { return };
        if group.state != GroupState::PreparingRebalance {
            // Those who wait for an assignment will not get it.
            for member in group.members.values_mut() {
                if let Some(waiter) = member.syncing.take() {
                    member.alive(now_ms);
                    // Nobody listens if the client is gone; its session will end.
                    drop(waiter.send(sync_failed(ResponseError::RebalanceInProgress)));
                }
            }
            group.unsynced.clear();
            group.sync_deadline_ms = None;
            let timeout_ms = group.rebalance_timeout_ms();
            let before = group.state;
            group.joining = Some(if before == GroupState::Empty {
                let remaining_ms = (timeout_ms - delay_ms).max(0);
                let initial = Some(InitialDelay { remaining_ms, grown: false });
                Joining { deadline_ms: now_ms + delay_ms, before, initial }
            } else {
                Joining { deadline_ms: now_ms + timeout_ms, before, initial: None }
            });
            group.state = GroupState::PreparingRebalance;
            group.since_ms = now_ms;
            tracing::info!(
                group = name,
                generation = group.generation,
                members = group.members.len(),
                "rebalancing"
            );
        }
        self.try_generation(name, now_ms);
    }

    /// Begins the next generation if the group is waiting for nobody, or has waited long enough.
    pub(super) fn try_generation(&mut self, name: &str, now_ms: i64) {
        let delay_ms = self.bounds.initial_rebalance_delay_ms;
        let Some(group) = self.groups.get_mut(name) else { return };
        let all_joined = group.all_joined();
        let Some(joining) = group.joining.as_mut() else { return };
        let due = joining.deadline_ms <= now_ms;
        let begin = match joining.initial.as_mut() {
            // As Kafka extends it: by one more delay as long as somebody came during the last one.
            Some(initial) if due && initial.grown && initial.remaining_ms > 0 => {
                let extension_ms = delay_ms.min(initial.remaining_ms);
                initial.grown = false;
                initial.remaining_ms -= extension_ms;
                joining.deadline_ms = now_ms + extension_ms;
                false
            }
            Some(_) => due,
            None => due || all_joined,
        };
        if begin {
            self.begin_generation(name, now_ms);
        }
    }

    fn begin_generation(&mut self, name: &str, now_ms: i64) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let (kept, missing): (Vec<&Member>, Vec<&Member>) = group
            .members
            .values()
            .partition(|member| member.joining.is_some() || member.record.instance.is_some());
        if !kept.is_empty() && group.waiting() == 0 {
            // Static members are not removed for being late: they are waited for as long again.
            let timeout_ms = group.rebalance_timeout_ms();
            let missing: Vec<String> = missing.iter().map(|member| member.record.id.clone()).collect();
            for id in &missing {
                drop(group.remove(id));
            }
            if let Some(joining) = group.joining.as_mut() {
                joining.deadline_ms = now_ms + timeout_ms.max(RETRY_MS);
            }
            return;
        }
        let record = next_generation(name, group, &kept, now_ms);
        match self.commit(vec![Entry::Group(record)]) {
            Ok(()) => self.announce_generation(name, now_ms),
            Err(error) => self.postpone_generation(name, error, now_ms),
        }
    }

    fn announce_generation(&mut self, name: &str, now_ms: i64) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let (generation, members) = (group.generation, group.members.len());
        tracing::info!(group = name, generation, members, "a generation begins");
        if group.state == GroupState::Empty {
            return;
        }
        group.unsynced = group.members.keys().cloned().collect();
        group.sync_deadline_ms = Some(now_ms + group.rebalance_timeout_ms());
        let ids: Vec<String> = group.members.keys().cloned().collect();
        for id in ids {
            let answer = group.joined(&id);
            let Some(member) = group.members.get_mut(&id) else { continue };
            member.new = false;
            member.alive(now_ms);
            if let Some(waiter) = member.joining.take() {
                drop(waiter.send(answer));
            }
        }
    }

    /// The generation cannot be written down: who waits is told to come again, and the group goes on preparing.
    fn postpone_generation(&mut self, name: &str, error: ResponseError, now_ms: i64) {
        let Some(group) = self.groups.get_mut(name) else { return };
        for (id, member) in &mut group.members {
            if let Some(waiter) = member.joining.take() {
                member.alive(now_ms);
                drop(waiter.send(join_failed(error, id)));
            }
        }
        let timeout_ms = group.rebalance_timeout_ms();
        if let Some(joining) = group.joining.as_mut() {
            joining.deadline_ms = now_ms + timeout_ms.max(RETRY_MS);
        }
    }

    /// Removes members for good and calls the others to join without them. Who waits is told by losing its waiter.
    pub(super) fn remove_members(
        &mut self,
        name: &str,
        ids: &[String],
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let Some(group) = self.groups.get(name) else { return Ok(()) };
        // What is not in the journal need not be removed from it.
        let known = ids.iter().filter(|id| group.members.get(*id).is_some_and(|member| !member.new));
        let members: Vec<String> = known.cloned().collect();
        if !members.is_empty() {
            self.commit(vec![Entry::MembersRemoved { group: name.to_owned(), members }])?;
        }
        let Some(group) = self.groups.get_mut(name) else { return Ok(()) };
        for id in ids {
            drop(group.remove(id));
        }
        match group.state {
            GroupState::Empty => {}
            GroupState::PreparingRebalance => self.try_generation(name, now_ms),
            GroupState::CompletingRebalance | GroupState::Stable => self.rebalance(name, now_ms),
        }
        Ok(())
    }

    /// Does what is due in a group: members that are silent or late are removed, phases end.
    pub(super) fn tick_group(&mut self, name: &str, now_ms: i64) {
        let Some(group) = self.groups.get_mut(name) else { return };
        group.promised.retain(|_, until_ms| *until_ms > now_ms);
        let silent = |member: &&Member| member.dies_ms().is_some_and(|at_ms| at_ms <= now_ms);
        let mut gone: BTreeSet<String> =
            group.members.values().filter(silent).map(|member| member.record.id.clone()).collect();
        if group.sync_deadline_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            gone.extend(group.unsynced.iter().cloned());
            group.sync_deadline_ms = None;
        }
        if !gone.is_empty() {
            tracing::info!(group = name, members = ?gone, "members are silent and removed");
            let gone: Vec<String> = gone.into_iter().collect();
            if self.remove_members(name, &gone, now_ms).is_err() {
                self.spare(name, &gone, now_ms);
            }
        }
        self.try_generation(name, now_ms);
        self.watch_group(name);
    }

    /// The removal of members cannot be written down: it is tried again a little later.
    fn spare(&mut self, name: &str, ids: &[String], now_ms: i64) {
        let Some(group) = self.groups.get_mut(name) else { return };
        for id in ids {
            if let Some(member) = group.members.get_mut(id) {
                member.deadline_ms = member.deadline_ms.max(now_ms + RETRY_MS);
            }
        }
        if !group.unsynced.is_empty() {
            group.sync_deadline_ms = Some(now_ms + RETRY_MS);
        }
    }
}

/// The record of the generation that `kept` members make: a leader that joined, and the protocol with most votes.
fn next_generation(name: &str, group: &Group, kept: &[&Member], now_ms: i64) -> GroupRecord {
    let joined =
        |id: &&String| kept.iter().any(|member| member.record.id == **id && member.joining.is_some());
    let first = || kept.iter().find(|member| member.joining.is_some()).map(|member| member.record.id.clone());
    let members =
        kept.iter().map(|member| MemberRecord { assignment: Opaque::default(), ..member.record.clone() });
    GroupRecord {
        state: if kept.is_empty() { GroupState::Empty } else { GroupState::CompletingRebalance },
        generation: group.generation.checked_add(1).unwrap_or(1),
        protocol: Group::elect_protocol(&kept.iter().copied()),
        leader: group.leader.as_ref().filter(joined).cloned().or_else(first),
        since_ms: now_ms,
        ..group.record(name, members.collect())
    }
}
