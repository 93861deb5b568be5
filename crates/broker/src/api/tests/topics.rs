//! `CreateTopics`, `DeleteTopics`, `CreatePartitions`.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::super::{create_partitions, delete_topics};
use super::*;

fn topic(name: &'static str) -> CreatableTopic {
    CreatableTopic::default().with_name(topic_name(name)).with_num_partitions(-1).with_replication_factor(-1)
}

fn config(name: &str, value: Option<&str>) -> CreatableTopicConfig {
    CreatableTopicConfig::default().with_name(text(name)).with_value(value.map(text))
}

fn assigned(number: i32, brokers: &[i32]) -> CreatableReplicaAssignment {
    let brokers = brokers.iter().map(|id| BrokerId(*id)).collect();
    CreatableReplicaAssignment::default().with_partition_index(number).with_broker_ids(brokers)
}

async fn create(
    fixture: &Fixture,
    version: i16,
    topics: Vec<CreatableTopic>,
    only_try: bool,
) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest::default().with_topics(topics).with_validate_only(only_try);
    let response = super::super::create_topics(&fixture.shared, &context(version), request).await;
    assert_encodable(&response, version);
    response.topics
}

#[test]
fn a_topic_is_created_and_described() {
    run(async {
        let fixture = fixture();
        for (version, name) in (2..=7).zip(["a", "b", "c", "d", "e", "f"]) {
            let wanted = topic(name).with_configs(vec![config("retention.ms", Some("5"))]);
            let created = create(&fixture, version, vec![wanted], false).await.remove(0);
            assert_eq!((code(created.error_code), created.error_message), (None, None));
            let there = fixture.shared.catalog.topic(name).expect("created");
            assert_eq!((created.topic_id, there.partitions.len()), (there.id, 2));
            if version >= 5 {
                assert_eq!((created.num_partitions, created.replication_factor), (2, 1));
                let configs = created.configs.expect("a list");
                let value = |name: &str| {
                    let found = configs.iter().find(|config| &*config.name == name).expect("there");
                    (found.value.as_ref().expect("a value").to_string(), found.config_source)
                };
                assert_eq!(value("retention.ms"), ("5".to_owned(), 1));
                assert_eq!(value("segment.bytes"), ("1048576".to_owned(), 4));
                assert_eq!(value("cleanup.policy"), ("delete".to_owned(), 5));
            }
        }
    });
}

#[test]
fn what_cannot_be_created_says_why() {
    run(async {
        let fixture = fixture();
        fixture.topic("there", 1, &[]).await;
        let cases = [
            (topic("there"), ResponseError::TopicAlreadyExists),
            (topic("a b"), ResponseError::InvalidTopicException),
            (topic("twice"), ResponseError::InvalidRequest),
            (topic("twice"), ResponseError::InvalidRequest),
            (topic("zero").with_num_partitions(0), ResponseError::InvalidPartitions),
            (topic("less").with_num_partitions(-2), ResponseError::InvalidPartitions),
            (topic("many").with_num_partitions(1_000), ResponseError::PolicyViolation),
            (topic("r3").with_replication_factor(3), ResponseError::InvalidReplicationFactor),
            (topic("r0").with_replication_factor(0), ResponseError::InvalidReplicationFactor),
            (topic("name").with_configs(vec![config("no.such", Some("1"))]), ResponseError::InvalidConfig),
            (
                topic("value").with_configs(vec![config("retention.ms", Some("x"))]),
                ResponseError::InvalidConfig,
            ),
            (topic("null").with_configs(vec![config("retention.ms", None)]), ResponseError::InvalidConfig),
            (
                topic("both").with_num_partitions(1).with_assignments(vec![assigned(0, &[NODE])]),
                ResponseError::InvalidRequest,
            ),
            (
                topic("other").with_assignments(vec![assigned(0, &[1])]),
                ResponseError::InvalidReplicaAssignment,
            ),
            (
                topic("gap").with_assignments(vec![assigned(1, &[NODE])]),
                ResponseError::InvalidReplicaAssignment,
            ),
            (
                topic("same").with_assignments(vec![assigned(0, &[NODE]), assigned(0, &[NODE])]),
                ResponseError::InvalidReplicaAssignment,
            ),
        ];
        let topics = cases.iter().map(|(topic, _)| topic.clone()).collect();
        let results = create(&fixture, 7, topics, false).await;
        for ((topic, expected), result) in cases.iter().zip(results) {
            assert_eq!(result.name, topic.name);
            assert_eq!(
                code(result.error_code),
                Some(*expected),
                "{:?}: {:?}",
                topic.name,
                result.error_message
            );
            assert!(result.error_message.is_some_and(|message| !message.is_empty()));
        }
        assert_eq!(fixture.shared.catalog.all().len(), 1);
    });
}

#[test]
fn a_topic_can_be_tried_out_and_assigned() {
    run(async {
        let fixture = fixture();
        let assigned = vec![assigned(1, &[NODE]), assigned(0, &[NODE]), assigned(2, &[NODE])];
        let wanted = vec![topic("a").with_assignments(assigned), topic("b").with_replication_factor(1)];
        let tried = create(&fixture, 7, wanted.clone(), true).await;
        assert!(tried.iter().all(|result| result.error_code == 0 && result.topic_id.is_nil()));
        assert!(fixture.shared.catalog.all().is_empty());
        let created = create(&fixture, 7, wanted, false).await;
        assert_eq!(created.iter().map(|result| result.num_partitions).collect::<Vec<_>>(), [3, 2]);
    });
}

async fn delete(fixture: &Fixture, version: i16, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let response = delete_topics(&fixture.shared, &context(version), request).await;
    assert_encodable(&response, version);
    response
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    run(async {
        let fixture = fixture();
        for version in 1..=6 {
            fixture.topic("a", 1, &[]).await;
            let id = fixture.shared.catalog.topic("a").expect("there").id;
            let state = |name: Option<&'static str>, id| {
                DeleteTopicState::default().with_name(name.map(topic_name)).with_topic_id(id)
            };
            let none = uuid::Uuid::nil();
            let request = DeleteTopicsRequest::default()
                .with_topic_names(vec![topic_name("a"), topic_name("a"), topic_name("b")])
                .with_topics(vec![
                    state(None, id),
                    state(Some("a"), none),
                    state(Some("b"), none),
                    state(None, uuid::Uuid::from_u128(5)),
                    state(Some("a"), id),
                ]);
            let response = delete(&fixture, version, request).await;
            let errors: Vec<_> = response.responses.iter().map(|result| code(result.error_code)).collect();
            let mut expected =
                vec![None, Some(ResponseError::InvalidRequest), Some(ResponseError::UnknownTopicOrPartition)];
            if version == 6 {
                expected.extend([Some(ResponseError::UnknownTopicId), Some(ResponseError::InvalidRequest)]);
            }
            assert_eq!(errors, expected, "version {version}");
            let name = response.responses[0].name.as_ref().expect("a name");
            assert_eq!(&***name, "a", "told even if it was deleted by its id");
            assert!(fixture.shared.catalog.all().is_empty());
        }
    });
}

#[test]
fn the_next_topic_of_a_name_begins_anew() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        fixture.append("a", 0, &batch(5, now_ms()));
        let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("a")]);
        delete(&fixture, 5, request).await;
        let response = fixture.append("a", 0, &batch(1, now_ms()));
        assert_eq!(code(response.error_code), Some(ResponseError::UnknownTopicOrPartition));
        fixture.topic("a", 1, &[]).await;
        assert_eq!(fixture.append("a", 0, &batch(1, now_ms())).base_offset, 0);
    });
}

#[test]
fn partitions_are_added() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let here = || CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(NODE)]);
        let elsewhere = || CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1)]);
        for (name, count, assignments, only_try, expected) in [
            ("a", 1, None, false, Some(ResponseError::InvalidPartitions)),
            ("a", 0, None, false, Some(ResponseError::InvalidPartitions)),
            ("a", -1, None, false, Some(ResponseError::InvalidPartitions)),
            ("b", 2, None, false, Some(ResponseError::UnknownTopicOrPartition)),
            ("a", 1_000, None, false, Some(ResponseError::PolicyViolation)),
            ("a", 3, Some(vec![here()]), false, Some(ResponseError::InvalidReplicaAssignment)),
            ("a", 2, Some(vec![elsewhere()]), false, Some(ResponseError::InvalidReplicaAssignment)),
            ("a", 3, None, true, None),
            ("a", 2, Some(vec![here()]), false, None),
            ("a", 4, None, false, None),
        ] {
            let topic = CreatePartitionsTopic::default()
                .with_name(topic_name(name))
                .with_count(count)
                .with_assignments(assignments);
            let request =
                CreatePartitionsRequest::default().with_topics(vec![topic]).with_validate_only(only_try);
            let response = create_partitions(&fixture.shared, request).await;
            (0..=3).for_each(|version| assert_encodable(&response, version));
            let result = &response.results[0];
            assert_eq!(code(result.error_code), expected, "{name} {count}: {:?}", result.error_message);
        }
        assert_eq!(fixture.append("a", 3, &batch(1, now_ms())).base_offset, 0);
        assert_eq!(fixture.shared.catalog.partitions(), 4);
    });
}
