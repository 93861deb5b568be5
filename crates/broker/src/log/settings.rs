//! What a topic's settings mean to the log of one of its partitions.

use super::batch::NO_TIMESTAMP;

/// How the last owner of a log stopped, which decides how much of it is checked on opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastShutdown {
    /// [`close`](super::Log::close) ran to its end.
    Clean,
    /// It was killed, but the machine has not restarted since: what was written is still in the page cache.
    SameBoot,
    /// Neither is known: only what was flushed to the disk is certain.
    Unknown,
}

/// A topic's settings, checked by whoever parsed them. Names follow Kafka's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogSettings {
    /// The size in bytes at which a segment is full; at most `i32::MAX`.
    pub(crate) segment_bytes: u64,
    /// The age of its first record at which a segment is full.
    pub(crate) segment_ms: i64,
    /// The size in bytes at which a segment's offset index is full.
    pub(crate) segment_index_bytes: u64,
    /// Bytes of records between two index entries.
    pub(crate) index_interval_bytes: u64,
    /// How long records are kept, if there is a limit.
    pub(crate) retention_ms: Option<i64>,
    /// How many bytes of records are kept, if there is a limit.
    pub(crate) retention_bytes: Option<u64>,
    /// `cleanup.policy` contains `delete`.
    pub(crate) delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub(crate) compact: bool,
    /// The share of bytes not compacted yet at which compaction begins, from 0 to 1.
    pub(crate) min_cleanable_dirty_ratio: f64,
    /// Records younger than this are not compacted.
    pub(crate) min_compaction_lag_ms: i64,
    /// How long a tombstone stays after the compaction that found it to be the last of its key.
    pub(crate) delete_retention_ms: i64,
    /// The largest batch in bytes.
    pub(crate) max_message_bytes: usize,
    /// Batches are stamped with the time of the append instead of their own.
    pub(crate) log_append_time: bool,
    /// How far in the past a record's own timestamp may be.
    pub(crate) timestamp_before_max_ms: i64,
    /// How far in the future a record's own timestamp may be.
    pub(crate) timestamp_after_max_ms: i64,
    /// Records after which the log is flushed to the disk, if at all.
    pub(crate) flush_messages: Option<u64>,
    /// Time after which appended records are flushed to the disk, if at all.
    pub(crate) flush_ms: Option<i64>,
    /// How long an idle producer's sequence numbers are remembered.
    pub(crate) producer_retention_ms: i64,
}

impl Default for LogSettings {
    /// Kafka's defaults.
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            delete: true,
            compact: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            delete_retention_ms: DAY_MS,
            max_message_bytes: 1_048_588,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: i64::MAX,
            flush_messages: None,
            flush_ms: None,
            producer_retention_ms: DAY_MS,
        }
    }
}

impl LogSettings {
    /// Whether a record may carry this timestamp of its own.
    pub(super) fn allows(&self, timestamp_ms: i64, now_ms: i64) -> bool {
        timestamp_ms == NO_TIMESTAMP
            || (timestamp_ms >= now_ms.saturating_sub(self.timestamp_before_max_ms)
                && timestamp_ms <= now_ms.saturating_add(self.timestamp_after_max_ms))
    }
}
