//! `DescribeLogDirs` and `DescribeProducers`: what is in the logs.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest, DescribeProducersResponse,
};

use super::text;
use crate::Shared;
use crate::catalog::{Topic, check_name};
use crate::log::{Log, ProducerStatus};

pub(crate) fn describe_log_dirs(shared: &Shared, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let catalog = &shared.catalog;
    let topics: Vec<DescribeLogDirsTopic> = match request.topics {
        None => catalog.all().iter().map(|topic| sizes(topic, 0..topic.partitions.len() as i32)).collect(),
        Some(asked) => asked.into_iter().filter_map(|asked| sizes_asked_for(shared, asked)).collect(),
    };
    let directory = catalog.directory();
    let result = DescribeLogDirsResult::default()
        .with_log_dir(text(directory.to_string_lossy().into_owned()))
        .with_topics(topics);
    let result = match rustix::fs::statvfs(directory) {
        Ok(disk) => result
            .with_total_bytes(bytes_of(disk.f_blocks, disk.f_frsize))
            .with_usable_bytes(bytes_of(disk.f_bavail, disk.f_frsize)),
        Err(error) => {
            tracing::warn!(%error, "cannot tell how full the disk is");
            result.with_error_code(ResponseError::KafkaStorageError.code())
        }
    };
    DescribeLogDirsResponse::default().with_results(vec![result])
}

fn bytes_of(blocks: u64, block_bytes: u64) -> i64 {
    i64::try_from(blocks.saturating_mul(block_bytes)).unwrap_or(i64::MAX)
}

/// Topics and partitions that are not there are left out, as Apache Kafka does.
fn sizes_asked_for(shared: &Shared, mut asked: DescribableLogDirTopic) -> Option<DescribeLogDirsTopic> {
    let topic = shared.catalog.topic(&asked.topic)?;
    asked.partitions.sort_unstable();
    asked.partitions.dedup();
    Some(sizes(&topic, asked.partitions)).filter(|topic| !topic.partitions.is_empty())
}

fn sizes(topic: &Topic, partitions: impl IntoIterator<Item = i32>) -> DescribeLogDirsTopic {
    let partitions = partitions.into_iter().filter_map(|index| {
        let log = topic.partition(index)?;
        Some(
            DescribeLogDirsPartition::default()
                .with_partition_index(index)
                .with_partition_size(i64::try_from(log.size_bytes()).unwrap_or(i64::MAX)),
        )
    });
    DescribeLogDirsTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
}

pub(crate) fn describe_producers(
    shared: &Shared,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = match check_name(&asked.name) {
            Ok(()) => shared.catalog.topic(&asked.name).ok_or(ResponseError::UnknownTopicOrPartition),
            Err(_) => Err(ResponseError::InvalidTopicException),
        };
        let partitions = asked.partition_indexes.into_iter().map(|index| {
            let response = PartitionResponse::default().with_partition_index(index);
            match find(&topic, index) {
                Ok(log) => response.with_active_producers(log.producers().iter().map(producer).collect()),
                Err(error) => {
                    response.with_error_code(error.code()).with_error_message(Some(text(error.to_string())))
                }
            }
        });
        TopicResponse::default().with_partitions(partitions.collect()).with_name(asked.name)
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn find(topic: &Result<Arc<Topic>, ResponseError>, index: i32) -> Result<&Arc<Log>, ResponseError> {
    topic
        .as_ref()
        .map_err(|error| *error)
        .and_then(|topic| topic.partition(index).ok_or(ResponseError::UnknownTopicOrPartition))
}

fn producer(status: &ProducerStatus) -> ProducerState {
    ProducerState::default()
        .with_producer_id(status.producer_id.into())
        .with_producer_epoch(status.epoch.into())
        .with_last_sequence(status.last_sequence)
        .with_last_timestamp(status.last_timestamp)
        .with_coordinator_epoch(status.coordinator_epoch)
        .with_current_txn_start_offset(status.open_since.unwrap_or(-1))
}
