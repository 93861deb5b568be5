//! What storing is told: validated by whoever makes it, used as it is.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::watch::Watch;
use crate::{DatabaseOptions, PartitionBy, Table};

/// Options of [`run`](crate::run).
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The topics to store, each with its table.
    pub topics: Vec<StoredTopic>,
    /// The consumer group; each place to store in has its own.
    pub group: String,
    /// Where to.
    pub target: Target,
    /// How many worker threads; `None`: one for each core, at most one for each partition.
    pub workers: Option<NonZeroUsize>,
    /// Rows of a partition that are stored at once at most.
    pub max_rows: usize,
    /// How long a row waits at most before it is stored.
    pub max_age: Duration,
    /// Memory for rows that are not stored yet, of all partitions together, in bytes.
    pub memory: usize,
    /// What becomes of a record that is no row.
    pub bad_record: BadRecord,
    /// Whether to go on behind records that retention deleted before they were read.
    pub accept_gaps: bool,
    /// The most records in one batch.
    pub max_batch: NonZeroUsize,
    /// How long unread records may lie without progress before a consumer is rebuilt.
    pub stall_timeout: Duration,
    /// How long the workers may take to store what they have and leave once the end is asked for.
    pub drain_timeout: Duration,
    /// Whether to stop at the end of what was there at the start.
    pub exit_at_end: bool,
    /// Lets the caller look at the figures while the run goes on.
    pub watch: Watch,
}

/// A topic and the table that it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTopic {
    /// The topic's name.
    pub topic: String,
    /// The table.
    pub table: Table,
}

impl FromStr for StoredTopic {
    type Err = String;

    /// `TOPIC` for a topic of the catalogue, `TOPIC=TABLE` for any.
    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, table) = match text.split_once('=') {
            Some((topic, table)) => (topic, Table::of_name(table)),
            None => (text, Table::of_topic(text)),
        };
        match table {
            Some(table) if !topic.is_empty() => Ok(Self { topic: topic.to_owned(), table }),
            _ => Err(format!(
                "no table is known for {text:?}; write it as TOPIC=TABLE, where TABLE is readings, events, alerts or analytics"
            )),
        }
    }
}

/// A place to store in.
#[derive(Clone, Debug)]
pub enum Target {
    /// Parquet files in a directory.
    Parquet {
        /// The directory.
        path: PathBuf,
        /// What the directories in it are made by.
        partition_by: PartitionBy,
        /// The level of Zstandard, 1 to 22.
        compression_level: i32,
    },
    /// Tables in PostgreSQL.
    Postgres(Arc<DatabaseOptions>),
}

/// What becomes of a record that is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRecord {
    /// It goes to the dead-letter topic, and storing goes on.
    DeadLetter,
    /// The run ends with the reason.
    Stop,
}
