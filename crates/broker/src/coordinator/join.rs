//! `JoinGroup`: a member enters the next generation. KIP-394 (a member id is promised first), KIP-345 (static members)
//! and KIP-814 (the leader of an unchanged group is told to skip the assignment) are here.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use tokio::sync::oneshot;

use super::entry::{Entry, GroupState, MemberRecord, Opaque};
use super::group::{Group, Member, join_failed, sync_failed, text};
use super::state::State;
use super::{Answer, MAX_GROUPS};
use crate::server::Context;

/// Members of a group; one more is told that the group is full. Kafka's `group.max.size` is unlimited by default.
pub(super) const MAX_MEMBERS: usize = 1_000;

/// Bytes of what one member says of itself in a join, over all of its protocols.
const MAX_METADATA_BYTES: usize = 1 << 20;

/// Protocols that a member may name.
const MAX_PROTOCOLS: usize = 100;

/// How long a new member is waited for while a generation is prepared, whatever its session timeout is (Kafka's
/// `NewMemberJoinTimeoutMs`): its client cannot send heartbeats yet.
const NEW_MEMBER_TIMEOUT_MS: i64 = 5 * 60 * 1_000;

/// A rebalance timeout longer than this is taken for it: a day.
const MAX_REBALANCE_TIMEOUT_MS: i64 = 24 * 60 * 60 * 1_000;

/// From this version on a member without an id is given one to come back with (KIP-394).
const MEMBER_ID_REQUIRED_FROM: i16 = 4;

/// From this version on a leader can be told not to assign (KIP-814).
const SKIP_ASSIGNMENT_FROM: i16 = 9;

impl State {
    /// `JoinGroup`.
    pub(super) fn join(
        &mut self,
        request: &JoinGroupRequest,
        context: &Context,
        now_ms: i64,
    ) -> Answer<JoinGroupResponse> {
        let candidate = candidate(request, context);
        let name = request.group_id.as_str();
        let answer = match self.check_join(name, &candidate) {
            Ok(()) => self.admit(name, candidate, &request.protocol_type, context.api_version, now_ms),
            Err(error) => Err((error, candidate.id)),
        };
        self.watch_group(name);
        answer.unwrap_or_else(|(error, id)| Answer::Now(join_failed(error, &id)))
    }

    /// Refuses what no group could accept, and makes the group if a new member may found it.
    fn check_join(&self, name: &str, candidate: &MemberRecord) -> Result<(), ResponseError> {
        let (shortest, longest) = self.bounds.session_timeouts_ms;
        let metadata: usize =
            candidate.protocols.iter().map(|(name, metadata)| name.len() + metadata.0.len()).sum();
        if self.closing {
            Err(ResponseError::CoordinatorNotAvailable)
        } else if name.is_empty() {
            Err(ResponseError::InvalidGroupId)
        } else if !(shortest..=longest).contains(&candidate.session_timeout_ms) {
            Err(ResponseError::InvalidSessionTimeout)
        } else if metadata > MAX_METADATA_BYTES || candidate.protocols.len() > MAX_PROTOCOLS {
            Err(ResponseError::InvalidRequest)
        } else if self.groups.contains_key(name) {
            Ok(())
        } else if !candidate.id.is_empty() {
            Err(ResponseError::UnknownMemberId)
        } else if self.groups.len() >= MAX_GROUPS {
            Err(ResponseError::GroupMaxSizeReached)
        } else {
            Ok(())
        }
    }

    fn admit(
        &mut self,
        name: &str,
        mut candidate: MemberRecord,
        protocol_type: &str,
        version: i16,
        now_ms: i64,
    ) -> Result<Answer<JoinGroupResponse>, (ResponseError, String)> {
        let id = candidate.id.clone();
        let fresh_id = self.new_member_id(candidate.instance.as_deref().unwrap_or(&candidate.client_id));
        let founding = Group::new(now_ms);
        let group = self.groups.get(name).unwrap_or(&founding);
        if !has_room(group, &id) {
            return Err((ResponseError::GroupMaxSizeReached, String::new()));
        }
        if !group.supports(protocol_type, &candidate.protocols) {
            return Err((ResponseError::InconsistentGroupProtocol, id));
        }
        if group.promised.contains_key(&id) {
            return Ok(self.add_member(name, candidate, protocol_type, now_ms));
        }
        if !id.is_empty() {
            let checked = group.check_member(&id, candidate.instance.as_deref());
            return match checked {
                Ok(()) => Ok(self.rejoin(name, candidate, now_ms)),
                Err(error) => Err((error, id)),
            };
        }
        let holder =
            candidate.instance.as_deref().and_then(|instance| group.holder(instance)).map(str::to_owned);
        if let Some(holder) = holder {
            candidate.id = fresh_id;
            return self.replace_static(name, &holder, candidate, version >= SKIP_ASSIGNMENT_FROM, now_ms);
        }
        if candidate.instance.is_none() && version >= MEMBER_ID_REQUIRED_FROM {
            let until_ms = now_ms + candidate.session_timeout_ms;
            let group = self.groups.entry(name.to_owned()).or_insert(founding);
            group.promised.insert(fresh_id.clone(), until_ms);
            return Err((ResponseError::MemberIdRequired, fresh_id));
        }
        candidate.id = fresh_id;
        self.groups.entry(name.to_owned()).or_insert(founding);
        Ok(self.add_member(name, candidate, protocol_type, now_ms))
    }

    fn add_member(
        &mut self,
        name: &str,
        candidate: MemberRecord,
        protocol_type: &str,
        now_ms: i64,
    ) -> Answer<JoinGroupResponse> {
        let (waiter, answer) = oneshot::channel();
        let group = self.groups.entry(name.to_owned()).or_insert_with(|| Group::new(now_ms));
        let id = candidate.id.clone();
        group.promised.remove(&id);
        if group.members.is_empty() {
            group.protocol_type = Some(protocol_type.to_owned());
        }
        group.leader.get_or_insert_with(|| id.clone());
        if let Some(initial) = group.joining.as_mut().and_then(|joining| joining.initial.as_mut()) {
            initial.grown = true;
        }
        let deadline_ms = now_ms + NEW_MEMBER_TIMEOUT_MS;
        let member =
            Member { record: candidate, deadline_ms, new: true, joining: Some(waiter), syncing: None };
        group.members.insert(id, member);
        self.rebalance(name, now_ms);
        Answer::Later(answer)
    }

    /// A known member joins: again, with other protocols, or because its answer got lost.
    fn rejoin(&mut self, name: &str, candidate: MemberRecord, now_ms: i64) -> Answer<JoinGroupResponse> {
        let id = candidate.id.clone();
        let group = self.groups.get_mut(name).expect("a known member's group is there");
        let is_leader = group.leader.as_deref() == Some(id.as_str());
        let joined = group.joined(&id);
        let member = group.members.get_mut(&id).expect("the member was checked");
        let unchanged = member.record.protocols == candidate.protocols;
        let answer_again = match group.state {
            GroupState::CompletingRebalance => unchanged,
            // A leader joins a stable group to have it assigned anew.
            GroupState::Stable => unchanged && !is_leader,
            GroupState::PreparingRebalance | GroupState::Empty => false,
        };
        if answer_again {
            member.alive(now_ms);
            return Answer::Now(joined);
        }
        let answer = wait(member, candidate);
        self.rebalance(name, now_ms);
        Answer::Later(answer)
    }

    /// A static member came back without its id, so it was restarted: it takes the place of what it was before, whose
    /// requests are fenced from now on. A stable group goes on if its protocol stays.
    fn replace_static(
        &mut self,
        name: &str,
        holder: &str,
        candidate: MemberRecord,
        can_skip: bool,
        now_ms: i64,
    ) -> Result<Answer<JoinGroupResponse>, (ResponseError, String)> {
        let group = self.groups.get(name).expect("the holder's group is there");
        let old = group.members.get(holder).expect("the holder is a member");
        let old_leader = group.leader.clone().unwrap_or_default();
        let id = candidate.id.clone();
        let record = MemberRecord { assignment: old.record.assignment.clone(), ..candidate };
        if group.state == GroupState::Stable {
            let others = group.members.values().filter(|member| member.record.id != holder);
            let renewed =
                Member { record: record.clone(), deadline_ms: 0, new: false, joining: None, syncing: None };
            let elected = Group::elect_protocol(&others.clone().chain(std::iter::once(&renewed)));
            if elected == group.protocol {
                let members =
                    others.map(|member| member.record.clone()).chain(std::iter::once(record)).collect();
                let mut changed = group.record(name, members);
                if old_leader == holder {
                    changed.leader = Some(id.clone());
                }
                let unsynced = group.unsynced.iter().filter(|other| *other != holder).cloned().collect();
                let sync_deadline_ms = group.sync_deadline_ms;
                self.commit(vec![Entry::Group(changed)]).map_err(|error| (error, String::new()))?;
                let group = self.groups.get_mut(name).expect("it was just written");
                (group.unsynced, group.sync_deadline_ms) = (unsynced, sync_deadline_ms);
                return Ok(Answer::Now(welcome_back(group, &id, &old_leader, can_skip, now_ms)));
            }
        }
        Ok(self.swap_member(name, holder, record, now_ms))
    }

    /// Puts `record` in the place of the member `holder` and has it wait for the next generation.
    fn swap_member(
        &mut self,
        name: &str,
        holder: &str,
        record: MemberRecord,
        now_ms: i64,
    ) -> Answer<JoinGroupResponse> {
        let group = self.groups.get_mut(name).expect("the holder's group is there");
        let led = group.leader.as_deref() == Some(holder);
        let Some(mut member) = group.remove(holder) else {
            return Answer::Now(join_failed(ResponseError::UnknownMemberId, ""));
        };
        if let Some(waiter) = member.joining.take() {
            // Nobody listens if the old instance is gone, which is the rule.
            drop(waiter.send(join_failed(ResponseError::FencedInstanceId, holder)));
        }
        if let Some(waiter) = member.syncing.take() {
            drop(waiter.send(sync_failed(ResponseError::FencedInstanceId)));
        }
        let id = record.id.clone();
        member.alive(now_ms);
        let answer = wait(&mut member, record);
        group.members.insert(id.clone(), member);
        if led {
            group.leader = Some(id);
        }
        self.rebalance(name, now_ms);
        Answer::Later(answer)
    }
}

/// The member that the request is about, as it would be in the group.
fn candidate(request: &JoinGroupRequest, context: &Context) -> MemberRecord {
    // Version 0 has no rebalance timeout.
    let rebalance_timeout_ms =
        if context.api_version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    let protocols = request.protocols.iter().map(|protocol| {
        let metadata = Opaque::copy_of(&protocol.metadata);
        (protocol.name.to_string(), metadata)
    });
    MemberRecord {
        id: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(ToString::to_string),
        client_id: context.client_id.clone(),
        client_host: format!("/{}", context.client_host),
        session_timeout_ms: i64::from(request.session_timeout_ms),
        rebalance_timeout_ms: i64::from(rebalance_timeout_ms).clamp(0, MAX_REBALANCE_TIMEOUT_MS),
        protocols: protocols.collect(),
        assignment: Opaque::default(),
    }
}

/// Whether `id`, which is empty for a newcomer, may be in the next generation. While it is prepared those count who
/// wait already, so that a group that is too large loses those who come last.
fn has_room(group: &Group, id: &str) -> bool {
    if let Some(member) = group.members.get(id) {
        let preparing = group.state == GroupState::PreparingRebalance;
        return !preparing || member.joining.is_some() || group.waiting() < MAX_MEMBERS;
    }
    let present = match group.state {
        GroupState::PreparingRebalance => group.waiting(),
        GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable => group.members.len(),
    };
    let promised = group.promised.contains_key(id) || group.promised.len() < MAX_MEMBERS;
    promised && present < MAX_MEMBERS
}

/// Has `member`, with what it says of itself now, wait for the next generation.
fn wait(member: &mut Member, said: MemberRecord) -> oneshot::Receiver<JoinGroupResponse> {
    let (waiter, answer) = oneshot::channel();
    let assignment = std::mem::take(&mut member.record.assignment);
    member.record = MemberRecord { assignment, ..said };
    if let Some(earlier) = member.joining.replace(waiter) {
        // The same member asked twice; the newer request gets the generation.
        drop(earlier.send(join_failed(ResponseError::RebalanceInProgress, &member.record.id)));
    }
    answer
}

/// What a static member is told that came back to a stable group. A leader that cannot be told to skip the assignment
/// is told that its old id leads, so that it takes itself for a follower.
fn welcome_back(
    group: &mut Group,
    id: &str,
    old_leader: &str,
    can_skip: bool,
    now_ms: i64,
) -> JoinGroupResponse {
    if let Some(member) = group.members.get_mut(id) {
        member.alive(now_ms);
    }
    let answer = group.joined(id);
    if can_skip {
        let leads = group.leader.as_deref() == Some(id);
        return answer.with_skip_assignment(leads);
    }
    answer.with_leader(text(old_leader)).with_members(Vec::new())
}
