//! The settings outside the kafka sections, windows, rules and groups as they are written: the shape of the default file, one field per key.
//!
//! A key that is here and not in the default file, or the other way round, fails a test and not a user.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) topics: RawTopics,
    pub(super) produce: RawProduce,
    pub(super) analyze: RawAnalyze,
    pub(super) process: RawProcess,
    pub(super) store: RawStore,
    pub(super) broker: RawBroker,
    pub(super) log: RawLog,
    pub(super) monitor: RawMonitor,
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
pub(super) struct RawProcess {
    pub(super) group: String,
    pub(super) guarantee: String,
    pub(super) workers: i64,
    pub(super) instance: String,
    pub(super) standby: bool,
    pub(super) commit_interval: String,
    pub(super) snapshot_interval: String,
    pub(super) transaction_timeout: String,
    pub(super) max_poll_records: i64,
    pub(super) stall_timeout: String,
    pub(super) time: RawProcessTime,
    pub(super) defaults: RawProcessDefaults,
    pub(super) limits: RawProcessLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProcessTime {
    pub(super) disorder: String,
    pub(super) idle_timeout: String,
    pub(super) max_future: String,
    pub(super) forget_after: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProcessDefaults {
    pub(super) grace: String,
    pub(super) max_length: String,
    pub(super) max_per_hour: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProcessLimits {
    pub(super) sensors: i64,
    pub(super) id_bytes: i64,
    pub(super) metrics: i64,
    pub(super) windows: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    pub(super) topics: String,
    pub(super) workers: i64,
    pub(super) max_rows: i64,
    pub(super) max_age: String,
    pub(super) memory_bytes: i64,
    pub(super) on_bad_record: String,
    pub(super) max_poll_records: i64,
    pub(super) stall_timeout: String,
    pub(super) parquet: RawStoreParquet,
    pub(super) postgres: RawStorePostgres,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorePostgres {
    pub(super) group: String,
    pub(super) url: String,
    pub(super) schema: String,
    pub(super) partitions: String,
    pub(super) retention: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStoreParquet {
    pub(super) group: String,
    pub(super) path: String,
    pub(super) partition_by: String,
    pub(super) compression_level: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBroker {
    pub(super) data_dir: String,
    pub(super) listen: String,
    pub(super) advertise: String,
    pub(super) create_topics: bool,
    pub(super) default_partitions: i64,
    pub(super) segment_bytes: i64,
    pub(super) max_message_bytes: i64,
    pub(super) retention: String,
    pub(super) retention_bytes: i64,
    pub(super) initial_rebalance_delay: String,
    pub(super) shortest_session: String,
    pub(super) longest_session: String,
    pub(super) offsets_retention: String,
    pub(super) producer_retention: String,
    pub(super) longest_transaction: String,
    pub(super) housekeeping: String,
    pub(super) security: RawBrokerSecurity,
    pub(super) limits: RawBrokerLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBrokerSecurity {
    pub(super) open_to_the_network: bool,
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) client_authorities: String,
    pub(super) sasl_mechanisms: String,
    pub(super) users_file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBrokerLimits {
    pub(super) connections: i64,
    pub(super) request_bytes: i64,
    pub(super) requests_in_flight_bytes: i64,
    pub(super) partitions: i64,
    pub(super) idle_connection: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) level: String,
    pub(super) format: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMonitor {
    pub(super) listen: String,
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
