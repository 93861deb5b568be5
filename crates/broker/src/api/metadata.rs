//! `Metadata`: which topics there are and who leads them, which is this node; and creation of topics on the way.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};

use super::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS, blocking};
use crate::Shared;
use crate::catalog::{NewTopic, Overrides, Topic, check_name, is_internal};
use crate::log::LEADER_EPOCH;
use crate::server::Context;

/// The versions that can ask for a topic by its id alone.
const IDS_SINCE: i16 = 12;

/// What a topic is asked for by, and the topic if there is one.
enum Found {
    Topic(Arc<Topic>),
    NoName(TopicName),
    NoId(uuid::Uuid),
}

pub(crate) async fn metadata(
    shared: &Shared,
    context: &Context,
    request: MetadataRequest,
) -> MetadataResponse {
    let node = &shared.node;
    let version = context.api_version;
    let describe_operations = version >= 8 && request.include_topic_authorized_operations;
    let mut response = MetadataResponse::default()
        .with_brokers(vec![
            MetadataResponseBroker::default()
                .with_node_id(node.id.into())
                .with_host(node.host.clone())
                .with_port(node.port),
        ])
        .with_cluster_id(Some(node.cluster_id.clone()))
        .with_controller_id(node.id.into());
    if (8..=10).contains(&version) && request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    let found = match request.topics {
        // Before there was null, an empty list stood for all topics.
        None => all(shared),
        Some(topics) if topics.is_empty() && version == 0 => all(shared),
        Some(topics) => find(shared, topics, request.allow_auto_topic_creation).await,
    };
    response.topics = found
        .into_iter()
        .map(|found| {
            let mut described = describe(shared, version, found);
            if describe_operations {
                described.topic_authorized_operations = TOPIC_OPERATIONS;
            }
            described
        })
        .collect();
    response
}

fn all(shared: &Shared) -> Vec<Found> {
    shared.catalog.all().into_iter().map(Found::Topic).collect()
}

/// Finds every topic that was asked for, once; creates those that are missing, if that is wanted.
async fn find(shared: &Shared, asked: Vec<MetadataRequestTopic>, create: bool) -> Vec<Found> {
    let catalog = &shared.catalog;
    let mut seen = HashSet::with_capacity(asked.len());
    let mut found = Vec::with_capacity(asked.len());
    for asked in asked {
        if !seen.insert((asked.topic_id, asked.name.clone())) {
            continue;
        }
        let (id, name) = (asked.topic_id, asked.name.filter(|_| asked.topic_id.is_nil()));
        found.push(match name {
            Some(name) => catalog.topic(&name).map_or(Found::NoName(name), Found::Topic),
            None => catalog.topic_by_id(id).map_or(Found::NoId(id), Found::Topic),
        });
    }
    if create && shared.settings.create_topics {
        create_missing(shared, &mut found).await;
    }
    found
}

async fn create_missing(shared: &Shared, found: &mut [Found]) {
    let partitions = usize::try_from(shared.settings.default_partitions).unwrap_or(1).max(1);
    let wanted: Vec<NewTopic> = found
        .iter()
        .filter_map(|found| match found {
            Found::NoName(name) if check_name(name).is_ok() && !is_internal(name) => {
                Some(NewTopic { name: name.to_string(), partitions, overrides: Overrides::default() })
            }
            _ => None,
        })
        .collect();
    if wanted.is_empty() {
        return;
    }
    let catalog = Arc::clone(&shared.catalog);
    blocking(move || {
        for (result, wanted) in catalog.create(&wanted, false).into_iter().zip(&wanted) {
            if let Err(error) = result {
                tracing::warn!(topic = wanted.name, %error, "cannot create a topic that was asked for");
            }
        }
    })
    .await;
    for missing in found {
        // It may have been another request that created it in the meantime.
        if let Found::NoName(name) = missing
            && let Some(topic) = shared.catalog.topic(name)
        {
            *missing = Found::Topic(topic);
        }
    }
}

fn describe(shared: &Shared, version: i16, found: Found) -> MetadataResponseTopic {
    let response = MetadataResponseTopic::default();
    match found {
        Found::Topic(topic) => response
            .with_name(Some(topic.name.clone()))
            .with_topic_id(topic.id)
            .with_is_internal(is_internal(&topic.name))
            .with_partitions((0..topic.partitions.len()).map(|index| partition(shared, index)).collect()),
        Found::NoName(name) => {
            let error = match check_name(&name) {
                Ok(()) => ResponseError::UnknownTopicOrPartition,
                Err(_) => ResponseError::InvalidTopicException,
            };
            response.with_error_code(error.code()).with_is_internal(is_internal(&name)).with_name(Some(name))
        }
        Found::NoId(id) => {
            let response = response.with_topic_id(id);
            if version >= IDS_SINCE {
                response.with_error_code(ResponseError::UnknownTopicId.code()).with_name(None)
            } else {
                // These versions must name every topic, in their answers too.
                response.with_error_code(ResponseError::InvalidRequest.code())
            }
        }
    }
}

fn partition(shared: &Shared, index: usize) -> MetadataResponsePartition {
    let node = BrokerId(shared.node.id);
    MetadataResponsePartition::default()
        .with_partition_index(index as i32)
        .with_leader_id(node)
        .with_leader_epoch(LEADER_EPOCH)
        .with_replica_nodes(vec![node])
        .with_isr_nodes(vec![node])
}
