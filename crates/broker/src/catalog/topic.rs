//! One topic as requests see it: what it was at one moment, unchanging. A change makes another one that shares the logs.

use std::sync::Arc;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::configuration::Overrides;
use crate::log::Log;

/// A topic: its name, id, settings and partitions.
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) id: Uuid,
    pub(crate) overrides: Overrides,
    /// By number. There is at least one, unless a creation was only tried out.
    pub(crate) partitions: Vec<Arc<Log>>,
}

impl Topic {
    /// Copies the name, so that the topic does not keep the request alive that it came with.
    pub(super) fn new(name: &str, id: Uuid, overrides: Overrides, partitions: Vec<Arc<Log>>) -> Self {
        Self { name: TopicName(StrBytes::from_string(name.to_owned())), id, overrides, partitions }
    }

    /// The partition of this number.
    pub(crate) fn partition(&self, number: i32) -> Option<&Arc<Log>> {
        self.partitions.get(usize::try_from(number).ok()?)
    }
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Topic")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}
