//! The façade against real Kafka, both releases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka::admin::Creation;
use kafka::dead_letters::{self, MAX_REPLAYS, REPLAYS, Rejection, Replayed};
use kafka::groups::ResetTo;
use kafka::{
    Admin, CONNECT_TIMEOUT, CommitMode, Error, Event, KafkaSettings, Outgoing, Producer, ProducerOptions,
    ReadFrom, TopicPartition, TopicReader, Worker, WorkerOptions,
};
use model::TopicSpec;
use runtime::Shutdown;
use testing::{Cluster, Kind, unique, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

fn settings(kind: Kind) -> KafkaSettings {
    let mut settings = KafkaSettings::with_bootstrap(&Cluster::shared(kind).bootstrap);
    settings.producer.insert("enable.idempotence".into(), "true".into());
    settings.producer.insert("partitioner".into(), "murmur2_random".into());
    settings.consumer.insert("auto.offset.reset".into(), "earliest".into());
    settings.consumer.insert("session.timeout.ms".into(), "10000".into());
    settings
}

fn new_topic(settings: &KafkaSettings, partitions: i32) -> String {
    let name = unique("facade");
    create_topic(settings, &name, partitions);
    name
}

fn create_topic(settings: &KafkaSettings, name: &str, partitions: i32) {
    let mut spec = TopicSpec::dead_letters("unused");
    spec.name = name.into();
    spec.partitions = partitions;
    let admin = Admin::connect(settings, CONNECT_TIMEOUT).unwrap();
    assert_eq!(admin.create_topics(&[spec]).unwrap(), [(name.to_owned(), Creation::Created)]);
}

fn options(group: &str, topic: &str, commit: CommitMode) -> WorkerOptions {
    WorkerOptions {
        group: group.into(),
        topics: vec![topic.into()],
        commit,
        max_batch: 500,
        stall_timeout: Duration::from_secs(30),
    }
}

fn produce(settings: &KafkaSettings, topic: &str, records: &[Outgoing<'_>]) {
    let producer = Producer::start(settings, ProducerOptions::default()).unwrap();
    let topic = producer.topic(topic).unwrap();
    for record in records {
        assert!(producer.send(&topic, record, &Shutdown::new()).unwrap());
    }
    producer.flush(PATIENCE).unwrap();
    assert_eq!(producer.counters().acknowledged, records.len() as u64);
}

fn produce_numbers(settings: &KafkaSettings, topic: &str, numbers: std::ops::Range<u32>) {
    let texts: Vec<String> = numbers.map(|number| number.to_string()).collect();
    let records: Vec<_> = texts
        .iter()
        .map(|text| Outgoing {
            key: Some(text.as_bytes()),
            value: Some(text.as_bytes()),
            ..Outgoing::default()
        })
        .collect();
    produce(settings, topic, &records);
}

/// Reads until `done`, returns the values seen, in order.
fn read_until(worker: &mut Worker, mut done: impl FnMut(&[u32]) -> bool) -> Vec<u32> {
    let begin = Instant::now();
    let mut seen = Vec::new();
    while !done(&seen) {
        assert!(begin.elapsed() < PATIENCE, "saw only {} records", seen.len());
        if let Event::Records(batch) = worker.next(Duration::from_millis(100)).unwrap() {
            seen.extend(batch.iter().map(|record| number(record.value)));
        }
    }
    seen
}

fn number(value: Option<&[u8]>) -> u32 {
    std::str::from_utf8(value.unwrap()).unwrap().parse().unwrap()
}

#[test]
fn records_come_back_byte_for_byte() {
    for kind in Kind::ALL {
        let settings = settings(kind);
        let topic = new_topic(&settings, 1);
        let odd = [0, 255, 10, 195, 40];
        let headers = [("b", Some(&odd[..])), ("a", None), ("b", Some(&b""[..]))];
        let sent = [
            Outgoing {
                key: Some(b"k"),
                value: Some(&odd),
                headers: &headers,
                timestamp_ms: Some(12345),
                ..Outgoing::default()
            },
            Outgoing { key: None, value: Some(b""), ..Outgoing::default() },
            Outgoing { key: Some(b""), value: None, ..Outgoing::default() },
        ];
        produce(&settings, &topic, &sent);
        let mut reader = TopicReader::open(&settings, &unique("group"), &topic, ReadFrom::Beginning).unwrap();
        let mut count = 0;
        while let Some(batch) = reader.next_batch().unwrap() {
            for record in batch.iter() {
                let expected = &sent[count];
                assert_eq!((record.key, record.value), (expected.key, expected.value));
                let found = record.headers();
                let found: Vec<_> = found.iter().map(|(name, value)| (&**name, *value)).collect();
                assert_eq!(found, expected.headers);
                assert_eq!((record.offset, &**record.topic), (count as i64, topic.as_str()));
                if expected.timestamp_ms.is_some() {
                    assert_eq!(record.timestamp_ms(), expected.timestamp_ms);
                }
                count += 1;
            }
        }
        assert_eq!(count, sent.len());
    }
}

/// A broker that starts can answer for a moment that its topics do not exist. A topic that is gone and comes back is the
/// same to the client, and happens whenever it is wanted.
#[test]
fn what_comes_back_because_its_topic_was_gone_is_sent_again_in_order() {
    const BEFORE: u32 = 1_000;
    for kind in Kind::ALL {
        let mut settings = settings(kind);
        // The records wait in the client long enough to be there when it learns that the topic is gone.
        settings.producer.insert("linger.ms".into(), "3000".into());
        settings.producer.insert("topic.metadata.refresh.interval.ms".into(), "100".into());
        settings.producer.insert("topic.metadata.propagation.max.ms".into(), "0".into());
        let name = new_topic(&settings, 1);
        let producer = Producer::start(&settings, ProducerOptions::default()).unwrap();
        let topic = producer.topic(&name).unwrap();
        let send = |number: u32| {
            let text = number.to_string();
            let record = Outgoing { value: Some(text.as_bytes()), tag: number.into(), ..Outgoing::default() };
            producer.send(&topic, &record, &Shutdown::new()).unwrap()
        };
        for number in 0..BEFORE {
            assert!(send(number));
        }
        Admin::connect(&settings, CONNECT_TIMEOUT).unwrap().delete_topic(&name).unwrap();
        wait_for("the records to come back", PATIENCE, || producer.is_waiting_for_topic().then_some(()));
        create_topic(&settings, &name, 1);
        assert!(send(BEFORE));
        producer.flush(PATIENCE).unwrap();
        let counters = producer.counters();
        assert_eq!((counters.acknowledged, counters.failed), (u64::from(BEFORE) + 1, 0));
        let mut reader = TopicReader::open(&settings, &unique("group"), &name, ReadFrom::Beginning).unwrap();
        let mut seen = Vec::new();
        while let Some(batch) = reader.next_batch().unwrap() {
            seen.extend(batch.iter().map(|record| number(record.value)));
        }
        assert_eq!(seen, (0..=BEFORE).collect::<Vec<_>>());
    }
}

#[test]
fn a_group_resumes_where_it_committed_in_both_modes() {
    for kind in Kind::ALL {
        for commit in [CommitMode::EachBatch, CommitMode::Interval(Duration::from_secs(3600))] {
            let settings = settings(kind);
            let (topic, group) = (new_topic(&settings, 3), unique("group"));
            produce_numbers(&settings, &topic, 0..1000);
            let mut worker = Worker::connect(&settings, options(&group, &topic, commit)).unwrap();
            let mut seen = read_until(&mut worker, |seen| seen.len() >= 700);
            match commit {
                // Killed, as it were: all but the last batch were committed on the way.
                CommitMode::EachBatch => drop(worker),
                _ => worker.close().unwrap(),
            }
            produce_numbers(&settings, &topic, 1000..1500);
            let mut worker = Worker::connect(&settings, options(&group, &topic, commit)).unwrap();
            let rest = read_until(&mut worker, |rest| {
                let all = seen.iter().chain(rest).collect::<std::collections::HashSet<_>>();
                all.len() == 1500
            });
            if commit != CommitMode::EachBatch {
                assert_eq!(seen.len() + rest.len(), 1500, "an orderly end leaves nothing to be read twice");
            }
            seen.extend(rest);
            assert!(
                seen.len() <= 1500 + 500,
                "at most the last batch is read twice, not {}",
                seen.len() - 1500
            );
            worker.close().unwrap();
        }
    }
}

#[test]
fn a_rebalance_hands_partitions_over_without_gap_or_repeat() {
    for kind in Kind::ALL {
        let settings = settings(kind);
        let (topic, group) = (new_topic(&settings, 3), unique("group"));
        let commit = CommitMode::Interval(Duration::from_secs(3600));
        produce_numbers(&settings, &topic, 0..3000);
        let mut first = Worker::connect(&settings, options(&group, &topic, commit)).unwrap();
        let mut seen = read_until(&mut first, |seen| seen.len() >= 1000);
        let second_settings = settings.clone();
        let second_options = options(&group, &topic, commit);
        let (told, gone) = std::sync::mpsc::channel();
        let second = std::thread::spawn(move || {
            let mut second = Worker::connect(&second_settings, second_options).unwrap();
            let mut seen = Vec::new();
            let mut assigned = 0;
            while gone.try_recv().is_err() {
                match second.next(Duration::from_millis(50)).unwrap() {
                    Event::Assigned(starts) => assigned += starts.len(),
                    Event::Records(batch) => seen.extend(batch.iter().map(|record| number(record.value))),
                    _ => {}
                }
            }
            second.close().unwrap();
            (seen, assigned)
        });
        let mut revoked = 0;
        let mut kept = 0;
        let begin = Instant::now();
        // Until the first worker has been asked to give partitions up, got some back and read all of them.
        while revoked == 0 || kept == 0 || first.lag().iter().any(|lag| lag.records() > 0) {
            assert!(begin.elapsed() < PATIENCE, "revoked {revoked}, kept {kept}");
            match first.next(Duration::from_millis(50)).unwrap() {
                Event::Revoked(places) => revoked += places.len(),
                Event::Assigned(starts) => kept = starts.len(),
                Event::Records(batch) => seen.extend(batch.iter().map(|record| number(record.value))),
                _ => {}
            }
        }
        first.close().unwrap();
        let admin = Admin::connect(&settings, CONNECT_TIMEOUT).unwrap();
        wait_for("the second worker to take all over", PATIENCE, || {
            let groups = admin.groups(Some(&group)).unwrap();
            (groups[0].members.len() == 1 && groups[0].members[0].partitions.len() == 3).then_some(())
        });
        told.send(()).unwrap();
        let (others, assigned) = second.join().unwrap();
        assert!(assigned >= 1);
        let done = admin.group_offsets(&group).unwrap();
        let left: u64 = done.iter().map(kafka::groups::GroupOffset::lag).sum();
        seen.extend(others);
        let total = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), total, "nothing was read twice");
        assert_eq!(seen.len() as u64 + left, 3000, "nothing was passed over");
    }
}

#[test]
fn dead_letters_keep_every_byte_and_replay_without_a_loop() {
    for kind in Kind::ALL {
        let settings = settings(kind);
        let (topic, group) = (new_topic(&settings, 1), unique("group"));
        let dlq = model::dead_letter_topic(&topic);
        let headers = [("x", Some(&b"\xff"[..])), ("y", None)];
        let bad = [0xde, 0xad];
        produce(
            &settings,
            &topic,
            &[
                Outgoing { key: Some(b"k"), value: Some(&bad), headers: &headers, ..Outgoing::default() },
                Outgoing { key: None, value: None, ..Outgoing::default() },
            ],
        );
        let mut replays = Vec::new();
        for _ in 0..=MAX_REPLAYS {
            reject_everything(&settings, &group, &topic);
            replays.push(
                dead_letters::replay(&settings, &dlq, ReadFrom::Committed, |_| true, &Shutdown::new())
                    .unwrap(),
            );
        }
        let went = Replayed { replayed: 2, ..Replayed::default() };
        let stuck = Replayed { looping: 2, ..Replayed::default() };
        assert_eq!(replays, [went, went, went, stuck]);
        let mut letters = Vec::new();
        dead_letters::for_each(&settings, &dlq, |letter| {
            assert_eq!(letter.origin(), Some(topic.as_str()));
            assert_eq!(letter.class(), Some("not-json"));
            assert_eq!(letter.text("__connect.errors.stage"), Some("decode"));
            let expected: &[_] = if letter.record.key.is_some() { &headers } else { &[] };
            assert_eq!(letter.original_headers().collect::<Vec<_>>(), expected);
            assert_eq!(letter.record.value, letter.record.key.map(|_| &bad[..]));
            letters.push((
                letter.text("__connect.errors.offset").unwrap().to_owned(),
                letter.text(REPLAYS).map(str::to_owned),
            ));
            true
        })
        .unwrap();
        assert_eq!(letters.len(), 8);
        assert_eq!(letters[0], ("0".into(), None));
        assert_eq!(letters[7], ("7".into(), Some("3".into())));
    }
}

fn reject_everything(settings: &KafkaSettings, group: &str, topic: &str) {
    let mut worker = Worker::connect(settings, options(group, topic, CommitMode::EachBatch)).unwrap();
    let mut rejected = 0;
    let begin = Instant::now();
    while rejected < 2 {
        assert!(begin.elapsed() < PATIENCE);
        if let Event::Records(batch) = worker.next(Duration::from_millis(100)).unwrap() {
            for record in batch.iter() {
                let rejection = Rejection { stage: "decode", class: "not-json", message: "it is not JSON" };
                worker.dead_letter(&record, &rejection).unwrap();
                rejected += 1;
            }
        }
    }
    worker.close().unwrap();
}

#[test]
fn topics_are_created_once_compared_described_and_deleted() {
    for kind in Kind::ALL {
        let settings = settings(kind);
        let admin = Admin::connect(&settings, CONNECT_TIMEOUT).unwrap();
        let topic = new_topic(&settings, 3);
        let mut spec = TopicSpec::dead_letters("unused");
        spec.name.clone_from(&topic);
        spec.partitions = 3;
        assert_eq!(admin.create_topics(&[spec.clone()]).unwrap()[0].1, Creation::Existed(vec![]));
        spec.partitions = 4;
        spec.config.insert("retention.ms".into(), "1000".into());
        let expected =
            ["partitions is 3, not 4", "retention.ms is 2592000000, not 1000"].map(str::to_owned).to_vec();
        assert_eq!(admin.create_topics(&[spec]).unwrap()[0].1, Creation::Existed(expected));
        produce_numbers(&settings, &topic, 0..30);
        let described = admin.describe_topic(&topic).unwrap();
        let count: i64 =
            described.offsets.iter().map(|offsets| offsets.map_or(0, |(low, high)| high - low)).sum();
        assert_eq!((described.info.partitions.len(), count), (3, 30));
        assert!(described.info.partitions.iter().all(|partition| partition.leader.is_some()));
        let sizes = admin.sizes(&topic).unwrap();
        assert_eq!(sizes.len(), 3, "one replica of each partition: {sizes:?}");
        assert!(sizes.values().sum::<u64>() > 30, "{sizes:?}");
        let release = admin.releases().unwrap().into_values().collect::<Vec<_>>();
        assert_eq!(release, [if kind == Kind::Embedded { "3.8" } else { kind.release() }]);
        assert_eq!(described.config["retention.ms"].value.as_deref(), Some("2592000000"));
        assert!(described.config["retention.ms"].is_own && !described.config["segment.bytes"].is_own);
        admin.delete_topic(&topic).unwrap();
        assert!(matches!(admin.describe_topic(&topic), Err(Error::MissingTopic { .. })));
        assert!(matches!(admin.delete_topic(&topic), Err(Error::MissingTopic { .. })));
    }
}

#[test]
fn groups_are_described_and_reset() {
    for kind in Kind::ALL {
        let settings = settings(kind);
        let admin = Admin::connect(&settings, CONNECT_TIMEOUT).unwrap();
        let (topic, group) = (new_topic(&settings, 3), unique("group"));
        assert!(matches!(admin.group_offsets(&group), Err(Error::MissingGroup { .. })));
        produce_numbers(&settings, &topic, 0..300);
        let commit = CommitMode::EachBatch;
        let mut worker = Worker::connect(&settings, options(&group, &topic, commit)).unwrap();
        read_until(&mut worker, |seen| seen.len() == 300);
        let found = &admin.groups(Some(&group)).unwrap()[0];
        assert_eq!((found.state.as_str(), found.members[0].partitions.len()), ("Stable", 3));
        let plan = admin.plan_reset(&group, &topic, ResetTo::Earliest).unwrap();
        let refused = admin.reset_group(&group, &plan).unwrap_err().to_string();
        assert!(refused.contains("1 active members"), "{refused}");
        worker.close().unwrap();
        assert_eq!(lag(&admin, &group), 0);
        admin.reset_group(&group, &plan).unwrap();
        assert_eq!(lag(&admin, &group), 300);
        let plan = admin.plan_reset(&group, &topic, ResetTo::Time(i64::MAX / 2)).unwrap();
        admin.reset_group(&group, &plan).unwrap();
        assert_eq!(lag(&admin, &group), 0, "no record is that new: the end");
        let plan = admin.plan_reset(&group, &topic, ResetTo::Time(1)).unwrap();
        assert_eq!(plan.iter().map(|(_, offset)| *offset).sum::<i64>(), 0);
        let plan: BTreeMap<TopicPartition, i64> =
            admin.plan_reset(&group, &topic, ResetTo::Offset(10)).unwrap().into_iter().collect();
        assert!(plan.values().all(|offset| *offset == 10), "{plan:?}");
        assert!(admin.groups(None).unwrap().iter().any(|found| found.name == group));
    }
}

fn lag(admin: &Admin, group: &str) -> u64 {
    admin.group_offsets(group).unwrap().iter().map(kafka::groups::GroupOffset::lag).sum()
}

#[test]
fn what_is_not_there_is_named() {
    let begin = Instant::now();
    let away = KafkaSettings::with_bootstrap("127.0.0.1:9");
    let Err(error) = Worker::connect(&away, options("g", "t", CommitMode::EachBatch)) else {
        panic!("no broker there")
    };
    assert!(error.to_string().contains("127.0.0.1:9") && error.to_string().contains("refused"), "{error}");
    assert!(error.is_retryable());
    assert!(begin.elapsed() < CONNECT_TIMEOUT * 2, "took {:?}", begin.elapsed());
    let settings = settings(Kind::Kafka41);
    let missing = unique("missing");
    let producer = Producer::start(&settings, ProducerOptions::default()).unwrap();
    assert!(matches!(producer.topic(&missing), Err(Error::MissingTopic { .. })));
    let worker = Worker::connect(&settings, options("g", &missing, CommitMode::EachBatch));
    assert!(matches!(worker, Err(Error::MissingTopic { .. })));
    let admin = Admin::connect(&settings, CONNECT_TIMEOUT).unwrap();
    assert!(admin.cluster().unwrap().topic(&missing).is_none(), "asking for a topic must not create it");
}

#[test]
fn every_way_to_connect_reaches_the_brokers() {
    for (kind, port) in [(Kind::Kafka39, 9392), (Kind::Kafka41, 9442)] {
        let options = testing::ClusterOptions { kind, brokers: 1, port, sasl_tls: true };
        let cluster = Cluster::own(&options);
        let scram = |mechanism: &str, password: &str| {
            let mut settings = KafkaSettings::with_bootstrap(cluster.fact("sasl_bootstrap"));
            for (key, value) in [
                ("auto.offset.reset", "earliest"),
                ("security.protocol", "sasl_ssl"),
                ("ssl.ca.location", cluster.fact("ca")),
                ("sasl.mechanism", mechanism),
                ("sasl.username", cluster.fact("username")),
                ("sasl.password", password),
            ] {
                settings.set_for_all(key, value);
            }
            settings
        };
        let topic = new_topic(&KafkaSettings::with_bootstrap(&cluster.bootstrap), 1);
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let settings = scram(mechanism, cluster.fact("password"));
            produce_numbers(&settings, &topic, 0..10);
            let admin = Admin::connect(&settings, CONNECT_TIMEOUT).unwrap();
            assert!(admin.sizes(&topic).unwrap()[&(1, 0)] > 0);
            let refused = Admin::connect(&scram(mechanism, "wrong"), CONNECT_TIMEOUT).err().unwrap();
            assert!(matches!(refused, Error::Authentication { .. }), "{mechanism}: {refused}");
        }
        let mut settings = scram("PLAIN", cluster.fact("password"));
        let mut worker = Worker::connect(&settings, options_for(&topic)).unwrap();
        assert_eq!(read_until(&mut worker, |seen| seen.len() >= 30).len(), 30);
        settings.common.remove("ssl.ca.location");
        let refused = Admin::connect(&settings, CONNECT_TIMEOUT).err().unwrap();
        assert!(matches!(refused, Error::Authentication { .. }), "an unknown certificate: {refused}");
    }
}

fn options_for(topic: &str) -> WorkerOptions {
    options(&unique("group"), topic, CommitMode::EachBatch)
}
