//! The markers that end a transaction, in Kafka's format: a control batch of one record, whose key is
//! `version: i16, type: i16` and whose value is `version: i16, coordinator epoch: i32`.

use super::batch::{BatchHeader, CHECKED_FROM, HEADER_BYTES, LEADER_EPOCH, LENGTH_PREFIX_BYTES, attribute};
use super::records::{Records, put_varint};

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    /// It was committed, not aborted.
    pub(crate) commit: bool,
    /// The epoch of the coordinator that wrote the marker.
    pub(crate) coordinator_epoch: i32,
}

/// The type of an abort marker.
const ABORT: i16 = 0;
/// The type of a commit marker.
const COMMIT: i16 = 1;
/// The version of key and value.
const VERSION: i16 = 0;

impl Marker {
    /// The size of a marker's batch.
    pub(crate) const BATCH_BYTES: u64 = 78;

    /// The batch that marks the end of a transaction of `producer_id`.
    pub(crate) fn batch(
        self,
        producer_id: i64,
        epoch: i16,
        offset: i64,
        now_ms: i64,
        log_append_time: bool,
    ) -> Vec<u8> {
        let mut record = vec![0];
        put_varint(0, &mut record);
        put_varint(0, &mut record);
        put_varint(4, &mut record);
        record.extend_from_slice(&VERSION.to_be_bytes());
        record.extend_from_slice(&if self.commit { COMMIT } else { ABORT }.to_be_bytes());
        put_varint(6, &mut record);
        record.extend_from_slice(&VERSION.to_be_bytes());
        record.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        put_varint(0, &mut record);
        let mut records = Vec::with_capacity(record.len() + 1);
        put_varint(record.len() as i64, &mut records);
        records.extend_from_slice(&record);

        let stamp = if log_append_time { attribute::LOG_APPEND_TIME } else { 0 };
        let header = BatchHeader {
            base_offset: offset,
            size: HEADER_BYTES + records.len(),
            crc: 0,
            attributes: attribute::TRANSACTIONAL | attribute::CONTROL | stamp,
            last_offset_delta: 0,
            base_timestamp: now_ms,
            max_timestamp: now_ms,
            producer_id,
            producer_epoch: epoch,
            base_sequence: -1,
            count: 1,
        };
        encode_batch(&header, &records)
    }

    /// Reads the marker in a control batch; `None` if it is of another type, or empty because compaction removed it.
    pub(crate) fn read(header: &BatchHeader, payload: &[u8]) -> Option<Self> {
        let record = Records::new(payload, header.count).next()?.ok()?;
        let key: &[u8; 4] = record.key?.first_chunk()?;
        let value: &[u8; 6] = record.value?.first_chunk()?;
        let commit = match i16::from_be_bytes([key[2], key[3]]) {
            ABORT => false,
            COMMIT => true,
            _ => return None,
        };
        let coordinator_epoch = i32::from_be_bytes([value[2], value[3], value[4], value[5]]);
        Some(Self { commit, coordinator_epoch })
    }
}

/// Writes a batch out of a header and its records; size and checksum are those of the records.
pub(crate) fn encode_batch(header: &BatchHeader, records: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(HEADER_BYTES + records.len());
    let length = (HEADER_BYTES - LENGTH_PREFIX_BYTES + records.len()) as i32;
    batch.extend_from_slice(&header.base_offset.to_be_bytes());
    batch.extend_from_slice(&length.to_be_bytes());
    batch.extend_from_slice(&LEADER_EPOCH.to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&[0; 4]);
    batch.extend_from_slice(&header.attributes.to_be_bytes());
    batch.extend_from_slice(&header.last_offset_delta.to_be_bytes());
    batch.extend_from_slice(&header.base_timestamp.to_be_bytes());
    batch.extend_from_slice(&header.max_timestamp.to_be_bytes());
    batch.extend_from_slice(&header.producer_id.to_be_bytes());
    batch.extend_from_slice(&header.producer_epoch.to_be_bytes());
    batch.extend_from_slice(&header.base_sequence.to_be_bytes());
    batch.extend_from_slice(&header.count.to_be_bytes());
    batch.extend_from_slice(records);
    let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_and_has_the_layout_of_kafka() {
        let marker = Marker { commit: true, coordinator_epoch: 7 };
        let batch = marker.batch(42, 3, 100, 1000, false);
        assert_eq!(batch.len() as u64, Marker::BATCH_BYTES, "the size of Kafka's marker batch");
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!((header.producer_id, header.producer_epoch, header.base_offset), (42, 3, 100));
        assert!(header.is_control() && header.is_transactional());
        assert_eq!(Marker::read(&header, &batch[HEADER_BYTES..]), Some(marker));
        assert_eq!(&batch[HEADER_BYTES..], [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 7, 0]);
    }
}
