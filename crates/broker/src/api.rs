//! One handler a request of the protocol; each takes the decoded request and returns the response.
//!
//! Invariants: a handler never fails, it answers with the protocol's error code; it holds no lock across an await; what
//! waits for the disk beyond the page cache runs where waiting is allowed ([`blocking`]). No handler copies a name out of
//! a request other than to keep it, and none copies records.
//!
//! Where versions differ, only the fields that the version has are set: the codec refuses others.

mod alter_configs;
mod cluster;
mod create_topics;
mod delete_topics;
mod describe;
mod describe_configs;
mod describe_topic_partitions;
mod fetch;
mod leader_epoch;
mod list_offsets;
mod metadata;
mod partitions;
mod produce;
#[cfg(test)]
mod tests;

pub(crate) use alter_configs::{alter_configs, incremental_alter_configs};
pub(crate) use cluster::{describe_cluster, find_coordinator};
pub(crate) use create_topics::create_topics;
pub(crate) use delete_topics::delete_topics;
pub(crate) use describe::{describe_log_dirs, describe_producers};
pub(crate) use describe_configs::describe_configs;
pub(crate) use describe_topic_partitions::describe_topic_partitions;
pub(crate) use fetch::fetch;
pub(crate) use leader_epoch::offset_for_leader_epoch;
pub(crate) use list_offsets::list_offsets;
pub(crate) use metadata::metadata;
pub(crate) use partitions::{create_partitions, delete_records};
pub(crate) use produce::produce;

use std::panic;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

/// What everybody may do with a topic, where there is no authorizer: a bit for each of Apache Kafka's operations that a
/// topic has (read, write, create, delete, alter, describe, describe and alter its configuration).
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// Likewise for the cluster (create, alter, describe, cluster action, describe and alter configurations, idempotent write).
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// The number of a successful answer.
const NONE: i16 = 0;

/// An error with what to tell about it.
#[derive(Debug)]
struct Refusal {
    error: ResponseError,
    message: String,
}

impl Refusal {
    fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }

    fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ResponseError::InvalidRequest, message)
    }
}

impl From<crate::catalog::ChangeError> for Refusal {
    fn from(error: crate::catalog::ChangeError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// The error code and message of a result, as most responses have them.
fn outcome(result: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (NONE, None),
        Err(refusal) => (refusal.error.code(), Some(text(refusal.message))),
    }
}

fn text(string: impl Into<String>) -> StrBytes {
    StrBytes::from_string(string.into())
}

/// Runs what waits for the disk on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It is not cancelled: nobody else has its handle. So it panicked, and that is for the caller's task.
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
