//! `DescribeConfigs`, `AlterConfigs`, `IncrementalAlterConfigs`.

use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsResource as Replacement, AlterableConfig as Replaced,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::super::{alter_configs, describe_configs, incremental_alter_configs};
use super::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn describe(fixture: &Fixture, kind: i8, name: &str, keys: &[&str]) -> DescribeConfigsResult {
    let keys = (!keys.is_empty()).then(|| keys.iter().map(|key| text(key)).collect());
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let mut response = describe_configs(&fixture.shared, request);
    (1..=4).for_each(|version| assert_encodable(&response, version));
    response.results.remove(0)
}

/// The value of a topic's setting, and where it comes from.
fn value(fixture: &Fixture, topic: &str, name: &str) -> (String, i8) {
    let described = describe(fixture, TOPIC, topic, &[name]);
    assert_eq!(described.configs.len(), 1);
    let config = &described.configs[0];
    (config.value.as_ref().expect("a value").to_string(), config.config_source)
}

async fn change(
    fixture: &Fixture,
    (kind, name): (i8, &str),
    changes: &[(&str, i8, Option<&str>)],
    only_try: bool,
) -> Option<ResponseError> {
    let configs = changes.iter().map(|(name, operation, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(only_try);
    let response = incremental_alter_configs(&fixture.shared, request).await;
    (0..=1).for_each(|version| assert_encodable(&response, version));
    let result = &response.responses[0];
    assert_eq!((result.resource_type, &*result.resource_name), (kind, name));
    assert_eq!(result.error_code == 0, result.error_message.is_none());
    code(result.error_code)
}

#[test]
fn settings_are_described_with_where_they_come_from() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[("segment.bytes", "2000000")]).await;
        let described = describe(&fixture, TOPIC, "a", &["segment.bytes", "no.such"]);
        assert_eq!(code(described.error_code), None);
        let [config] = &described.configs[..] else { panic!("one") };
        assert_eq!((config.config_source, config.config_type, config.read_only), (1, 3, false));
        assert!(config.documentation.as_ref().is_some_and(|text| !text.is_empty()));
        let synonyms: Vec<_> = config
            .synonyms
            .iter()
            .map(|synonym| (&*synonym.name, synonym.value.as_deref(), synonym.source))
            .collect();
        assert_eq!(
            synonyms,
            [
                ("segment.bytes", Some("2000000"), 1),
                ("log.segment.bytes", Some("1048576"), 4),
                ("log.segment.bytes", Some("1073741824"), 5),
            ]
        );
        assert!(describe(&fixture, TOPIC, "a", &[]).configs.len() > 25, "all of them");
        for (name, error) in
            [("b", ResponseError::UnknownTopicOrPartition), ("a b", ResponseError::InvalidTopicException)]
        {
            assert_eq!(code(describe(&fixture, TOPIC, name, &[]).error_code), Some(error));
        }
    });
}

#[test]
fn the_broker_is_described_and_cannot_be_changed() {
    run(async {
        let fixture = fixture();
        let described = describe(&fixture, BROKER, "7", &["num.partitions", "log.segment.bytes"]);
        let values: Vec<_> = described.configs.iter().map(|config| config.value.as_deref()).collect();
        assert_eq!(values.len(), 2);
        assert!(described.configs.iter().all(|config| config.read_only && config.config_source == 4));
        assert!(describe(&fixture, BROKER, "", &[]).configs.is_empty());
        let refused = Some(ResponseError::InvalidRequest);
        assert_eq!(code(describe(&fixture, BROKER, "8", &[]).error_code), refused);
        assert_eq!(code(describe(&fixture, 8, "7", &[]).error_code), refused);
        let partitions = [("num.partitions", SET, Some("3"))];
        assert_eq!(change(&fixture, (BROKER, "7"), &partitions, false).await, refused);
        assert_eq!(change(&fixture, (BROKER, "8"), &partitions, false).await, refused);
        assert_eq!(change(&fixture, (8, "7"), &partitions, false).await, refused);
    });
}

#[test]
fn settings_are_changed_one_by_one() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[("retention.ms", "5")]).await;
        let a = (TOPIC, "a");
        for (changes, name, expected) in [
            (&[("retention.ms", SET, Some("6"))][..], "retention.ms", ("6", 1)),
            (&[("retention.ms", DELETE, None)], "retention.ms", ("604800000", 5)),
            (&[("segment.bytes", DELETE, None)], "segment.bytes", ("1048576", 4)),
            (&[("cleanup.policy", APPEND, Some("compact"))], "cleanup.policy", ("delete,compact", 1)),
            (&[("cleanup.policy", APPEND, Some("compact"))], "cleanup.policy", ("delete,compact", 1)),
            (&[("cleanup.policy", SUBTRACT, Some("delete"))], "cleanup.policy", ("compact", 1)),
        ] {
            assert_eq!(change(&fixture, a, changes, false).await, None, "{changes:?}");
            assert_eq!(value(&fixture, "a", name), (expected.0.to_owned(), expected.1));
        }
        assert_eq!(change(&fixture, a, &[("retention.ms", SET, Some("9"))], true).await, None);
        assert_eq!(value(&fixture, "a", "retention.ms").1, 5, "it was only tried");
    });
}

#[test]
fn a_change_that_is_wrong_changes_nothing() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let good = ("retention.ms", SET, Some("6"));
        for (name, changes, expected) in [
            ("a", &[good, ("no.such", SET, Some("1"))][..], ResponseError::InvalidConfig),
            ("a", &[good, ("no.such", DELETE, None)], ResponseError::InvalidConfig),
            ("a", &[good, ("segment.ms", SET, Some("0"))], ResponseError::InvalidConfig),
            ("a", &[good, ("segment.ms", APPEND, Some("1"))], ResponseError::InvalidConfig),
            ("a", &[good, ("cleanup.policy", APPEND, Some("x"))], ResponseError::InvalidConfig),
            (
                "a",
                &[good, ("min.compaction.lag.ms", SET, Some("9")), ("max.compaction.lag.ms", SET, Some("1"))],
                ResponseError::InvalidConfig,
            ),
            ("a", &[good, ("segment.ms", SET, None)], ResponseError::InvalidRequest),
            ("a", &[good, ("segment.ms", 4, Some("1"))], ResponseError::InvalidRequest),
            ("a", &[good, good], ResponseError::InvalidRequest),
            ("b", &[good], ResponseError::UnknownTopicOrPartition),
        ] {
            assert_eq!(change(&fixture, (TOPIC, name), changes, false).await, Some(expected), "{changes:?}");
        }
        assert_eq!(value(&fixture, "a", "retention.ms").1, 5);
    });
}

#[test]
fn settings_are_replaced_as_a_whole() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[("retention.ms", "5")]).await;
        let replace = |name: &'static str, value: Option<&'static str>| {
            let config = Replaced::default().with_name(text(name)).with_value(value.map(text));
            Replacement::default()
                .with_resource_type(TOPIC)
                .with_resource_name(text("a"))
                .with_configs(vec![config])
        };
        let alter = async |resources: Vec<Replacement>| {
            let request = AlterConfigsRequest::default().with_resources(resources);
            let response = alter_configs(&fixture.shared, request).await;
            (0..=2).for_each(|version| assert_encodable(&response, version));
            response.responses.iter().map(|result| code(result.error_code)).collect::<Vec<_>>()
        };
        assert_eq!(alter(vec![replace("segment.ms", Some("9"))]).await, [None]);
        assert_eq!(value(&fixture, "a", "segment.ms"), ("9".to_owned(), 1));
        assert_eq!(value(&fixture, "a", "retention.ms").1, 5, "what is not mentioned goes back");
        let refused = Some(ResponseError::InvalidRequest);
        assert_eq!(alter(vec![replace("segment.ms", None)]).await, [refused]);
        let twice = || replace("segment.ms", Some("1"));
        assert_eq!(alter(vec![twice(), twice()]).await, [refused, refused]);
    });
}

#[test]
fn a_change_reaches_the_log() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let small = [("max.message.bytes", SET, Some("10"))];
        assert_eq!(change(&fixture, (TOPIC, "a"), &small, false).await, None);
        let response = fixture.append("a", 0, &batch(1, now_ms()));
        assert_eq!(code(response.error_code), Some(ResponseError::MessageTooLarge));
    });
}
