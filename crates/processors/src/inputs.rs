//! The topics of a run: what is read, what is written, and the internal ones, which are made if they are missing.

use std::sync::Arc;
use std::time::Duration;

use engine::Plan;
use engine::plan::WindowInput;
use kafka::{Admin, Cluster, ErrorCode, KafkaSettings, TopicPartition};
use model::TopicSpec;
use model::topics::{Cleanup, INTERNAL_PREFIX};
use tracing::info;

use crate::{Error, Topics};

/// What control records are kept for beyond the input that they belong to.
const CONTROL_MARGIN: Duration = Duration::from_hours(24);

/// What the records of an input are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Readings,
    Events,
}

/// The topics of a run.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    readings: Arc<str>,
    events: Arc<str>,
    pub(crate) analytics: String,
    pub(crate) alerts: String,
    pub(crate) control: String,
    pub(crate) snapshots: String,
    /// What is read.
    pub(crate) inputs: Vec<String>,
    /// How many partitions each internal topic has.
    pub(crate) internal_partitions: i32,
    /// The partitions that there are to read.
    pub(crate) places: Vec<TopicPartition>,
}

impl Names {
    /// Looks the topics up, and makes the internal ones if they are missing.
    pub(crate) fn look_up(
        topics: &Topics,
        group: &str,
        plan: &Plan,
        admin: &Admin,
        settings: &KafkaSettings,
    ) -> Result<Self, Error> {
        let mut names = Self {
            readings: topics.readings.as_str().into(),
            events: topics.events.as_str().into(),
            analytics: topics.analytics.clone(),
            alerts: topics.alerts.clone(),
            control: format!("{INTERNAL_PREFIX}{group}.control"),
            snapshots: format!("{INTERNAL_PREFIX}{group}.snapshots"),
            inputs: inputs(topics, plan),
            internal_partitions: 0,
            places: Vec::new(),
        };
        let cluster = admin.cluster()?;
        let counts = names.inputs.iter().map(|name| partitions(&cluster, name, settings));
        let counts = counts.collect::<Result<Vec<usize>, Error>>()?;
        for (name, count) in names.inputs.iter().zip(&counts) {
            let topic: Arc<str> = name.as_str().into();
            let place = |partition| TopicPartition { topic: Arc::clone(&topic), partition };
            names.places.extend((0..*count as i32).map(place));
        }
        for output in [&names.analytics, &names.alerts] {
            partitions(&cluster, output, settings)?;
        }
        let largest = counts.into_iter().max().unwrap_or(1);
        names.internal_partitions = names.make_internal(&cluster, largest, admin)?;
        Ok(names)
    }

    fn make_internal(&self, cluster: &Cluster, largest: usize, admin: &Admin) -> Result<i32, Error> {
        let count = |cluster: &Cluster, name| cluster.topic(name).map(|topic| topic.partitions.len());
        let known = [&self.control, &self.snapshots].map(|name| count(cluster, name));
        // One that was deleted by hand comes back as it was made, with the other.
        let wanted = known[0].or(known[1]).unwrap_or(largest);
        let mut missing = Vec::new();
        if known[0].is_none() {
            missing.push(self.control_spec(wanted, admin)?);
        }
        if known[1].is_none() {
            missing.push(self.snapshots_spec(wanted));
        }
        if !missing.is_empty() {
            info!(control = self.control, snapshots = self.snapshots, wanted, "making the internal topics");
            admin.create_topics(&missing)?;
        }
        let cluster = admin.cluster()?;
        let now = [&self.control, &self.snapshots].map(|name| count(&cluster, name).unwrap_or(0));
        if now[0] != now[1] {
            let problem = format!(
                "it has {} partitions and {:?} has {}; they have to have the same number: delete {:?}, and the state is \
                 read again from the input",
                now[0], self.snapshots, now[1], self.snapshots
            );
            return Err(Error::InternalTopic { topic: self.control.clone(), problem });
        }
        i32::try_from(now[0]).map_err(|_| Error::InternalTopic {
            topic: self.control.clone(),
            problem: format!("it cannot have {} partitions", now[0]),
        })
    }

    /// As long as the input can be read again, so can the control records.
    fn control_spec(&self, partitions: usize, admin: &Admin) -> Result<TopicSpec, Error> {
        let mut longest = Some(Duration::ZERO);
        for input in &self.inputs {
            let description = admin.describe_topic(input)?;
            let value = description.config.get("retention.ms").and_then(|value| value.value.as_ref());
            let retention = value.and_then(|text| text.parse::<i64>().ok());
            // A negative retention is none.
            let retention =
                retention.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
            longest = longest.zip(retention).map(|(longest, own)| longest.max(own));
        }
        let retention = longest.map_or(Duration::ZERO, |longest| longest + CONTROL_MARGIN);
        let mut spec = TopicSpec::new(&*self.control, partitions as i32, retention);
        if longest.is_none() {
            spec.config.insert("retention.ms".into(), "-1".into());
        }
        // Records are looked for by the clock that they carry.
        spec.config.insert("message.timestamp.type".into(), "CreateTime".into());
        Ok(spec)
    }

    fn snapshots_spec(&self, partitions: usize) -> TopicSpec {
        let mut spec = TopicSpec::new(&*self.snapshots, partitions as i32, Duration::ZERO);
        spec.cleanup = Cleanup::Compact;
        // Small segments are compacted sooner, so that less has to be read at a recovery.
        spec.config.insert("segment.bytes".into(), (64 << 20).to_string());
        spec
    }

    /// What the records of a topic are.
    #[inline]
    pub(crate) fn kind(&self, topic: &Arc<str>) -> Kind {
        if **topic == *self.events && self.events != self.readings { Kind::Events } else { Kind::Readings }
    }

    pub(crate) fn control(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.control.as_str().into(), partition }
    }

    pub(crate) fn snapshots(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.snapshots.as_str().into(), partition }
    }
}

/// Which topics a plan needs: readings at least.
pub(crate) fn inputs(topics: &Topics, plan: &Plan) -> Vec<String> {
    let mut inputs = vec![topics.readings.clone()];
    if needs_events(plan) && topics.events != topics.readings {
        inputs.push(topics.events.clone());
    }
    inputs
}

/// Whether a window looks at events.
pub(crate) fn needs_events(plan: &Plan) -> bool {
    plan.spec.windows.iter().any(|window| window.over == WindowInput::Events)
}

fn partitions(cluster: &Cluster, name: &str, settings: &KafkaSettings) -> Result<usize, Error> {
    let missing =
        || kafka::Error::MissingTopic { topic: name.to_owned(), bootstrap: settings.bootstrap().to_owned() };
    Ok(cluster.topic(name).ok_or_else(missing)?.partitions.len())
}

/// Whether a refusal may pass by itself.
pub(crate) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Kafka(kafka::Error::Kafka { code, .. }) if *code == ErrorCode::NotLeaderForPartition => true,
        Error::Kafka(error) => error.is_retryable(),
        _ => false,
    }
}
