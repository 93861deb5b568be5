//! The settings outside the kafka sections as they are written: the shape of the default file, one field per key.
//!
//! A key that is here and not in the default file, or the other way round, fails a test and not a user.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) topics: RawTopics,
    pub(super) produce: RawProduce,
    pub(super) analyze: RawAnalyze,
    pub(super) log: RawLog,
    pub(super) metrics: RawMetrics,
    pub(super) shutdown: RawShutdown,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTopics {
    #[serde(rename = "replication_factor")]
    pub(super) replication_factor: i64,
    #[serde(rename = "min_insync_replicas")]
    pub(super) min_insync_replicas: i64,
    pub(super) sensor_data: RawTopic,
    pub(super) events: RawTopic,
    pub(super) alerts: RawTopic,
    pub(super) analytics: RawTopic,
    pub(super) dead_letters: RawTopic,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTopic {
    pub(super) partitions: i64,
    pub(super) retention: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProduce {
    pub(super) seed: i64,
    pub(super) num_sensors: i64,
    pub(super) interval: String,
    pub(super) rate: f64,
    pub(super) cadence: String,
    pub(super) key_format: String,
    pub(super) events: RawEvents,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvents {
    pub(super) entities: i64,
    pub(super) rate: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAnalyze {
    pub(super) group: String,
    pub(super) high_temperature: f64,
    pub(super) commit: String,
    pub(super) commit_interval: String,
    pub(super) max_poll_records: i64,
    pub(super) workers: i64,
    pub(super) stall_timeout: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) level: String,
    pub(super) format: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    pub(super) listen: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShutdown {
    pub(super) deadline: String,
}
