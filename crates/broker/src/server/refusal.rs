//! Answers to known requests in versions that are not: `UNSUPPORTED_VERSION`, in a shape that the client can read if there
//! is one.
//!
//! A client that asks for a newer version than it was told of, or an older one than that, expects the response of that
//! version. The nearest version that is known comes closest: error codes stand first, and new fields are added at ends.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{self, ApiKey, ProduceRequest};
use kafka_protocol::protocol::Decodable;

use super::frame::Pieces;
use super::header::Header;
use super::reply::{self, Unencodable};
use super::shape::{self, Malformed};
use super::{dispatch::DispatchError, versions};

const CODE: ResponseError = ResponseError::UnsupportedVersion;

/// The answer to a request of a known kind in an unknown version; nothing if its client wants none.
pub(super) fn answer(key: ApiKey, header: &Header, body: &Bytes) -> Result<Option<Pieces>, DispatchError> {
    match (key, header.version) {
        (ApiKey::ApiVersions, _) => {
            // The one request of which every client can read this: it does not know yet what is spoken here.
            Ok(Some(reply::encode(header.correlation_id, 0, &versions::told(Some(CODE)))?))
        }
        (ApiKey::Produce, 0..=2) => produce(header, body),
        _ => Ok(Some(nearest(key, header)?)),
    }
}

/// A response that begins with an error code, in the version that is nearest to the one asked for; for others the code
/// alone.
fn nearest(key: ApiKey, header: &Header) -> Result<Pieces, Unencodable> {
    let (lowest, highest) = versions::answered(key).unwrap_or_default();
    let version = header.version.clamp(lowest, highest);
    macro_rules! coded {
        ($($key:ident $response:ident),*) => {
            match key {
                $(ApiKey::$key => {
                    let response = messages::$response::default().with_error_code(CODE.code());
                    reply::encode(header.correlation_id, version, &response)
                })*
                _ => Ok(reply::bare(header.correlation_id, CODE)),
            }
        };
    }
    coded!(
        Fetch FetchResponse,
        JoinGroup JoinGroupResponse,
        Heartbeat HeartbeatResponse,
        LeaveGroup LeaveGroupResponse,
        SyncGroup SyncGroupResponse,
        ListGroups ListGroupsResponse,
        SaslHandshake SaslHandshakeResponse,
        SaslAuthenticate SaslAuthenticateResponse,
        InitProducerId InitProducerIdResponse,
        AddOffsetsToTxn AddOffsetsToTxnResponse,
        EndTxn EndTxnResponse,
        OffsetDelete OffsetDeleteResponse,
        DescribeCluster DescribeClusterResponse,
        ListTransactions ListTransactionsResponse
    )
}

/// Produce 0 to 2 carries the old message formats. It is advertised, and refused for each partition.
fn produce(header: &Header, body: &Bytes) -> Result<Option<Pieces>, DispatchError> {
    let mut rest = body.clone();
    Header::skip_client_id(&mut rest)?;
    // Version 3 is the same with a transactional id before it.
    let mut third = BytesMut::with_capacity(2 + rest.len());
    third.put_i16(-1);
    third.put_slice(&rest);
    let mut third = third.freeze();
    shape::check(ApiKey::Produce, 3, &third)?;
    let request = ProduceRequest::decode(&mut third, 3);
    let request = request.map_err(|error| DispatchError::Undecodable(error.to_string()))?;
    if request.acks == 0 {
        // Nobody listens for an answer; to close is the only way to tell, as Kafka does.
        return Err(Malformed.into());
    }
    let mut out = BytesMut::new();
    out.put_i32(header.correlation_id);
    put_count(&mut out, request.topic_data.len());
    for topic in &request.topic_data {
        out.put_i16(topic.name.len() as i16);
        out.put_slice(topic.name.as_bytes());
        put_count(&mut out, topic.partition_data.len());
        for partition in &topic.partition_data {
            out.put_i32(partition.index);
            out.put_i16(CODE.code());
            out.put_i64(-1);
            if header.version >= 2 {
                out.put_i64(-1);
            }
        }
    }
    if header.version >= 1 {
        out.put_i32(0);
    }
    Ok(Some(out.freeze().into()))
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).expect("the shape check bounds the elements"));
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use kafka_protocol::messages::{FetchResponse, HeartbeatResponse, ProduceResponse};

    use super::*;
    use crate::server::header::Asked;

    fn ask(key: ApiKey, version: i16, body: &'static [u8]) -> Result<Option<Pieces>, DispatchError> {
        let asked = Asked::UnknownVersion(key);
        let client_id = Bytes::new();
        let header = Header { asked, key: key as i16, version, correlation_id: 5, client_id };
        answer(key, &header, &Bytes::from_static(body))
    }

    fn body(pieces: Option<Pieces>) -> Bytes {
        let mut pieces = pieces.unwrap();
        assert_eq!(pieces.get_i32(), 5);
        pieces.copy_to_bytes(pieces.remaining())
    }

    #[test]
    fn what_begins_with_a_code_has_the_nearest_shape() {
        let newer = body(ask(ApiKey::Heartbeat, 99, b"").unwrap());
        assert_eq!(HeartbeatResponse::decode(&mut newer.slice(1..), 4).unwrap().error_code, 35);
        let newer = body(ask(ApiKey::Fetch, 99, b"").unwrap());
        assert_eq!(FetchResponse::decode(&mut newer.slice(1..), 16).unwrap().error_code, 35);
        assert_eq!(body(ask(ApiKey::Metadata, -1, b"").unwrap()).as_ref(), [0, 35]);
    }

    #[test]
    fn old_produce_is_refused_for_each_partition() {
        // A null client id; acks 1, timeout 9, topic "t": partition 3 without records.
        let request = b"\xff\xff\x00\x01\x00\x00\x00\x09\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\
                        \x00\x00\x00\x03\x00\x00\x00\x00";
        let second = body(ask(ApiKey::Produce, 2, request).unwrap());
        let response = ProduceResponse::decode(&mut second.clone(), 3).unwrap();
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.index, partition.error_code, partition.base_offset), (3, 35, -1));
        assert_eq!(body(ask(ApiKey::Produce, 1, request).unwrap()).len(), second.len() - 8);
        assert_eq!(body(ask(ApiKey::Produce, 0, request).unwrap()).len(), second.len() - 12);
        assert!(ask(ApiKey::Produce, 0, b"\xff\xff\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00").is_err());
        assert!(ask(ApiKey::Produce, 0, b"\xff\xff\x00").is_err());
    }
}
