//! `ListOffsets` and `OffsetForLeaderEpoch`.

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest};

use super::*;

/// A time that the records of these tests begin at.
const TIME: i64 = 1_700_000_000_000;

fn request(partitions: Vec<ListOffsetsPartition>) -> ListOffsetsRequest {
    let topic = ListOffsetsTopic::default().with_name(topic_name("a")).with_partitions(partitions);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

fn partition(number: i32, timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition::default().with_partition_index(number).with_timestamp(timestamp)
}

fn list(fixture: &Fixture, request: ListOffsetsRequest) -> Vec<ListOffsetsPartitionResponse> {
    super::super::list_offsets(&fixture.shared, &context(10), request).topics.remove(0).partitions
}

#[test]
fn ends_and_times_are_found() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[("retention.ms", "-1")]).await;
        fixture.append("a", 0, &batch(3, TIME));
        fixture.append("a", 0, &batch(3, TIME + 100));
        fixture.append("a", 0, &batch(1, TIME + 50));
        let log = fixture.shared.catalog.partition("a", 0).expect("there");
        log.delete_before(1).expect("deleted");
        for (timestamp, expected) in [
            (-1, (7, -1)),
            (-2, (1, -1)),
            (-3, (5, TIME + 102)),
            (-4, (1, -1)),
            (-5, (-1, -1)),
            (0, (1, TIME + 1)),
            (TIME + 2, (2, TIME + 2)),
            (TIME + 3, (3, TIME + 100)),
            (TIME + 103, (-1, -1)),
        ] {
            let found = list(&fixture, request(vec![partition(0, timestamp)])).remove(0);
            assert_eq!(code(found.error_code), None);
            assert_eq!((found.offset, found.timestamp), expected, "{timestamp}");
            assert_eq!(found.leader_epoch, if expected.0 < 0 { -1 } else { 0 });
        }
    });
}

#[test]
fn an_open_transaction_is_the_end_for_those_who_want_only_what_is_committed() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[("retention.ms", "-1")]).await;
        fixture.append("a", 0, &batch(2, TIME));
        fixture.shared.catalog.partition("a", 0).expect("there").begin_transaction(9, 0).expect("begun");
        fixture.append("a", 0, &transactional_batch(9, 0));
        let ends = |level, timestamp| {
            let request = request(vec![partition(0, timestamp)]).with_isolation_level(level);
            list(&fixture, request).remove(0).offset
        };
        assert_eq!((ends(0, -1), ends(1, -1)), (3, 2));
        assert_eq!((ends(0, TIME + 2), ends(1, TIME + 2)), (2, -1));
        assert_eq!((ends(0, -3), ends(1, -3)), (2, -1));
    });
}

#[test]
fn what_cannot_be_found_has_its_error() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 2, &[]).await;
        let asked = vec![
            partition(2, -1),
            partition(0, -9),
            partition(0, -1),
            partition(1, -1).with_current_leader_epoch(3),
        ];
        let found = list(&fixture, request(asked));
        let errors: Vec<_> = found.iter().map(|found| code(found.error_code)).collect();
        assert_eq!(
            errors,
            [
                Some(ResponseError::UnknownTopicOrPartition),
                Some(ResponseError::InvalidRequest),
                Some(ResponseError::InvalidRequest),
                Some(ResponseError::UnknownLeaderEpoch),
            ]
        );
        let found = list(&fixture, request(vec![partition(0, -9)])).remove(0);
        assert_eq!(code(found.error_code), Some(ResponseError::UnsupportedVersion));
        for version in 1..=10 {
            let request = request(vec![partition(0, -1), partition(5, -1)]);
            assert_encodable(
                &super::super::list_offsets(&fixture.shared, &context(version), request),
                version,
            );
        }
    });
}

#[test]
fn there_is_one_epoch() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        fixture.append("a", 0, &batch(2, now_ms()));
        for (number, current, epoch, expected) in [
            (0, -1, 0, (None, 0, 2)),
            (0, 0, 0, (None, 0, 2)),
            (0, 0, 1, (None, -1, -1)),
            (0, 4, 0, (Some(ResponseError::UnknownLeaderEpoch), -1, -1)),
            (1, 0, 0, (Some(ResponseError::UnknownTopicOrPartition), -1, -1)),
        ] {
            let asked = OffsetForLeaderPartition::default()
                .with_partition(number)
                .with_current_leader_epoch(current)
                .with_leader_epoch(epoch);
            let topic =
                OffsetForLeaderTopic::default().with_topic(topic_name("a")).with_partitions(vec![asked]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            let response = super::super::offset_for_leader_epoch(&fixture.shared, request);
            (2..=4).for_each(|version| assert_encodable(&response, version));
            let found = &response.topics[0].partitions[0];
            assert_eq!((code(found.error_code), found.leader_epoch, found.end_offset), expected);
        }
    });
}
