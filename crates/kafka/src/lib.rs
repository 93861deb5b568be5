//! The Kafka client façade: everything above it sees records, partitions and offsets, never the client library.
//!
//! - [`KafkaSettings`]: raw librdkafka properties, checked.
//! - [`Producer`]: idempotent producing with back-pressure and counted deliveries.
//! - [`Transactional`]: producing in transactions, exactly once together with input offsets.
//! - [`Worker`]: one consumer of a group on one thread, driven by a loop over [`Event`]s. Its module states the
//!   delivery guarantee.
//! - [`PartitionReader`]: partitions from offset to offset, outside any group: snapshots, replays.
//! - [`Tail`]: partitions as they grow, outside any group: live views.
//! - [`Admin`]: topics and consumer groups. [`dead_letters`]: listing and replaying rejected records.
//!
//! Invariants: no type of rdkafka is public (its error code excepted); every wait has a bound; a topic is never
//! created behind the user's back; offsets are committed only for what has been processed.

pub mod admin;
mod cluster;
pub mod dead_letters;
mod ends;
mod error;
pub mod groups;
mod native;
mod partition_reader;
mod producer;
mod reader;
mod settings;
mod tail;
mod transactional;
mod wire;
mod worker;

pub use rdkafka::error::RDKafkaErrorCode as ErrorCode;

pub use admin::Admin;
pub use cluster::{Broker, Cluster, PartitionInfo, TopicInfo, TopicPartition};
pub use ends::Ends;
pub use error::Error;
pub use native::consumer::GroupMetadata;
pub use partition_reader::{PartitionReader, ReadAt, Span};
pub use producer::{Delivery, OnDelivery, Outgoing, Producer, ProducerCounters, ProducerOptions, Topic};
pub use reader::{ReadFrom, TopicReader};
pub use settings::{KafkaSettings, Role, SettingsError, is_secret};
pub use tail::Tail;
pub use transactional::{
    OffsetCommit, TransactionCounters, TransactionError, TransactionOptions, Transactional,
};
pub use wire::Sizes;
pub use worker::batch::{Batch, Record};
pub use worker::{CommitMode, Event, PartitionLag, PartitionStart, Worker, WorkerOptions};

/// How long a client tries to reach the brokers before it gives up at start.
pub const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
