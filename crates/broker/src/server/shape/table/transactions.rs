//! The shapes of the requests for what transactions take. Names and order are those of Kafka's message files.

use super::super::{Kind, Shape};
use super::{INT8, INT16, INT32, INT64, STRING, array};

/// `InitProducerId`: `transactional_id`, `transaction_timeout_ms`, `producer_id`, `producer_epoch`.
pub(super) const INIT_PRODUCER_ID: Shape =
    Shape { flexible: 2, fields: &[STRING, INT32, INT64.since(3), INT16.since(3)], tagged: &[] };

/// `AddPartitionsToTxnTopic`: `name`, `partitions`.
const ADD_PARTITIONS_TO_TXN_TOPIC: Kind = Kind::Struct(&[STRING, array(&INT32.kind)], &[]);

/// `AddPartitionsToTxn`: `v3_and_below_transactional_id`, `v3_and_below_producer_id`,
/// `v3_and_below_producer_epoch`, `v3_and_below_topics`.
pub(super) const ADD_PARTITIONS_TO_TXN: Shape =
    Shape { flexible: 3, fields: &[STRING, INT64, INT16, array(&ADD_PARTITIONS_TO_TXN_TOPIC)], tagged: &[] };

/// `AddOffsetsToTxn`: `transactional_id`, `producer_id`, `producer_epoch`, `group_id`.
pub(super) const ADD_OFFSETS_TO_TXN: Shape =
    Shape { flexible: 3, fields: &[STRING, INT64, INT16, STRING], tagged: &[] };

/// `TxnOffsetCommitRequestPartition`: `partition_index`, `committed_offset`, `committed_leader_epoch`,
/// `committed_metadata`.
const TXN_OFFSET_COMMIT_PARTITION: Kind = Kind::Struct(&[INT32, INT64, INT32.since(2), STRING], &[]);

/// `TxnOffsetCommitRequestTopic`: `name`, `partitions`.
const TXN_OFFSET_COMMIT_TOPIC: Kind = Kind::Struct(&[STRING, array(&TXN_OFFSET_COMMIT_PARTITION)], &[]);

/// `TxnOffsetCommit`: `transactional_id`, `group_id`, `producer_id`, `producer_epoch`, `generation_id`,
/// `member_id`, `group_instance_id`, `topics`.
pub(super) const TXN_OFFSET_COMMIT: Shape = Shape {
    flexible: 3,
    fields: &[
        STRING,
        STRING,
        INT64,
        INT16,
        INT32.since(3),
        STRING.since(3),
        STRING.since(3),
        array(&TXN_OFFSET_COMMIT_TOPIC),
    ],
    tagged: &[],
};

/// `EndTxn`: `transactional_id`, `producer_id`, `producer_epoch`, `committed`.
pub(super) const END_TXN: Shape = Shape { flexible: 3, fields: &[STRING, INT64, INT16, INT8], tagged: &[] };

/// `DescribeTransactions`: `transactional_ids`.
pub(super) const DESCRIBE_TRANSACTIONS: Shape =
    Shape { flexible: 0, fields: &[array(&Kind::String)], tagged: &[] };

/// `ListTransactions`: `state_filters`, `producer_id_filters`, `duration_filter`.
pub(super) const LIST_TRANSACTIONS: Shape =
    Shape { flexible: 0, fields: &[array(&Kind::String), array(&INT64.kind), INT64.since(1)], tagged: &[] };
