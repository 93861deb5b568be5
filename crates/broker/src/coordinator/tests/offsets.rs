//! Committed offsets: who may commit, what is fetched, what expires.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};

use super::{DAY_MS, Harness, SESSION_MS, context, error, later, now};
use crate::coordinator::group::text;

/// Commits `offset` of a partition as nobody's member, or as a member of a generation.
pub(super) fn commit(
    harness: &mut Harness,
    group: &str,
    (member, generation): (&str, i32),
    (topic, partition): (&str, i32),
    offset: i64,
) -> Option<ResponseError> {
    let request = request(group, (member, generation), (topic, partition), offset, "note");
    let response = harness.state.offset_commit(&request, &context(8), harness.now_ms);
    error(response.topics[0].partitions[0].error_code)
}

fn request(
    group: &str,
    (member, generation): (&str, i32),
    (topic, partition): (&str, i32),
    offset: i64,
    metadata: &str,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(7)
        .with_committed_metadata(Some(text(metadata)));
    let topic =
        OffsetCommitRequestTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(text(group).into())
        .with_member_id(text(member))
        .with_generation_id_or_member_epoch(generation)
        .with_retention_time_ms(-1)
        .with_topics(vec![topic])
}

/// The offset of a partition, -1 if there is none.
pub(super) fn fetch(harness: &Harness, group: &str, topic: &str, partition: i32) -> i64 {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(text(topic).into())
        .with_partition_indexes(vec![partition]);
    let request =
        OffsetFetchRequest::default().with_group_id(text(group).into()).with_topics(Some(vec![topic]));
    let response = harness.state.offset_fetch(&request, &context(7));
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    partition.committed_offset
}

/// [`fetch`], but not what an open transaction may replace.
pub(super) fn fetch_stable(
    harness: &Harness,
    group: &str,
    topic: &str,
    partition: i32,
) -> Result<i64, ResponseError> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(text(topic).into())
        .with_partition_indexes(vec![partition]);
    let group =
        OffsetFetchRequestGroup::default().with_group_id(text(group).into()).with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true);
    let response = harness.state.offset_fetch(&request, &context(8));
    let partition = &response.groups[0].topics[0].partitions[0];
    error(partition.error_code).map_or(Ok(partition.committed_offset), Err)
}

const NOBODY: (&str, i32) = ("", -1);

#[test]
fn simple_consumers_commit_to_a_group_of_their_own() {
    let mut harness = Harness::new();
    assert_eq!(fetch(&harness, "g", "t1", 0), -1);
    assert_eq!(commit(&mut harness, "g", NOBODY, ("t1", 0), 42), None);
    assert_eq!((fetch(&harness, "g", "t1", 0), fetch(&harness, "g", "t1", 1)), (42, -1));
    let request = OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(None);
    let response = harness.state.offset_fetch(&request, &context(7));
    let partition = &response.topics[0].partitions[0];
    assert_eq!((partition.committed_leader_epoch, partition.metadata.as_deref()), (7, Some("note")));
    assert_eq!(fetch_stable(&harness, "g", "t1", 0), Ok(42));
    assert_eq!(fetch_stable(&harness, "none", "t1", 0), Ok(-1));
}

#[test]
fn members_commit_for_their_generation_only() {
    let mut harness = Harness::new();
    assert_eq!(commit(&mut harness, "g", ("m", 1), ("t1", 0), 1), Some(ResponseError::IllegalGeneration));
    let late = request("g", ("m", 1), ("t1", 0), 1, "");
    let response = harness.state.offset_commit(&late, &context(9), harness.now_ms);
    assert_eq!(error(response.topics[0].partitions[0].error_code), Some(ResponseError::GroupIdNotFound));

    let joined = harness.stable("g");
    let id = joined.member_id.as_str();
    assert_eq!(commit(&mut harness, "g", (id, 1), ("t1", 0), 5), None);
    assert_eq!(commit(&mut harness, "g", (id, 2), ("t1", 0), 6), Some(ResponseError::IllegalGeneration));
    assert_eq!(commit(&mut harness, "g", ("other", 1), ("t1", 0), 6), Some(ResponseError::UnknownMemberId));
    assert_eq!(commit(&mut harness, "g", NOBODY, ("t1", 0), 6), Some(ResponseError::UnknownMemberId));
    // A commit is a sign of life.
    harness.wait(SESSION_MS - 1);
    assert_eq!(commit(&mut harness, "g", (id, 1), ("t1", 0), 7), None);
    harness.wait(SESSION_MS - 1);
    assert_eq!(harness.beat("g", id, 1), None);
    // While a generation is completed, members do not have their partitions.
    drop(later(harness.join("g", id)));
    assert_eq!(commit(&mut harness, "g", (id, 2), ("t1", 0), 8), Some(ResponseError::RebalanceInProgress));
    assert_eq!(fetch(&harness, "g", "t1", 0), 7);
}

#[test]
fn what_is_not_there_or_too_large_is_not_committed() {
    let mut harness = Harness::new();
    assert_eq!(
        commit(&mut harness, "g", NOBODY, ("none", 0), 1),
        Some(ResponseError::UnknownTopicOrPartition)
    );
    assert_eq!(commit(&mut harness, "g", NOBODY, ("t1", 9), 1), Some(ResponseError::UnknownTopicOrPartition));
    let large = request("g", NOBODY, ("t1", 0), 1, &"x".repeat(4_097));
    let response = harness.state.offset_commit(&large, &context(8), harness.now_ms);
    assert_eq!(
        error(response.topics[0].partitions[0].error_code),
        Some(ResponseError::OffsetMetadataTooLarge)
    );
}

#[test]
fn offsets_of_subscribed_topics_are_not_deleted() {
    let mut harness = Harness::new();
    let delete = |harness: &mut Harness, group: &str, topic: &str| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(text(topic).into())
            .with_partitions(vec![partition]);
        let request =
            OffsetDeleteRequest::default().with_group_id(text(group).into()).with_topics(vec![topic]);
        let response = harness.state.offset_delete(&request);
        error(response.error_code).or_else(|| error(response.topics[0].partitions[0].error_code))
    };
    assert_eq!(delete(&mut harness, "g", "t1"), Some(ResponseError::GroupIdNotFound));
    let id = harness.stable("g").member_id;
    assert_eq!(commit(&mut harness, "g", (&id, 1), ("t1", 0), 1), None);
    assert_eq!(commit(&mut harness, "g", (&id, 1), ("t2", 0), 2), None);
    assert_eq!(delete(&mut harness, "g", "t1"), Some(ResponseError::GroupSubscribedToTopic));
    assert_eq!(delete(&mut harness, "g", "t2"), None);
    assert_eq!((fetch(&harness, "g", "t1", 0), fetch(&harness, "g", "t2", 0)), (1, -1));
    harness.wait(SESSION_MS);
    assert_eq!(delete(&mut harness, "g", "t1"), None);
    assert_eq!(fetch(&harness, "g", "t1", 0), -1);
}

#[test]
fn offsets_expire_when_nobody_uses_them() {
    let mut harness = Harness::new();
    assert_eq!(commit(&mut harness, "simple", NOBODY, ("t1", 0), 1), None);
    let id = harness.stable("g").member_id;
    assert_eq!(commit(&mut harness, "g", (&id, 1), ("t1", 0), 1), None);
    assert_eq!(commit(&mut harness, "g", (&id, 1), ("t2", 0), 2), None);
    for _ in 0..2 * DAY_MS / (SESSION_MS / 2) {
        harness.wait(SESSION_MS / 2);
        assert_eq!(harness.beat("g", &id, 1), None);
    }
    // The member is subscribed to t1, and not to t2.
    assert_eq!((fetch(&harness, "g", "t1", 0), fetch(&harness, "g", "t2", 0)), (1, -1));
    assert!(!harness.state.groups.contains_key("simple"));
    // The retention begins anew when the last member is gone.
    harness.wait(SESSION_MS + DAY_MS / 2);
    assert_eq!(fetch(&harness, "g", "t1", 0), 1);
    harness.wait(DAY_MS);
    assert!(harness.state.groups.is_empty());
}

#[test]
fn clients_may_set_the_retention_up_to_version_4() {
    let mut harness = Harness::new();
    let short = request("g", NOBODY, ("t1", 0), 1, "").with_retention_time_ms(1_000);
    drop(harness.state.offset_commit(&short, &context(4), harness.now_ms));
    assert_eq!(fetch(&harness, "g", "t1", 0), 1);
    harness.wait(DAY_MS / 2);
    assert_eq!(fetch(&harness, "g", "t1", 0), -1);
}

#[test]
fn offsets_of_a_deleted_topic_are_dropped() {
    let mut harness = Harness::new();
    assert_eq!(commit(&mut harness, "g", NOBODY, ("t1", 0), 1), None);
    assert_eq!(commit(&mut harness, "g", NOBODY, ("t2", 0), 2), None);
    harness.state.forget_partitions(|topic, _| topic == "t1").unwrap();
    assert_eq!((fetch(&harness, "g", "t1", 0), fetch(&harness, "g", "t2", 0)), (-1, 2));
    // One that was deleted without the coordinator hearing of it is missed at the next start.
    harness.memory.logs().deleted.insert("t2".to_owned());
    harness.restart();
    assert_eq!(fetch(&harness, "g", "t2", 0), -1);
    assert_eq!(now(harness.join("g", "")).error_code, ResponseError::MemberIdRequired.code());
}
