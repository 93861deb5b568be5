//! One group of the classic protocol: its members and their votes, and who waits for what. What a request does to a
//! group is in `join`, `sync` and `rebalance`; its offsets are in `offsets`.
//!
//! Invariants: a static member's instance is of exactly one member; a leader is a member; members wait for their join
//! only while the group prepares a rebalance, and for their sync only while it completes one.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::entry::{GroupRecord, GroupState, MemberRecord, Opaque};
use super::offsets::Offsets;

/// A group, and all that is known of it.
pub(super) struct Group {
    pub(super) state: GroupState,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Ids that were given to members which have not joined with them yet (KIP-394), and until when they may.
    pub(super) promised: BTreeMap<String, i64>,
    /// Members of this generation that have not asked for their assignment yet.
    pub(super) unsynced: BTreeSet<String>,
    /// When members that have not asked for their assignment are removed.
    pub(super) sync_deadline_ms: Option<i64>,
    /// What ends the phase of joining; given exactly while the group prepares a rebalance.
    pub(super) joining: Option<Joining>,
    /// Since when the group has been in its state.
    pub(super) since_ms: i64,
    pub(super) offsets: Offsets,
    /// Offsets of open transactions, by producer id.
    pub(super) pending: BTreeMap<i64, Offsets>,
}

/// The phase in which members join.
pub(super) struct Joining {
    /// When it ends at the latest.
    pub(super) deadline_ms: i64,
    /// The state before, which the journal still has.
    pub(super) before: GroupState,
    /// Set for the first rebalance of an empty group, which waits for more members.
    pub(super) initial: Option<InitialDelay>,
}

/// The delay before the first generation of an empty group, extended while members arrive.
pub(super) struct InitialDelay {
    /// By how much it may still be extended.
    pub(super) remaining_ms: i64,
    /// Somebody joined since it was last extended.
    pub(super) grown: bool,
}

/// A member.
pub(super) struct Member {
    pub(super) record: MemberRecord,
    /// When it is taken for dead, unless it waits for an answer.
    pub(super) deadline_ms: i64,
    /// It has not been in a generation yet.
    pub(super) new: bool,
    pub(super) joining: Option<oneshot::Sender<JoinGroupResponse>>,
    pub(super) syncing: Option<oneshot::Sender<SyncGroupResponse>>,
}

impl Member {
    /// When the member is taken for dead; `None` while it waits for an answer of ours.
    pub(super) fn dies_ms(&self) -> Option<i64> {
        let waits = self.joining.is_some() || self.syncing.is_some();
        (self.new || !waits).then_some(self.deadline_ms)
    }

    /// The member was heard of.
    pub(super) fn alive(&mut self, now_ms: i64) {
        self.deadline_ms = now_ms + self.record.session_timeout_ms;
    }

    /// What the member said of itself for `protocol`.
    pub(super) fn metadata(&self, protocol: &str) -> Opaque {
        let found = self.record.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}

impl Group {
    /// A group that nobody is in.
    pub(super) fn new(now_ms: i64) -> Self {
        Self {
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            promised: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            sync_deadline_ms: None,
            joining: None,
            since_ms: now_ms,
            offsets: Offsets::default(),
            pending: BTreeMap::new(),
        }
    }

    /// The journal's form of the group as it is, with another list of members.
    pub(super) fn record(&self, group: &str, members: Vec<MemberRecord>) -> GroupRecord {
        GroupRecord {
            group: group.to_owned(),
            state: self.state,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members,
            since_ms: self.since_ms,
        }
    }

    /// Makes the group what `record` says. Those who wait keep waiting.
    pub(super) fn restore(&mut self, record: GroupRecord) {
        let mut before = std::mem::take(&mut self.members);
        for record in record.members {
            let member = match before.remove(&record.id) {
                Some(member) => Member { record, ..member },
                // Its deadline is set by whoever applies the record.
                None => Member { record, deadline_ms: i64::MAX, new: false, joining: None, syncing: None },
            };
            self.members.insert(member.record.id.clone(), member);
        }
        self.state = record.state;
        self.generation = record.generation;
        self.protocol_type = record.protocol_type;
        self.protocol = record.protocol;
        self.leader = record.leader;
        self.since_ms = record.since_ms;
        self.unsynced.clear();
        self.sync_deadline_ms = None;
        self.joining = None;
    }

    /// Forgets a member, or the promise of a member id.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        self.promised.remove(id);
        self.unsynced.remove(id);
        let member = self.members.remove(id);
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        member
    }

    /// The member of a static instance.
    pub(super) fn holder(&self, instance: &str) -> Option<&str> {
        let mut members = self.members.values();
        let found = members.find(|member| member.record.instance.as_deref() == Some(instance));
        found.map(|member| member.record.id.as_str())
    }

    /// Whether a request comes from a member (KIP-345: the instance's newest holder fences the others).
    pub(super) fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        match instance.map(|instance| self.holder(instance)) {
            Some(Some(holder)) if holder != id => Err(ResponseError::FencedInstanceId),
            Some(None) => Err(ResponseError::UnknownMemberId),
            _ if self.members.contains_key(id) => Ok(()),
            _ => Err(ResponseError::UnknownMemberId),
        }
    }

    /// [`Group::check_member`], and that the member speaks of the current generation.
    pub(super) fn check_generation(
        &self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.check_member(id, instance)?;
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// Whether a member with these protocols can be in the group, whose other members must have one of them in common.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(String, Opaque)]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| is_common(self.members.values(), name))
    }

    /// The protocol with the most votes: every member votes for the first of its protocols that all of them have. The
    /// first voter decides between equals. `None` if there are no members.
    pub(super) fn elect_protocol<'a>(members: &(impl Iterator<Item = &'a Member> + Clone)) -> Option<String> {
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in members.clone() {
            let names = member.record.protocols.iter().map(|(name, _)| name.as_str());
            let Some(vote) = { names }.find(|name| is_common(members.clone(), name)) else { continue };
            match votes.iter_mut().find(|(name, _)| *name == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    /// The longest rebalance timeout of the members, in milliseconds.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| member.record.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Whether nobody is missing for the next generation.
    pub(super) fn all_joined(&self) -> bool {
        self.promised.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// How many members wait for the next generation.
    pub(super) fn waiting(&self) -> usize {
        self.members.values().filter(|member| member.joining.is_some()).count()
    }

    /// When something is due, if anything is.
    pub(super) fn next_deadline_ms(&self) -> Option<i64> {
        let members = self.members.values().filter_map(Member::dies_ms);
        let promises = self.promised.values().copied();
        let phases =
            self.sync_deadline_ms.into_iter().chain(self.joining.as_ref().map(|joining| joining.deadline_ms));
        members.chain(promises).chain(phases).min()
    }

    /// What a member learns of the current generation: the leader is told all members, to assign them their work.
    pub(super) fn joined(&self, id: &str) -> JoinGroupResponse {
        let is_leader = self.leader.as_deref() == Some(id);
        JoinGroupResponse::default()
            .with_generation_id(self.generation)
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(Some(text(self.protocol.as_deref().unwrap_or_default())))
            .with_leader(text(self.leader.as_deref().unwrap_or_default()))
            .with_member_id(text(id))
            .with_members(if is_leader { self.roster() } else { Vec::new() })
    }

    fn roster(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| {
            JoinGroupResponseMember::default()
                .with_member_id(text(&member.record.id))
                .with_group_instance_id(member.record.instance.as_deref().map(text))
                .with_metadata(member.metadata(protocol).0)
        });
        members.collect()
    }

    /// What a member is told of its assignment.
    pub(super) fn synced(&self, id: &str) -> SyncGroupResponse {
        let assignment =
            self.members.get(id).map(|member| member.record.assignment.0.clone()).unwrap_or_default();
        SyncGroupResponse::default()
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(self.protocol.as_deref().map(text))
            .with_assignment(assignment)
    }
}

fn is_common<'a>(mut members: impl Iterator<Item = &'a Member>, protocol: &str) -> bool {
    members.all(|member| member.record.protocols.iter().any(|(name, _)| name == protocol))
}

/// A string of the state as the protocol's.
pub(super) fn text(string: &str) -> StrBytes {
    StrBytes::from_string(string.to_owned())
}

/// The answer to a join that failed.
pub(super) fn join_failed(error: ResponseError, id: &str) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error.code())
        .with_generation_id(NO_GENERATION)
        .with_protocol_name(Some(StrBytes::default()))
        .with_member_id(text(id))
}

/// The answer to a sync that failed.
pub(super) fn sync_failed(error: ResponseError) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(error.code())
}

/// What stands for no generation.
const NO_GENERATION: i32 = -1;
