//! The shapes of the requests for what moves records. Names and order are those of Kafka's message files.

use super::super::{Kind, Shape, Tagged};
use super::{BYTES, INT8, INT16, INT32, INT64, STRING, UUID, array, whole};

/// `PartitionProduceData`: `index`, `records`.
const PARTITION_PRODUCE_DATA: Kind = Kind::Struct(&[INT32, BYTES], &[]);

/// `TopicProduceData`: `name`, `partition_data`.
const TOPIC_PRODUCE_DATA: Kind = Kind::Struct(&[STRING, array(&PARTITION_PRODUCE_DATA)], &[]);

/// `Produce`: `transactional_id`, `acks`, `timeout_ms`, `topic_data`.
pub(super) const PRODUCE: Shape =
    Shape { flexible: 9, fields: &[STRING, INT16, INT32, array(&TOPIC_PRODUCE_DATA)], tagged: &[] };

/// `FetchPartition`: `partition`, `current_leader_epoch`, `fetch_offset`, `last_fetched_epoch`,
/// `log_start_offset`, `partition_max_bytes`.
const FETCH_PARTITION: Kind = Kind::Struct(
    &[INT32, INT32.since(9), INT64, INT32.since(12), INT64.since(5), INT32],
    &[Tagged { tag: 0, field: UUID.since(17) }, Tagged { tag: 1, field: INT64.since(18) }],
);

/// `FetchTopic`: `topic`, `topic_id`, `partitions`.
const FETCH_TOPIC: Kind = Kind::Struct(&[STRING.until(12), UUID.since(13), array(&FETCH_PARTITION)], &[]);

/// `ForgottenTopic`: `topic`, `topic_id`, `partitions`.
const FORGOTTEN_TOPIC: Kind =
    Kind::Struct(&[STRING.since(7).until(12), UUID.since(13), array(&INT32.kind).since(7)], &[]);

/// `ReplicaState`: `replica_id`, `replica_epoch`.
const REPLICA_STATE: Kind = Kind::Struct(&[INT32.since(15), INT64.since(15)], &[]);

/// `Fetch`: `replica_id`, `max_wait_ms`, `min_bytes`, `max_bytes`, `isolation_level`, `session_id`,
/// `session_epoch`, `topics`, `forgotten_topics_data`, `rack_id`.
pub(super) const FETCH: Shape = Shape {
    flexible: 12,
    fields: &[
        INT32.until(14),
        INT32,
        INT32,
        INT32,
        INT8,
        INT32.since(7),
        INT32.since(7),
        array(&FETCH_TOPIC),
        array(&FORGOTTEN_TOPIC).since(7),
        STRING.since(11),
    ],
    tagged: &[Tagged { tag: 0, field: STRING }, Tagged { tag: 1, field: whole(REPLICA_STATE).since(15) }],
};

/// `ListOffsetsPartition`: `partition_index`, `current_leader_epoch`, `timestamp`.
const LIST_OFFSETS_PARTITION: Kind = Kind::Struct(&[INT32, INT32.since(4), INT64], &[]);

/// `ListOffsetsTopic`: `name`, `partitions`.
const LIST_OFFSETS_TOPIC: Kind = Kind::Struct(&[STRING, array(&LIST_OFFSETS_PARTITION)], &[]);

/// `ListOffsets`: `replica_id`, `isolation_level`, `topics`.
pub(super) const LIST_OFFSETS: Shape =
    Shape { flexible: 6, fields: &[INT32, INT8.since(2), array(&LIST_OFFSETS_TOPIC)], tagged: &[] };

/// `OffsetForLeaderPartition`: `partition`, `current_leader_epoch`, `leader_epoch`.
const OFFSET_FOR_LEADER_PARTITION: Kind = Kind::Struct(&[INT32, INT32, INT32], &[]);

/// `OffsetForLeaderTopic`: `topic`, `partitions`.
const OFFSET_FOR_LEADER_TOPIC: Kind = Kind::Struct(&[STRING, array(&OFFSET_FOR_LEADER_PARTITION)], &[]);

/// `OffsetForLeaderEpoch`: `replica_id`, `topics`.
pub(super) const OFFSET_FOR_LEADER_EPOCH: Shape =
    Shape { flexible: 4, fields: &[INT32.since(3), array(&OFFSET_FOR_LEADER_TOPIC)], tagged: &[] };

/// `DeleteRecordsPartition`: `partition_index`, `offset`.
const DELETE_RECORDS_PARTITION: Kind = Kind::Struct(&[INT32, INT64], &[]);

/// `DeleteRecordsTopic`: `name`, `partitions`.
const DELETE_RECORDS_TOPIC: Kind = Kind::Struct(&[STRING, array(&DELETE_RECORDS_PARTITION)], &[]);

/// `DeleteRecords`: `topics`, `timeout_ms`.
pub(super) const DELETE_RECORDS: Shape =
    Shape { flexible: 2, fields: &[array(&DELETE_RECORDS_TOPIC), INT32], tagged: &[] };

/// `TopicRequest`: `name`, `partition_indexes`.
const TOPIC: Kind = Kind::Struct(&[STRING, array(&INT32.kind)], &[]);

/// `DescribeProducers`: `topics`.
pub(super) const DESCRIBE_PRODUCERS: Shape = Shape { flexible: 0, fields: &[array(&TOPIC)], tagged: &[] };
