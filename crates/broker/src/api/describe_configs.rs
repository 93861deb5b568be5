//! `DescribeConfigs`: the settings of topics, and those of the broker, which cannot be changed while it runs.

mod broker;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Refusal, text};
use crate::Shared;
use crate::catalog::{ChangeError, Defaults, Definition, Overrides, all_settings, check_name};

/// The kinds of things that have settings.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// Where a value comes from (KIP-226): the topic itself, the broker's settings, or the table of defaults.
const FROM_TOPIC: i8 = 1;
const FROM_BROKER: i8 = 4;
const FROM_TABLE: i8 = 5;

/// What is wanted to know of each setting.
#[derive(Debug, Clone, Copy)]
struct Detail {
    synonyms: bool,
    documentation: bool,
}

pub(crate) fn describe_configs(shared: &Shared, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let detail = Detail { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = request.resources.into_iter().map(|resource| {
        let described = match resource.resource_type {
            TOPIC => describe_topic(shared, &resource.resource_name, detail),
            BROKER => broker::describe(shared, &resource.resource_name, detail),
            other => Err(Refusal::invalid_request(format!("Unsupported resource type: {other}"))),
        };
        let result = DescribeConfigsResult::default().with_resource_type(resource.resource_type);
        let result = match described {
            Ok(configs) => result.with_error_message(None).with_configs(wanted(&resource, configs)),
            Err(refusal) => {
                result.with_error_code(refusal.error.code()).with_error_message(Some(text(refusal.message)))
            }
        };
        result.with_resource_name(resource.resource_name)
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// Only those that were asked for by name, if any were.
fn wanted(
    resource: &DescribeConfigsResource,
    mut configs: Vec<DescribeConfigsResourceResult>,
) -> Vec<DescribeConfigsResourceResult> {
    if let Some(keys) = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty()) {
        configs.retain(|config| keys.contains(&config.name));
    }
    configs
}

fn describe_topic(
    shared: &Shared,
    name: &str,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    check_name(name).map_err(|problem| Refusal::new(ResponseError::InvalidTopicException, problem))?;
    let topic = shared.catalog.topic(name).ok_or(ChangeError::Unknown)?;
    let defaults = shared.catalog.defaults();
    let describe = |definition| describe_one(defaults, &topic.overrides, definition, detail);
    Ok(all_settings().iter().map(describe).collect())
}

fn describe_one(
    defaults: &Defaults,
    overrides: &Overrides,
    definition: &Definition,
    detail: Detail,
) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(definition.name.into())
        .with_value(Some(text(defaults.value(overrides, definition))))
        .with_config_source(source_of(defaults, overrides, definition))
        .with_config_type(definition.config_type())
        .with_documentation(detail.documentation.then(|| definition.documentation.into()))
        .with_synonyms(if detail.synonyms { synonyms(defaults, overrides, definition) } else { Vec::new() })
}

/// Where the value in effect comes from.
pub(super) fn source_of(defaults: &Defaults, overrides: &Overrides, definition: &Definition) -> i8 {
    if overrides.get(definition.name).is_some() {
        FROM_TOPIC
    } else if defaults.broker_value(definition).is_some() {
        FROM_BROKER
    } else {
        FROM_TABLE
    }
}

/// All values that the setting has, the one in effect first.
fn synonyms(
    defaults: &Defaults,
    overrides: &Overrides,
    definition: &Definition,
) -> Vec<DescribeConfigsSynonym> {
    let broker_name = definition.broker_name.unwrap_or(definition.name);
    let values = [
        (definition.name, overrides.get(definition.name), FROM_TOPIC),
        (broker_name, defaults.broker_value(definition), FROM_BROKER),
        (broker_name, Some(definition.default), FROM_TABLE),
    ];
    let synonym = |(name, value, source): (&'static str, Option<&str>, i8)| {
        Some(
            DescribeConfigsSynonym::default()
                .with_name(name.into())
                .with_value(Some(text(value?)))
                .with_source(source),
        )
    };
    values.into_iter().filter_map(synonym).collect()
}
