//! What can go wrong with the log of a partition, and which code of the protocol says so to a client.

use std::io;
use std::path::{Path, PathBuf};

use kafka_protocol::ResponseError;

/// A failure of the storage, or stored data that this version cannot use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason given.
        source: io::Error,
    },
    /// A later version of this broker wrote the file.
    #[error("{} has format version {found}; this broker knows versions up to {known}", .path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version known.
        known: u16,
    },
    /// Stored bytes are not what was written.
    #[error("{} is damaged at byte {position}: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage shows.
        position: u64,
        /// What is wrong.
        detail: &'static str,
    },
    /// The partition was deleted while somebody still had its log.
    #[error("the partition was deleted")]
    Deleted,
}

impl LogError {
    /// Describes a failed call of the operating system; for `map_err`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}

/// Why records were not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// The bytes are no whole batches, or their checksum is wrong.
    #[error("corrupt batch: {0}")]
    Corrupt(&'static str),
    /// Whole, but against the rules for clients.
    #[error("invalid batch: {0}")]
    Invalid(&'static str),
    /// A batch is larger than `max.message.bytes`.
    #[error("a batch of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The set of batches is larger than a segment may be.
    #[error("{size} bytes of records do not fit into a segment of {limit}")]
    LargerThanSegment {
        /// The size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A codec that the protocol does not know.
    #[error("unknown compression codec {0}")]
    UnknownCodec(u8),
    /// A timestamp is outside of what the topic allows.
    #[error("timestamp {0} is outside of the range that the topic allows")]
    Timestamp(i64),
    /// A sequence number does not follow the last one.
    #[error("producer {producer_id} sent sequence {found} after {last}")]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// The first sequence number of the batch.
        found: i32,
        /// The last one known.
        last: i32,
    },
    /// An older epoch than the last one seen.
    #[error("producer {producer_id} sent epoch {found}, which {current} has fenced")]
    FencedEpoch {
        /// The producer.
        producer_id: i64,
        /// The epoch of the batch.
        found: i16,
        /// The newest one known.
        current: i16,
    },
    /// An older transaction coordinator than the last one seen.
    #[error("a marker of coordinator epoch {found} came after {current}")]
    FencedCoordinator {
        /// The epoch of the marker.
        found: i32,
        /// The newest one known.
        current: i32,
    },
    /// The partition is not part of a transaction of the producer, or a plain batch came within one.
    #[error("producer {producer_id}: {detail}")]
    TransactionState {
        /// The producer.
        producer_id: i64,
        /// What is wrong.
        detail: &'static str,
    },
    /// The records could not be stored; the log is as before.
    #[error(transparent)]
    Storage(#[from] LogError),
}

impl AppendError {
    /// The protocol's code for this.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::Corrupt(_) => ResponseError::CorruptMessage,
            Self::Invalid(_) => ResponseError::InvalidRecord,
            Self::TooLarge { .. } => ResponseError::MessageTooLarge,
            Self::LargerThanSegment { .. } => ResponseError::RecordListTooLarge,
            Self::UnknownCodec(_) => ResponseError::UnsupportedCompressionType,
            Self::Timestamp(_) => ResponseError::InvalidTimestamp,
            Self::OutOfOrder { .. } => ResponseError::OutOfOrderSequenceNumber,
            Self::FencedEpoch { .. } => ResponseError::InvalidProducerEpoch,
            Self::FencedCoordinator { .. } => ResponseError::TransactionCoordinatorFenced,
            Self::TransactionState { .. } => ResponseError::InvalidTxnState,
            Self::Storage(LogError::Deleted) => ResponseError::UnknownTopicOrPartition,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The offset is before the log's start or after its end.
    #[error("offset {offset} is outside of {start} to {end}")]
    OutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The first offset of the log.
        start: i64,
        /// The offset that the next record will get.
        end: i64,
    },
    /// The storage failed, or its content is damaged there.
    #[error(transparent)]
    Storage(#[from] LogError),
}

impl ReadError {
    /// The protocol's code for this.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
            Self::Storage(LogError::Damaged { .. }) => ResponseError::CorruptMessage,
            Self::Storage(LogError::Deleted) => ResponseError::UnknownTopicOrPartition,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}
