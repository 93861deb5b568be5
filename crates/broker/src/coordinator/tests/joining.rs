//! `JoinGroup`: who gets in, when the generation begins, and with which protocol.

use kafka_protocol::ResponseError;

use super::{DELAY_MS, Harness, REBALANCE_MS, SESSION_MS, error, later, now, waits};
use crate::coordinator::join::MAX_MEMBERS;

#[test]
fn a_member_id_is_promised_from_version_4_on() {
    let mut harness = Harness::new();
    let id = harness.promise("g");
    assert!(id.starts_with("client-"));
    let joining = harness.join("g", &id);
    harness.wait(DELAY_MS);
    let joined = later(joining);
    assert_eq!((joined.error_code, joined.generation_id, joined.member_id.as_str()), (0, 1, id.as_str()));
    assert_eq!(joined.members.len(), 1);

    let old = harness.join_as("old", "", None, &["range"], 3);
    harness.wait(DELAY_MS);
    assert!(later(old).member_id.starts_with("client-"));
}

#[test]
fn a_promise_expires_with_the_session() {
    let mut harness = Harness::new();
    let id = harness.promise("g");
    harness.wait(SESSION_MS + 1);
    let refused = now(harness.join("g", &id));
    assert_eq!(error(refused.error_code), Some(ResponseError::UnknownMemberId));
}

#[test]
fn the_first_generation_waits_for_more_members_and_is_extended_while_they_come() {
    let mut harness = Harness::new();
    let (first, second) = (harness.promise("g"), harness.promise("g"));
    let joining_first = harness.join("g", &first);
    harness.wait(DELAY_MS - 1);
    let joining_second = harness.join("g", &second);
    harness.wait(1);
    let joining_first = waits(joining_first);
    harness.wait(DELAY_MS);
    let (joined, other) = (later(joining_first), later(joining_second));
    assert_eq!((joined.generation_id, joined.members.len()), (1, 2));
    assert_eq!((other.generation_id, other.members.len()), (1, 0));
    assert_eq!((other.leader.as_str(), joined.leader.as_str()), (first.as_str(), first.as_str()));
}

#[test]
fn what_cannot_be_in_a_group_is_refused() {
    let mut harness = Harness::new();
    let refused = |answer| error(now::<kafka_protocol::messages::JoinGroupResponse>(answer).error_code);
    assert_eq!(refused(harness.join("", "")), Some(ResponseError::InvalidGroupId));
    assert_eq!(refused(harness.join("g", "nobody")), Some(ResponseError::UnknownMemberId));
    assert_eq!(
        refused(harness.join_as("g", "", None, &[], 9)),
        Some(ResponseError::InconsistentGroupProtocol)
    );
    harness.stable("g");
    let other = harness.join_as("g", "", None, &["sticky"], 9);
    assert_eq!(refused(other), Some(ResponseError::InconsistentGroupProtocol));
    assert_eq!(refused(harness.join("g", "nobody")), Some(ResponseError::UnknownMemberId));
}

#[test]
fn the_protocol_that_all_have_and_most_prefer_is_elected() {
    let mut harness = Harness::new();
    let one = harness.join_as("g", "", None, &["sticky", "range"], 3);
    let two = harness.join_as("g", "", None, &["range", "sticky", "own"], 3);
    let three = harness.join_as("g", "", None, &["own", "range", "sticky"], 3);
    harness.wait(REBALANCE_MS);
    for answer in [one, two, three] {
        assert_eq!(later(answer).protocol_name.as_deref(), Some("range"));
    }
}

#[test]
fn who_does_not_join_again_in_time_is_removed() {
    let mut harness = Harness::new();
    let first = harness.stable("g").member_id;
    let second = harness.promise("g");
    let joining = harness.join("g", &second);
    assert_eq!(harness.beat("g", &first, 1), Some(ResponseError::RebalanceInProgress));
    for _ in 0..REBALANCE_MS / (SESSION_MS / 2) {
        harness.beat("g", &first, 1);
        harness.wait(SESSION_MS / 2);
    }
    let joined = later(joining);
    assert_eq!((joined.generation_id, joined.leader.as_str(), joined.members.len()), (2, second.as_str(), 1));
    assert_eq!(harness.beat("g", &first, 1), Some(ResponseError::UnknownMemberId));
}

#[test]
fn a_generation_begins_when_all_have_joined() {
    let mut harness = Harness::new();
    let first = harness.stable("g").member_id;
    let second = harness.promise("g");
    let joining_second = waits(harness.join("g", &second));
    let joined = later(harness.join("g", &first));
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    assert_eq!(later(joining_second).generation_id, 2);
}

#[test]
fn who_joins_again_without_a_change_is_told_the_generation() {
    let mut harness = Harness::new();
    let leader = harness.stable("g").member_id;
    let follower = harness.promise("g");
    let joining = harness.join("g", &follower);
    drop(harness.join("g", &leader));
    drop(later(joining));
    // The generation is being completed: the answers may have got lost.
    assert_eq!(now(harness.join("g", &follower)).generation_id, 2);
    assert_eq!(now(harness.join("g", &leader)).members.len(), 2);
    // A follower with other protocols has everybody join.
    let changed = harness.join_as("g", &follower, None, &["range", "sticky"], 9);
    waits(changed);
    assert_eq!(harness.beat("g", &leader, 2), Some(ResponseError::RebalanceInProgress));
}

#[test]
fn the_leader_of_a_stable_group_has_it_assigned_anew_by_joining() {
    let mut harness = Harness::new();
    let leader = harness.stable("g").member_id;
    let joined = later(harness.join("g", &leader));
    assert_eq!(joined.generation_id, 2);
}

#[test]
fn a_member_that_asks_twice_gets_its_generation_once() {
    let mut harness = Harness::new();
    let id = harness.promise("g");
    let first = harness.join("g", &id);
    let second = harness.join("g", &id);
    harness.wait(DELAY_MS);
    assert_eq!(error(later(first).error_code), Some(ResponseError::RebalanceInProgress));
    assert_eq!(later(second).generation_id, 1);
}

#[test]
fn a_group_has_room_for_so_many() {
    let mut harness = Harness::new();
    let joining: Vec<_> = (0..MAX_MEMBERS).map(|_| harness.join_as("g", "", None, &["range"], 3)).collect();
    let refused = now(harness.join_as("g", "", None, &["range"], 3));
    assert_eq!(error(refused.error_code), Some(ResponseError::GroupMaxSizeReached));
    harness.wait(2 * DELAY_MS);
    assert!(joining.into_iter().map(later).all(|joined| joined.generation_id == 1));
    let refused = now(harness.join_as("g", "", None, &["range"], 3));
    assert_eq!(error(refused.error_code), Some(ResponseError::GroupMaxSizeReached));
}

#[test]
fn session_timeouts_have_bounds() {
    let mut harness = Harness::new();
    harness.state.bounds.session_timeouts_ms = (SESSION_MS + 1, SESSION_MS + 2);
    let refused = now(harness.join("g", ""));
    assert_eq!(error(refused.error_code), Some(ResponseError::InvalidSessionTimeout));
}
