//! `CreatePartitions` and `DeleteRecords`.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, DeleteRecordsRequest, DeleteRecordsResponse,
};

use super::{Refusal, blocking, outcome};
use crate::Shared;
use crate::catalog::{Catalog, ChangeError, Topic, elements, find_setting};

/// The offset that stands for the high watermark in `DeleteRecords`.
const HIGH_WATERMARK: i64 = -1;

pub(crate) async fn create_partitions(
    shared: &Shared,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let (catalog, node) = (Arc::clone(&shared.catalog), shared.node.id);
    let results = blocking(move || {
        let mut seen = HashSet::with_capacity(request.topics.len());
        let mut results = Vec::with_capacity(request.topics.len());
        for asked in request.topics {
            let result = if seen.insert(asked.name.clone()) {
                grow(&catalog, node, &asked, request.validate_only)
            } else {
                Err(Refusal::invalid_request("Duplicate topic in request."))
            };
            let (code, message) = outcome(result);
            results.push(
                CreatePartitionsTopicResult::default()
                    .with_name(asked.name)
                    .with_error_code(code)
                    .with_error_message(message),
            );
        }
        results
    });
    CreatePartitionsResponse::default().with_results(results.await)
}

fn grow(catalog: &Catalog, node: i32, asked: &CreatePartitionsTopic, only_try: bool) -> Result<(), Refusal> {
    let count = usize::try_from(asked.count).unwrap_or(0);
    let topic = catalog.topic(&asked.name).ok_or(ChangeError::Unknown)?;
    let added = count.saturating_sub(topic.partitions.len());
    // Whether there are more than before is for the catalog to say.
    if let Some(assignments) = &asked.assignments
        && added > 0
    {
        let here = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).eq([node]);
        if assignments.len() != added || !assignments.iter().all(|assignment| here(&assignment.broker_ids)) {
            return Err(Refusal::new(
                ResponseError::InvalidReplicaAssignment,
                format!(
                    "Each of the {added} additional partition(s) must be assigned to broker {node} alone."
                ),
            ));
        }
    }
    Ok(catalog.grow(&asked.name, count, only_try)?)
}

pub(crate) async fn delete_records(shared: &Shared, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let catalog = Arc::clone(&shared.catalog);
    // Segments that are no longer needed are removed on the way.
    let topics =
        blocking(move || request.topics.into_iter().map(|asked| delete_of_topic(&catalog, asked)).collect());
    DeleteRecordsResponse::default().with_topics(topics.await)
}

fn delete_of_topic(catalog: &Catalog, asked: DeleteRecordsTopic) -> DeleteRecordsTopicResult {
    let topic = catalog.topic(&asked.name);
    let partitions = asked.partitions.iter().map(|asked| {
        let response = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
        match delete_before(catalog, topic.as_deref(), asked) {
            Ok(low_watermark) => response.with_low_watermark(low_watermark),
            Err(error) => response.with_low_watermark(-1).with_error_code(error.code()),
        }
    });
    DeleteRecordsTopicResult::default().with_partitions(partitions.collect()).with_name(asked.name)
}

fn delete_before(
    catalog: &Catalog,
    topic: Option<&Topic>,
    asked: &DeleteRecordsPartition,
) -> Result<i64, ResponseError> {
    let topic = topic.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let log = topic.partition(asked.partition_index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let policy = find_setting("cleanup.policy").expect("the name is in the table");
    if !elements(catalog.defaults().value(&topic.overrides, policy)).any(|policy| policy == "delete") {
        return Err(ResponseError::PolicyViolation);
    }
    let end = log.offsets().end;
    let offset = if asked.offset == HIGH_WATERMARK { end } else { asked.offset };
    if !(0..=end).contains(&offset) {
        return Err(ResponseError::OffsetOutOfRange);
    }
    log.delete_before(offset).map_err(|error| error.code())
}
