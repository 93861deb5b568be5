//! `SyncGroup`, Heartbeat and `LeaveGroup`: a member gets its assignment, lives, and goes.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use tokio::sync::oneshot;

use super::entry::{Entry, GroupState, MemberRecord, Opaque};
use super::group::{Group, sync_failed};
use super::state::State;
use super::{Answer, code};
use crate::server::Context;

/// From this version on `LeaveGroup` names several members, each with an error of its own.
const LEAVE_BATCH_FROM: i16 = 3;

impl State {
    /// `SyncGroup`.
    pub(super) fn sync(&mut self, request: &SyncGroupRequest, now_ms: i64) -> Answer<SyncGroupResponse> {
        let name = request.group_id.as_str();
        let answer = self.try_sync(name, request, now_ms);
        self.watch_group(name);
        answer.unwrap_or_else(|error| Answer::Now(sync_failed(error)))
    }

    fn try_sync(
        &mut self,
        name: &str,
        request: &SyncGroupRequest,
        now_ms: i64,
    ) -> Result<Answer<SyncGroupResponse>, ResponseError> {
        if self.closing {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let id = request.member_id.as_str();
        let group = self.members_group(name)?;
        group.check_generation(id, request.group_instance_id.as_deref(), request.generation_id)?;
        let differs = |asked: Option<&str>, is: &Option<String>| asked.is_some() && asked != is.as_deref();
        if differs(request.protocol_type.as_deref(), &group.protocol_type)
            || differs(request.protocol_name.as_deref(), &group.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        match group.state {
            GroupState::Empty => return Err(ResponseError::UnknownMemberId),
            GroupState::PreparingRebalance => return Err(ResponseError::RebalanceInProgress),
            GroupState::CompletingRebalance if group.leader.as_deref() == Some(id) => {
                self.assign(name, request, now_ms)?;
            }
            GroupState::CompletingRebalance => {
                let (waiter, answer) = oneshot::channel();
                group.has_synced(id);
                let member = group.members.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
                if let Some(earlier) = member.syncing.replace(waiter) {
                    // The same member asked twice; the newer request gets the assignment.
                    drop(earlier.send(sync_failed(ResponseError::RebalanceInProgress)));
                }
                return Ok(Answer::Later(answer));
            }
            GroupState::Stable => {}
        }
        let group = self.members_group(name)?;
        group.has_synced(id);
        if let Some(member) = group.members.get_mut(id) {
            member.alive(now_ms);
        }
        Ok(Answer::Now(group.synced(id)))
    }

    /// The leader's assignment becomes the generation's.
    fn assign(&mut self, name: &str, request: &SyncGroupRequest, now_ms: i64) -> Result<(), ResponseError> {
        let group = self.members_group(name)?;
        let assigned: BTreeMap<&str, &Bytes> = request
            .assignments
            .iter()
            .map(|assignment| (assignment.member_id.as_str(), &assignment.assignment))
            .collect();
        // Members that the leader left out have nothing to do.
        let members = group.members.values().map(|member| MemberRecord {
            assignment: assigned
                .get(member.record.id.as_str())
                .map(|bytes| Opaque::copy_of(bytes))
                .unwrap_or_default(),
            ..member.record.clone()
        });
        let mut record = group.record(name, members.collect());
        record.state = GroupState::Stable;
        record.since_ms = now_ms;
        let (unsynced, deadline_ms) = (group.unsynced.clone(), group.sync_deadline_ms);
        self.commit(vec![Entry::Group(record)])?;
        let group = self.members_group(name)?;
        (group.unsynced, group.sync_deadline_ms) = (unsynced, deadline_ms);
        let ids: Vec<String> = group.members.keys().cloned().collect();
        for id in ids {
            let answer = group.synced(&id);
            let Some(member) = group.members.get_mut(&id) else { continue };
            if let Some(waiter) = member.syncing.take() {
                member.alive(now_ms);
                // Nobody listens if the client is gone; its session will end.
                drop(waiter.send(answer));
            }
        }
        Ok(())
    }

    /// Heartbeat.
    pub(super) fn heartbeat(&mut self, request: &HeartbeatRequest, now_ms: i64) -> HeartbeatResponse {
        let beat = self.beat(request, now_ms);
        HeartbeatResponse::default().with_error_code(code(beat))
    }

    fn beat(&mut self, request: &HeartbeatRequest, now_ms: i64) -> Result<(), ResponseError> {
        let id = request.member_id.as_str();
        let group = self.members_group(&request.group_id)?;
        group.check_generation(id, request.group_instance_id.as_deref(), request.generation_id)?;
        if let Some(member) = group.members.get_mut(id) {
            member.alive(now_ms);
        }
        match group.state {
            GroupState::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            GroupState::Empty => Err(ResponseError::UnknownMemberId),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
        }
    }

    /// `LeaveGroup`.
    pub(super) fn leave(
        &mut self,
        request: &LeaveGroupRequest,
        context: &Context,
        now_ms: i64,
    ) -> LeaveGroupResponse {
        let name = request.group_id.as_str();
        let response = LeaveGroupResponse::default();
        if name.is_empty() {
            return response.with_error_code(ResponseError::InvalidGroupId.code());
        }
        if context.api_version < LEAVE_BATCH_FROM {
            let member = MemberIdentity::default().with_member_id(request.member_id.clone());
            let left = self.leave_member(name, &member, now_ms);
            self.watch_group(name);
            return response.with_error_code(code(left));
        }
        let members = request.members.iter().map(|member| {
            let left = self.leave_member(name, member, now_ms);
            MemberResponse::default()
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
                .with_error_code(code(left))
        });
        let members = members.collect();
        self.watch_group(name);
        response.with_members(members)
    }

    fn leave_member(
        &mut self,
        name: &str,
        leaving: &MemberIdentity,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let group = self.groups.get_mut(name).ok_or(ResponseError::UnknownMemberId)?;
        let (id, instance) = (leaving.member_id.as_str(), leaving.group_instance_id.as_deref());
        if group.promised.remove(id).is_some() {
            self.try_generation(name, now_ms);
            return Ok(());
        }
        // An operator removes a static member by its instance alone.
        let holder = instance.filter(|_| id.is_empty()).and_then(|instance| group.holder(instance));
        if holder.is_none() {
            group.check_member(id, instance)?;
        }
        let id = holder.unwrap_or(id).to_owned();
        tracing::info!(group = name, member = %id, "a member leaves");
        self.remove_members(name, &[id], now_ms)
    }

    /// The group of a request that only its members may send.
    fn members_group(&mut self, name: &str) -> Result<&mut Group, ResponseError> {
        if name.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        self.groups.get_mut(name).ok_or(ResponseError::UnknownMemberId)
    }
}

impl Group {
    /// The member asked for its assignment.
    fn has_synced(&mut self, id: &str) {
        self.unsynced.remove(id);
        if self.unsynced.is_empty() {
            self.sync_deadline_ms = None;
        }
    }
}
