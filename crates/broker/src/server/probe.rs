//! Decodes frames without answering them, for tests and for the fuzz target.

use bytes::Bytes;
use kafka_protocol::messages::{self, ApiKey};
use kafka_protocol::protocol::Decodable;

use super::header::{Asked, Header};
use super::shape;

/// Calls a macro with the key and the type of every request that is answered.
macro_rules! for_every_request {
    ($call:ident) => {
        $call! {
            Produce ProduceRequest,
            Fetch FetchRequest,
            ListOffsets ListOffsetsRequest,
            Metadata MetadataRequest,
            OffsetCommit OffsetCommitRequest,
            OffsetFetch OffsetFetchRequest,
            FindCoordinator FindCoordinatorRequest,
            JoinGroup JoinGroupRequest,
            Heartbeat HeartbeatRequest,
            LeaveGroup LeaveGroupRequest,
            SyncGroup SyncGroupRequest,
            DescribeGroups DescribeGroupsRequest,
            ListGroups ListGroupsRequest,
            SaslHandshake SaslHandshakeRequest,
            ApiVersions ApiVersionsRequest,
            CreateTopics CreateTopicsRequest,
            DeleteTopics DeleteTopicsRequest,
            DeleteRecords DeleteRecordsRequest,
            InitProducerId InitProducerIdRequest,
            OffsetForLeaderEpoch OffsetForLeaderEpochRequest,
            AddPartitionsToTxn AddPartitionsToTxnRequest,
            AddOffsetsToTxn AddOffsetsToTxnRequest,
            EndTxn EndTxnRequest,
            TxnOffsetCommit TxnOffsetCommitRequest,
            DescribeConfigs DescribeConfigsRequest,
            AlterConfigs AlterConfigsRequest,
            DescribeLogDirs DescribeLogDirsRequest,
            SaslAuthenticate SaslAuthenticateRequest,
            CreatePartitions CreatePartitionsRequest,
            DeleteGroups DeleteGroupsRequest,
            IncrementalAlterConfigs IncrementalAlterConfigsRequest,
            OffsetDelete OffsetDeleteRequest,
            DescribeCluster DescribeClusterRequest,
            DescribeProducers DescribeProducersRequest,
            DescribeTransactions DescribeTransactionsRequest,
            ListTransactions ListTransactionsRequest,
            DescribeTopicPartitions DescribeTopicPartitionsRequest,
        }
    };
}
#[cfg(test)]
pub(super) use for_every_request;

/// Reads bytes as a frame of any request, as a connection would, and says whether they are one. It must neither panic nor
/// allocate more than a constant times the bytes.
///
/// # Panics
/// If the check of the shape and the codec disagree: a bug.
pub fn is_request(frame: &[u8]) -> bool {
    let mut body = Bytes::copy_from_slice(frame);
    let Ok(Header { asked: Asked::Known(key), version, .. }) = Header::take(&mut body) else { return false };
    let Ok(taken) = shape::check(key, version, &body) else { return false };
    let all = body.len();
    let decoded = decode(key, version, &mut body);
    // What the check takes for a request, the codec either refuses or takes from the same bytes.
    assert!(
        !decoded || all - body.len() == taken,
        "{key:?} {version}: {} of {taken} bytes",
        all - body.len()
    );
    decoded
}

macro_rules! decode_by_key {
    ($($key:ident $request:ident,)*) => {
        fn decode(key: ApiKey, version: i16, body: &mut Bytes) -> bool {
            match key {
                $(ApiKey::$key => messages::$request::decode(body, version).is_ok(),)*
                _ => false,
            }
        }
    };
}
for_every_request!(decode_by_key);
