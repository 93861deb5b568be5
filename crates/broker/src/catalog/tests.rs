//! The catalog over real directories: changes, what survives the end of the process, and what a crash leaves.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use kafka_protocol::ResponseError as Error;

use crate::log::LastShutdown;
use crate::settings::{Limits, Security, Settings};

/// Settings of a broker in a directory; for tests of everything that needs a catalog.
pub(crate) fn settings(directory: &Path) -> Settings {
    Settings {
        data_directory: directory.to_owned(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        advertise: None,
        node_id: 7,
        create_topics: true,
        default_partitions: 2,
        topic_defaults: vec![("segment.bytes".to_owned(), "1048576".to_owned())],
        initial_rebalance_delay: Duration::ZERO,
        session_timeouts: (Duration::from_secs(1), Duration::from_secs(60)),
        offsets_retention: Duration::from_secs(3600),
        longest_transaction: Duration::from_secs(60),
        producer_retention: Duration::from_secs(3600),
        housekeeping: Duration::from_secs(60),
        security: Security::default(),
        limits: Limits {
            connections: 4,
            request_bytes: 1 << 20,
            requests_in_flight_bytes: 2 << 20,
            partitions: 20,
            idle_connection: Duration::from_secs(60),
        },
    }
}

fn open(directory: &Path) -> Catalog {
    Catalog::open(&settings(directory), LastShutdown::SameBoot).expect("it opens")
}

fn overrides(given: &[(&str, &str)]) -> Overrides {
    Overrides::new(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        .expect("valid")
}

fn new(name: &str, partitions: usize) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions, overrides: Overrides::default() }
}

fn create(catalog: &Catalog, name: &str, partitions: usize) -> Result<Arc<Topic>, ChangeError> {
    catalog.create(&[new(name, partitions)], false).remove(0)
}

/// What there is: names, ids and how many partitions.
fn content(catalog: &Catalog) -> Vec<(String, Uuid, usize)> {
    catalog.all().iter().map(|topic| (topic.name.to_string(), topic.id, topic.partitions.len())).collect()
}

/// The names in the directory of the partitions.
fn directories(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory.join("topics")).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[test]
fn topics_survive_the_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    assert!(content(&catalog).is_empty());
    create(&catalog, "b", 3).expect("created");
    let wanted = NewTopic { overrides: overrides(&[("retention.ms", "5")]), ..new("a", 1) };
    catalog.create(&[wanted], false).remove(0).expect("created");
    let before = content(&catalog);
    assert_eq!(
        before.iter().map(|(name, _, count)| (name.as_str(), *count)).collect::<Vec<_>>(),
        [("a", 1), ("b", 3)]
    );
    drop(catalog);

    let catalog = open(directory.path());
    assert_eq!(content(&catalog), before);
    let topic = catalog.topic_by_id(before[0].1).expect("known by its id");
    assert_eq!(topic.overrides.get("retention.ms"), Some("5"));
    assert!(catalog.partition("b", 2).is_some());
    assert!(catalog.partition("b", 3).is_none() && catalog.partition("b", -1).is_none());
    assert_eq!(catalog.partitions(), 4);
}

#[test]
fn what_cannot_be_created_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    create(&catalog, "sensor.data", 1).expect("created");
    let refused =
        |name: &str, partitions: usize| create(&catalog, name, partitions).expect_err("refused").code();
    assert_eq!(refused("sensor.data", 1), Error::TopicAlreadyExists);
    assert_eq!(refused("sensor_data", 1), Error::InvalidTopicException);
    assert_eq!(refused("a/../b", 1), Error::InvalidTopicException);
    assert_eq!(refused("a", 0), Error::InvalidPartitions);
    assert_eq!(refused("a", 20), Error::PolicyViolation, "19 are left of 20");
    let lag = NewTopic {
        overrides: overrides(&[("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "8")]),
        ..new("a", 1)
    };
    let error = catalog.create(&[lag], false).remove(0).expect_err("refused");
    assert_eq!(error.code(), Error::InvalidConfig);
    assert_eq!(directories(directory.path()), ["sensor.data-0"]);
}

#[test]
fn several_topics_are_created_each_for_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    let wanted = [new("a.b", 1), new("a_b", 1), new("c", 15), new("d", 5), new("e", 4)];
    let created: Vec<bool> = catalog.create(&wanted, true).iter().map(Result::is_ok).collect();
    assert_eq!(created, [true, false, true, false, true], "a collision, and too many partitions");
    assert!(content(&catalog).is_empty() && directories(directory.path()).is_empty(), "it was only tried");
    let created: Vec<bool> = catalog.create(&wanted, false).iter().map(Result::is_ok).collect();
    assert_eq!(created, [true, false, true, false, true]);
    assert_eq!(catalog.partitions(), 20);
}

#[test]
fn a_deleted_topic_is_gone_at_once_and_its_successor_is_another() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    let first = create(&catalog, "a", 2).expect("created");
    let results = catalog.delete(&["a", "b"]);
    assert!(results[0].is_ok());
    assert!(matches!(results[1], Err(ChangeError::Unknown)));
    assert!(catalog.topic("a").is_none() && catalog.topic_by_id(first.id).is_none());
    let second = create(&catalog, "a", 1).expect("created again");
    assert_ne!(first.id, second.id);
    catalog.remove_deleted();
    assert_eq!(directories(directory.path()), ["a-0"]);
    let error = first.partitions[0].append(&bytes::Bytes::from_static(b"x"), 0).expect_err("it is gone");
    assert!(matches!(error.code(), Error::UnknownTopicOrPartition | Error::CorruptMessage), "{error}");
}

#[test]
fn topics_grow_and_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    create(&catalog, "a", 2).expect("created");
    for (count, only_try) in [(2, false), (1, false), (21, false), (3, true)] {
        let result = catalog.grow("a", count, only_try);
        assert_eq!(result.is_ok(), only_try, "{count}");
    }
    catalog.grow("a", 3, false).expect("it grows");
    assert!(matches!(catalog.grow("b", 3, false), Err(ChangeError::Unknown)));
    let change = |given: &'static [(&str, &str)]| move |_: &Overrides| Ok(overrides(given));
    catalog.alter("a", true, change(&[("retention.ms", "1")])).expect("it could");
    assert_eq!(catalog.topic("a").expect("there").overrides, Overrides::default());
    catalog.alter("a", false, change(&[("retention.ms", "2")])).expect("it does");
    assert!(catalog.alter("a", false, |_| Err("no".to_owned())).is_err());
    drop(catalog);
    let topic = open(directory.path()).topic("a").expect("there");
    assert_eq!((topic.partitions.len(), topic.overrides.get("retention.ms")), (3, Some("2")));
}

#[test]
fn what_a_crash_leaves_of_a_change_is_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    create(&catalog, "kept", 1).expect("created");
    create(&catalog, "deleted", 1).expect("created");
    drop(catalog);
    // A creation that came as far as a directory, a growth too, and a deletion that came as far as the list.
    fs::create_dir(directory.path().join("topics/new-0")).expect("a directory");
    fs::create_dir(directory.path().join("topics/kept-1")).expect("a directory");
    let list = directory.path().join("topics.json");
    let entries = file::read(&list).expect("ours").expect("there");
    file::write(&list, entries.into_iter().filter(|entry| entry.name == "kept").collect()).expect("written");

    let catalog = open(directory.path());
    assert_eq!(content(&catalog).len(), 1);
    catalog.sweep();
    assert_eq!(directories(directory.path()), ["kept-0"]);
}

#[test]
fn records_without_a_list_of_topics_are_not_thrown_away() {
    let directory = tempfile::tempdir().expect("a directory");
    create(&open(directory.path()), "a", 1).expect("created");
    fs::remove_file(directory.path().join("topics.json")).expect("removed");
    let error = Catalog::open(&settings(directory.path()), LastShutdown::Clean).expect_err("refused");
    assert!(matches!(error, CatalogError::Missing { .. }), "{error}");
    assert_eq!(directories(directory.path()), ["a-0"]);
}

#[test]
fn defaults_that_are_none_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut settings = settings(directory.path());
    settings.topic_defaults = vec![("retention.ms".to_owned(), "a week".to_owned())];
    let error = Catalog::open(&settings, LastShutdown::Clean).expect_err("refused").to_string();
    assert!(error.contains("retention.ms"), "{error}");
}

#[test]
fn settings_reach_the_logs() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    let settings = catalog.defaults.log_settings(&Overrides::default());
    assert_eq!(settings.segment_bytes, 1 << 20, "the broker's default");
    assert_eq!(settings.retention_ms, Some(7 * 24 * 60 * 60 * 1000), "Kafka's default");
    assert_eq!((settings.retention_bytes, settings.flush_ms, settings.flush_messages), (None, None, None));
    assert!(settings.delete && !settings.compact && !settings.log_append_time);
    let settings = catalog.defaults.log_settings(&overrides(&[
        ("cleanup.policy", "compact"),
        ("retention.ms", "-1"),
        ("retention.bytes", "10"),
        ("flush.ms", "100"),
        ("flush.messages", "1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("message.timestamp.difference.max.ms", "3"),
        ("message.timestamp.after.max.ms", "4"),
    ]));
    assert!(settings.compact && !settings.delete && settings.log_append_time);
    assert_eq!((settings.retention_ms, settings.retention_bytes), (None, Some(10)));
    assert_eq!((settings.flush_ms, settings.flush_messages), (Some(100), Some(1)));
    assert_eq!((settings.timestamp_before_max_ms, settings.timestamp_after_max_ms), (3, 4));
}

#[test]
fn a_topic_wants_to_be_flushed_as_often_as_its_settings_say() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = open(directory.path());
    create(&catalog, "a", 1).expect("created");
    assert_eq!(catalog.shortest_flush(), None);
    catalog.alter("a", false, |_| Ok(overrides(&[("flush.ms", "250")]))).expect("altered");
    assert_eq!(catalog.shortest_flush(), Some(Duration::from_millis(250)));
    catalog.alter("a", false, |_| Ok(overrides(&[("flush.ms", "0")]))).expect("altered");
    assert!(catalog.shortest_flush().expect("often") > Duration::ZERO);
}
