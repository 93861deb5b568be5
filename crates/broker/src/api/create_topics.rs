//! `CreateTopics`.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};

use super::describe_configs::source_of;
use super::{Refusal, blocking, text};
use crate::Shared;
use crate::catalog::{Catalog, NewTopic, Overrides, Topic, all_settings};
use crate::server::Context;

/// The first version whose answers describe what was created (KIP-525).
const DESCRIPTION_SINCE: i16 = 5;

pub(crate) async fn create_topics(
    shared: &Shared,
    context: &Context,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times: HashMap<TopicName, usize> = HashMap::with_capacity(request.topics.len());
    for asked in &request.topics {
        *times.entry(asked.name.clone()).or_default() += 1;
    }
    let checked = request.topics.iter().map(|asked| {
        if times.get(&asked.name).is_some_and(|times| *times > 1) {
            return Err(Refusal::invalid_request("Found multiple entries for this topic."));
        }
        check(shared, asked)
    });
    let checked: Vec<Result<NewTopic, Refusal>> = checked.collect();
    let catalog = Arc::clone(&shared.catalog);
    let only_try = request.validate_only;
    let results = blocking(move || create(&catalog, checked, only_try)).await;
    let results = request.topics.into_iter().zip(results).map(|(asked, result)| {
        let response = CreatableTopicResult::default().with_name(asked.name);
        match result {
            Ok((topic, partitions)) => describe(shared, context, response, &topic, partitions),
            Err(refusal) => {
                response.with_error_code(refusal.error.code()).with_error_message(Some(text(refusal.message)))
            }
        }
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

/// Creates what passed the checks; returns every topic and how many partitions it has, or would have.
fn create(
    catalog: &Catalog,
    checked: Vec<Result<NewTopic, Refusal>>,
    only_try: bool,
) -> Vec<Result<(Arc<Topic>, usize), Refusal>> {
    let mut wanted = Vec::with_capacity(checked.len());
    let refused: Vec<Option<Refusal>> =
        checked.into_iter().map(|checked| checked.map(|new| wanted.push(new)).err()).collect();
    let results = catalog.create(&wanted, only_try);
    let mut results = results.into_iter().zip(&wanted).map(|(result, new)| match result {
        Ok(topic) => Ok((topic, new.partitions)),
        Err(error) => Err(Refusal::from(error)),
    });
    let next = || results.next().expect("there is a result for every topic that was not refused");
    let mut next = next;
    refused.into_iter().map(|refused| refused.map_or_else(&mut next, Err)).collect()
}

/// Checks what the catalog does not know about, and reads the rest.
fn check(shared: &Shared, asked: &CreatableTopic) -> Result<NewTopic, Refusal> {
    let partitions = if asked.assignments.is_empty() {
        if !matches!(asked.replication_factor, -1 | 1) {
            return Err(replication_factor(asked.replication_factor));
        }
        match asked.num_partitions {
            -1 => shared.settings.default_partitions.max(1) as usize,
            // Zero and less is for the catalog to refuse.
            count => usize::try_from(count).unwrap_or(0),
        }
    } else {
        if asked.replication_factor != -1 || asked.num_partitions != -1 {
            return Err(Refusal::invalid_request(
                "A manual partition assignment was specified, but replication factor and numPartitions were not set to -1.",
            ));
        }
        check_assignments(shared.node.id, &asked.assignments)?;
        asked.assignments.len()
    };
    let mut given = Vec::with_capacity(asked.configs.len());
    for config in &asked.configs {
        let value = config.value.as_ref().ok_or_else(|| {
            Refusal::new(
                ResponseError::InvalidConfig,
                format!("Null value not supported for topic configs: {}", config.name),
            )
        })?;
        given.push((config.name.to_string(), value.to_string()));
    }
    let overrides =
        Overrides::new(given).map_err(|problem| Refusal::new(ResponseError::InvalidConfig, problem))?;
    Ok(NewTopic { name: asked.name.to_string(), partitions, overrides })
}

fn replication_factor(factor: i16) -> Refusal {
    let message = if factor < 1 {
        "Replication factor must be larger than 0, or -1 to use the default value.".to_owned()
    } else {
        format!(
            "Unable to replicate the partition {factor} time(s): the target replication factor cannot be reached because there is only 1 broker."
        )
    };
    Refusal::new(ResponseError::InvalidReplicationFactor, message)
}

/// Every partition must be on this node and nowhere else, and their numbers must be without gaps.
fn check_assignments(node: i32, assignments: &[CreatableReplicaAssignment]) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
    let mut assigned = vec![false; assignments.len()];
    for assignment in assignments {
        let index = assignment.partition_index;
        if assignment.broker_ids.iter().map(|id| id.0).ne([node]) {
            return refuse(format!("Partition {index} must be assigned to broker {node} alone."));
        }
        match usize::try_from(index).ok().and_then(|index| assigned.get_mut(index)) {
            Some(assigned) if *assigned => {
                return refuse(format!("Found multiple manual partition assignments for partition {index}"));
            }
            Some(assigned) => *assigned = true,
            None => return refuse("partitions should be a consecutive 0-based integer sequence".to_owned()),
        }
    }
    Ok(())
}

fn describe(
    shared: &Shared,
    context: &Context,
    response: CreatableTopicResult,
    topic: &Topic,
    partitions: usize,
) -> CreatableTopicResult {
    let response = response.with_error_message(None).with_topic_id(topic.id);
    if context.api_version < DESCRIPTION_SINCE {
        return response;
    }
    let defaults = shared.catalog.defaults();
    let configs = all_settings().iter().map(|definition| {
        CreatableTopicConfigs::default()
            .with_name(definition.name.into())
            .with_value(Some(text(defaults.value(&topic.overrides, definition))))
            .with_config_source(source_of(defaults, &topic.overrides, definition))
    });
    response
        .with_num_partitions(partitions as i32)
        .with_replication_factor(1)
        .with_configs(Some(configs.collect()))
}
