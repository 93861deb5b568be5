//! Which requests this broker answers, and in which versions; what it tells clients of that.
//!
//! Two ranges differ: Produce is advertised from version 0, because librdkafka before 2.11 takes its features from it
//! (KAFKA-18659), yet versions 0 to 2 carry formats that are refused. The upper ends of the transactional requests stay
//! below those by which clients negotiate the second transaction protocol (KIP-890), which is not spoken here, and
//! KIP-848's group protocol is not advertised at all.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

/// An API and the lowest and highest version of it that are answered.
type Supported = (ApiKey, i16, i16);

/// Everything that is answered. The order is that of the keys, as Kafka's is.
pub(super) const SUPPORTED: [Supported; 37] = [
    (ApiKey::Produce, 3, 11),
    (ApiKey::Fetch, 4, 16),
    (ApiKey::ListOffsets, 1, 8),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 4),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 5),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::SaslHandshake, 0, 1),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::AddOffsetsToTxn, 0, 4),
    (ApiKey::EndTxn, 0, 4),
    (ApiKey::TxnOffsetCommit, 0, 4),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::DescribeLogDirs, 1, 4),
    (ApiKey::SaslAuthenticate, 0, 2),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeCluster, 0, 1),
    (ApiKey::DescribeProducers, 0, 0),
    (ApiKey::DescribeTransactions, 0, 0),
    (ApiKey::ListTransactions, 0, 1),
    (ApiKey::DescribeTopicPartitions, 0, 0),
];

/// The lowest version of Produce that is told to clients; see the module's doc.
const PRODUCE_ADVERTISED_FROM: i16 = 0;

/// The versions of an API that are answered, lowest and highest; nothing for an API that is not.
pub(super) fn answered(key: ApiKey) -> Option<(i16, i16)> {
    SUPPORTED.iter().find(|(known, ..)| *known == key).map(|&(_, lowest, highest)| (lowest, highest))
}

/// What a client is told about the versions, with the error of a version of this very request that is not known.
pub(super) fn told(error: Option<ResponseError>) -> ApiVersionsResponse {
    let ranges = SUPPORTED.iter().map(|&(key, lowest, highest)| {
        let lowest = if key == ApiKey::Produce { PRODUCE_ADVERTISED_FROM } else { lowest };
        ApiVersion::default().with_api_key(key as i16).with_min_version(lowest).with_max_version(highest)
    });
    ApiVersionsResponse::default()
        .with_error_code(error.map_or(0, |error| error.code()))
        .with_api_keys(ranges.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_answered_is_one_that_the_codec_knows() {
        for (key, lowest, highest) in SUPPORTED {
            let known = key.valid_versions();
            assert!(known.min <= lowest && lowest <= highest && highest <= known.max, "{key:?}");
        }
        assert!(SUPPORTED.is_sorted_by_key(|&(key, ..)| key as i16));
    }

    #[test]
    fn produce_is_told_from_version_0_and_the_new_group_protocol_not_at_all() {
        let told = told(None);
        let produce = &told.api_keys[0];
        assert_eq!((produce.api_key, produce.min_version, produce.max_version), (0, 0, 11));
        assert_eq!(answered(ApiKey::Produce), Some((3, 11)));
        assert!(told.api_keys.iter().all(|api| api.api_key != ApiKey::ConsumerGroupHeartbeat as i16));
    }
}
