//! `Produce`: appends batches, each partition on its own.
//!
//! A batch is handed to its log as it lies in the request. Topics are not created here: a producer asks for their
//! metadata first, and that creates them. What is acknowledged is in the log, whatever `acks` says, because there is no
//! replica to wait for.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::{Refusal, text};
use crate::catalog::Topic;
use crate::server::Context;
use crate::{Shared, now_ms};

/// Where the format version of a batch is, in all versions of the format.
const MAGIC_AT: usize = 16;

/// Where the attributes of a batch of version 2 are; their low three bits are the compression.
const ATTRIBUTES_LOW_AT: usize = 22;

/// Where the number of records of a batch of version 2 is; it is its header's last field.
const RECORDS_AT: std::ops::Range<usize> = 57..61;

const ZSTANDARD: u8 = 4;

/// The first version whose clients know Zstandard.
const ZSTANDARD_SINCE: i16 = 7;

/// The first version whose clients know that there are storage errors.
const STORAGE_ERROR_SINCE: i16 = 4;

/// Answers nothing if the client does not wait for acknowledgements.
pub(crate) fn produce(
    shared: &Shared,
    context: &Context,
    request: ProduceRequest,
) -> Option<ProduceResponse> {
    let valid_acks = matches!(request.acks, -1..=1);
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        responses.push(append_all(shared, context, data, valid_acks));
    }
    (request.acks != 0).then(|| ProduceResponse::default().with_responses(responses))
}

fn append_all(
    shared: &Shared,
    context: &Context,
    data: TopicProduceData,
    valid_acks: bool,
) -> TopicProduceResponse {
    let topic = shared.catalog.topic(&data.name);
    let partitions = data.partition_data.into_iter().map(|data| {
        let result = if valid_acks {
            append(shared, context, topic.as_deref(), &data)
        } else {
            Err(Refusal::new(ResponseError::InvalidRequiredAcks, "acks must be 0, 1 or -1"))
        };
        let response = PartitionProduceResponse::default().with_index(data.index);
        result.unwrap_or_else(|refusal| refused(response, context, refusal))
    });
    TopicProduceResponse::default().with_partition_responses(partitions.collect()).with_name(data.name)
}

fn append(
    shared: &Shared,
    context: &Context,
    topic: Option<&Topic>,
    data: &PartitionProduceData,
) -> Result<PartitionProduceResponse, Refusal> {
    let log = topic.and_then(|topic| topic.partition(data.index)).ok_or_else(|| {
        Refusal::new(
            ResponseError::UnknownTopicOrPartition,
            "This server does not host this topic-partition.",
        )
    })?;
    let records = data.records.as_ref().filter(|records| !records.is_empty()).ok_or_else(|| {
        Refusal::new(ResponseError::InvalidRecord, "there must be at least one record batch per partition")
    })?;
    check_format(records, context.api_version)?;
    let appended =
        log.append(records, now_ms()).map_err(|error| Refusal::new(error.code(), error.to_string()))?;
    shared.stats.appended(u64::from(count(records)));
    Ok(PartitionProduceResponse::default()
        .with_index(data.index)
        .with_base_offset(appended.base_offset)
        .with_log_append_time_ms(appended.log_append_time)
        .with_log_start_offset(appended.log_start_offset)
        .with_error_message(None))
}

/// Refuses what a client of this version may not send. The log checks the batch itself.
fn check_format(records: &Bytes, version: i16) -> Result<(), Refusal> {
    let byte = |at: usize| records.get(at).copied().unwrap_or_default();
    if records.len() > MAGIC_AT && byte(MAGIC_AT) != 2 {
        return Err(Refusal::new(
            ResponseError::InvalidRecord,
            format!("Produce requests with version {version} must contain batches with magic version 2"),
        ));
    }
    if version < ZSTANDARD_SINCE && byte(ATTRIBUTES_LOW_AT) & 0b111 == ZSTANDARD {
        return Err(Refusal::new(
            ResponseError::UnsupportedCompressionType,
            format!("Produce requests with version {version} are not allowed to use ZStandard compression"),
        ));
    }
    Ok(())
}

/// How many records the batch says that it has. It was appended, so it is not shorter than its header.
fn count(records: &Bytes) -> u32 {
    records.get(RECORDS_AT).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn refused(
    response: PartitionProduceResponse,
    context: &Context,
    refusal: Refusal,
) -> PartitionProduceResponse {
    let error = match refusal.error {
        // Clients try this one again; one that they do not know they would not.
        ResponseError::KafkaStorageError if context.api_version < STORAGE_ERROR_SINCE => {
            ResponseError::NotLeaderOrFollower
        }
        error => error,
    };
    response
        .with_error_code(error.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
        .with_error_message(Some(text(refusal.message)))
}
