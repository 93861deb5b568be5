//! Whether the catalogue's topics are there, healthy, and as the settings want them.

use kafka::{Admin, Cluster, TopicInfo};
use model::TopicSpec;

use super::Check;
use crate::settings::TopicSettings;

/// One check for the topics that are missing, one for each that is not as it should be, and one for the others.
pub(super) fn check(admin: &Admin, cluster: &Cluster, settings: &TopicSettings) -> Vec<Check> {
    let catalogue = settings.catalogue();
    let (there, missing): (Vec<_>, Vec<_>) =
        catalogue.iter().partition(|spec| cluster.topic(&spec.name).is_some());
    let problems: Vec<Check> =
        there.iter().filter_map(|spec| check_one(admin, cluster.topic(&spec.name)?, spec)).collect();
    let good = there.len() - problems.len();
    let mut checks =
        vec![Check::ok("topics", format!("{good} of {} as the settings want them", catalogue.len()))];
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|spec| spec.name.as_str()).collect();
        checks.push(Check::failed("missing topics", names.join(", "), "streamgauge topics create"));
    }
    checks.extend(problems);
    checks
}

fn check_one(admin: &Admin, topic: &TopicInfo, spec: &TopicSpec) -> Option<Check> {
    let subject = format!("topic {}", spec.name);
    if let Some(problem) = without_leader(topic) {
        return Some(Check::failed(subject, problem, "start the brokers that hold them"));
    }
    if let Some(problem) = out_of_sync(topic) {
        return Some(Check::warning(subject, problem, "start the brokers that lag behind, or wait for them"));
    }
    match admin.describe_topic(&spec.name) {
        Err(error) => Some(Check::failed(subject, error.to_string(), "look at the brokers' logs")),
        Ok(found) => {
            let differences = differences(spec, &found);
            let fix = "change the topic with Kafka's own tools, or the section [topics] of the settings";
            (!differences.is_empty()).then(|| Check::warning(subject, differences.join("; "), fix))
        }
    }
}

fn without_leader(topic: &TopicInfo) -> Option<String> {
    let headless = topic.partitions.iter().filter(|partition| partition.leader.is_none()).count();
    (headless > 0).then(|| format!("{headless} of {} partitions have no leader", topic.partitions.len()))
}

fn out_of_sync(topic: &TopicInfo) -> Option<String> {
    let lagging = topic
        .partitions
        .iter()
        .filter(|partition| partition.in_sync.len() < partition.replicas.len())
        .count();
    (lagging > 0).then(|| format!("{lagging} of {} partitions lack in-sync replicas", topic.partitions.len()))
}

fn differences(spec: &TopicSpec, found: &kafka::admin::TopicDescription) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, is: String, wanted: String| {
        if is != wanted {
            differences.push(format!("{what} is {is}, not {wanted}"));
        }
    };
    compare("partitions", found.info.partitions.len().to_string(), spec.partitions.to_string());
    if let Some(wanted) = spec.replication_factor {
        let is = found.info.partitions.first().map_or(0, |partition| partition.replicas.len());
        compare("replication factor", is.to_string(), wanted.to_string());
    }
    for (key, wanted) in spec.settings() {
        let is = found.config.get(&key).and_then(|entry| entry.value.clone()).unwrap_or_default();
        compare(&key, is, wanted);
    }
    differences
}
