//! `Produce`: every error that a client can cause.

use super::*;

#[test]
fn records_are_appended_and_counted() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 2, &[]).await;
        let first = fixture.append("a", 1, &batch(3, now_ms()));
        assert_eq!(code(first.error_code), None, "{:?}", first.error_message);
        assert_eq!((first.base_offset, first.log_append_time_ms, first.log_start_offset), (0, -1, 0));
        let second = fixture.append("a", 1, &batch(2, now_ms()));
        assert_eq!(second.base_offset, 3);
        assert_eq!(fixture.append("a", 0, &batch(1, now_ms())).base_offset, 0);
        let log = fixture.shared.catalog.partition("a", 1).expect("there");
        assert_eq!(log.offsets().end, 5);
    });
}

#[test]
fn every_partition_has_its_own_error() {
    run(async {
        let fixture = fixture();
        fixture
            .topic("a", 1, &[("max.message.bytes", "200"), ("message.timestamp.after.max.ms", "1000")])
            .await;
        fixture.topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
        let good = batch(1, now_ms());
        let mut corrupt = BytesMut::from(&good[..]);
        let last = corrupt.len() - 1;
        corrupt[last] ^= 1;
        let mut old = BytesMut::from(&good[..]);
        old[16] = 1;
        let without_key = Record { key: None, ..record(0, now_ms(), "x") };
        for (what, topic, partition, records, expected) in [
            ("no topic", "b", 0, good.clone(), ResponseError::UnknownTopicOrPartition),
            ("no partition", "a", 1, good.clone(), ResponseError::UnknownTopicOrPartition),
            ("a negative one", "a", -1, good.clone(), ResponseError::UnknownTopicOrPartition),
            ("nothing", "a", 0, Bytes::new(), ResponseError::InvalidRecord),
            ("too much", "a", 0, batch(100, now_ms()), ResponseError::MessageTooLarge),
            ("from the future", "a", 0, batch(1, now_ms() + 60_000), ResponseError::InvalidTimestamp),
            ("a wrong checksum", "a", 0, corrupt.freeze(), ResponseError::CorruptMessage),
            ("half a batch", "a", 0, good.slice(..good.len() - 1), ResponseError::CorruptMessage),
            ("an old format", "a", 0, old.freeze(), ResponseError::InvalidRecord),
            ("no transaction", "a", 0, transactional_batch(4, 0), ResponseError::InvalidTxnState),
            (
                "no key",
                "compacted",
                0,
                encode(&[without_key], Compression::None),
                ResponseError::InvalidRecord,
            ),
        ] {
            let response = fixture.append(topic, partition, &records);
            assert_eq!(code(response.error_code), Some(expected), "{what}: {:?}", response.error_message);
            assert_eq!((response.base_offset, response.log_start_offset), (-1, -1), "{what}");
            assert!(response.error_message.is_some(), "{what}");
        }
        let response = fixture.append("a", 0, &good);
        assert_eq!((code(response.error_code), response.base_offset), (None, 0), "nothing of that was kept");
    });
}

#[test]
fn acknowledgements_are_all_one_or_none() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        for (acks, error) in [
            (-1, None),
            (1, None),
            (2, Some(ResponseError::InvalidRequiredAcks)),
            (-2, Some(ResponseError::InvalidRequiredAcks)),
        ] {
            let request = produce_request("a", 0, Some(batch(1, now_ms()))).with_acks(acks);
            let response = produce(&fixture, 9, request).expect("an answer");
            assert_eq!(code(response.responses[0].partition_responses[0].error_code), error, "{acks}");
        }
        let request = produce_request("a", 0, Some(batch(1, now_ms()))).with_acks(0);
        assert_eq!(produce(&fixture, 9, request), None);
        assert_eq!(fixture.shared.catalog.partition("a", 0).expect("there").offsets().end, 3);
    });
}

fn produce(
    fixture: &Fixture,
    version: i16,
    request: ProduceRequest,
) -> Option<kafka_protocol::messages::ProduceResponse> {
    super::super::produce(&fixture.shared, &context(version), request)
}

#[test]
fn zstandard_is_only_for_those_who_know_it() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let records = encode(&[record(0, now_ms(), "x")], Compression::Zstd);
        for (version, error) in [(6, Some(ResponseError::UnsupportedCompressionType)), (7, None)] {
            let response = produce(&fixture, version, produce_request("a", 0, Some(records.clone())));
            let response = response.expect("an answer");
            assert_eq!(code(response.responses[0].partition_responses[0].error_code), error);
        }
    });
}

#[test]
fn the_time_of_the_append_is_told_if_records_get_it() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
        let before = now_ms();
        let response = fixture.append("a", 0, &batch(1, 0));
        assert!((before..=now_ms()).contains(&response.log_append_time_ms));
    });
}

#[test]
fn a_duplicate_is_acknowledged_with_its_first_offset_and_a_gap_is_refused() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let idempotent = |sequence| {
            let record = Record { producer_id: 4, producer_epoch: 0, sequence, ..record(0, now_ms(), "x") };
            encode(&[record], Compression::None)
        };
        for (sequence, error, offset) in [
            (0, None, 0),
            (1, None, 1),
            (0, None, 0),
            (5, Some(ResponseError::OutOfOrderSequenceNumber), -1),
            (2, None, 2),
        ] {
            let response = fixture.append("a", 0, &idempotent(sequence));
            assert_eq!((code(response.error_code), response.base_offset), (error, offset), "{sequence}");
        }
    });
}

#[test]
fn the_answer_fits_every_version() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        for version in 3..=11 {
            for partition in 0..2 {
                let request = produce_request("a", partition, Some(batch(1, now_ms())));
                assert_encodable(&produce(&fixture, version, request).expect("an answer"), version);
            }
        }
    });
}
