//! Administration of topics: create, describe, delete. Every call waits a bounded time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use model::TopicSpec;
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use tracing::debug;

use crate::native::client::{Client, Shared};
use crate::settings::{KafkaSettings, Role};
use crate::{Cluster, Error, TopicInfo, TopicPartition};

/// How long one administrative request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a created or deleted topic may take to be seen, or not, by every broker.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(10);

/// What creating a topic came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It was created.
    Created,
    /// It was there already; the differences from what was asked for, in words (none: it is as asked).
    Existed(Vec<String>),
}

/// A topic in full.
#[derive(Clone, Debug)]
pub struct TopicDescription {
    /// Name, leaders, replicas, in-sync replicas.
    pub info: TopicInfo,
    /// First and next offset of every partition, in the partitions' order; `None` where no leader answered.
    pub offsets: Vec<Option<(i64, i64)>>,
    /// The topic's settings in force.
    pub config: BTreeMap<String, ConfigValue>,
}

/// One setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigValue {
    /// The value; `None` if the broker does not show it.
    pub value: Option<String>,
    /// Whether it was set for this topic, rather than inherited.
    pub is_own: bool,
}

/// Keeps rdkafka's log lines below the level that people see: failures are told by the errors themselves.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        debug!(target: "librdkafka", facility, text, "admin client log");
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        debug!(target: "librdkafka", %error, reason, "admin client error");
    }
}

/// A client for administration.
pub struct Admin {
    pub(crate) client: Arc<Client>,
    requests: AdminClient<Quiet>,
    pub(crate) settings: KafkaSettings,
}

impl Admin {
    /// Connects; fails if no broker answers within `timeout`.
    pub fn connect(settings: &KafkaSettings, timeout: Duration) -> Result<Self, Error> {
        settings.check()?;
        let client = Client::new(settings, Role::Admin, Shared::default())?;
        client.metadata(timeout)?;
        let mut config = ClientConfig::new();
        config.extend(settings.for_role(Role::Admin));
        let requests = config
            .create_with_context(Quiet)
            .map_err(|error| Error::wrap("cannot make the administration client", &error))?;
        Ok(Self { client, requests, settings: settings.clone() })
    }

    /// The cluster as it is now.
    pub fn cluster(&self) -> Result<Cluster, Error> {
        self.client.metadata(REQUEST_TIMEOUT)
    }

    /// Creates what is missing; what is there stays as it is and is compared. In the order of `specs`.
    pub fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<(String, Creation)>, Error> {
        let before = self.cluster()?;
        let missing: Vec<_> = specs.iter().filter(|spec| before.topic(&spec.name).is_none()).collect();
        let configs: Vec<BTreeMap<String, String>> = missing.iter().map(|spec| spec.settings()).collect();
        let topics: Vec<_> =
            missing.iter().zip(&configs).map(|(spec, config)| new_topic(spec, config)).collect();
        if !topics.is_empty() {
            let names = missing.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ");
            let doing = format!("cannot create {names}");
            let results = block_on(self.requests.create_topics(&topics, &options()))
                .map_err(|error| Error::wrap(&doing, &error))?;
            for result in results {
                match result {
                    // Created by somebody else in the meantime: as good.
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((topic, code)) => {
                        return Err(Error::kafka(format!("cannot create topic {topic:?}"), code));
                    }
                }
            }
            self.wait_until(|now| missing.iter().all(|spec| has_leaders(now, &spec.name)))?;
        }
        specs
            .iter()
            .map(|spec| {
                let creation = match before.topic(&spec.name) {
                    None => Creation::Created,
                    Some(found) => Creation::Existed(self.differences(spec, found)?),
                };
                Ok((spec.name.clone(), creation))
            })
            .collect()
    }

    fn differences(&self, spec: &TopicSpec, found: &TopicInfo) -> Result<Vec<String>, Error> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, is: String, wanted: String| {
            if is != wanted {
                differences.push(format!("{what} is {is}, not {wanted}"));
            }
        };
        compare("partitions", found.partitions.len().to_string(), spec.partitions.to_string());
        if let Some(wanted) = spec.replication_factor {
            let is = found.partitions.first().map_or(0, |partition| partition.replicas.len());
            compare("replication factor", is.to_string(), wanted.to_string());
        }
        let config = self.topic_config(&spec.name)?;
        for (key, wanted) in spec.settings() {
            let is = config.get(&key).and_then(|entry| entry.value.clone()).unwrap_or_default();
            compare(&key, is, wanted);
        }
        Ok(differences)
    }

    /// Deletes a topic and waits until it is gone.
    pub fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        if self.cluster()?.topic(topic).is_none() {
            return Err(self.missing(topic));
        }
        let doing = format!("cannot delete topic {topic:?}");
        let results = block_on(self.requests.delete_topics(&[topic], &options()))
            .map_err(|error| Error::wrap(&doing, &error))?;
        for result in results {
            result.map_err(|(_, code)| Error::kafka(&doing, code))?;
        }
        self.wait_until(|now| now.topic(topic).is_none())
    }

    /// Everything about one topic.
    pub fn describe_topic(&self, topic: &str) -> Result<TopicDescription, Error> {
        let info = self.cluster()?.topic(topic).cloned().ok_or_else(|| self.missing(topic))?;
        let name: Arc<str> = topic.into();
        let offsets = info
            .partitions
            .iter()
            .map(|partition| {
                let place = TopicPartition { topic: Arc::clone(&name), partition: partition.partition };
                self.watermarks(&place).ok()
            })
            .collect();
        Ok(TopicDescription { offsets, config: self.topic_config(topic)?, info })
    }

    /// First and next offset of a partition.
    pub fn watermarks(&self, place: &TopicPartition) -> Result<(i64, i64), Error> {
        self.requests
            .inner()
            .fetch_watermarks(&place.topic, place.partition, REQUEST_TIMEOUT)
            .map_err(|error| Error::wrap(format!("cannot read the offsets of {place}"), &error))
    }

    fn topic_config(&self, topic: &str) -> Result<BTreeMap<String, ConfigValue>, Error> {
        let doing = format!("cannot read the settings of topic {topic:?}");
        let results =
            block_on(self.requests.describe_configs(&[ResourceSpecifier::Topic(topic)], &options()))
                .map_err(|error| Error::wrap(&doing, &error))?;
        let mut config = BTreeMap::new();
        for result in results {
            let resource = result.map_err(|code| Error::kafka(&doing, code))?;
            for entry in resource.entries {
                let is_own = entry.source == ConfigSource::DynamicTopic;
                config.insert(entry.name, ConfigValue { value: entry.value, is_own });
            }
        }
        Ok(config)
    }

    /// Waits until the cluster looks as it should.
    fn wait_until(&self, done: impl Fn(&Cluster) -> bool) -> Result<(), Error> {
        let deadline = std::time::Instant::now() + PROPAGATION_TIMEOUT;
        loop {
            if done(&self.cluster()?) {
                return Ok(());
            }
            if std::time::Instant::now() >= deadline {
                return Err(Error::kafka(
                    "the change is not seen by all brokers yet",
                    RDKafkaErrorCode::OperationTimedOut,
                ));
            }
            // Metadata has no way to wait for a change; this is the pace of asking again.
            self.client.poll(Duration::from_millis(50));
        }
    }

    fn missing(&self, topic: &str) -> Error {
        Error::MissingTopic { topic: topic.into(), bootstrap: self.settings.bootstrap().into() }
    }
}

fn has_leaders(cluster: &Cluster, topic: &str) -> bool {
    cluster
        .topic(topic)
        .is_some_and(|topic| topic.partitions.iter().all(|partition| partition.leader.is_some()))
}

fn new_topic<'a>(spec: &'a TopicSpec, config: &'a BTreeMap<String, String>) -> NewTopic<'a> {
    // -1 leaves the choice to the broker (KIP-464).
    let replication = spec.replication_factor.map_or(-1, i32::from);
    let topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(replication));
    config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(PROPAGATION_TIMEOUT))
}
