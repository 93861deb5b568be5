//! Copies librdkafka's metadata into plain values.

use std::ffi::{CStr, c_char, c_int};

use rdkafka::bindings as rd;

use crate::{Broker, Cluster, PartitionInfo, TopicInfo};

/// SAFETY: `metadata` must be valid, as returned by a successful `rd_kafka_metadata`.
pub(super) unsafe fn read(metadata: *const rd::rd_kafka_metadata) -> Cluster {
    // SAFETY: the arrays have the lengths that stand beside them; all strings are NUL-terminated.
    unsafe {
        let brokers = slice((*metadata).brokers, (*metadata).broker_cnt)
            .iter()
            .map(|broker| Broker {
                id: broker.id,
                host: text(broker.host),
                port: u16::try_from(broker.port).unwrap_or(0),
            })
            .collect();
        let topics = slice((*metadata).topics, (*metadata).topic_cnt)
            .iter()
            .filter(|topic| topic.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR)
            .map(|topic| TopicInfo {
                name: text(topic.topic),
                partitions: slice(topic.partitions, topic.partition_cnt)
                    .iter()
                    .map(|part| partition(part))
                    .collect(),
            })
            .collect();
        Cluster { brokers, topics }
    }
}

/// SAFETY: the partition's arrays have the lengths that stand beside them.
unsafe fn partition(part: &rd::rd_kafka_metadata_partition) -> PartitionInfo {
    // SAFETY: by contract.
    unsafe {
        PartitionInfo {
            partition: part.id,
            leader: Some(part.leader).filter(|id| *id >= 0),
            replicas: slice(part.replicas, part.replica_cnt).to_vec(),
            in_sync: slice(part.isrs, part.isr_cnt).to_vec(),
        }
    }
}

/// SAFETY: null, or valid for `count` elements that outlive the use.
unsafe fn slice<'a, T>(pointer: *const T, count: c_int) -> &'a [T] {
    if pointer.is_null() {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(pointer, usize::try_from(count).unwrap_or(0)) }
}

/// SAFETY: null or a valid C string.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
