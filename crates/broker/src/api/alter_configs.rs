//! `AlterConfigs`, which replaces all settings of a topic, and `IncrementalAlterConfigs`, which changes some.
//!
//! Each resource is changed as a whole or not at all. The broker's settings come from whoever started it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource as Replacement;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as ReplacementResponse;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::describe_configs::{BROKER, TOPIC};
use super::{Refusal, blocking, outcome};
use crate::Shared;
use crate::catalog::{Catalog, Defaults, Overrides, elements, find_setting};

/// What is done with one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    fn new(number: i8) -> Option<Self> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract].get(usize::try_from(number).ok()?).copied()
    }
}

/// A change of one setting.
#[derive(Debug)]
struct Change {
    name: StrBytes,
    operation: Operation,
    /// Empty for a deletion.
    value: StrBytes,
}

/// The changes of one resource.
#[derive(Debug)]
struct Changes {
    resource_type: i8,
    resource_name: StrBytes,
    /// Whether what is not mentioned goes back to its default.
    replace: bool,
    list: Result<Vec<Change>, Refusal>,
}

pub(crate) async fn alter_configs(shared: &Shared, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let all = request.resources.into_iter().map(replacement).collect();
    let results = alter_all(shared, all, request.validate_only).await;
    let responses = results.into_iter().map(|(changes, result)| {
        let (code, message) = outcome(result);
        ReplacementResponse::default()
            .with_resource_type(changes.0)
            .with_resource_name(changes.1)
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

pub(crate) async fn incremental_alter_configs(
    shared: &Shared,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let all = request.resources.into_iter().map(increment).collect();
    let results = alter_all(shared, all, request.validate_only).await;
    let responses = results.into_iter().map(|(changes, result)| {
        let (code, message) = outcome(result);
        AlterConfigsResourceResponse::default()
            .with_resource_type(changes.0)
            .with_resource_name(changes.1)
            .with_error_code(code)
            .with_error_message(message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn replacement(resource: Replacement) -> Changes {
    let changes = resource.configs.into_iter().map(|config| {
        let value = config.value.ok_or_else(|| null(&config.name))?;
        Ok(Change { name: config.name, operation: Operation::Set, value })
    });
    Changes {
        list: changes.collect(),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        replace: true,
    }
}

fn increment(resource: AlterConfigsResource) -> Changes {
    let change = |config: AlterableConfig| {
        let operation = Operation::new(config.config_operation).ok_or_else(|| {
            Refusal::invalid_request(format!("Unknown operations type {}", config.config_operation))
        })?;
        let value = match (operation, config.value) {
            (Operation::Delete, _) => StrBytes::new(),
            (_, value) => value.ok_or_else(|| null(&config.name))?,
        };
        Ok(Change { name: config.name, operation, value })
    };
    Changes {
        list: resource.configs.into_iter().map(change).collect(),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        replace: false,
    }
}

fn null(name: &str) -> Refusal {
    Refusal::invalid_request(format!("Null value not supported for : {name}"))
}

/// Makes all changes; returns what became of each resource, told by its type and name.
async fn alter_all(
    shared: &Shared,
    all: Vec<Changes>,
    only_try: bool,
) -> Vec<((i8, StrBytes), Result<(), Refusal>)> {
    let broker = shared.node.id;
    let catalog = Arc::clone(&shared.catalog);
    blocking(move || {
        let mut seen = HashSet::with_capacity(all.len());
        let mut twice = HashSet::new();
        for changes in &all {
            let resource = (changes.resource_type, changes.resource_name.clone());
            if !seen.insert(resource.clone()) {
                twice.insert(resource);
            }
        }
        let alter = |changes: Changes| {
            let resource = (changes.resource_type, changes.resource_name.clone());
            let result = if twice.contains(&resource) {
                Err(Refusal::invalid_request("Each resource must appear at most once."))
            } else {
                alter(&catalog, broker, changes, only_try)
            };
            (resource, result)
        };
        all.into_iter().map(alter).collect()
    })
    .await
}

fn alter(catalog: &Catalog, broker: i32, changes: Changes, only_try: bool) -> Result<(), Refusal> {
    let replace = changes.replace;
    let list = changes.list?;
    let names: HashSet<&StrBytes> = list.iter().map(|change| &change.name).collect();
    if names.len() < list.len() {
        return Err(Refusal::invalid_request("Error due to duplicate config keys"));
    }
    match changes.resource_type {
        TOPIC => {
            let defaults = catalog.defaults();
            let change = |before: &Overrides| {
                if replace {
                    apply(defaults, &Overrides::default(), &list)
                } else {
                    apply(defaults, before, &list)
                }
            };
            Ok(catalog.alter(&changes.resource_name, only_try, change)?)
        }
        BROKER if changes.resource_name.is_empty() || changes.resource_name.parse() == Ok(broker) => {
            if list.is_empty() {
                return Ok(());
            }
            let names: Vec<&str> = list.iter().map(|change| change.name.as_str()).collect();
            Err(Refusal::invalid_request(format!(
                "Cannot update these configs dynamically: {}; change the broker's settings and start it again",
                names.join(", ")
            )))
        }
        BROKER => Err(Refusal::invalid_request(format!(
            "Unexpected broker id, expected {broker}, but received {}",
            changes.resource_name
        ))),
        other => Err(Refusal::invalid_request(format!("Unknown resource type {other}"))),
    }
}

/// The settings after the changes; what is wrong with one of them otherwise.
fn apply(defaults: &Defaults, before: &Overrides, changes: &[Change]) -> Result<Overrides, String> {
    let mut values: BTreeMap<String, String> =
        before.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for change in changes {
        let name = change.name.as_str();
        let definition = find_setting(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
        let value = match change.operation {
            Operation::Set => change.value.to_string(),
            Operation::Delete => {
                values.remove(name);
                continue;
            }
            Operation::Append | Operation::Subtract if !definition.is_list() => {
                return Err(format!(
                    "Can't {:?} to key {name} because its type is not LIST.",
                    change.operation
                ));
            }
            Operation::Append => {
                let mut list: Vec<&str> = elements(defaults.value(before, definition)).collect();
                for element in elements(&change.value) {
                    if !list.contains(&element) {
                        list.push(element);
                    }
                }
                list.join(",")
            }
            Operation::Subtract => {
                let removed: Vec<&str> = elements(&change.value).collect();
                let list = elements(defaults.value(before, definition));
                list.filter(|element| !removed.contains(element)).collect::<Vec<_>>().join(",")
            }
        };
        values.insert(name.to_owned(), value);
    }
    Overrides::new(values)
}
