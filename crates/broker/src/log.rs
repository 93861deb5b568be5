//! The log of one partition: record batches in segments, as they arrived.

/// The log of one partition.
pub(crate) struct Log;
