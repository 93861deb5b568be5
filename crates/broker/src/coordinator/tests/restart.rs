//! What a process that ends at any instant leaves to the next one, and what a full disk does.

use kafka_protocol::ResponseError;

use super::offsets::{commit, fetch, fetch_stable};
use super::transactions::{add, add_group, end, init, opened, send_offset, state_of};
use super::{DELAY_MS, Harness, SESSION_MS, error, later, now, waits};
use crate::coordinator::Partitions as _;

#[test]
fn members_go_on_after_a_restart() {
    let mut harness = Harness::new();
    let joined = harness.stable("g");
    let id = joined.member_id.as_str();
    assert_eq!(commit(&mut harness, "g", (id, 1), ("t1", 0), 5), None);
    harness.wait(SESSION_MS - 1);
    harness.restart();
    harness.wait(SESSION_MS - 1);
    assert_eq!(harness.beat("g", id, 1), None);
    assert_eq!(commit(&mut harness, "g", (id, 1), ("t1", 1), 6), None);
    assert_eq!(&now(harness.sync("g", &joined, &[])).assignment[..], b"all");
    assert_eq!((fetch(&harness, "g", "t1", 0), fetch(&harness, "g", "t1", 1)), (5, 6));
    // Who does not come back is removed after its session.
    harness.restart();
    harness.wait(SESSION_MS);
    assert_eq!(harness.beat("g", id, 1), Some(ResponseError::UnknownMemberId));
}

#[test]
fn a_generation_that_was_told_is_completed_after_a_restart() {
    let mut harness = Harness::new();
    let id = harness.promise("g");
    let joining = harness.join("g", &id);
    harness.wait(DELAY_MS);
    let joined = later(joining);
    harness.restart();
    assert_eq!(harness.beat("g", &id, 1), None);
    let synced = now(harness.sync("g", &joined, &[(&id, "all")]));
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
}

#[test]
fn a_rebalance_that_was_under_way_is_called_off_by_a_restart() {
    let mut harness = Harness::new();
    let leader = harness.stable("g").member_id;
    let second = harness.promise("g");
    waits(harness.join("g", &second));
    assert_eq!(harness.beat("g", &leader, 1), Some(ResponseError::RebalanceInProgress));
    // The journal may be rewritten at any time.
    harness.state.rewrite().unwrap();
    harness.restart();
    assert_eq!(harness.beat("g", &leader, 1), None);
    let refused = now(harness.join("g", &second));
    assert_eq!(error(refused.error_code), Some(ResponseError::UnknownMemberId));
}

#[test]
fn who_left_stays_away_after_a_restart() {
    use kafka_protocol::messages::LeaveGroupRequest;
    let mut harness = Harness::new();
    let id = harness.stable("g").member_id;
    let request = LeaveGroupRequest::default()
        .with_group_id(crate::coordinator::group::text("g").into())
        .with_member_id(id.clone());
    assert_eq!(harness.state.leave(&request, &super::context(2), harness.now_ms).error_code, 0);
    harness.restart();
    assert_eq!(harness.beat("g", &id, 1), Some(ResponseError::UnknownMemberId));
}

#[test]
fn an_open_transaction_goes_on_after_a_restart() {
    let mut harness = Harness::new();
    let producer = opened(&mut harness, "x");
    assert_eq!(add_group(&mut harness, "x", producer, "g"), None);
    assert_eq!(send_offset(&mut harness, "x", producer, ("g", "", -1), 5), None);
    harness.restart();
    assert_eq!(fetch_stable(&harness, "g", "t1", 0), Err(ResponseError::UnstableOffsetCommit));
    assert_eq!(harness.memory.produce("t1", 0, producer, 2), Ok(()));
    harness.state.rewrite().unwrap();
    harness.restart();
    assert_eq!(end(&mut harness, "x", producer, true), None);
    assert_eq!(fetch(&harness, "g", "t1", 0), 5);
    assert!(harness.memory.logs().committed.contains(&2));
}

#[test]
fn an_open_transaction_times_out_across_a_restart() {
    let mut harness = Harness::new();
    opened(&mut harness, "x");
    harness.wait(59_000);
    harness.restart();
    harness.wait(999);
    assert_eq!(state_of(&harness, "x"), "Ongoing");
    harness.wait(1);
    assert_eq!(state_of(&harness, "x"), "CompleteAbort");
}

#[test]
fn a_decided_transaction_is_completed_at_the_start() {
    let mut harness = Harness::new();
    let producer = opened(&mut harness, "x");
    assert_eq!(add_group(&mut harness, "x", producer, "g"), None);
    assert_eq!(send_offset(&mut harness, "x", producer, ("g", "", -1), 5), None);
    harness.memory.logs().full = true;
    assert_eq!(end(&mut harness, "x", producer, true), None);
    harness.restart();
    assert_eq!(state_of(&harness, "x"), "PrepareCommit");
    harness.memory.logs().full = false;
    harness.restart();
    assert_eq!((state_of(&harness, "x").as_str(), fetch(&harness, "g", "t1", 0)), ("CompleteCommit", 5));
    assert!(harness.memory.logs().committed.contains(&1));
}

#[test]
fn what_is_open_in_a_log_and_known_to_nobody_is_aborted() {
    let mut harness = Harness::new();
    let known = opened(&mut harness, "x");
    harness.memory.begin_transaction("t2", 0, 9_999, 3).unwrap();
    harness.memory.produce("t2", 0, (9_999, 3), 7).unwrap();
    harness.restart();
    assert!(harness.memory.logs().aborted.contains(&7));
    assert_eq!(end(&mut harness, "x", known, true), None);
    assert!(harness.memory.logs().committed.contains(&1));
}

#[test]
fn a_full_disk_changes_nothing_and_is_told() {
    let mut harness = Harness::new();
    let id = harness.stable("g").member_id;
    let producer = init(&mut harness, "x", None).unwrap();
    assert_eq!(commit(&mut harness, "g", (&id, 1), ("t1", 0), 5), None);

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = harness.state.journal.swap_file(full);
    let unavailable = Some(ResponseError::CoordinatorNotAvailable);
    assert_eq!(commit(&mut harness, "g", (&id, 1), ("t1", 0), 6), unavailable);
    assert_eq!(add(&mut harness, "x", producer, ("t1", 0)), unavailable);
    assert_eq!(init(&mut harness, "x", None), Err(ResponseError::CoordinatorNotAvailable));
    let joining = later(harness.join("g", &id));
    assert_eq!(error(joining.error_code), unavailable);
    assert_eq!(fetch(&harness, "g", "t1", 0), 5);
    // A member that cannot be removed in the journal is kept for a while.
    harness.wait(SESSION_MS + 1);
    assert_eq!(harness.beat("g", &id, 1), Some(ResponseError::RebalanceInProgress));

    harness.state.journal.swap_file(file);
    let joined = later(harness.join("g", &id));
    assert_eq!((joined.error_code, joined.generation_id), (0, 2));
    assert_eq!(now(harness.sync("g", &joined, &[])).error_code, 0);
    assert_eq!(commit(&mut harness, "g", (&id, 2), ("t1", 0), 7), None);
    assert_eq!(add(&mut harness, "x", producer, ("t1", 0)), None);
    harness.restart();
    assert_eq!((fetch(&harness, "g", "t1", 0), state_of(&harness, "x").as_str()), (7, "Ongoing"));
}
