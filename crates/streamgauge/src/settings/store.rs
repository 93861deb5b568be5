//! The settings of storage: from the file's values to validated types.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use storage::{BadRecord, DatabaseUrl, PartitionBy, StoredTopic, TimePartitions};

use super::error::SettingsError;
use super::raw::{RawStore, RawStorePostgres};
use super::validate::{Check, MAX_POLL_RECORDS, MAX_WORKERS};

/// The rows of a file are numbered with 32 bits; long before that they do not fit into memory.
const MAX_ROWS: usize = 100_000_000;
/// Less would make a file of every batch.
const LEAST_MEMORY: i64 = 1_000_000;
/// The largest size that a setting in bytes may have.
const MOST_MEMORY: i64 = 1 << 40;

/// The settings of storage.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    /// The topics to store, at least one.
    pub(crate) topics: Vec<StoredTopic>,
    /// Worker threads; `None` means one per processor.
    pub(crate) workers: Option<NonZeroUsize>,
    /// Rows of a partition that are stored at once at most.
    pub(crate) max_rows: usize,
    /// How long a row waits at most.
    pub(crate) max_age: Duration,
    /// Memory for all rows that wait, in bytes.
    pub(crate) memory: usize,
    /// What becomes of a record that is no row.
    pub(crate) bad_record: BadRecord,
    /// Records that a poll hands out at most.
    pub(crate) max_poll_records: NonZeroUsize,
    /// How long no progress is tolerated.
    pub(crate) stall_timeout: Duration,
    /// Parquet files.
    pub(crate) parquet: ParquetSettings,
    /// Tables in PostgreSQL.
    pub(crate) postgres: PostgresSettings,
}

/// The settings of tables in PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) struct PostgresSettings {
    /// The consumer group, not empty.
    pub(crate) group: String,
    /// The database, if one is named.
    pub(crate) url: Option<DatabaseUrl>,
    /// The schema of the tables, not empty.
    pub(crate) schema: String,
    /// Whether new tables are partitioned.
    pub(crate) partitions: TimePartitions,
}

/// The settings of Parquet files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParquetSettings {
    /// The consumer group, not empty.
    pub(crate) group: String,
    /// The directory, if one is named.
    pub(crate) path: Option<PathBuf>,
    /// What directories are made by.
    pub(crate) partition_by: PartitionBy,
    /// The level of Zstandard.
    pub(crate) compression_level: i32,
}

impl Check<'_> {
    pub(super) fn store(&self, raw: RawStore) -> Result<StoreSettings, SettingsError> {
        let topics: Result<Vec<StoredTopic>, String> =
            raw.topics.split(',').map(|topic| topic.trim().parse()).collect();
        let topics = topics.map_err(|problem| self.refusal("store.topics", problem))?;
        if let Some(twice) =
            (1..topics.len()).find(|at| topics[..*at].iter().any(|it| it.topic == topics[*at].topic))
        {
            return Err(self.refusal("store.topics", format!("{} is named twice", topics[twice].topic)));
        }
        let kinds = [("dead-letter", BadRecord::DeadLetter), ("stop", BadRecord::Stop)];
        if raw.parquet.group.trim().is_empty() {
            return Err(self.refusal("store.parquet.group", "it must name a consumer group"));
        }
        let postgres = self.postgres(raw.postgres)?;
        let level = self.whole("store.parquet.compression_level", raw.parquet.compression_level, 1..=22)?;
        Ok(StoreSettings {
            topics,
            workers: match raw.workers {
                0 => None,
                workers => Some(self.count("store.workers", workers, MAX_WORKERS)?),
            },
            max_rows: self.count("store.max_rows", raw.max_rows, MAX_ROWS)?.get(),
            max_age: self.some_time("store.max_age", &raw.max_age)?,
            memory: self.whole("store.memory_bytes", raw.memory_bytes, LEAST_MEMORY..=MOST_MEMORY)? as usize,
            bad_record: self.choice("store.on_bad_record", &raw.on_bad_record, &kinds)?,
            max_poll_records: self.count("store.max_poll_records", raw.max_poll_records, MAX_POLL_RECORDS)?,
            stall_timeout: self.some_time("store.stall_timeout", &raw.stall_timeout)?,
            parquet: ParquetSettings {
                group: raw.parquet.group,
                path: Some(raw.parquet.path).filter(|path| !path.is_empty()).map(PathBuf::from),
                partition_by: self.parsed("store.parquet.partition_by", &raw.parquet.partition_by)?,
                compression_level: level as i32,
            },
            postgres,
        })
    }

    fn postgres(&self, raw: RawStorePostgres) -> Result<PostgresSettings, SettingsError> {
        if raw.group.trim().is_empty() {
            return Err(self.refusal("store.postgres.group", "it must name a consumer group"));
        }
        if raw.schema.is_empty() {
            return Err(self.refusal("store.postgres.schema", "it must name a schema"));
        }
        let url = Some(raw.url).filter(|url| !url.is_empty());
        let url = url.map(|url| self.parsed("store.postgres.url", &url)).transpose()?;
        let by: TimePartitions = self.parsed("store.postgres.partitions", &raw.partitions)?;
        let retention = self.duration("store.postgres.retention", &raw.retention)?;
        if by.by.is_none() && !retention.is_zero() {
            let wanted = "it needs store.postgres.partitions: whole partitions are dropped";
            return Err(self.refusal("store.postgres.retention", wanted));
        }
        let retention = Some(retention).filter(|retention| !retention.is_zero());
        let partitions = TimePartitions { retention, ..by };
        Ok(PostgresSettings { group: raw.group, url, schema: raw.schema, partitions })
    }
}
