//! librdkafka's list of topic partitions, with its conversions.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

use super::client::check;
use crate::{PartitionStart, TopicPartition};

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
            list.add(place, offset.unwrap_or(OFFSET_INVALID));
        }
        list
    }

    /// A list of partitions with offsets and what is to be remembered beside each.
    pub(crate) fn with_metadata<'a>(
        entries: impl IntoIterator<Item = (&'a TopicPartition, i64, &'a str)>,
    ) -> Self {
        let list = Self::new([]);
        for (place, offset, metadata) in entries {
            let entry = list.add(place, offset);
            if metadata.is_empty() {
                continue;
            }
            // SAFETY: the entry is valid until the list is destroyed; librdkafka frees the metadata with its own
            // allocator, so it is made with that one, with its true length.
            unsafe {
                let copy = rd::rd_kafka_mem_malloc(std::ptr::null_mut(), metadata.len());
                std::ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast(), metadata.len());
                (*entry).metadata = copy;
                (*entry).metadata_size = metadata.len();
            }
        }
        list
    }

    fn add(&self, place: &TopicPartition, offset: i64) -> *mut rd::rd_kafka_topic_partition_t {
        let topic =
            CString::new(&*place.topic).expect("topic names come from Kafka or were checked against it");
        // SAFETY: the list is ours; the topic name is copied by the call; the entry returned is valid.
        unsafe {
            let entry = rd::rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), place.partition);
            (*entry).offset = offset;
            entry
        }
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

impl PartitionList {
    /// The entries that were refused, after a call that reports by entry.
    pub(crate) fn errors(&self) -> Vec<(TopicPartition, RDKafkaErrorCode)> {
        // SAFETY: the list is valid while `self` lives.
        unsafe {
            let refused =
                entries(self.0).iter().filter_map(|entry| Some((place_of(entry), check(entry.err).err()?)));
            refused.collect()
        }
    }

    /// The partitions, their offsets (`None` for any of librdkafka's special ones) and the metadata beside them.
    pub(crate) fn committed(&self) -> Vec<PartitionStart> {
        // SAFETY: the list is valid while `self` lives; metadata has the length that stands beside it.
        unsafe {
            let read = |entry: &rd::rd_kafka_topic_partition_t| {
                let metadata = if entry.metadata.is_null() {
                    String::new()
                } else {
                    let bytes = std::slice::from_raw_parts(entry.metadata.cast(), entry.metadata_size);
                    String::from_utf8_lossy(bytes).into_owned()
                };
                PartitionStart {
                    place: place_of(entry),
                    offset: Some(entry.offset).filter(|at| *at >= 0),
                    metadata,
                }
            };
            entries(self.0).iter().map(read).collect()
        }
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
    // SAFETY: by contract.
    unsafe {
        let read = |entry: &rd::rd_kafka_topic_partition_t| {
            (place_of(entry), Some(entry.offset).filter(|at| *at >= 0))
        };
        entries(list).iter().map(read).collect()
    }
}

/// SAFETY: null, or valid and unchanged for `'a`.
unsafe fn entries<'a>(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> &'a [rd::rd_kafka_topic_partition_t] {
    // SAFETY: by contract; `elems` has `cnt` entries, and is null when there were never any.
    unsafe {
        if list.is_null() || (*list).elems.is_null() {
            return &[];
        }
        std::slice::from_raw_parts((*list).elems, usize::try_from((*list).cnt).unwrap_or(0))
    }
}

/// SAFETY: an entry of a valid list, so that its topic is a NUL-terminated text.
unsafe fn place_of(entry: &rd::rd_kafka_topic_partition_t) -> TopicPartition {
    // SAFETY: by contract; the name is copied.
    let topic: Arc<str> = unsafe { CStr::from_ptr(entry.topic) }.to_string_lossy().into();
    TopicPartition { topic, partition: entry.partition }
}
