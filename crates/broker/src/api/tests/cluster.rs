//! `Metadata`, `DescribeCluster`, `FindCoordinator`, `DescribeTopicPartitions`.

use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeTopicPartitionsRequest, FindCoordinatorRequest, MetadataRequest,
    MetadataResponse,
};

use super::super::{describe_cluster, describe_topic_partitions, find_coordinator};
use super::*;

fn by_name(names: &[&'static str]) -> MetadataRequest {
    let topic = |name: &&'static str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    MetadataRequest::default().with_topics(Some(names.iter().map(topic).collect()))
}

async fn metadata(fixture: &Fixture, version: i16, request: MetadataRequest) -> MetadataResponse {
    let response = super::super::metadata(&fixture.shared, &context(version), request).await;
    assert_encodable(&response, version);
    response
}

/// Names, errors and how many partitions.
fn told(response: &MetadataResponse) -> Vec<(String, Option<ResponseError>, usize)> {
    let topics = response.topics.iter();
    let name = |name: &Option<TopicName>| name.as_ref().map(|name| name.to_string()).unwrap_or_default();
    topics.map(|topic| (name(&topic.name), code(topic.error_code), topic.partitions.len())).collect()
}

#[test]
fn the_node_is_the_cluster() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 2, &[]).await;
        for version in 0..=13 {
            let response = metadata(&fixture, version, by_name(&["a"])).await;
            let broker = &response.brokers[0];
            assert_eq!((broker.node_id.0, &*broker.host, broker.port), (NODE, "broker.example", 9092));
            assert_eq!(response.controller_id.0, NODE);
            assert_eq!(told(&response), [("a".to_owned(), None, 2)]);
            let partition = &response.topics[0].partitions[1];
            assert_eq!(
                (partition.partition_index, partition.leader_id.0, partition.leader_epoch),
                (1, NODE, 0)
            );
            assert_eq!(
                (&partition.replica_nodes, &partition.isr_nodes),
                (&vec![NODE.into()], &vec![NODE.into()])
            );
        }
    });
}

#[test]
fn all_topics_are_asked_for_by_null_and_once_by_an_empty_list() {
    run(async {
        let fixture = fixture();
        fixture.topic("b", 1, &[]).await;
        fixture.topic("a", 1, &[]).await;
        let all = ["a", "b"].map(|name| (name.to_owned(), None, 1));
        let response = metadata(&fixture, 1, MetadataRequest::default().with_topics(None)).await;
        assert_eq!(told(&response), all);
        assert_eq!(told(&metadata(&fixture, 0, by_name(&[])).await), all);
        assert_eq!(told(&metadata(&fixture, 1, by_name(&[])).await), []);
    });
}

#[test]
fn missing_topics_are_created_if_everybody_agrees() {
    run(async {
        let fixture = fixture();
        let unknown = Some(ResponseError::UnknownTopicOrPartition);
        let request = by_name(&["a"]).with_allow_auto_topic_creation(false);
        assert_eq!(told(&metadata(&fixture, 12, request).await), [("a".to_owned(), unknown, 0)]);
        let request = by_name(&["a", "a/b", "a", "__consumer_offsets"]);
        assert_eq!(
            told(&metadata(&fixture, 12, request).await),
            [
                ("a".to_owned(), None, 2),
                ("a/b".to_owned(), Some(ResponseError::InvalidTopicException), 0),
                ("__consumer_offsets".to_owned(), unknown, 0),
            ]
        );
        let fixture = fixture_with(|settings| settings.create_topics = false);
        assert_eq!(told(&metadata(&fixture, 12, by_name(&["a"])).await), [("a".to_owned(), unknown, 0)]);
    });
}

#[test]
fn topics_are_found_by_id() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let known = fixture.shared.catalog.topic("a").expect("there").id;
        let unknown = uuid::Uuid::from_u128(5);
        for version in [10, 12, 13] {
            let by_id = |id| MetadataRequestTopic::default().with_topic_id(id).with_name(None);
            let request = MetadataRequest::default().with_topics(Some(vec![by_id(known), by_id(unknown)]));
            let response = metadata(&fixture, version, request).await;
            assert_eq!((code(response.topics[0].error_code), response.topics[0].topic_id), (None, known));
            let error =
                if version < 12 { ResponseError::InvalidRequest } else { ResponseError::UnknownTopicId };
            assert_eq!(code(response.topics[1].error_code), Some(error));
        }
    });
}

#[test]
fn operations_are_told_to_those_who_ask() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        for version in 0..=13 {
            let request = by_name(&["a"])
                .with_include_cluster_authorized_operations(true)
                .with_include_topic_authorized_operations(true);
            let response = metadata(&fixture, version, request).await;
            assert_eq!(response.cluster_authorized_operations != i32::MIN, (8..=10).contains(&version));
            assert_eq!(response.topics[0].topic_authorized_operations != i32::MIN, version >= 8);
        }
    });
}

#[test]
fn the_cluster_is_described_to_those_who_ask_a_broker() {
    let fixture = fixture();
    let response = describe_cluster(&fixture.shared, &DescribeClusterRequest::default());
    (0..=2).for_each(|version| assert_encodable(&response, version));
    assert_eq!((&*response.cluster_id, response.controller_id.0), ("cluster", NODE));
    assert_eq!((response.brokers[0].broker_id.0, response.brokers[0].port), (NODE, 9092));
    assert_eq!(response.cluster_authorized_operations, i32::MIN);
    let request = DescribeClusterRequest::default().with_endpoint_type(2);
    let response = describe_cluster(&fixture.shared, &request);
    assert_eq!(code(response.error_code), Some(ResponseError::MismatchedEndpointType));
}

#[test]
fn the_node_coordinates_everything() {
    let fixture = fixture();
    for version in 0..=5 {
        for (kind, error) in [(0, None), (1, None), (2, Some(ResponseError::InvalidRequest))] {
            let request = FindCoordinatorRequest::default()
                .with_key(text("a"))
                .with_key_type(kind)
                .with_coordinator_keys(vec![text("a"), text("b")]);
            let response = find_coordinator(&fixture.shared, &context(version), request);
            assert_encodable(&response, version);
            let port = if error.is_none() { 9092 } else { -1 };
            if version < 4 {
                assert_eq!((code(response.error_code), response.port), (error, port));
            } else {
                let told: Vec<_> = response.coordinators.iter().map(|found| &*found.key).collect();
                assert_eq!(told, ["a", "b"]);
                let found = &response.coordinators[1];
                assert_eq!((code(found.error_code), found.port), (error, port));
            }
        }
    }
}

/// Goes through all pages; returns topics and partitions as they come, page by page.
fn pages(fixture: &Fixture, names: &[&'static str], limit: i32) -> Vec<Vec<(String, Vec<i32>)>> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let topics = names.iter().map(|name| TopicRequest::default().with_name(topic_name(name)));
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(topics.collect())
            .with_response_partition_limit(limit)
            .with_cursor(cursor);
        let response = describe_topic_partitions(&fixture.shared, request);
        assert_encodable(&response, 0);
        let page = response.topics.iter().map(|topic| {
            let numbers = topic.partitions.iter().map(|partition| partition.partition_index);
            (topic.name.as_ref().expect("a name").to_string(), numbers.collect())
        });
        pages.push(page.collect());
        let Some(next) = response.next_cursor else { return pages };
        cursor = Some(
            Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index),
        );
    }
}

#[test]
fn topics_are_described_page_by_page() {
    run(async {
        let fixture = fixture();
        for name in ["c", "a", "b"] {
            fixture.topic(name, 3, &[]).await;
        }
        let topic = |name: &str, numbers: &[i32]| (name.to_owned(), numbers.to_vec());
        assert_eq!(
            pages(&fixture, &[], 100),
            [vec![topic("a", &[0, 1, 2]), topic("b", &[0, 1, 2]), topic("c", &[0, 1, 2])]]
        );
        assert_eq!(
            pages(&fixture, &[], 4),
            [
                vec![topic("a", &[0, 1, 2]), topic("b", &[0])],
                vec![topic("b", &[1, 2]), topic("c", &[0, 1])],
                vec![topic("c", &[2])],
            ]
        );
        assert_eq!(
            pages(&fixture, &["c", "a", "missing"], 3),
            [vec![topic("a", &[0, 1, 2])], vec![topic("c", &[0, 1, 2])], vec![topic("missing", &[])],]
        );
    });
}

#[test]
fn a_cursor_that_is_none_is_refused() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        for (name, number) in [("a", -1), ("b", 0)] {
            let cursor = Cursor::default().with_topic_name(topic_name(name)).with_partition_index(number);
            let request = DescribeTopicPartitionsRequest::default()
                .with_topics(vec![TopicRequest::default().with_name(topic_name("a"))])
                .with_cursor(Some(cursor));
            let response = describe_topic_partitions(&fixture.shared, request);
            assert_eq!(code(response.topics[0].error_code), Some(ResponseError::InvalidRequest));
        }
    });
}
