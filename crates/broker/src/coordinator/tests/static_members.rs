//! Static members (KIP-345, KIP-814): they come back without a rebalance, and fence what they were before.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{HeartbeatRequest, JoinGroupResponse, LeaveGroupRequest};

use super::{DELAY_MS, Harness, REBALANCE_MS, SESSION_MS, context, error, later, now};
use crate::coordinator::group::text;

/// A stable group of the static members "a", which leads, and "b".
fn stable(harness: &mut Harness) -> (JoinGroupResponse, JoinGroupResponse) {
    let first = harness.join_as("g", "", Some("a"), &["range"], 9);
    let second = harness.join_as("g", "", Some("b"), &["range"], 9);
    harness.wait(2 * DELAY_MS);
    let (leader, follower) = (later(first), later(second));
    assert!(leader.member_id.starts_with("a-"));
    let waiting = harness.sync("g", &follower, &[]);
    let plan = [(leader.member_id.as_str(), "work a"), (follower.member_id.as_str(), "work b")];
    drop(harness.sync("g", &leader, &plan));
    assert_eq!(later(waiting).error_code, 0);
    (leader, follower)
}

fn beat(harness: &mut Harness, member: &str, instance: &str) -> Option<ResponseError> {
    let request = HeartbeatRequest::default()
        .with_group_id(text("g").into())
        .with_member_id(text(member))
        .with_group_instance_id(Some(text(instance)))
        .with_generation_id(1);
    error(harness.state.heartbeat(&request, harness.now_ms).error_code)
}

#[test]
fn a_restarted_member_goes_on_in_the_same_generation() {
    let mut harness = Harness::new();
    let (leader, follower) = stable(&mut harness);
    let back = now(harness.join_as("g", "", Some("b"), &["range"], 9));
    assert_eq!((back.error_code, back.generation_id, back.skip_assignment), (0, 1, false));
    assert_ne!(back.member_id, follower.member_id);
    assert_eq!(back.leader, leader.member_id);
    assert_eq!(&now(harness.sync("g", &back, &[])).assignment[..], b"work b");
    assert_eq!(beat(&mut harness, &follower.member_id, "b"), Some(ResponseError::FencedInstanceId));
    assert_eq!(beat(&mut harness, &back.member_id, "b"), None);
    assert_eq!(beat(&mut harness, &back.member_id, "c"), Some(ResponseError::UnknownMemberId));
}

#[test]
fn a_restarted_leader_leads_on_without_assigning() {
    let mut harness = Harness::new();
    let (leader, _) = stable(&mut harness);
    let back = now(harness.join_as("g", "", Some("a"), &["range"], 9));
    assert!(back.skip_assignment && back.members.len() == 2 && back.leader == back.member_id);
    // An older client is told that its former self leads, and so does not assign either.
    let again = now(harness.join_as("g", "", Some("a"), &["range"], 8));
    assert!(!again.skip_assignment && again.members.is_empty());
    assert_eq!(again.leader, back.member_id);
    assert_ne!(again.leader, leader.member_id);
    assert_eq!(&now(harness.sync("g", &again, &[])).assignment[..], b"work a");
}

#[test]
fn a_member_that_comes_back_while_its_former_self_waits_fences_it() {
    let mut harness = Harness::new();
    let first = harness.join_as("g", "", Some("a"), &["range"], 9);
    let second = harness.join_as("g", "", Some("a"), &["range"], 9);
    assert_eq!(error(later(first).error_code), Some(ResponseError::FencedInstanceId));
    harness.wait(2 * DELAY_MS);
    assert_eq!(later(second).members.len(), 1);
}

#[test]
fn other_protocols_of_a_restarted_member_may_need_a_rebalance() {
    let mut harness = Harness::new();
    let first = harness.join_as("g", "", Some("a"), &["range", "sticky"], 9);
    harness.wait(2 * DELAY_MS);
    let leader = later(first);
    drop(harness.sync("g", &leader, &[]));
    let joined = later(harness.join_as("g", "", Some("a"), &["sticky"], 9));
    assert_eq!((joined.generation_id, joined.protocol_name.as_deref()), (2, Some("sticky")));
}

#[test]
fn static_members_are_waited_for_but_not_forever() {
    let mut harness = Harness::new();
    let (leader, follower) = stable(&mut harness);
    // The leader has the group assigned anew, and "b" is late: it stays.
    let joining = harness.join("g", "");
    assert_eq!(error(now(joining).error_code), Some(ResponseError::MemberIdRequired));
    let joining = harness.join_as("g", &leader.member_id, Some("a"), &["range"], 9);
    for _ in 0..REBALANCE_MS / (SESSION_MS / 2) {
        beat(&mut harness, &follower.member_id, "b");
        harness.wait(SESSION_MS / 2);
    }
    let joined = later(joining);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    // Silence ends it all the same.
    harness.wait(SESSION_MS);
    assert_eq!(beat(&mut harness, &follower.member_id, "b"), Some(ResponseError::UnknownMemberId));
}

#[test]
fn an_operator_removes_a_static_member_by_its_instance() {
    let mut harness = Harness::new();
    let (leader, _) = stable(&mut harness);
    let remove = |instance: &str, member: &str| {
        let member = MemberIdentity::default()
            .with_group_instance_id(Some(text(instance)))
            .with_member_id(text(member));
        LeaveGroupRequest::default().with_group_id(text("g").into()).with_members(vec![member])
    };
    let mut left =
        |request| error(harness.state.leave(&request, &context(5), harness.now_ms).members[0].error_code);
    assert_eq!(left(remove("b", &leader.member_id)), Some(ResponseError::FencedInstanceId));
    assert_eq!(left(remove("c", "")), Some(ResponseError::UnknownMemberId));
    assert_eq!(left(remove("b", "")), None);
    assert_eq!(beat(&mut harness, &leader.member_id, "a"), Some(ResponseError::RebalanceInProgress));
}
