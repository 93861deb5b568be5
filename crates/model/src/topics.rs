//! The topic catalogue: which topics exist, how many partitions they have and how long they keep records.
//!
//! Counts and retention are defaults; the binary passes changed ones. Every topic that is read has a dead-letter
//! topic named [`dead_letter_topic`], which must take any record that its origin took, with headers beside it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Readings of sensors, keyed by sensor id.
pub const SENSOR_DATA: &str = "sensor-data";
/// Application events in `CloudEvents` form.
pub const EVENTS: &str = "events";
/// Alarms and what people did about them.
pub const ALERTS: &str = "alerts";
/// Window summaries, keyed by sensor id.
pub const ANALYTICS: &str = "analytics";
/// Internal topics (snapshots, ticks) begin with this.
pub const INTERNAL_PREFIX: &str = "streamgauge.";

const DEAD_LETTER_SUFFIX: &str = ".dlq";
const DAY: Duration = Duration::from_hours(24);
const DEAD_LETTER_RETENTION: Duration = DAY.saturating_mul(30);
/// 16 MiB, far above what a broker takes by default: a rejected record fits with the headers added to it.
const DEAD_LETTER_MAX_MESSAGE_BYTES: u32 = 16 << 20;

/// What becomes of records that a topic no longer has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Whole segments are deleted once their records are older than the retention.
    Delete,
    /// The newest record of each key is kept for ever.
    Compact,
}

impl Cleanup {
    /// The value of Kafka's `cleanup.policy`.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
        }
    }
}

/// A topic as it should be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// The number of partitions, at least 1.
    pub partitions: i32,
    /// Copies of each partition; `None` leaves it to the broker's default.
    pub replication_factor: Option<i16>,
    /// How long records are kept, where [`Cleanup::Delete`] applies.
    pub retention: Duration,
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// Further settings by Kafka's names.
    pub config: BTreeMap<String, String>,
}

impl TopicSpec {
    /// A topic that deletes what is older than `retention`, with the broker's defaults for the rest.
    pub fn new(name: impl Into<String>, partitions: i32, retention: Duration) -> Self {
        Self {
            name: name.into(),
            partitions,
            replication_factor: None,
            retention,
            cleanup: Cleanup::Delete,
            config: BTreeMap::new(),
        }
    }

    /// The dead-letter topic of `origin`: large enough for any record that was refused, with its headers.
    pub fn dead_letters(origin: &str) -> Self {
        let mut spec = Self::new(dead_letter_topic(origin), 1, DEAD_LETTER_RETENTION);
        spec.config.insert("max.message.bytes".to_owned(), DEAD_LETTER_MAX_MESSAGE_BYTES.to_string());
        spec
    }

    /// All settings by Kafka's names: [`TopicSpec::config`] and what retention and cleanup amount to. A name given
    /// in `config` wins.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::from([("cleanup.policy".to_owned(), self.cleanup.policy().to_owned())]);
        if self.cleanup == Cleanup::Delete {
            settings.insert("retention.ms".to_owned(), self.retention.as_millis().to_string());
        }
        settings.extend(self.config.clone());
        settings
    }
}

/// The topics of a new installation: the four of the pipeline and their dead-letter topics.
pub fn catalogue() -> Vec<TopicSpec> {
    let topics = [(SENSOR_DATA, 3, 7), (EVENTS, 3, 30), (ALERTS, 1, 90), (ANALYTICS, 3, 7)];
    let origins = topics.iter().map(|&(name, partitions, days)| TopicSpec::new(name, partitions, DAY * days));
    origins.chain(topics.iter().map(|&(name, ..)| TopicSpec::dead_letters(name))).collect()
}

/// The topic that takes the dead letters of `topic`.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}{DEAD_LETTER_SUFFIX}")
}

/// Whether `topic` takes dead letters.
pub fn is_dead_letter_topic(topic: &str) -> bool {
    topic.ends_with(DEAD_LETTER_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_the_catalogue_has_a_dead_letter_topic() {
        let names: Vec<String> = catalogue().into_iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), 8);
        for name in names.iter().filter(|name| !is_dead_letter_topic(name)) {
            assert!(names.contains(&dead_letter_topic(name)), "{name}");
        }
    }

    #[test]
    fn settings_spell_out_retention_and_let_config_win() {
        let mut spec = TopicSpec::new("t", 1, DAY * 7);
        assert_eq!(spec.settings()["retention.ms"], "604800000");
        assert_eq!(spec.settings()["cleanup.policy"], "delete");
        spec.config.insert("retention.ms".to_owned(), "5".to_owned());
        assert_eq!(spec.settings()["retention.ms"], "5");
        spec.config.clear();
        spec.cleanup = Cleanup::Compact;
        assert_eq!(spec.settings().get("retention.ms"), None);
    }

    #[test]
    fn dead_letter_topics_take_large_records() {
        let spec = TopicSpec::dead_letters(SENSOR_DATA);
        assert_eq!((spec.name.as_str(), spec.partitions), ("sensor-data.dlq", 1));
        assert_eq!(spec.settings()["max.message.bytes"], "16777216");
    }
}
