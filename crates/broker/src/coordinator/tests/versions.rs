//! Every answer must fit every version of its request: the codec refuses fields that a version does not have.

use bytes::BytesMut;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeGroupsRequest, EndTxnRequest,
    HeartbeatRequest, InitProducerIdRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::Encodable;

use super::{DELAY_MS, Harness, context, later, now};
use crate::coordinator::Answer;
use crate::coordinator::group::text;

fn fits<T: Encodable>(response: &T, version: i16) {
    let mut buffer = BytesMut::new();
    response.encode(&mut buffer, version).unwrap();
}

#[test]
fn answers_to_members_fit() {
    for version in 0..=9 {
        let mut harness = Harness::new();
        fits(&now(harness.join_as("", "", None, &["range"], version)), version);
        let joining = harness.join_as("g", "", Some("a"), &["range"], version);
        harness.wait(DELAY_MS);
        let joined = later(joining);
        fits(&joined, version);
        fits(&now(harness.sync("g", &joined, &[])), version.min(5));
        fits(&now(harness.join_as("g", "", Some("a"), &["range"], version)), version);
        match harness.join_as("g", "", None, &["range"], version) {
            Answer::Now(response) => fits(&response, version),
            Answer::Later(_) => assert!(version < 4),
        }
        let unknown = HeartbeatRequest::default().with_group_id(text("g").into());
        fits(&harness.state.heartbeat(&unknown, harness.now_ms), version.min(4));
        let member = MemberIdentity::default().with_group_instance_id(Some(text("a")));
        let members = if version < 3 { Vec::new() } else { vec![member] };
        let leave = LeaveGroupRequest::default().with_group_id(text("g").into()).with_members(members);
        let version = version.min(5);
        fits(&harness.state.leave(&leave, &context(version), harness.now_ms), version);
    }
}

#[test]
fn answers_about_groups_fit() {
    let mut harness = Harness::new();
    harness.stable("g");
    for version in 0..=6 {
        let names = vec![text("g").into(), text("none").into()];
        let request = DescribeGroupsRequest::default()
            .with_groups(names)
            .with_include_authorized_operations(version >= 3);
        fits(&harness.state.describe_groups(&request, &context(version)), version);
        fits(&harness.state.list_groups(&ListGroupsRequest::default()), version.min(5));
    }
}

#[test]
fn answers_about_offsets_fit() {
    let mut harness = Harness::new();
    for version in 2..=9 {
        let partition = OffsetCommitRequestPartition::default().with_committed_metadata(None);
        let topic =
            OffsetCommitRequestTopic::default().with_name(text("t1").into()).with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        fits(&harness.state.offset_commit(&request, &context(version), harness.now_ms), version);
    }
    for version in 1..=9 {
        let request = if version < 8 {
            let topic = OffsetFetchRequestTopic::default()
                .with_name(text("t1").into())
                .with_partition_indexes(vec![0, 1]);
            OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(Some(vec![topic]))
        } else {
            let topic = OffsetFetchRequestTopics::default()
                .with_name(text("t1").into())
                .with_partition_indexes(vec![0, 1]);
            let one = OffsetFetchRequestGroup::default()
                .with_group_id(text("g").into())
                .with_topics(Some(vec![topic]));
            let all = OffsetFetchRequestGroup::default().with_group_id(text("g").into()).with_topics(None);
            OffsetFetchRequest::default().with_groups(vec![one, all])
        };
        let response = harness.state.offset_fetch(&request, &context(version));
        fits(&response, version);
        let committed = match response.groups.first() {
            Some(group) => group.topics[0].partitions[0].committed_offset,
            None => response.topics[0].partitions[0].committed_offset,
        };
        assert_eq!(committed, 0);
    }
}

#[test]
fn answers_to_producers_fit() {
    let mut harness = Harness::new();
    for version in 0..=5 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(text("x").into()))
            .with_transaction_timeout_ms(1_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        fits(&harness.state.init_producer_id(&request, &context(version), harness.now_ms), version);
        let topic = AddPartitionsToTxnTopic::default().with_name(text("t1").into()).with_partitions(vec![0]);
        let request = AddPartitionsToTxnRequest::default().with_v3_and_below_topics(vec![topic]);
        let three = version.min(3);
        fits(&harness.state.add_partitions(&request, &context(three), harness.now_ms), three);
        let four = version.min(4);
        let request = AddOffsetsToTxnRequest::default();
        fits(&harness.state.add_offsets(&request, &context(four), harness.now_ms), four);
        let request = TxnOffsetCommitRequest::default();
        fits(&harness.state.txn_offset_commit(&request, &context(four), harness.now_ms), four);
        let request = EndTxnRequest::default();
        fits(&harness.state.end_txn(&request, &context(four), harness.now_ms), four);
    }
}
