//! `Fetch`: reads batches of several partitions, and waits for them if there are too few.
//!
//! As Apache Kafka does: the first partition that has anything gives at least one batch, however large; an error, or
//! `min_bytes`, or the time ends the wait; every partition that was asked for is in the answer. There are no fetch
//! sessions (KIP-227): the session id is always 0, which tells the client to name all partitions each time.
//!
//! The wait costs no timer but its own, and nothing polls: the logs wake it when their ends move.

mod wait;

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use super::leader_epoch;
use crate::Shared;
use crate::catalog::Topic;
use crate::log::{Log, ReadBatch};
use crate::server::Context;

/// The first version that names topics by their ids.
const IDS_SINCE: i16 = 13;

/// The first version whose clients know that there are storage errors.
const STORAGE_ERROR_SINCE: i16 = 6;

/// The most bytes of records in one answer, whatever the client asks for, except that one batch is never divided. It
/// bounds what a client that does not read its answers keeps in memory.
const MOST_BYTES: usize = 16 << 20;

/// How much a client wants to be told at once.
struct Limits {
    /// Over all partitions.
    bytes: usize,
    read_committed: bool,
}

/// A partition that is to be read, and what was read of it.
struct Partition<'a> {
    asked: &'a FetchPartition,
    log: Result<Arc<Log>, ResponseError>,
    /// What the last pass read; an error before the first one.
    read: Result<ReadBatch, ResponseError>,
}

pub(crate) async fn fetch(shared: &Shared, context: &Context, request: FetchRequest) -> FetchResponse {
    // Only a full fetch needs no session: one without (-1), or one that would like to have one from now on (0).
    if request.session_epoch > 0 {
        return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let limits = Limits {
        bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(MOST_BYTES),
        read_committed: request.isolation_level == 1,
    };
    let mut partitions = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
    for asked in &request.topics {
        find(shared, context, asked, &mut partitions);
    }
    let released = shared.catalog.released();
    wait::read_enough(&mut partitions, &limits, request.min_bytes, request.max_wait_ms, released).await;
    let mut partitions = partitions.into_iter();
    let mut responses = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let partitions = partitions.by_ref().take(asked.partitions.len());
        let partitions = partitions.map(|partition| answer(context, &limits, partition)).collect();
        responses.push(
            FetchableTopicResponse::default()
                .with_topic(asked.topic.clone())
                .with_topic_id(asked.topic_id)
                .with_partitions(partitions),
        );
    }
    FetchResponse::default().with_responses(responses)
}

fn find<'a>(shared: &Shared, context: &Context, asked: &'a FetchTopic, partitions: &mut Vec<Partition<'a>>) {
    let topic = if context.api_version >= IDS_SINCE {
        shared.catalog.topic_by_id(asked.topic_id).ok_or(ResponseError::UnknownTopicId)
    } else {
        shared.catalog.topic(&asked.topic).ok_or(ResponseError::UnknownTopicOrPartition)
    };
    for asked in &asked.partitions {
        let log = topic.as_ref().map_err(|error| *error).and_then(|topic| find_log(topic, asked));
        partitions.push(Partition { asked, log, read: Err(ResponseError::UnknownServerError) });
    }
}

fn find_log(topic: &Topic, asked: &FetchPartition) -> Result<Arc<Log>, ResponseError> {
    let log = topic.partition(asked.partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
    leader_epoch::check(asked.current_leader_epoch)?;
    Ok(Arc::clone(log))
}

/// What a pass over all partitions came to.
struct Pass {
    bytes: usize,
    failed: bool,
}

/// Reads every partition, as far as the limits go.
fn read_all(partitions: &mut [Partition<'_>], limits: &Limits) -> Pass {
    let mut pass = Pass { bytes: 0, failed: false };
    for partition in partitions {
        let left = limits.bytes.saturating_sub(pass.bytes);
        let most = usize::try_from(partition.asked.partition_max_bytes).unwrap_or(0).min(left);
        let at_least_one = pass.bytes == 0;
        partition.read = match &partition.log {
            Ok(log) => log
                .read(partition.asked.fetch_offset, most, limits.read_committed, at_least_one)
                .map_err(|error| error.code()),
            Err(error) => Err(*error),
        };
        match &partition.read {
            Ok(read) => pass.bytes += read.records.len(),
            Err(_) => pass.failed = true,
        }
    }
    pass
}

fn answer(context: &Context, limits: &Limits, partition: Partition<'_>) -> PartitionData {
    let response = PartitionData::default().with_partition_index(partition.asked.partition);
    match partition.read {
        Ok(read) => {
            let aborted = limits.read_committed.then(|| read.aborted.into_iter().map(aborted).collect());
            response
                .with_high_watermark(read.high_watermark)
                .with_last_stable_offset(read.last_stable_offset)
                .with_log_start_offset(read.log_start_offset)
                .with_aborted_transactions(aborted)
                .with_records(Some(read.records))
        }
        Err(error) => {
            let error = match error {
                // Clients try this one again; one that they do not know they would not.
                ResponseError::KafkaStorageError if context.api_version < STORAGE_ERROR_SINCE => {
                    ResponseError::NotLeaderOrFollower
                }
                error => error,
            };
            response
                .with_error_code(error.code())
                .with_high_watermark(-1)
                .with_last_stable_offset(-1)
                .with_log_start_offset(-1)
                .with_aborted_transactions(limits.read_committed.then(Vec::new))
                // Empty, not null: librdkafka takes null for a malformed answer.
                .with_records(Some(bytes::Bytes::new()))
        }
    }
}

fn aborted((producer_id, first_offset): (i64, i64)) -> AbortedTransaction {
    AbortedTransaction::default().with_producer_id(producer_id.into()).with_first_offset(first_offset)
}
