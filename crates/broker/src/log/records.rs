//! The records inside a batch: read in place, never copied.
//!
//! A record is `length: varint, attributes: i8, timestamp delta: varlong, offset delta: varint, key length: varint, key,
//! value length: varint, value, headers`; all varints are zigzag-coded and a length of -1 means null.
//!
//! Invariants: no length is believed before it is compared with the bytes there are; nothing is allocated except what
//! a batch inflates to, which [`inflate`](super::compression::inflate) bounds.

use std::borrow::Cow;

use super::batch::{BatchHeader, attribute};
use super::compression;
use super::error::AppendError;

/// The largest number of a compression codec, Zstandard's.
pub(crate) const LAST_CODEC: u8 = 4;
/// The bytes of the longest varint of 64 bits.
const LONGEST_VARINT: usize = 10;

/// The bytes are not records, or not as many as announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the records cannot be read")]
pub(crate) struct Malformed;

/// A record, borrowed from its inflated batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Its timestamp less the batch's base timestamp.
    pub(crate) timestamp_delta: i64,
    /// Its offset less the batch's base offset.
    pub(crate) offset_delta: i32,
    /// Its key, if not null.
    pub(crate) key: Option<&'a [u8]>,
    /// Its value, if not null.
    pub(crate) value: Option<&'a [u8]>,
    /// The whole record with its length.
    pub(crate) whole: &'a [u8],
    /// The attributes, the one byte before the timestamp delta.
    pub(crate) attributes: u8,
    /// Everything after the timestamp delta.
    pub(crate) after_timestamp: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes a record off the front of `bytes`.
    fn take(bytes: &mut &'a [u8]) -> Result<Self, Malformed> {
        let before = *bytes;
        let mut body = take_prefixed(bytes)?.ok_or(Malformed)?;
        let whole = &before[..before.len() - bytes.len()];
        let (&attributes, rest) = body.split_first().ok_or(Malformed)?;
        body = rest;
        let timestamp_delta = take_varint(&mut body)?;
        let after_timestamp = body;
        let offset_delta = i32::try_from(take_varint(&mut body)?).map_err(|_| Malformed)?;
        let key = take_prefixed(&mut body)?;
        let value = take_prefixed(&mut body)?;
        Ok(Self { timestamp_delta, offset_delta, key, value, whole, attributes, after_timestamp })
    }

    /// Its timestamp within a batch with this header.
    pub(crate) fn timestamp(&self, header: &BatchHeader) -> i64 {
        if header.attributes & attribute::LOG_APPEND_TIME != 0 {
            return header.max_timestamp;
        }
        header.base_timestamp.saturating_add(self.timestamp_delta)
    }
}

/// The records of an inflated batch, in order.
#[derive(Debug, Clone)]
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    left: i32,
}

impl<'a> Records<'a> {
    /// Reads the `count` records that `bytes` should hold.
    pub(crate) fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { bytes, left: count }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            // Bytes after the last record mean that the count is wrong.
            return (!std::mem::take(&mut self.bytes).is_empty()).then_some(Err(Malformed));
        }
        self.left -= 1;
        let record = Record::take(&mut self.bytes);
        if record.is_err() {
            (self.left, self.bytes) = (0, &[]);
        }
        Some(record)
    }
}

/// The inflated records of a batch.
pub(crate) fn inflated<'a>(header: &BatchHeader, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, Malformed> {
    if header.codec() == 0 {
        return Ok(Cow::Borrowed(payload));
    }
    compression::inflate(header.codec(), payload).map(Cow::Owned).map_err(|_| Malformed)
}

/// Checks that a client's records are what their header says, and returns their largest timestamp; `None` if they are
/// compressed and nothing but their keys would have to be looked at.
pub(super) fn check(
    header: &BatchHeader,
    payload: &[u8],
    keys_required: bool,
) -> Result<Option<i64>, AppendError> {
    const MALFORMED: AppendError =
        AppendError::Invalid("the records are not those that the header announces");
    if keys_required {
        let records = inflated(header, payload).map_err(|_| MALFORMED)?;
        for record in Records::new(&records, header.count) {
            if record.map_err(|_| MALFORMED)?.key.is_none() {
                return Err(AppendError::Invalid("a compacted topic takes no record without a key"));
            }
        }
        return largest_timestamp(header, &records).map(Some).map_err(|_| MALFORMED);
    }
    if header.codec() != 0 {
        return Ok(None);
    }
    largest_timestamp(header, payload).map(Some).map_err(|_| MALFORMED)
}

/// Walks over the records without looking at keys and values: it is on the way of every append.
fn largest_timestamp(header: &BatchHeader, mut bytes: &[u8]) -> Result<i64, Malformed> {
    let mut largest = i64::MIN;
    for expected in 0..i64::from(header.count) {
        let mut body = take_prefixed(&mut bytes)?.ok_or(Malformed)?;
        body = body.get(1..).ok_or(Malformed)?;
        largest = largest.max(take_varint(&mut body)?);
        if take_varint(&mut body)? != expected {
            return Err(Malformed);
        }
    }
    if !bytes.is_empty() {
        return Err(Malformed);
    }
    Ok(header.base_timestamp.saturating_add(largest))
}

/// Takes a length and as many bytes; `None` for the length -1.
fn take_prefixed<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let length = take_varint(bytes)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(Some(taken))
}

/// Takes a zigzag-coded varint.
fn take_varint(bytes: &mut &[u8]) -> Result<i64, Malformed> {
    let mut raw = 0_u64;
    for (index, &byte) in bytes.iter().take(LONGEST_VARINT).enumerate() {
        raw |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
        }
    }
    Err(Malformed)
}

/// Appends a zigzag-coded varint.
pub(crate) fn put_varint(value: i64, output: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        output.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    output.push(raw as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_survive_the_way_there_and_back() {
        for value in [0, 1, -1, 63, 64, -64, -65, 300, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!(take_varint(&mut rest), Ok(value));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_cut_record_is_malformed() {
        assert_eq!(Records::new(&[20, 0, 0], 1).next(), Some(Err(Malformed)));
        assert_eq!(Records::new(&[], 1).next(), Some(Err(Malformed)));
        assert_eq!(Records::new(&[0], 0).next(), Some(Err(Malformed)), "bytes are left over");
    }
}
