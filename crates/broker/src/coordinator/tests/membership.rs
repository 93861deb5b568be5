//! `SyncGroup`, Heartbeat, `LeaveGroup`, and what silence leads to.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{
    DescribeGroupsRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};

use super::{DELAY_MS, Harness, REBALANCE_MS, SESSION_MS, context, error, later, now, waits};
use crate::coordinator::group::text;

/// Two members that have joined the first generation of "g", the leader first.
fn two(harness: &mut Harness) -> (JoinGroupResponse, JoinGroupResponse) {
    let (first, second) = (harness.promise("g"), harness.promise("g"));
    let first = harness.join("g", &first);
    let second = harness.join("g", &second);
    harness.wait(2 * DELAY_MS);
    (later(first), later(second))
}

fn state_of(harness: &Harness, group: &str) -> String {
    let request = DescribeGroupsRequest::default().with_groups(vec![text(group).into()]);
    harness.state.describe_groups(&request, &context(5)).groups[0].group_state.to_string()
}

#[test]
fn followers_wait_for_the_leader_s_assignment() {
    let mut harness = Harness::new();
    let (leader, follower) = two(&mut harness);
    let waiting = waits(harness.sync("g", &follower, &[]));
    assert_eq!(state_of(&harness, "g"), "CompletingRebalance");
    let plan = [(leader.member_id.as_str(), "a"), (follower.member_id.as_str(), "b")];
    let synced = now(harness.sync("g", &leader, &plan));
    assert_eq!(
        (synced.error_code, &synced.assignment[..], synced.protocol_name.as_deref()),
        (0, &b"a"[..], Some("range"))
    );
    assert_eq!(&later(waiting).assignment[..], b"b");
    assert_eq!(state_of(&harness, "g"), "Stable");
    // Asked for again it is the same, and nobody assigns again.
    assert_eq!(&now(harness.sync("g", &follower, &[])).assignment[..], b"b");
    assert_eq!(&now(harness.sync("g", &leader, &[])).assignment[..], b"a");
}

#[test]
fn a_sync_of_another_generation_group_or_protocol_is_refused() {
    let mut harness = Harness::new();
    let (_, follower) = two(&mut harness);
    let mut refused = |change: &dyn Fn(SyncGroupRequest) -> SyncGroupRequest| {
        let request = SyncGroupRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id(1)
            .with_member_id(follower.member_id.clone());
        error(now(harness.state.sync(&change(request), harness.now_ms)).error_code)
    };
    assert_eq!(refused(&|request| request.with_generation_id(2)), Some(ResponseError::IllegalGeneration));
    assert_eq!(refused(&|request| request.with_member_id(text("x"))), Some(ResponseError::UnknownMemberId));
    assert_eq!(
        refused(&|request| request.with_group_id(text("x").into())),
        Some(ResponseError::UnknownMemberId)
    );
    assert_eq!(
        refused(&|request| request.with_group_id(text("").into())),
        Some(ResponseError::InvalidGroupId)
    );
    let other = |request: SyncGroupRequest| request.with_protocol_name(Some(text("sticky")));
    assert_eq!(refused(&other), Some(ResponseError::InconsistentGroupProtocol));
    let other = |request: SyncGroupRequest| request.with_protocol_type(Some(text("connect")));
    assert_eq!(refused(&other), Some(ResponseError::InconsistentGroupProtocol));
}

#[test]
fn a_leader_that_does_not_assign_in_time_is_removed() {
    let mut harness = Harness::new();
    let (leader, follower) = two(&mut harness);
    let waiting = harness.sync("g", &follower, &[]);
    for _ in 0..=REBALANCE_MS / (SESSION_MS / 2) {
        harness.beat("g", &leader.member_id, 1);
        harness.wait(SESSION_MS / 2);
    }
    assert_eq!(error(later(waiting).error_code), Some(ResponseError::RebalanceInProgress));
    assert_eq!(harness.beat("g", &leader.member_id, 1), Some(ResponseError::UnknownMemberId));
    let joined = later(harness.join("g", &follower.member_id));
    assert_eq!((joined.generation_id, joined.leader), (2, follower.member_id));
}

#[test]
fn a_silent_member_is_removed_after_its_session() {
    let mut harness = Harness::new();
    let joined = harness.stable("g");
    harness.wait(SESSION_MS - 1);
    assert_eq!(harness.beat("g", &joined.member_id, 1), None);
    harness.wait(SESSION_MS - 1);
    assert_eq!(harness.beat("g", &joined.member_id, 2), Some(ResponseError::IllegalGeneration));
    assert_eq!(harness.beat("g", &joined.member_id, 1), None);
    harness.wait(SESSION_MS);
    assert_eq!(harness.beat("g", &joined.member_id, 1), Some(ResponseError::UnknownMemberId));
    assert_eq!(state_of(&harness, "g"), "Empty");
}

#[test]
fn a_member_whose_client_is_gone_while_it_waits_holds_nobody_up_for_long() {
    let mut harness = Harness::new();
    let (leader, follower) = two(&mut harness);
    drop(harness.sync("g", &follower, &[]));
    let plan = [(leader.member_id.as_str(), "a")];
    assert_eq!(now(harness.sync("g", &leader, &plan)).error_code, 0);
    harness.beat("g", &leader.member_id, 1);
    harness.wait(SESSION_MS - 1);
    harness.beat("g", &leader.member_id, 1);
    harness.wait(1);
    assert_eq!(harness.beat("g", &leader.member_id, 1), Some(ResponseError::RebalanceInProgress));
    assert_eq!(later(harness.join("g", &leader.member_id)).members.len(), 1);
}

#[test]
fn leaving_has_the_others_join() {
    let mut harness = Harness::new();
    let (leader, follower) = two(&mut harness);
    let plan = [(leader.member_id.as_str(), "a"), (follower.member_id.as_str(), "b")];
    drop(harness.sync("g", &leader, &plan));
    let leave = |member: &str| {
        let member = MemberIdentity::default().with_member_id(text(member));
        LeaveGroupRequest::default().with_group_id(text("g").into()).with_members(vec![member])
    };
    let left = harness.state.leave(&leave("nobody"), &context(5), harness.now_ms);
    assert_eq!(
        (left.error_code, error(left.members[0].error_code)),
        (0, Some(ResponseError::UnknownMemberId))
    );
    let left = harness.state.leave(&leave(&leader.member_id), &context(5), harness.now_ms);
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    assert_eq!(harness.beat("g", &follower.member_id, 1), Some(ResponseError::RebalanceInProgress));

    let old = LeaveGroupRequest::default()
        .with_group_id(text("g").into())
        .with_member_id(follower.member_id.clone());
    let left = harness.state.leave(&old, &context(2), harness.now_ms);
    assert_eq!((left.error_code, left.members.len()), (0, 0));
    assert_eq!(state_of(&harness, "g"), "Empty");
    let left = harness.state.leave(&old, &context(2), harness.now_ms);
    assert_eq!(error(left.error_code), Some(ResponseError::UnknownMemberId));
}

#[test]
fn a_member_that_is_removed_while_it_joins_is_told() {
    let mut harness = Harness::new();
    let leader = harness.stable("g").member_id;
    let id = harness.promise("g");
    let mut joining = harness.join("g", &id);
    let member = MemberIdentity::default().with_member_id(text(&id));
    let request = LeaveGroupRequest::default().with_group_id(text("g").into()).with_members(vec![member]);
    drop(harness.state.leave(&request, &context(5), harness.now_ms));
    let crate::coordinator::Answer::Later(answer) = &mut joining else { panic!("it does not wait") };
    assert_eq!(answer.try_recv().err(), Some(tokio::sync::oneshot::error::TryRecvError::Closed));
    assert_eq!(later(harness.join("g", &leader)).members.len(), 1);
}

#[test]
fn groups_are_listed_described_and_deleted() {
    use kafka_protocol::messages::{DeleteGroupsRequest, ListGroupsRequest};
    let mut harness = Harness::new();
    let joined = harness.stable("g");
    let list = |harness: &Harness, states: &[&str], types: &[&str]| {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|state| text(state)).collect())
            .with_types_filter(types.iter().map(|name| text(name)).collect());
        harness.state.list_groups(&request).groups
    };
    let listed = list(&harness, &["stable"], &["Classic"]);
    assert_eq!((listed[0].group_id.as_str(), listed[0].group_type.as_str()), ("g", "classic"));
    assert_eq!((list(&harness, &["Empty"], &[]).len(), list(&harness, &[], &["consumer"]).len()), (0, 0));

    let names = vec![text("g").into(), text("none").into()];
    let request =
        DescribeGroupsRequest::default().with_groups(names).with_include_authorized_operations(true);
    let described = harness.state.describe_groups(&request, &context(6)).groups;
    let member = &described[0].members[0];
    assert_eq!(
        (member.member_id.clone(), &member.member_assignment[..]),
        (joined.member_id.clone(), &b"all"[..])
    );
    assert_eq!((member.client_host.as_str(), described[0].authorized_operations), ("/127.0.0.1", 328));
    assert_eq!(error(described[1].error_code), Some(ResponseError::GroupIdNotFound));
    assert_eq!(harness.state.describe_groups(&request, &context(5)).groups[1].error_code, 0);

    let request =
        DeleteGroupsRequest::default().with_groups_names(vec![text("g").into(), text("none").into()]);
    let delete = |harness: &mut Harness| {
        let results = harness.state.delete_groups(&request).results;
        (error(results[0].error_code), error(results[1].error_code))
    };
    let not_found = Some(ResponseError::GroupIdNotFound);
    assert_eq!(delete(&mut harness), (Some(ResponseError::NonEmptyGroup), not_found));
    harness.wait(SESSION_MS);
    assert_eq!(delete(&mut harness), (None, not_found));
    assert_eq!(delete(&mut harness), (not_found, not_found));
}
