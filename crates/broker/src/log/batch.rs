//! Record batches of format 2, the only one that is stored: their header, the checks on what clients send, and the
//! head that the log writes in place of the client's.
//!
//! | byte | field | byte | field |
//! |---|---|---|---|
//! | 0 | base offset, i64 | 27 | base timestamp, i64 |
//! | 8 | length of what follows, i32 | 35 | max timestamp, i64 |
//! | 12 | partition leader epoch, i32 | 43 | producer id, i64 |
//! | 16 | magic, 2 | 51 | producer epoch, i16 |
//! | 17 | CRC32C of byte 21 to the end, u32 | 53 | base sequence, i32 |
//! | 21 | attributes, i16 | 57 | count of records, i32 |
//! | 23 | last offset delta, i32 | 61 | records, compressed or not |
//!
//! Invariants: nothing here allocates by a number that a client sent; the checksum does not cover the base offset and
//! the leader epoch, so that the log can set them without reading the batch again.

use bytes::Bytes;

use super::error::AppendError;
use super::records;
use super::settings::LogSettings;

/// Bytes before the records of a batch.
pub(crate) const HEADER_BYTES: usize = 61;
/// Bytes of a batch that its length field does not count.
pub(crate) const LENGTH_PREFIX_BYTES: usize = 12;
/// Bytes that the log always writes anew: base offset, length and leader epoch.
const HEAD_BYTES: usize = 16;
/// Where the checksummed part begins.
pub(crate) const CHECKED_FROM: usize = 21;
/// The leader epoch of every batch: one node leads for ever.
pub(crate) const LEADER_EPOCH: i32 = 0;
/// No timestamp was given.
pub(crate) const NO_TIMESTAMP: i64 = -1;
/// The batch is of no idempotent producer.
pub(crate) const NO_PRODUCER: i64 = -1;
/// The only format stored.
const MAGIC: i8 = 2;

/// The bits of a batch's attributes.
pub(crate) mod attribute {
    /// The compression codec.
    pub(crate) const CODEC: i16 = 0x07;
    /// The timestamps are those of the append.
    pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
    /// Part of a transaction.
    pub(crate) const TRANSACTIONAL: i16 = 0x10;
    /// A marker of the transaction coordinator.
    pub(crate) const CONTROL: i16 = 0x20;
    /// The base timestamp is the time after which tombstones and markers may go (KIP-534).
    pub(crate) const DELETE_HORIZON: i16 = 0x40;
}

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// The offset of its first record.
    pub(crate) base_offset: i64,
    /// The size of the batch with its header, in bytes; at least [`HEADER_BYTES`].
    pub(crate) size: usize,
    /// The stored checksum.
    pub(crate) crc: u32,
    /// See [`attribute`].
    pub(crate) attributes: i16,
    /// The last offset less the first; not negative.
    pub(crate) last_offset_delta: i32,
    /// The timestamp of the first record, or the delete horizon.
    pub(crate) base_timestamp: i64,
    /// The largest timestamp of a record.
    pub(crate) max_timestamp: i64,
    /// The idempotent producer, or [`NO_PRODUCER`].
    pub(crate) producer_id: i64,
    /// The producer's epoch, or -1.
    pub(crate) producer_epoch: i16,
    /// The sequence number of the first record, or -1.
    pub(crate) base_sequence: i32,
    /// How many records there are; not negative.
    pub(crate) count: i32,
}

impl BatchHeader {
    /// Reads a header from the first [`HEADER_BYTES`] of `bytes`; `None` if there are fewer bytes or if they cannot be
    /// the header of a stored batch.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let length = i32_at(bytes, 8);
        let header = Self {
            base_offset: i64_at(bytes, 0),
            size: usize::try_from(length).ok()? + LENGTH_PREFIX_BYTES,
            crc: i32_at(bytes, 17).cast_unsigned(),
            attributes: i16_at(bytes, 21),
            last_offset_delta: i32_at(bytes, 23),
            base_timestamp: i64_at(bytes, 27),
            max_timestamp: i64_at(bytes, 35),
            producer_id: i64_at(bytes, 43),
            producer_epoch: i16_at(bytes, 51),
            base_sequence: i32_at(bytes, 53),
            count: i32_at(bytes, 57),
        };
        let possible = bytes[16].cast_signed() == MAGIC
            && header.size >= HEADER_BYTES
            && header.last_offset_delta >= 0
            && header.count >= 0
            && header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1).is_some();
        possible.then_some(header)
    }

    /// Reads the header of a stored batch, whose leader epoch is this node's.
    pub(crate) fn parse_stored(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes).filter(|_| bytes[12..16] == LEADER_EPOCH.to_be_bytes())
    }

    /// The offset of its last record.
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset after its last record.
    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The sequence number of its last record; sequence numbers wrap to 0 after `i32::MAX`.
    pub(crate) fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        (i64::from(self.base_sequence) + i64::from(self.last_offset_delta)).rem_euclid(SEQUENCES) as i32
    }

    /// Whether an idempotent producer sent it.
    pub(crate) fn has_producer(&self) -> bool {
        self.producer_id > NO_PRODUCER
    }

    /// Whether it is part of a transaction.
    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & attribute::TRANSACTIONAL != 0
    }

    /// Whether it is a marker of the transaction coordinator.
    pub(crate) fn is_control(&self) -> bool {
        self.attributes & attribute::CONTROL != 0
    }

    /// The number of its compression codec; 0 is none.
    pub(crate) fn codec(&self) -> u8 {
        (self.attributes & attribute::CODEC) as u8
    }

    /// The time after which tombstones and markers in it may go, if compaction has set one.
    pub(crate) fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & attribute::DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }
}

/// How many sequence numbers there are: 0 to `i32::MAX`.
pub(crate) const SEQUENCES: i64 = i32::MAX as i64 + 1;

/// A checked batch of a client, with what the log writes in place of its beginning.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Its header as it will be stored, except for the base offset.
    pub(crate) header: BatchHeader,
    /// The beginning of the batch as it will be stored.
    head: [u8; HEADER_BYTES],
    /// How many bytes of `head` differ from what the client sent.
    head_bytes: usize,
    /// Where the batch begins in the client's bytes.
    start: usize,
}

impl Incoming {
    /// Gives the batch its offset.
    pub(crate) fn set_base_offset(&mut self, offset: i64) {
        self.header.base_offset = offset;
        self.head[..8].copy_from_slice(&offset.to_be_bytes());
    }

    /// The two parts that make up the batch: the head written anew, and the rest of the client's bytes.
    pub(crate) fn parts<'a>(&'a self, records: &'a [u8]) -> [&'a [u8]; 2] {
        [&self.head[..self.head_bytes], &records[self.start + self.head_bytes..self.start + self.header.size]]
    }

    /// Writes new timestamps and attributes into the head, and the checksum that follows from them.
    fn restamp(&mut self, records: &[u8]) {
        self.head[21..23].copy_from_slice(&self.header.attributes.to_be_bytes());
        self.head[35..43].copy_from_slice(&self.header.max_timestamp.to_be_bytes());
        let payload = &records[self.start + HEADER_BYTES..self.start + self.header.size];
        self.header.crc = crc32c::crc32c_append(crc32c::crc32c(&self.head[CHECKED_FROM..]), payload);
        self.head[17..21].copy_from_slice(&self.header.crc.to_be_bytes());
        self.head_bytes = HEADER_BYTES;
    }
}

/// Checks a client's record set, one batch after the other, as Kafka's `LogValidator` does, and prepares the heads.
///
/// What differs from Kafka: a compressed batch is only looked into if the topic is compacted, so the count and the
/// largest timestamp in its header are believed otherwise.
pub(crate) fn validate(
    set: &Bytes,
    settings: &LogSettings,
    now_ms: i64,
) -> Result<Vec<Incoming>, AppendError> {
    if set.is_empty() {
        return Err(AppendError::Invalid("a record set has at least one batch"));
    }
    let mut batches = Vec::with_capacity(1);
    let mut start = 0;
    while start < set.len() {
        let batch = validate_batch(set, start, settings, now_ms)?;
        start += batch.header.size;
        batches.push(batch);
    }
    if batches.len() > 1 && batches.iter().any(|batch| batch.header.has_producer()) {
        return Err(AppendError::Invalid("an idempotent producer sends one batch at a time"));
    }
    Ok(batches)
}

fn validate_batch(
    set: &[u8],
    start: usize,
    settings: &LogSettings,
    now_ms: i64,
) -> Result<Incoming, AppendError> {
    let bytes = &set[start..];
    if bytes.get(16).is_some_and(|magic| magic.cast_signed() != MAGIC) {
        return Err(AppendError::Invalid("only record batches of format 2 are accepted"));
    }
    let header = BatchHeader::parse(bytes).ok_or(AppendError::Corrupt("no header of a batch"))?;
    if header.size > settings.max_message_bytes {
        return Err(AppendError::TooLarge { size: header.size, limit: settings.max_message_bytes });
    }
    let batch = bytes.get(..header.size).ok_or(AppendError::Corrupt("the batch is cut off"))?;
    if crc32c::crc32c(&batch[CHECKED_FROM..]) != header.crc {
        return Err(AppendError::Corrupt("the checksum is wrong"));
    }
    check_rules(&header)?;
    let mut head = [0; HEADER_BYTES];
    head.copy_from_slice(&batch[..HEADER_BYTES]);
    head[12..16].copy_from_slice(&LEADER_EPOCH.to_be_bytes());
    let mut incoming = Incoming { header, head, head_bytes: HEAD_BYTES, start };

    let largest = records::check(&header, &batch[HEADER_BYTES..], settings.compact)?;
    if settings.log_append_time {
        incoming.header.attributes |= attribute::LOG_APPEND_TIME;
        incoming.header.max_timestamp = now_ms;
        incoming.restamp(set);
        return Ok(incoming);
    }
    if header.attributes & attribute::LOG_APPEND_TIME != 0 {
        return Err(AppendError::Timestamp(header.max_timestamp));
    }
    let largest = largest.unwrap_or(header.max_timestamp);
    for timestamp in [header.base_timestamp, largest] {
        if !settings.allows(timestamp, now_ms) {
            return Err(AppendError::Timestamp(timestamp));
        }
    }
    if largest != header.max_timestamp {
        incoming.header.max_timestamp = largest;
        incoming.restamp(set);
    }
    Ok(incoming)
}

/// The rules for clients that the header alone decides.
fn check_rules(header: &BatchHeader) -> Result<(), AppendError> {
    if header.count == 0 || header.count != header.last_offset_delta.wrapping_add(1) {
        return Err(AppendError::Invalid("the count of records and the range of offsets differ"));
    }
    if header.is_control() {
        return Err(AppendError::Invalid("clients may not write control records"));
    }
    if header.delete_horizon().is_some() {
        return Err(AppendError::Invalid("clients may not set a delete horizon"));
    }
    if header.has_producer() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(AppendError::Invalid("a producer's batch has an epoch and a sequence number"));
    }
    if header.is_transactional() && !header.has_producer() {
        return Err(AppendError::Invalid("a transactional batch has a producer"));
    }
    if header.codec() > records::LAST_CODEC {
        return Err(AppendError::UnknownCodec(header.codec()));
    }
    Ok(())
}

fn i64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> i64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(field)
}

fn i32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> i32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    i32::from_be_bytes(field)
}

fn i16_at(bytes: &[u8; HEADER_BYTES], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}
