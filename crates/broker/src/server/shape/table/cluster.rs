//! The shapes of the requests for the cluster, its topics and settings, and who asks. Names and order are those of Kafka's message files.

use super::super::{Field, Kind, Shape};
use super::{BYTES, INT8, INT16, INT32, NEVER, STRING, UUID, array, whole};

/// `ApiVersions`: `client_software_name`, `client_software_version`.
pub(super) const API_VERSIONS: Shape =
    Shape { flexible: 3, fields: &[STRING.since(3), STRING.since(3)], tagged: &[] };

/// `SaslHandshake`: `mechanism`.
pub(super) const SASL_HANDSHAKE: Shape = Shape { flexible: NEVER, fields: &[STRING], tagged: &[] };

/// `SaslAuthenticate`: `auth_bytes`.
pub(super) const SASL_AUTHENTICATE: Shape = Shape { flexible: 2, fields: &[BYTES], tagged: &[] };

/// `MetadataRequestTopic`: `topic_id`, `name`.
const METADATA_TOPIC: Kind = Kind::Struct(&[UUID.since(10), STRING], &[]);

/// `Metadata`: `topics`, `allow_auto_topic_creation`, `include_cluster_authorized_operations`,
/// `include_topic_authorized_operations`.
pub(super) const METADATA: Shape = Shape {
    flexible: 9,
    fields: &[array(&METADATA_TOPIC), INT8.since(4), INT8.since(8).until(10), INT8.since(8)],
    tagged: &[],
};

/// `CreatableReplicaAssignment`: `partition_index`, `broker_ids`.
const CREATABLE_REPLICA_ASSIGNMENT: Kind = Kind::Struct(&[INT32, array(&INT32.kind)], &[]);

/// `CreatableTopicConfig`: `name`, `value`.
const CREATABLE_TOPIC_CONFIG: Kind = Kind::Struct(&[STRING, STRING], &[]);

/// `CreatableTopic`: `name`, `num_partitions`, `replication_factor`, `assignments`, `configs`.
const CREATABLE_TOPIC: Kind = Kind::Struct(
    &[STRING, INT32, INT16, array(&CREATABLE_REPLICA_ASSIGNMENT), array(&CREATABLE_TOPIC_CONFIG)],
    &[],
);

/// `CreateTopics`: `topics`, `timeout_ms`, `validate_only`.
pub(super) const CREATE_TOPICS: Shape =
    Shape { flexible: 5, fields: &[array(&CREATABLE_TOPIC), INT32, INT8], tagged: &[] };

/// `DeleteTopicState`: `name`, `topic_id`.
const DELETE_TOPIC_STATE: Kind = Kind::Struct(&[STRING.since(6), UUID.since(6)], &[]);

/// `DeleteTopics`: `topics`, `topic_names`, `timeout_ms`.
pub(super) const DELETE_TOPICS: Shape = Shape {
    flexible: 4,
    fields: &[array(&DELETE_TOPIC_STATE).since(6), array(&Kind::String).until(5), INT32],
    tagged: &[],
};

/// `CreatePartitionsAssignment`: `broker_ids`.
const CREATE_PARTITIONS_ASSIGNMENT: Kind = Kind::Struct(&[array(&INT32.kind)], &[]);

/// `CreatePartitionsTopic`: `name`, `count`, `assignments`.
const CREATE_PARTITIONS_TOPIC: Kind =
    Kind::Struct(&[STRING, INT32, array(&CREATE_PARTITIONS_ASSIGNMENT)], &[]);

/// `CreatePartitions`: `topics`, `timeout_ms`, `validate_only`.
pub(super) const CREATE_PARTITIONS: Shape =
    Shape { flexible: 2, fields: &[array(&CREATE_PARTITIONS_TOPIC), INT32, INT8], tagged: &[] };

/// `DescribeConfigsResource`: `resource_type`, `resource_name`, `configuration_keys`.
const DESCRIBE_CONFIGS_RESOURCE: Kind = Kind::Struct(&[INT8, STRING, array(&Kind::String)], &[]);

/// `DescribeConfigs`: `resources`, `include_synonyms`, `include_documentation`.
pub(super) const DESCRIBE_CONFIGS: Shape =
    Shape { flexible: 4, fields: &[array(&DESCRIBE_CONFIGS_RESOURCE), INT8, INT8.since(3)], tagged: &[] };

/// `AlterableConfig`: `name`, `value`.
const ALTERABLE_CONFIG: Kind = Kind::Struct(&[STRING, STRING], &[]);

/// `AlterConfigsResource`: `resource_type`, `resource_name`, `configs`.
const ALTER_CONFIGS_RESOURCE: Kind = Kind::Struct(&[INT8, STRING, array(&ALTERABLE_CONFIG)], &[]);

/// `AlterConfigs`: `resources`, `validate_only`.
pub(super) const ALTER_CONFIGS: Shape =
    Shape { flexible: 2, fields: &[array(&ALTER_CONFIGS_RESOURCE), INT8], tagged: &[] };

/// `AlterableConfig`: `name`, `config_operation`, `value`.
const INCREMENTAL_ALTERABLE_CONFIG: Kind = Kind::Struct(&[STRING, INT8, STRING], &[]);

/// `AlterConfigsResource`: `resource_type`, `resource_name`, `configs`.
const INCREMENTAL_ALTER_CONFIGS_RESOURCE: Kind =
    Kind::Struct(&[INT8, STRING, array(&INCREMENTAL_ALTERABLE_CONFIG)], &[]);

/// `IncrementalAlterConfigs`: `resources`, `validate_only`.
pub(super) const INCREMENTAL_ALTER_CONFIGS: Shape =
    Shape { flexible: 1, fields: &[array(&INCREMENTAL_ALTER_CONFIGS_RESOURCE), INT8], tagged: &[] };

/// `DescribeCluster`: `include_cluster_authorized_operations`, `endpoint_type`.
pub(super) const DESCRIBE_CLUSTER: Shape = Shape { flexible: 0, fields: &[INT8, INT8.since(1)], tagged: &[] };

/// `TopicRequest`: `name`.
const TOPIC: Kind = Kind::Struct(&[STRING], &[]);

/// `Cursor`: `topic_name`, `partition_index`.
const CURSOR_FIELDS: [Field; 2] = [STRING, INT32];

/// `DescribeTopicPartitions`: `topics`, `response_partition_limit`, `cursor`.
pub(super) const DESCRIBE_TOPIC_PARTITIONS: Shape = Shape {
    flexible: 0,
    fields: &[array(&TOPIC), INT32, whole(Kind::Optional(&CURSOR_FIELDS))],
    tagged: &[],
};

/// `DescribableLogDirTopic`: `topic`, `partitions`.
const DESCRIBABLE_LOG_DIR_TOPIC: Kind = Kind::Struct(&[STRING, array(&INT32.kind)], &[]);

/// `DescribeLogDirs`: `topics`.
pub(super) const DESCRIBE_LOG_DIRS: Shape =
    Shape { flexible: 2, fields: &[array(&DESCRIBABLE_LOG_DIR_TOPIC)], tagged: &[] };
