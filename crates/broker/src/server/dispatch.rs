//! From a request's bytes to the bytes of its response: shape check, codec, handler, codec.
//!
//! Invariant: every request that [`versions`] tells clients about has its handler here.

use std::future::{Future, ready};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use super::frame::Pieces;
use super::header::{Asked, Header};
use super::reply::{self, Unencodable};
use super::shape::{self, Malformed};
use super::{Context, refusal, versions};
use crate::{Shared, api};

/// Why a request has no response; the connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum DispatchError {
    /// The request is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The request's lengths are right but its content is not, a string that is not UTF-8 for instance.
    #[error("the request cannot be decoded: {0}")]
    Undecodable(String),
    /// The response cannot be told to this client: an error of this program.
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
}

/// Whether a request may wait long for others, so that its client may be gone before it is answered. To drop such a
/// request half-way is harmless; the others are quick and always run to their end.
pub(super) fn waits(asked: Asked) -> bool {
    matches!(asked, Asked::Known(ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup))
}

/// Answers a request; nothing if its client wants no answer.
pub(super) async fn answer(
    shared: &Shared,
    context: &Context,
    header: &Header,
    body: Bytes,
) -> Result<Option<Pieces>, DispatchError> {
    let key = match header.asked {
        Asked::Known(key) => key,
        Asked::UnknownVersion(key) => return refusal::answer(key, header, &body),
        Asked::UnknownKey => {
            return Ok(Some(reply::bare(header.correlation_id, ResponseError::UnsupportedVersion)));
        }
    };
    shape::check(key, header.version, &body)?;
    let call = Call { header, body };
    match key {
        ApiKey::ApiVersions => call.answer(|request| ready(api_versions(header.version, &request))).await,
        // Whoever must authenticate has done so before any other request is looked at.
        ApiKey::SaslHandshake => call.answer(|_: SaslHandshakeRequest| ready(late_handshake())).await,
        ApiKey::SaslAuthenticate => {
            call.answer(|_: SaslAuthenticateRequest| ready(late_authentication())).await
        }
        ApiKey::Produce => match api::produce(shared, context, call.decode()?) {
            Some(response) => Ok(Some(reply::encode(header.correlation_id, header.version, &response)?)),
            None => Ok(None),
        },
        ApiKey::Fetch => {
            let response = api::fetch(shared, context, call.decode()?).await;
            Ok(Some(reply::encode_fetch(header.correlation_id, header.version, &response)?))
        }
        _ => answer_of_groups(shared, context, key, call).await,
    }
}

/// Groups, committed offsets and transactions.
async fn answer_of_groups(
    shared: &Shared,
    context: &Context,
    key: ApiKey,
    call: Call<'_>,
) -> Result<Option<Pieces>, DispatchError> {
    let coordinator = &shared.coordinator;
    match key {
        ApiKey::OffsetCommit => {
            call.answer(|request| ready(coordinator.offset_commit(&request, context))).await
        }
        ApiKey::OffsetFetch => {
            call.answer(|request| ready(coordinator.offset_fetch(&request, context))).await
        }
        ApiKey::JoinGroup => call.answer(|request| coordinator.join_group(request, context)).await,
        ApiKey::Heartbeat => call.answer(|request| ready(coordinator.heartbeat(&request))).await,
        ApiKey::LeaveGroup => call.answer(|request| ready(coordinator.leave_group(&request, context))).await,
        ApiKey::SyncGroup => call.answer(|request| coordinator.sync_group(request)).await,
        ApiKey::DescribeGroups => {
            call.answer(|request| ready(coordinator.describe_groups(&request, context))).await
        }
        ApiKey::ListGroups => call.answer(|request| ready(coordinator.list_groups(&request))).await,
        ApiKey::InitProducerId => {
            call.answer(|request| ready(coordinator.init_producer_id(&request, context))).await
        }
        ApiKey::AddPartitionsToTxn => {
            call.answer(|request| ready(coordinator.add_partitions_to_txn(&request, context))).await
        }
        ApiKey::AddOffsetsToTxn => {
            call.answer(|request| ready(coordinator.add_offsets_to_txn(&request, context))).await
        }
        ApiKey::EndTxn => call.answer(|request| ready(coordinator.end_txn(&request, context))).await,
        ApiKey::TxnOffsetCommit => {
            call.answer(|request| ready(coordinator.txn_offset_commit(&request, context))).await
        }
        ApiKey::DeleteGroups => call.answer(|request| ready(coordinator.delete_groups(&request))).await,
        ApiKey::OffsetDelete => call.answer(|request| ready(coordinator.offset_delete(&request))).await,
        ApiKey::DescribeTransactions => {
            call.answer(|request| ready(coordinator.describe_transactions(&request))).await
        }
        ApiKey::ListTransactions => {
            call.answer(|request| ready(coordinator.list_transactions(&request))).await
        }
        _ => answer_of_topics(shared, context, key, call).await,
    }
}

/// Topics and what they hold, and the cluster.
async fn answer_of_topics(
    shared: &Shared,
    context: &Context,
    key: ApiKey,
    call: Call<'_>,
) -> Result<Option<Pieces>, DispatchError> {
    match key {
        ApiKey::ListOffsets => {
            call.answer(|request| ready(api::list_offsets(shared, context, request))).await
        }
        ApiKey::Metadata => call.answer(|request| api::metadata(shared, context, request)).await,
        ApiKey::FindCoordinator => {
            call.answer(|request| ready(api::find_coordinator(shared, context, request))).await
        }
        ApiKey::CreateTopics => call.answer(|request| api::create_topics(shared, context, request)).await,
        ApiKey::DeleteTopics => call.answer(|request| api::delete_topics(shared, context, request)).await,
        ApiKey::DeleteRecords => call.answer(|request| api::delete_records(shared, request)).await,
        ApiKey::OffsetForLeaderEpoch => {
            call.answer(|request| ready(api::offset_for_leader_epoch(shared, request))).await
        }
        ApiKey::DescribeConfigs => call.answer(|request| ready(api::describe_configs(shared, request))).await,
        ApiKey::AlterConfigs => call.answer(|request| api::alter_configs(shared, request)).await,
        ApiKey::DescribeLogDirs => {
            call.answer(|request| ready(api::describe_log_dirs(shared, request))).await
        }
        ApiKey::CreatePartitions => call.answer(|request| api::create_partitions(shared, request)).await,
        ApiKey::IncrementalAlterConfigs => {
            call.answer(|request| api::incremental_alter_configs(shared, request)).await
        }
        ApiKey::DescribeCluster => {
            call.answer(|request| ready(api::describe_cluster(shared, &request))).await
        }
        ApiKey::DescribeProducers => {
            call.answer(|request| ready(api::describe_producers(shared, request))).await
        }
        ApiKey::DescribeTopicPartitions => {
            call.answer(|request| ready(api::describe_topic_partitions(shared, request))).await
        }
        // Clients are told of no other.
        _ => Ok(Some(reply::bare(call.header.correlation_id, ResponseError::UnsupportedVersion))),
    }
}

/// A request whose bytes have the right shape.
struct Call<'a> {
    header: &'a Header,
    body: Bytes,
}

impl Call<'_> {
    /// Decodes the request, has it answered, and encodes the response.
    async fn answer<Q, R, F>(self, handle: impl FnOnce(Q) -> F) -> Result<Option<Pieces>, DispatchError>
    where
        Q: Decodable,
        R: Encodable + HeaderVersion,
        F: Future<Output = R>,
    {
        let header = self.header;
        let response = handle(self.decode()?).await;
        Ok(Some(reply::encode(header.correlation_id, header.version, &response)?))
    }

    fn decode<Q: Decodable>(mut self) -> Result<Q, DispatchError> {
        Q::decode(&mut self.body, self.header.version)
            .map_err(|error| DispatchError::Undecodable(error.to_string()))
    }
}

/// The versions, for a client that names itself rightly (KIP-511).
fn api_versions(version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let named = version < CLIENT_NAMED
        || is_name(&request.client_software_name) && is_name(&request.client_software_version);
    if named {
        versions::told(None)
    } else {
        ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code())
    }
}

fn late_handshake() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ResponseError::IllegalSaslState.code())
}

fn late_authentication() -> SaslAuthenticateResponse {
    let text = StrBytes::from_static_str("authentication is over, or is not asked for");
    SaslAuthenticateResponse::default()
        .with_error_code(ResponseError::IllegalSaslState.code())
        .with_error_message(Some(text))
}

/// From this version on clients name their software.
const CLIENT_NAMED: i16 = 3;

/// Letters, digits, dots and dashes; the latter two not at the ends.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    name.bytes().all(inner)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_client_software() {
        for (name, expected) in [
            ("librdkafka", true),
            ("apache-kafka-java", true),
            ("2.12.1", true),
            ("", false),
            ("-a", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }
}
