//! `DescribeTopicPartitions` (KIP-966): topics page by page, so that no answer is larger than the client can take.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};

use super::TOPIC_OPERATIONS;
use crate::Shared;
use crate::catalog::{Topic, check_name, is_internal};
use crate::log::LEADER_EPOCH;

/// The most partitions in one answer, as in Apache Kafka's `max.request.partition.size.limit`.
const MOST_PARTITIONS: usize = 2000;

/// A name, and the topic if there is one.
type Named = (TopicName, Option<Arc<Topic>>);

pub(crate) fn describe_topic_partitions(
    shared: &Shared,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let most = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, MOST_PARTITIONS);
    let (first, first_partition) = match &request.cursor {
        None => (TopicName::default(), 0),
        Some(cursor) => match usize::try_from(cursor.partition_index) {
            Ok(partition) => (cursor.topic_name.clone(), partition),
            Err(_) => return refuse(request),
        },
    };
    let named = if request.topics.is_empty() {
        // One more than fits, so that there is one to go on with.
        let topics = shared.catalog.from(&first, most + 1);
        topics.into_iter().map(|topic| (topic.name.clone(), Some(topic))).collect()
    } else {
        let mut asked: Vec<TopicName> = request.topics.iter().map(|topic| topic.name.clone()).collect();
        if request.cursor.is_some() && !asked.contains(&first) {
            return refuse(request);
        }
        asked.retain(|name| name.as_str() >= first.as_str());
        asked.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        asked.dedup();
        let find = |name: TopicName| {
            let topic = shared.catalog.topic(&name);
            (name, topic)
        };
        asked.into_iter().map(find).collect()
    };
    page(shared.node.id, named, (first.as_str(), first_partition), most)
}

fn page(
    node: i32,
    named: Vec<Named>,
    (first, first_partition): (&str, usize),
    most: usize,
) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut left = most;
    for (name, topic) in named {
        let from = if name.as_str() == first { first_partition } else { 0 };
        if left == 0 {
            return response.with_next_cursor(Some(cursor(name, from)));
        }
        let Some(topic) = topic else {
            response.topics.push(missing(name));
            continue;
        };
        let count = topic.partitions.len();
        let to = count.min(from.saturating_add(left));
        response.topics.push(describe(node, &topic, from.min(to)..to));
        left -= to.saturating_sub(from);
        if to < count {
            return response.with_next_cursor(Some(cursor(name, to)));
        }
    }
    response
}

fn cursor(name: TopicName, partition: usize) -> Cursor {
    Cursor::default().with_topic_name(name).with_partition_index(partition as i32)
}

fn describe(
    node: i32,
    topic: &Topic,
    partitions: std::ops::Range<usize>,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = partitions.map(|index| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(BrokerId(node))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(node)])
            .with_isr_nodes(vec![BrokerId(node)])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic.name.clone()))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(&topic.name))
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
        .with_partitions(partitions.collect())
}

fn missing(name: TopicName) -> DescribeTopicPartitionsResponseTopic {
    let error = match check_name(&name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(_) => ResponseError::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default().with_error_code(error.code()).with_name(Some(name))
}

/// This answer has no error of its own, so every topic gets it.
fn refuse(request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let error = ResponseError::InvalidRequest.code();
    let topics = request.topics.into_iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default().with_error_code(error).with_name(Some(topic.name))
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}
