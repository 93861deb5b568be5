//! Transactions: what joins them, how they end, what their offsets do.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
    InitProducerIdRequest, ListTransactionsRequest, TxnOffsetCommitRequest,
};

use super::offsets::{fetch, fetch_stable};
use super::{DAY_MS, Harness, context, error, later};
use crate::coordinator::group::text;

/// A producer id and its epoch.
pub(super) type Producer = (i64, i16);

const TIMEOUT_MS: i64 = 60_000;

/// `InitProducerId`, with what the producer has if it has anything.
pub(super) fn init(
    harness: &mut Harness,
    id: &str,
    has: Option<Producer>,
) -> Result<Producer, ResponseError> {
    let (producer_id, epoch) = has.unwrap_or((-1, -1));
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(text(id).into()))
        .with_transaction_timeout_ms(TIMEOUT_MS as i32)
        .with_producer_id(producer_id.into())
        .with_producer_epoch(epoch);
    let response = harness.state.init_producer_id(&request, &context(4), harness.now_ms);
    error(response.error_code).map_or(Ok((response.producer_id.0, response.producer_epoch)), Err)
}

pub(super) fn add(
    harness: &mut Harness,
    id: &str,
    producer: Producer,
    at: (&str, i32),
) -> Option<ResponseError> {
    add_all(harness, id, producer, &[at])[0]
}

fn add_all(
    harness: &mut Harness,
    id: &str,
    producer: Producer,
    all: &[(&str, i32)],
) -> Vec<Option<ResponseError>> {
    let topics = all.iter().map(|(topic, partition)| {
        AddPartitionsToTxnTopic::default().with_name(text(topic).into()).with_partitions(vec![*partition])
    });
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(text(id).into())
        .with_v3_and_below_producer_id(producer.0.into())
        .with_v3_and_below_producer_epoch(producer.1)
        .with_v3_and_below_topics(topics.collect());
    let response = harness.state.add_partitions(&request, &context(3), harness.now_ms);
    let topics = response.results_by_topic_v3_and_below.iter();
    topics.map(|topic| error(topic.results_by_partition[0].partition_error_code)).collect()
}

pub(super) fn add_group(
    harness: &mut Harness,
    id: &str,
    producer: Producer,
    group: &str,
) -> Option<ResponseError> {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(text(id).into())
        .with_producer_id(producer.0.into())
        .with_producer_epoch(producer.1)
        .with_group_id(text(group).into());
    error(harness.state.add_offsets(&request, &context(3), harness.now_ms).error_code)
}

pub(super) fn send_offset(
    harness: &mut Harness,
    id: &str,
    producer: Producer,
    (group, member, generation): (&str, &str, i32),
    offset: i64,
) -> Option<ResponseError> {
    let partition =
        TxnOffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
    let topic =
        TxnOffsetCommitRequestTopic::default().with_name(text("t1").into()).with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(text(id).into())
        .with_group_id(text(group).into())
        .with_producer_id(producer.0.into())
        .with_producer_epoch(producer.1)
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_topics(vec![topic]);
    let response = harness.state.txn_offset_commit(&request, &context(3), harness.now_ms);
    error(response.topics[0].partitions[0].error_code)
}

pub(super) fn end(
    harness: &mut Harness,
    id: &str,
    producer: Producer,
    commit: bool,
) -> Option<ResponseError> {
    let request = EndTxnRequest::default()
        .with_transactional_id(text(id).into())
        .with_producer_id(producer.0.into())
        .with_producer_epoch(producer.1)
        .with_committed(commit);
    error(harness.state.end_txn(&request, &context(3), harness.now_ms).error_code)
}

/// A producer with an open transaction in `t1-0` that has produced batch 1.
pub(super) fn opened(harness: &mut Harness, id: &str) -> Producer {
    let producer = init(harness, id, None).unwrap();
    assert_eq!(add(harness, id, producer, ("t1", 0)), None);
    harness.memory.produce("t1", 0, producer, 1).unwrap();
    producer
}

pub(super) fn state_of(harness: &Harness, id: &str) -> String {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![text(id).into()]);
    harness.state.describe_transactions(&request).transaction_states[0].transaction_state.to_string()
}

const SIMPLE: (&str, &str, i32) = ("g", "", -1);

#[test]
fn a_commit_makes_batches_and_offsets_count() {
    let mut harness = Harness::new();
    let producer = opened(&mut harness, "x");
    assert_eq!(add_group(&mut harness, "x", producer, "g"), None);
    assert_eq!(send_offset(&mut harness, "x", producer, SIMPLE, 5), None);
    assert_eq!(fetch(&harness, "g", "t1", 0), -1);
    assert_eq!(fetch_stable(&harness, "g", "t1", 0), Err(ResponseError::UnstableOffsetCommit));
    assert_eq!(end(&mut harness, "x", producer, true), None);
    assert_eq!((fetch(&harness, "g", "t1", 0), fetch_stable(&harness, "g", "t1", 0)), (5, Ok(5)));
    assert!(harness.memory.logs().committed.contains(&1));
    assert_eq!(state_of(&harness, "x"), "CompleteCommit");
    // The answer may be lost: asked for again it is the same, and the opposite is refused.
    assert_eq!(end(&mut harness, "x", producer, true), None);
    assert_eq!(end(&mut harness, "x", producer, false), Some(ResponseError::InvalidTxnState));
    assert_eq!(harness.memory.logs().markers, 1);
    // The log takes no more of it until the next transaction.
    assert_eq!(harness.memory.produce("t1", 0, producer, 2), Err(ResponseError::InvalidTxnState));
    assert_eq!(add(&mut harness, "x", producer, ("t1", 0)), None);
    assert_eq!(harness.memory.produce("t1", 0, producer, 2), Ok(()));
}

#[test]
fn an_abort_undoes_batches_and_offsets() {
    let mut harness = Harness::new();
    let producer = opened(&mut harness, "x");
    assert_eq!(add_group(&mut harness, "x", producer, "g"), None);
    assert_eq!(send_offset(&mut harness, "x", producer, SIMPLE, 5), None);
    assert_eq!(end(&mut harness, "x", producer, false), None);
    assert_eq!(fetch_stable(&harness, "g", "t1", 0), Ok(-1));
    assert!(harness.memory.logs().aborted.contains(&1));
    assert_eq!(end(&mut harness, "x", producer, false), None);
    assert_eq!(end(&mut harness, "x", producer, true), Some(ResponseError::InvalidTxnState));
}

#[test]
fn only_what_is_open_ends() {
    let mut harness = Harness::new();
    let producer = init(&mut harness, "x", None).unwrap();
    assert_eq!(end(&mut harness, "x", producer, true), Some(ResponseError::InvalidTxnState));
    assert_eq!(end(&mut harness, "y", producer, true), Some(ResponseError::InvalidProducerIdMapping));
    assert_eq!(end(&mut harness, "", producer, true), Some(ResponseError::InvalidRequest));
    let other = (producer.0 + 1, producer.1);
    assert_eq!(end(&mut harness, "x", other, true), Some(ResponseError::InvalidProducerIdMapping));
    let newer = (producer.0, producer.1 + 1);
    assert_eq!(end(&mut harness, "x", newer, true), Some(ResponseError::ProducerFenced));
}

#[test]
fn one_partition_that_is_not_there_keeps_all_out() {
    let mut harness = Harness::new();
    let producer = init(&mut harness, "x", None).unwrap();
    let errors = add_all(&mut harness, "x", producer, &[("t1", 0), ("t1", 9)]);
    let expected = [ResponseError::OperationNotAttempted, ResponseError::UnknownTopicOrPartition];
    assert_eq!(errors, expected.map(Some));
    assert_eq!(state_of(&harness, "x"), "Empty");
}

#[test]
fn offsets_need_an_open_transaction_that_has_the_group() {
    let mut harness = Harness::new();
    let producer = init(&mut harness, "x", None).unwrap();
    assert_eq!(send_offset(&mut harness, "x", producer, SIMPLE, 5), Some(ResponseError::InvalidTxnState));
    assert_eq!(add_group(&mut harness, "x", producer, "other"), None);
    assert_eq!(send_offset(&mut harness, "x", producer, SIMPLE, 5), Some(ResponseError::InvalidTxnState));
    let old = (producer.0, producer.1 - 1);
    assert_eq!(send_offset(&mut harness, "x", old, SIMPLE, 5), Some(ResponseError::InvalidProducerEpoch));
}

#[test]
fn offsets_are_fenced_by_member_and_generation() {
    let mut harness = Harness::new();
    let producer = opened(&mut harness, "x");
    assert_eq!(add_group(&mut harness, "x", producer, "g"), None);
    assert_eq!(
        send_offset(&mut harness, "x", producer, ("g", "m", 1), 5),
        Some(ResponseError::IllegalGeneration)
    );
    let id = harness.stable("g").member_id;
    let id = id.as_str();
    assert_eq!(
        send_offset(&mut harness, "x", producer, ("g", "m", 1), 5),
        Some(ResponseError::UnknownMemberId)
    );
    assert_eq!(
        send_offset(&mut harness, "x", producer, ("g", id, 2), 5),
        Some(ResponseError::IllegalGeneration)
    );
    assert_eq!(send_offset(&mut harness, "x", producer, ("g", id, 1), 5), None);
    // Clients before version 3 say nothing of the consumer.
    assert_eq!(send_offset(&mut harness, "x", producer, SIMPLE, 6), None);
    drop(later(harness.join("g", id)));
    assert_eq!(
        send_offset(&mut harness, "x", producer, ("g", id, 1), 7),
        Some(ResponseError::IllegalGeneration)
    );
    assert_eq!(end(&mut harness, "x", producer, true), None);
    assert_eq!(fetch(&harness, "g", "t1", 0), 6);
}

#[test]
fn a_transaction_times_out_and_its_producer_is_fenced() {
    let mut harness = Harness::new();
    let producer = opened(&mut harness, "x");
    harness.wait(TIMEOUT_MS - 1);
    assert_eq!(state_of(&harness, "x"), "Ongoing");
    harness.wait(1);
    assert_eq!(state_of(&harness, "x"), "CompleteAbort");
    assert!(harness.memory.logs().aborted.contains(&1));
    assert_eq!(end(&mut harness, "x", producer, true), Some(ResponseError::ProducerFenced));
    assert_eq!(add(&mut harness, "x", producer, ("t1", 0)), Some(ResponseError::ProducerFenced));
    assert!(harness.memory.produce("t1", 0, producer, 2).is_err());
    assert_eq!(init(&mut harness, "x", None), Ok((producer.0, producer.1 + 2)));
}

#[test]
fn a_decided_transaction_is_completed_when_the_logs_can_be_written_again() {
    let mut harness = Harness::new();
    let producer = opened(&mut harness, "x");
    harness.memory.logs().full = true;
    assert_eq!(end(&mut harness, "x", producer, true), None);
    assert_eq!(state_of(&harness, "x"), "PrepareCommit");
    assert_eq!(add(&mut harness, "x", producer, ("t1", 0)), Some(ResponseError::ConcurrentTransactions));
    assert_eq!(end(&mut harness, "x", producer, true), Some(ResponseError::ConcurrentTransactions));
    assert_eq!(init(&mut harness, "x", None), Err(ResponseError::ConcurrentTransactions));
    harness.memory.logs().full = false;
    harness.wait(1_000);
    assert_eq!(state_of(&harness, "x"), "CompleteCommit");
    assert!(harness.memory.logs().committed.contains(&1));
    assert_eq!(end(&mut harness, "x", producer, true), None);
}

#[test]
fn transactions_are_listed_and_described_and_forgotten() {
    let mut harness = Harness::new();
    let open = opened(&mut harness, "open");
    init(&mut harness, "idle", None).unwrap();
    harness.wait(1_000);
    let list = |harness: &Harness, request: ListTransactionsRequest| {
        let response = harness.state.list_transactions(&request, harness.now_ms);
        let ids = response.transaction_states.iter().map(|state| state.transactional_id.to_string());
        (ids.collect::<Vec<_>>().join(","), response.unknown_state_filters.len())
    };
    let all = ListTransactionsRequest::default().with_duration_filter(-1);
    assert_eq!(list(&harness, all.clone()), ("idle,open".to_owned(), 0));
    let states = vec![text("Ongoing"), text("Nonsense")];
    assert_eq!(list(&harness, all.clone().with_state_filters(states)), ("open".to_owned(), 1));
    assert_eq!(list(&harness, all.clone().with_producer_id_filters(vec![open.0.into()])).0, "open");
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![text("open").into()]);
    let described = &harness.state.describe_transactions(&request).transaction_states[0];
    assert_eq!((described.topics[0].topic.as_str(), &described.topics[0].partitions[..]), ("t1", &[0][..]));
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![text("none").into()]);
    let described = &harness.state.describe_transactions(&request).transaction_states[0];
    assert_eq!(error(described.error_code), Some(ResponseError::TransactionalIdNotFound));

    harness.wait(2 * DAY_MS);
    assert!(harness.state.transactions.is_empty());
    assert_eq!(add(&mut harness, "idle", open, ("t1", 0)), Some(ResponseError::InvalidProducerIdMapping));
}
