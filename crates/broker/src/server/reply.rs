//! Responses as frames.
//!
//! Invariant: records are not copied on their way out. The codec would copy them into its buffer, so the part of a fetch
//! response that holds records is put together here, from what the codec encodes around them; the tests hold the result
//! against the codec's own.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData, SnapshotId,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::frame::Pieces;

/// A response that the codec refuses to encode: a handler set a field that the version does not have.
#[derive(Debug, thiserror::Error)]
#[error("a response of version {version} cannot be encoded: {reason}")]
pub(super) struct Unencodable {
    version: i16,
    reason: String,
}

/// A response with its header.
pub(super) fn encode<R: Encodable + HeaderVersion>(
    correlation_id: i32,
    version: i16,
    response: &R,
) -> Result<Pieces, Unencodable> {
    let unencodable = |reason: &dyn ToString| Unencodable { version, reason: reason.to_string() };
    let size = response.compute_size(version).map_err(|error| unencodable(&error))?;
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES + size);
    put_header::<R>(&mut buffer, correlation_id, version);
    response.encode(&mut buffer, version).map_err(|error| unencodable(&error))?;
    Ok(buffer.freeze().into())
}

/// A correlation id, and the empty tagged fields of a flexible header.
const HEADER_BYTES: usize = 5;

fn put_header<R: HeaderVersion>(buffer: &mut BytesMut, correlation_id: i32, version: i16) {
    buffer.put_i32(correlation_id);
    if R::header_version(version) >= 1 {
        buffer.put_u8(0);
    }
}

/// What is answered where no response of the request's own can be: a header, and the code.
pub(super) fn bare(correlation_id: i32, error: ResponseError) -> Pieces {
    let mut buffer = BytesMut::with_capacity(6);
    buffer.put_i32(correlation_id);
    buffer.put_i16(error.code());
    buffer.freeze().into()
}

/// From this version on lengths are compact and structures end with tagged fields.
const FLEXIBLE_FETCH: i16 = 12;
/// From this version on topics are told by their ids.
const FETCH_BY_ID: i16 = 13;
/// From this version on the response has an error code and a session of its own.
const FETCH_SESSIONS: i16 = 7;
/// Fewer bytes of records are copied: a piece of its own costs more.
const COPIED_RECORDS: usize = 1024;

/// A fetch response, its records as pieces of their own.
pub(super) fn encode_fetch(
    correlation_id: i32,
    version: i16,
    response: &FetchResponse,
) -> Result<Pieces, Unencodable> {
    let plain = response.node_endpoints.is_empty() && response.unknown_tagged_fields.is_empty();
    let large = response.responses.iter().flat_map(|topic| &topic.partitions).any(is_large);
    if !plain || !large {
        return encode(correlation_id, version, response);
    }
    let mut out = Out { pieces: Pieces::default(), buffer: BytesMut::new(), version };
    put_header::<FetchResponse>(&mut out.buffer, correlation_id, version);
    out.buffer.put_i32(response.throttle_time_ms);
    if version >= FETCH_SESSIONS {
        out.buffer.put_i16(response.error_code);
        out.buffer.put_i32(response.session_id);
    }
    out.count(response.responses.len());
    for topic in &response.responses {
        out.topic(topic)?;
    }
    out.no_tags();
    let rest = out.buffer.freeze();
    out.pieces.push(rest);
    Ok(out.pieces)
}

/// Whether the records of a partition become a piece of their own: they are many, and nothing but the end of the
/// structure follows them.
fn is_large(partition: &PartitionData) -> bool {
    let no_tags = partition.diverging_epoch == EpochEndOffset::default()
        && partition.current_leader == LeaderIdAndEpoch::default()
        && partition.snapshot_id == SnapshotId::default()
        && partition.unknown_tagged_fields.is_empty();
    no_tags && partition.records.as_ref().is_some_and(|records| records.len() > COPIED_RECORDS)
}

/// A fetch response in the making.
struct Out {
    pieces: Pieces,
    /// What follows the last piece.
    buffer: BytesMut,
    version: i16,
}

impl Out {
    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("a response has fewer elements than its request has bytes");
        if self.version >= FLEXIBLE_FETCH {
            put_varint(&mut self.buffer, count + 1);
        } else {
            self.buffer.put_u32(count);
        }
    }

    fn no_tags(&mut self) {
        if self.version >= FLEXIBLE_FETCH {
            self.buffer.put_u8(0);
        }
    }

    fn topic(&mut self, topic: &FetchableTopicResponse) -> Result<(), Unencodable> {
        if self.version >= FETCH_BY_ID {
            self.buffer.put_slice(topic.topic_id.as_bytes());
        } else {
            let name = topic.topic.as_bytes();
            if self.version >= FLEXIBLE_FETCH {
                self.count(name.len());
            } else {
                self.buffer.put_u16(u16::try_from(name.len()).expect("topic names are short"));
            }
            self.buffer.put_slice(name);
        }
        self.count(topic.partitions.len());
        topic.partitions.iter().try_for_each(|partition| self.partition(partition))?;
        self.no_tags();
        Ok(())
    }

    fn partition(&mut self, partition: &PartitionData) -> Result<(), Unencodable> {
        let unencodable =
            |error: &dyn ToString| Unencodable { version: self.version, reason: error.to_string() };
        let Some(records) = partition.records.clone().filter(|_| is_large(partition)) else {
            return partition.encode(&mut self.buffer, self.version).map_err(|error| unencodable(&error));
        };
        let mut around = partition.clone();
        around.records = Some(Bytes::new());
        around.encode(&mut self.buffer, self.version).map_err(|error| unencodable(&error))?;
        // What the codec put for no records, and for no tags, is replaced.
        let put = if self.version >= FLEXIBLE_FETCH { 2 } else { 4 };
        self.buffer.truncate(self.buffer.len() - put);
        self.count(records.len());
        let head = std::mem::take(&mut self.buffer).freeze();
        self.pieces.push(head);
        self.pieces.push(records);
        self.no_tags();
        Ok(())
    }
}

/// Seven bits a byte, least first.
fn put_varint(buffer: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::fetch_response::AbortedTransaction;
    use kafka_protocol::protocol::StrBytes;
    use uuid::Uuid;

    use super::*;

    fn partition(index: i32, records: usize) -> PartitionData {
        let aborted = AbortedTransaction::default().with_producer_id(7.into()).with_first_offset(3);
        PartitionData::default()
            .with_partition_index(index)
            .with_high_watermark(9)
            .with_aborted_transactions(Some(vec![aborted]))
            .with_records(Some(Bytes::from(vec![index as u8; records])))
    }

    #[test]
    fn a_fetch_response_in_pieces_is_what_the_codec_encodes() {
        let tagged = partition(4, 5000).with_current_leader(LeaderIdAndEpoch::default().with_leader_epoch(3));
        let by = |version: i16, topic: FetchableTopicResponse| match version {
            FETCH_BY_ID.. => topic.with_topic_id(Uuid::from_u128(77)),
            _ => topic.with_topic(TopicName(StrBytes::from_static_str("readings"))),
        };
        for version in 4..=16 {
            let mut first = vec![partition(0, 5000), partition(1, 0), partition(2, 200_000)];
            first.extend((version >= FLEXIBLE_FETCH).then(|| tagged.clone()));
            let topics = [first, vec![], vec![partition(3, 1025)]];
            let topics = topics
                .map(|partitions| by(version, FetchableTopicResponse::default().with_partitions(partitions)));
            let response = FetchResponse::default().with_throttle_time_ms(5).with_responses(topics.to_vec());
            let mut pieces = encode_fetch(11, version, &response).unwrap();
            assert!(pieces.chunk().len() < 200, "records are apart in version {version}");
            let mut whole = encode(11, version, &response).unwrap();
            let (pieces, whole) =
                (pieces.copy_to_bytes(pieces.remaining()), whole.copy_to_bytes(whole.remaining()));
            assert!(pieces == whole, "version {version}");
        }
    }
}
