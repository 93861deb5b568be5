//! Inflating and deflating the records of a batch, for the few places that must look inside: compaction, search by
//! time, and the check for keys on a compacted topic.
//!
//! Invariant: no batch inflates to more than [`MAX_INFLATED_BYTES`], whatever it claims.

use std::io::{self, Read};

use bytes::BytesMut;
use kafka_protocol::compression::{Compressor, Gzip, Lz4, Snappy, Zstd};

/// The largest inflated batch. Batches are 1 MB by default, so this is a ratio that no honest data reaches.
pub(crate) const MAX_INFLATED_BYTES: usize = 128 << 20;
/// How xerial's snappy-java begins a stream: magic, version 1, compatible with version 1.
const XERIAL_HEADER: [u8; 16] = *b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";
/// How many bytes of a xerial stream's header say that it is one; the versions may differ.
const XERIAL_MAGIC_BYTES: usize = 8;

/// The bytes cannot be inflated, or not within the bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompressionError {
    /// The codec refused.
    #[error("cannot inflate: {0}")]
    Codec(#[from] io::Error),
    /// There is more than the bound.
    #[error("a batch inflates to more than {MAX_INFLATED_BYTES} bytes")]
    TooLarge,
    /// The protocol knows no such codec.
    #[error("unknown compression codec {0}")]
    Unknown(u8),
    /// The records could not be compressed again.
    #[error("cannot deflate: {0}")]
    Deflate(String),
}

/// Inflates a batch's records.
pub(crate) fn inflate(codec: u8, payload: &[u8]) -> Result<Vec<u8>, CompressionError> {
    match codec {
        0 => Ok(payload.to_vec()),
        1 => read_all(flate2::read::MultiGzDecoder::new(payload)),
        2 => inflate_snappy(payload),
        3 => read_all(lz4::Decoder::new(payload)?),
        4 => read_all(zstd::Decoder::with_buffer(payload)?),
        other => Err(CompressionError::Unknown(other)),
    }
}

/// Compresses records again with the codec that their batch had.
pub(crate) fn deflate(codec: u8, records: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut output = BytesMut::new();
    let copy = |buffer: &mut BytesMut| {
        buffer.extend_from_slice(records);
        Ok(())
    };
    match codec {
        0 => return Ok(records.to_vec()),
        1 => Gzip::compress(&mut output, copy),
        2 => Snappy::compress(&mut output, copy),
        3 => Lz4::compress(&mut output, copy),
        4 => Zstd::compress(&mut output, copy),
        other => return Err(CompressionError::Unknown(other)),
    }
    .map_err(|error| CompressionError::Deflate(error.to_string()))?;
    Ok(output.into())
}

fn read_all(source: impl Read) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    source.take(MAX_INFLATED_BYTES as u64 + 1).read_to_end(&mut output)?;
    if output.len() > MAX_INFLATED_BYTES {
        return Err(CompressionError::TooLarge);
    }
    Ok(output)
}

/// Snappy comes bare, or in xerial's framing: a header, then blocks that are each preceded by their length.
fn inflate_snappy(payload: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    if !payload.starts_with(&XERIAL_HEADER[..XERIAL_MAGIC_BYTES]) || payload.len() < XERIAL_HEADER.len() {
        inflate_block(payload, &mut output)?;
        return Ok(output);
    }
    let mut rest = &payload[XERIAL_HEADER.len()..];
    while !rest.is_empty() {
        let (length, after) =
            rest.split_first_chunk().ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let (block, after) = after
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
        inflate_block(block, &mut output)?;
        rest = after;
    }
    Ok(output)
}

fn inflate_block(block: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
    /// What a byte of Snappy can at most stand for: a copy of 64 bytes takes two bytes at least.
    const LARGEST_RATIO: usize = 64;
    let length = snap::raw::decompress_len(block).map_err(io::Error::from)?;
    let before = output.len();
    if length > MAX_INFLATED_BYTES - before.min(MAX_INFLATED_BYTES) {
        return Err(CompressionError::TooLarge);
    }
    if length > block.len().saturating_mul(LARGEST_RATIO) {
        return Err(io::Error::from(io::ErrorKind::InvalidData).into());
    }
    output.resize(before + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut output[before..]).map_err(io::Error::from)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_survives_the_way_there_and_back() {
        let records: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 7).to_be_bytes()).collect();
        for codec in 0..=4 {
            let deflated = deflate(codec, &records).unwrap();
            assert_eq!(inflate(codec, &deflated).unwrap(), records, "codec {codec}");
        }
        let bare = snap::raw::Encoder::new().compress_vec(&records).unwrap();
        assert_eq!(inflate(2, &bare).unwrap(), records);
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = vec![0; MAX_INFLATED_BYTES + 1];
        for codec in [1, 2, 4] {
            let deflated = deflate(codec, &zeros).unwrap();
            assert!(matches!(inflate(codec, &deflated), Err(CompressionError::TooLarge)), "codec {codec}");
        }
        assert!(inflate(2, &[0xff, 0xff, 0xff, 0x7f, 0]).is_err(), "a length that the bytes cannot hold");
    }
}
