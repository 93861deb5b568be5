//! librdkafka's list of topic partitions, with its conversions.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use rdkafka::bindings as rd;

use crate::TopicPartition;

/// librdkafka's mark for "no offset" (`RD_KAFKA_OFFSET_INVALID`).
pub(crate) const OFFSET_INVALID: i64 = -1001;

/// An owned list.
pub(crate) struct PartitionList(*mut rd::rd_kafka_topic_partition_list_t);

impl PartitionList {
    /// A list of partitions with the offsets given (`None`: left to librdkafka, which asks the group).
    pub(crate) fn new<'a>(entries: impl IntoIterator<Item = (&'a TopicPartition, Option<i64>)>) -> Self {
        // SAFETY: never returns null; the size is only a hint.
        let list = Self(unsafe { rd::rd_kafka_topic_partition_list_new(4) });
        for (place, offset) in entries {
            let topic =
                CString::new(&*place.topic).expect("topic names come from Kafka or were checked against it");
            // SAFETY: the list is ours; the topic name is copied by the call; the entry returned is valid.
            unsafe {
                let entry = rd::rd_kafka_topic_partition_list_add(list.0, topic.as_ptr(), place.partition);
                (*entry).offset = offset.unwrap_or(OFFSET_INVALID);
            }
        }
        list
    }

    pub(crate) fn as_ptr(&self) -> *mut rd::rd_kafka_topic_partition_list_t {
        self.0
    }

    /// The partitions and offsets in it (`None` for any of librdkafka's special offsets).
    pub(crate) fn entries(&self) -> Vec<(TopicPartition, Option<i64>)> {
        // SAFETY: the list is valid while `self` lives.
        unsafe { read(self.0) }
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.0) }
    }
}

/// Copies a list out of librdkafka. SAFETY: `list` must be null or valid.
pub(crate) unsafe fn read(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> Vec<(TopicPartition, Option<i64>)> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: `elems` has `cnt` valid entries, each with a NUL-terminated topic.
    unsafe {
        let entries = std::slice::from_raw_parts((*list).elems, usize::try_from((*list).cnt).unwrap_or(0));
        entries
            .iter()
            .map(|entry| {
                let topic: Arc<str> = CStr::from_ptr(entry.topic).to_string_lossy().into();
                (
                    TopicPartition { topic, partition: entry.partition },
                    Some(entry.offset).filter(|at| *at >= 0),
                )
            })
            .collect()
    }
}
