//! `DeleteRecords`, `DescribeLogDirs`, `DescribeProducers`.

use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::{DeleteRecordsRequest, DescribeLogDirsRequest, DescribeProducersRequest};

use super::super::{delete_records, describe_log_dirs, describe_producers};
use super::*;

#[test]
fn records_are_deleted_up_to_an_offset() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        fixture.topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
        fixture.append("a", 0, &batch(3, now_ms()));
        fixture.append("a", 0, &batch(3, now_ms()));
        for (name, number, offset, expected) in [
            ("a", 0, 2, Ok(2)),
            ("a", 0, 1, Ok(2)),
            ("a", 0, 7, Err(ResponseError::OffsetOutOfRange)),
            ("a", 0, -2, Err(ResponseError::OffsetOutOfRange)),
            ("a", 1, 0, Err(ResponseError::UnknownTopicOrPartition)),
            ("b", 0, 0, Err(ResponseError::UnknownTopicOrPartition)),
            ("compacted", 0, 0, Err(ResponseError::PolicyViolation)),
            ("a", 0, -1, Ok(6)),
        ] {
            let partition =
                DeleteRecordsPartition::default().with_partition_index(number).with_offset(offset);
            let topic =
                DeleteRecordsTopic::default().with_name(topic_name(name)).with_partitions(vec![partition]);
            let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
            let response = delete_records(&fixture.shared, request).await;
            (0..=2).for_each(|version| assert_encodable(&response, version));
            let result = &response.topics[0].partitions[0];
            match expected {
                Ok(start) => assert_eq!((code(result.error_code), result.low_watermark), (None, start)),
                Err(error) => assert_eq!((code(result.error_code), result.low_watermark), (Some(error), -1)),
            }
        }
        let offsets = fixture.shared.catalog.partition("a", 0).expect("there").offsets();
        assert_eq!((offsets.start, offsets.end), (6, 6));
    });
}

#[test]
fn sizes_are_those_of_the_logs() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 2, &[]).await;
        let records = batch(3, now_ms());
        fixture.append("a", 1, &records);
        let asked =
            DescribableLogDirTopic::default().with_topic(topic_name("a")).with_partitions(vec![1, 5, 1]);
        let missing = DescribableLogDirTopic::default().with_topic(topic_name("b")).with_partitions(vec![0]);
        for (topics, expected) in [
            (None, vec![(0, 0), (1, records.len() as i64)]),
            (Some(vec![asked, missing]), vec![(1, records.len() as i64)]),
        ] {
            let request = DescribeLogDirsRequest::default().with_topics(topics);
            let response = describe_log_dirs(&fixture.shared, request);
            (1..=4).for_each(|version| assert_encodable(&response, version));
            let result = &response.results[0];
            assert_eq!(&*result.log_dir, fixture.directory.path().join("topics").to_str().expect("a name"));
            assert!(result.total_bytes >= result.usable_bytes && result.usable_bytes > 0);
            assert_eq!(result.topics.len(), 1);
            let sizes = result.topics[0].partitions.iter();
            let sizes: Vec<_> = sizes.map(|size| (size.partition_index, size.partition_size)).collect();
            assert_eq!(sizes, expected);
        }
    });
}

#[test]
fn producers_are_described() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let log = fixture.shared.catalog.partition("a", 0).expect("there");
        log.begin_transaction(9, 0).expect("begun");
        fixture.append("a", 0, &batch(1, now_ms()));
        fixture.append("a", 0, &transactional_batch(9, 0));
        let asked = |name, number| {
            TopicRequest::default().with_name(topic_name(name)).with_partition_indexes(vec![number])
        };
        let request = DescribeProducersRequest::default().with_topics(vec![
            asked("a", 0),
            asked("a", 1),
            asked("b", 0),
            asked("b c", 0),
        ]);
        let response = describe_producers(&fixture.shared, request);
        assert_encodable(&response, 0);
        let partitions: Vec<_> = response.topics.iter().map(|topic| &topic.partitions[0]).collect();
        let errors: Vec<_> = partitions.iter().map(|partition| code(partition.error_code)).collect();
        assert_eq!(
            errors,
            [
                None,
                Some(ResponseError::UnknownTopicOrPartition),
                Some(ResponseError::UnknownTopicOrPartition),
                Some(ResponseError::InvalidTopicException),
            ]
        );
        let producer = &partitions[0].active_producers[0];
        assert_eq!((producer.producer_id.0, producer.producer_epoch, producer.last_sequence), (9, 0, 0));
        assert_eq!(producer.current_txn_start_offset, 1);
    });
}
