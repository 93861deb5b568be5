//! The header of a request: which one, in which version, whose.
//!
//! Invariant: it is read by the request's key and version alone; of a key or version that is not known only the part that
//! all headers share is read, so that even these can be answered.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;

use super::shape::{Cursor, Malformed};
use super::versions;

/// The part that every header begins with: key, version, correlation id.
const COMMON_BYTES: usize = 8;
/// From this version of the header on it ends with tagged fields.
const FLEXIBLE: i16 = 2;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A request that is answered.
    Known(ApiKey),
    /// A request that is answered, but not in this version.
    UnknownVersion(ApiKey),
    /// No request that this broker knows.
    UnknownKey,
}

/// The header of a request.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) asked: Asked,
    pub(super) key: i16,
    pub(super) version: i16,
    /// The client's number of the request, which the response repeats.
    pub(super) correlation_id: i32,
    /// Empty if null.
    pub(super) client_id: Bytes,
}

impl Header {
    /// Takes the header off a frame, and leaves the request's body.
    pub(super) fn take(frame: &mut Bytes) -> Result<Self, Malformed> {
        if frame.len() < COMMON_BYTES {
            return Err(Malformed);
        }
        let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
        let asked = match ApiKey::try_from(key).ok().and_then(|key| Some((key, versions::answered(key)?))) {
            None => Asked::UnknownKey,
            Some((key, (lowest, highest))) if (lowest..=highest).contains(&version) => Asked::Known(key),
            Some((key, _)) => Asked::UnknownVersion(key),
        };
        let mut header = Self { asked, key, version, correlation_id, client_id: Bytes::new() };
        if let Asked::Known(key) = asked {
            header.take_client_id(frame, key.request_header_version(version))?;
        }
        Ok(header)
    }

    /// Takes the client id off the body of a request whose header was read no further, if it is of version 1.
    pub(super) fn skip_client_id(body: &mut Bytes) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(body);
        cursor.string(false)?;
        let end = cursor.position();
        body.advance(end);
        Ok(())
    }

    fn take_client_id(&mut self, frame: &mut Bytes, header_version: i16) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(frame);
        let length = cursor.string(false)?.unwrap_or(0);
        let end = cursor.position();
        if header_version >= FLEXIBLE {
            cursor.tags()?;
        }
        let whole = cursor.position();
        self.client_id = frame.slice(end - length..end);
        frame.advance(whole);
        Ok(())
    }
}
