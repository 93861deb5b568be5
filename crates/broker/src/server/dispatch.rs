//! From a request's bytes to the bytes of its response: shape check, codec, handler, codec.
//!
//! Invariant: every request that [`versions`] tells clients about has its handler here.

use std::future::{Future, ready};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::frame::Pieces;
use super::header::{Asked, Header};
use super::reply::{self, Unencodable};
use super::shape::{self, Malformed};
use super::{Context, versions};
use crate::Shared;

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
        Asked::UnknownVersion(ApiKey::ApiVersions) => return Ok(Some(unknown_version_of_versions(header)?)),
        Asked::UnknownVersion(_) | Asked::UnknownKey => {
            return Ok(Some(reply::bare(header.correlation_id, ResponseError::UnsupportedVersion)));
        }
    };
    shape::check(key, header.version, &body)?;
    let call = Call { header, body };
    match key {
        ApiKey::ApiVersions => call.answer(|request| ready(api_versions(header.version, &request))).await,
        _ => Ok(Some(reply::bare(header.correlation_id, ResponseError::UnsupportedVersion))),
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

/// From this version on clients name their software.
const CLIENT_NAMED: i16 = 3;

/// Letters, digits, dots and dashes; the latter two not at the ends.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    name.bytes().all(inner)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// The one request whose unknown versions have an answer that every client can read: version 0 of the response.
fn unknown_version_of_versions(header: &Header) -> Result<Pieces, Unencodable> {
    reply::encode(header.correlation_id, 0, &versions::told(Some(ResponseError::UnsupportedVersion)))
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
