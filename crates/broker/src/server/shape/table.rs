//! The shapes of all requests that are answered: their fields in order, with the versions that have them.
//!
//! Taken from the codec's own messages, field by field; the tests of [`super`] hold the two together. A request that
//! becomes answered in a newer version needs its fields here first.

mod cluster;
mod groups;
mod records;
mod transactions;

use kafka_protocol::messages::ApiKey;

use super::{Field, Kind, Shape};

const INT8: Field = whole(Kind::Fixed(1));
const INT16: Field = whole(Kind::Fixed(2));
const INT32: Field = whole(Kind::Fixed(4));
const INT64: Field = whole(Kind::Fixed(8));
const UUID: Field = whole(Kind::Fixed(16));
const STRING: Field = whole(Kind::String);
const BYTES: Field = whole(Kind::Bytes);
/// No version of the request is flexible.
const NEVER: i16 = i16::MAX;

/// A field of all versions.
const fn whole(kind: Kind) -> Field {
    Field { kind, since: 0, until: i16::MAX }
}

/// An array of all versions.
const fn array(element: &'static Kind) -> Field {
    whole(Kind::Array(element))
}

impl Field {
    /// The field is there from a version on.
    const fn since(self, version: i16) -> Self {
        Self { since: version, ..self }
    }

    /// The field is there up to a version.
    const fn until(self, version: i16) -> Self {
        Self { until: version, ..self }
    }
}

/// The shape of a request; nothing for one that is not answered.
pub(super) fn request(key: ApiKey) -> Option<&'static Shape> {
    Some(match key {
        ApiKey::Produce => &records::PRODUCE,
        ApiKey::Fetch => &records::FETCH,
        ApiKey::ListOffsets => &records::LIST_OFFSETS,
        ApiKey::Metadata => &cluster::METADATA,
        ApiKey::OffsetCommit => &groups::OFFSET_COMMIT,
        ApiKey::OffsetFetch => &groups::OFFSET_FETCH,
        ApiKey::FindCoordinator => &groups::FIND_COORDINATOR,
        ApiKey::JoinGroup => &groups::JOIN_GROUP,
        ApiKey::Heartbeat => &groups::HEARTBEAT,
        ApiKey::LeaveGroup => &groups::LEAVE_GROUP,
        ApiKey::SyncGroup => &groups::SYNC_GROUP,
        ApiKey::DescribeGroups => &groups::DESCRIBE_GROUPS,
        ApiKey::ListGroups => &groups::LIST_GROUPS,
        ApiKey::SaslHandshake => &cluster::SASL_HANDSHAKE,
        ApiKey::ApiVersions => &cluster::API_VERSIONS,
        ApiKey::CreateTopics => &cluster::CREATE_TOPICS,
        ApiKey::DeleteTopics => &cluster::DELETE_TOPICS,
        ApiKey::DeleteRecords => &records::DELETE_RECORDS,
        ApiKey::InitProducerId => &transactions::INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => &records::OFFSET_FOR_LEADER_EPOCH,
        ApiKey::AddPartitionsToTxn => &transactions::ADD_PARTITIONS_TO_TXN,
        ApiKey::AddOffsetsToTxn => &transactions::ADD_OFFSETS_TO_TXN,
        ApiKey::EndTxn => &transactions::END_TXN,
        ApiKey::TxnOffsetCommit => &transactions::TXN_OFFSET_COMMIT,
        ApiKey::DescribeConfigs => &cluster::DESCRIBE_CONFIGS,
        ApiKey::AlterConfigs => &cluster::ALTER_CONFIGS,
        ApiKey::DescribeLogDirs => &cluster::DESCRIBE_LOG_DIRS,
        ApiKey::SaslAuthenticate => &cluster::SASL_AUTHENTICATE,
        ApiKey::CreatePartitions => &cluster::CREATE_PARTITIONS,
        ApiKey::DeleteGroups => &groups::DELETE_GROUPS,
        ApiKey::IncrementalAlterConfigs => &cluster::INCREMENTAL_ALTER_CONFIGS,
        ApiKey::OffsetDelete => &groups::OFFSET_DELETE,
        ApiKey::DescribeCluster => &cluster::DESCRIBE_CLUSTER,
        ApiKey::DescribeProducers => &records::DESCRIBE_PRODUCERS,
        ApiKey::DescribeTransactions => &transactions::DESCRIBE_TRANSACTIONS,
        ApiKey::ListTransactions => &transactions::LIST_TRANSACTIONS,
        ApiKey::DescribeTopicPartitions => &cluster::DESCRIBE_TOPIC_PARTITIONS,
        _ => return None,
    })
}
