//! `DeleteTopics`, by name or by id.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};

use super::{Refusal, blocking, text};
use crate::Shared;
use crate::server::Context;

/// The first version that asks by name or id.
const IDS_SINCE: i16 = 6;

/// The first version whose answers have messages.
const MESSAGES_SINCE: i16 = 5;

pub(crate) async fn delete_topics(
    shared: &Shared,
    context: &Context,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let asked: Vec<DeleteTopicState> = if context.api_version >= IDS_SINCE {
        request.topics
    } else {
        request
            .topic_names
            .into_iter()
            .map(|name| DeleteTopicState::default().with_name(Some(name)))
            .collect()
    };
    let found = find(shared, &asked);
    let names: Vec<String> = found.iter().flatten().map(|name| name.to_string()).collect();
    let catalog = Arc::clone(&shared.catalog);
    let mut deleted = blocking(move || {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        catalog.delete(&names)
    })
    .await
    .into_iter();
    let mut responses = Vec::with_capacity(asked.len());
    for (asked, found) in asked.into_iter().zip(found) {
        let result = found.and_then(|name| {
            let deleted = deleted.next().expect("there is a result for every topic that was found");
            deleted.map_err(Refusal::from)?;
            shared.coordinator.topic_deleted(&name);
            Ok(name)
        });
        responses.push(answer(context, asked, result));
    }
    let catalog = Arc::clone(&shared.catalog);
    // Nobody waits for this: what it does not get to is removed by the next look after the logs, or the next start.
    drop(tokio::task::spawn_blocking(move || catalog.remove_deleted()));
    DeleteTopicsResponse::default().with_responses(responses)
}

/// The names of the topics that were asked for.
fn find(shared: &Shared, asked: &[DeleteTopicState]) -> Vec<Result<TopicName, Refusal>> {
    let mut seen = HashSet::with_capacity(asked.len());
    let mut find = |asked: &DeleteTopicState| {
        let name = match (&asked.name, asked.topic_id) {
            (Some(name), id) if id.is_nil() => shared.catalog.topic(name).map(|topic| topic.name.clone()),
            (None, id) if !id.is_nil() => {
                let topic = shared.catalog.topic_by_id(id).ok_or_else(|| {
                    Refusal::new(ResponseError::UnknownTopicId, "This server does not host this topic ID.")
                })?;
                Some(topic.name.clone())
            }
            _ => {
                return Err(Refusal::invalid_request(
                    "Either a topic's name or its ID must be given, not both.",
                ));
            }
        };
        let name = name.ok_or_else(|| {
            Refusal::new(
                ResponseError::UnknownTopicOrPartition,
                "This server does not host this topic-partition.",
            )
        })?;
        if seen.insert(name.clone()) { Ok(name) } else { Err(Refusal::invalid_request("Duplicate topic.")) }
    };
    asked.iter().map(&mut find).collect()
}

fn answer(
    context: &Context,
    asked: DeleteTopicState,
    result: Result<TopicName, Refusal>,
) -> DeletableTopicResult {
    let response = DeletableTopicResult::default().with_topic_id(asked.topic_id);
    match result {
        Ok(name) => response.with_name(Some(name)),
        Err(refusal) => {
            let message = (context.api_version >= MESSAGES_SINCE).then(|| text(refusal.message));
            response.with_name(asked.name).with_error_code(refusal.error.code()).with_error_message(message)
        }
    }
}
