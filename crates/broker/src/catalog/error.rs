//! What can go wrong with the catalog: at the start, and with one change of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kafka_protocol::ResponseError;

/// Why the catalog cannot be opened. None of these goes away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A default of topics is not one.
    #[error("a default for topics is not valid: {0}")]
    Default(String),
    /// A file or directory of the catalog.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The list of topics cannot be understood.
    #[error("{path} is not a list of topics: {problem}")]
    Malformed {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The list of topics was written by a later version.
    #[error(
        "{path} has version {version}, and this is a broker for version {known}; use the newer one again"
    )]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// The version in the file.
        version: u32,
        /// The version that this code writes.
        known: u32,
    },
    /// There are logs, but nothing that says of which topics.
    #[error(
        "{path} is missing, though there are partitions in {topics}; without it their records would be lost"
    )]
    Missing {
        /// Where the list of topics should be.
        path: PathBuf,
        /// The directory of the partitions.
        topics: PathBuf,
    },
    /// A partition's log cannot be opened.
    #[error("partition {partition} of topic {topic}: {source}")]
    Log {
        /// The topic.
        topic: String,
        /// The number of the partition.
        partition: usize,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a topic was not created or changed. Nothing of the change was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("{0}")]
    Name(String),
    #[error("Topic '{name}' collides with existing topic: {other}")]
    Collision { name: String, other: String },
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    #[error("This server does not host this topic-partition.")]
    Unknown,
    #[error("{0}")]
    Partitions(String),
    #[error("There can be no more than {limit} partitions of all topics together; this would make {wanted}.")]
    Limit { limit: usize, wanted: usize },
    #[error("{0}")]
    Setting(String),
    #[error("The topics could not be stored: {0}")]
    Store(#[from] Arc<CatalogError>),
}

impl ChangeError {
    /// The protocol's word for it.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::Name(_) | Self::Collision { .. } => ResponseError::InvalidTopicException,
            Self::Exists(_) => ResponseError::TopicAlreadyExists,
            Self::Unknown => ResponseError::UnknownTopicOrPartition,
            Self::Partitions(_) => ResponseError::InvalidPartitions,
            Self::Limit { .. } => ResponseError::PolicyViolation,
            Self::Setting(_) => ResponseError::InvalidConfig,
            Self::Store(_) => ResponseError::KafkaStorageError,
        }
    }
}
