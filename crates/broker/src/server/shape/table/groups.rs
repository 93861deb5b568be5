//! The shapes of the requests for what groups and their committed offsets take. Names and order are those of Kafka's message files.

use super::super::{Kind, Shape};
use super::{BYTES, INT8, INT32, INT64, NEVER, STRING, array};

/// `OffsetCommitRequestPartition`: `partition_index`, `committed_offset`, `committed_leader_epoch`,
/// `committed_metadata`.
const OFFSET_COMMIT_PARTITION: Kind = Kind::Struct(&[INT32, INT64, INT32.since(6), STRING], &[]);

/// `OffsetCommitRequestTopic`: `name`, `partitions`.
const OFFSET_COMMIT_TOPIC: Kind = Kind::Struct(&[STRING, array(&OFFSET_COMMIT_PARTITION)], &[]);

/// `OffsetCommit`: `group_id`, `generation_id_or_member_epoch`, `member_id`, `group_instance_id`,
/// `retention_time_ms`, `topics`.
pub(super) const OFFSET_COMMIT: Shape = Shape {
    flexible: 8,
    fields: &[STRING, INT32, STRING, STRING.since(7), INT64.until(4), array(&OFFSET_COMMIT_TOPIC)],
    tagged: &[],
};

/// `OffsetFetchRequestTopic`: `name`, `partition_indexes`.
const OFFSET_FETCH_TOPIC: Kind = Kind::Struct(&[STRING.until(7), array(&INT32.kind).until(7)], &[]);

/// `OffsetFetchRequestTopics`: `name`, `partition_indexes`.
const OFFSET_FETCH_TOPICS: Kind = Kind::Struct(&[STRING.since(8), array(&INT32.kind).since(8)], &[]);

/// `OffsetFetchRequestGroup`: `group_id`, `member_id`, `member_epoch`, `topics`.
const OFFSET_FETCH_GROUP: Kind = Kind::Struct(
    &[STRING.since(8), STRING.since(9), INT32.since(9), array(&OFFSET_FETCH_TOPICS).since(8)],
    &[],
);

/// `OffsetFetch`: `group_id`, `topics`, `groups`, `require_stable`.
pub(super) const OFFSET_FETCH: Shape = Shape {
    flexible: 6,
    fields: &[
        STRING.until(7),
        array(&OFFSET_FETCH_TOPIC).until(7),
        array(&OFFSET_FETCH_GROUP).since(8),
        INT8.since(7),
    ],
    tagged: &[],
};

/// `OffsetDeleteRequestPartition`: `partition_index`.
const OFFSET_DELETE_PARTITION: Kind = Kind::Struct(&[INT32], &[]);

/// `OffsetDeleteRequestTopic`: `name`, `partitions`.
const OFFSET_DELETE_TOPIC: Kind = Kind::Struct(&[STRING, array(&OFFSET_DELETE_PARTITION)], &[]);

/// `OffsetDelete`: `group_id`, `topics`.
pub(super) const OFFSET_DELETE: Shape =
    Shape { flexible: NEVER, fields: &[STRING, array(&OFFSET_DELETE_TOPIC)], tagged: &[] };

/// `FindCoordinator`: `key`, `key_type`, `coordinator_keys`.
pub(super) const FIND_COORDINATOR: Shape = Shape {
    flexible: 3,
    fields: &[STRING.until(3), INT8.since(1), array(&Kind::String).since(4)],
    tagged: &[],
};

/// `JoinGroupRequestProtocol`: `name`, `metadata`.
const JOIN_GROUP_PROTOCOL: Kind = Kind::Struct(&[STRING, BYTES], &[]);

/// `JoinGroup`: `group_id`, `session_timeout_ms`, `rebalance_timeout_ms`, `member_id`, `group_instance_id`,
/// `protocol_type`, `protocols`, `reason`.
pub(super) const JOIN_GROUP: Shape = Shape {
    flexible: 6,
    fields: &[
        STRING,
        INT32,
        INT32.since(1),
        STRING,
        STRING.since(5),
        STRING,
        array(&JOIN_GROUP_PROTOCOL),
        STRING.since(8),
    ],
    tagged: &[],
};

/// `SyncGroupRequestAssignment`: `member_id`, `assignment`.
const SYNC_GROUP_ASSIGNMENT: Kind = Kind::Struct(&[STRING, BYTES], &[]);

/// `SyncGroup`: `group_id`, `generation_id`, `member_id`, `group_instance_id`, `protocol_type`,
/// `protocol_name`, `assignments`.
pub(super) const SYNC_GROUP: Shape = Shape {
    flexible: 4,
    fields: &[
        STRING,
        INT32,
        STRING,
        STRING.since(3),
        STRING.since(5),
        STRING.since(5),
        array(&SYNC_GROUP_ASSIGNMENT),
    ],
    tagged: &[],
};

/// `Heartbeat`: `group_id`, `generation_id`, `member_id`, `group_instance_id`.
pub(super) const HEARTBEAT: Shape =
    Shape { flexible: 4, fields: &[STRING, INT32, STRING, STRING.since(3)], tagged: &[] };

/// `MemberIdentity`: `member_id`, `group_instance_id`, `reason`.
const MEMBER_IDENTITY: Kind = Kind::Struct(&[STRING.since(3), STRING.since(3), STRING.since(5)], &[]);

/// `LeaveGroup`: `group_id`, `member_id`, `members`.
pub(super) const LEAVE_GROUP: Shape =
    Shape { flexible: 4, fields: &[STRING, STRING.until(2), array(&MEMBER_IDENTITY).since(3)], tagged: &[] };

/// `ListGroups`: `states_filter`, `types_filter`.
pub(super) const LIST_GROUPS: Shape = Shape {
    flexible: 3,
    fields: &[array(&Kind::String).since(4), array(&Kind::String).since(5)],
    tagged: &[],
};

/// `DescribeGroups`: `groups`, `include_authorized_operations`.
pub(super) const DESCRIBE_GROUPS: Shape =
    Shape { flexible: 5, fields: &[array(&Kind::String), INT8.since(3)], tagged: &[] };

/// `DeleteGroups`: `groups_names`.
pub(super) const DELETE_GROUPS: Shape = Shape { flexible: 2, fields: &[array(&Kind::String)], tagged: &[] };
