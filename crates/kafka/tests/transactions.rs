//! Transactions, workers whose owner commits, and partition readers, against every kind of broker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::time::{Duration, Instant};

use kafka::admin::Creation;
use kafka::{
    Admin, CONNECT_TIMEOUT, CommitMode, Event, KafkaSettings, OffsetCommit, Outgoing, PartitionReader,
    PartitionStart, Producer, ProducerOptions, ReadAt, TopicPartition, TransactionOptions, Transactional,
    Worker, WorkerOptions,
};
use model::TopicSpec;
use runtime::Shutdown;
use testing::{Cluster, Kind, unique};

const PATIENCE: Duration = Duration::from_secs(60);

fn settings(kind: Kind) -> KafkaSettings {
    settings_for(&Cluster::shared(kind).bootstrap)
}

fn settings_for(bootstrap: &str) -> KafkaSettings {
    let mut settings = KafkaSettings::with_bootstrap(bootstrap);
    settings.producer.insert("linger.ms".into(), "0".into());
    settings.consumer.insert("auto.offset.reset".into(), "earliest".into());
    settings.consumer.insert("session.timeout.ms".into(), "10000".into());
    settings
}

fn new_topic(settings: &KafkaSettings, partitions: i32) -> String {
    let mut spec = TopicSpec::dead_letters("unused");
    spec.name = unique("transactions");
    spec.partitions = partitions;
    let name = spec.name.clone();
    let admin = Admin::connect(settings, CONNECT_TIMEOUT).unwrap();
    assert_eq!(admin.create_topics(&[spec]).unwrap(), [(name.clone(), Creation::Created)]);
    name
}

fn connect(settings: &KafkaSettings, id: &str) -> Transactional {
    let options = TransactionOptions { id: id.into(), timeout: Duration::from_secs(10) };
    Transactional::connect(settings, options, &Shutdown::new()).unwrap()
}

fn worker(settings: &KafkaSettings, group: &str, topic: &str) -> Worker {
    let options = WorkerOptions {
        group: group.into(),
        topics: vec![topic.into()],
        commit: CommitMode::External,
        max_batch: 500,
        stall_timeout: Duration::from_secs(30),
    };
    Worker::connect(settings, options).unwrap()
}

fn place(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn value(text: &str) -> Outgoing<'_> {
    Outgoing { value: Some(text.as_bytes()), partition: Some(0), ..Outgoing::default() }
}

fn produce(settings: &KafkaSettings, topic: &str, texts: &[&str]) {
    let producer = Producer::start(settings, ProducerOptions::default()).unwrap();
    let topic = producer.topic(topic).unwrap();
    for text in texts {
        assert!(producer.send(&topic, &value(text), &Shutdown::new()).unwrap());
    }
    producer.flush(PATIENCE).unwrap();
}

/// All committed records of partition 0.
fn committed(settings: &KafkaSettings, topic: &str) -> Vec<String> {
    let parts = [(place(topic, 0), ReadAt::Beginning, None)];
    let mut reader = PartitionReader::open(settings, &parts).unwrap();
    let mut texts = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        texts.extend(batch.iter().map(|record| text(record.value)));
    }
    texts
}

fn text(value: Option<&[u8]>) -> String {
    String::from_utf8(value.unwrap().to_vec()).unwrap()
}

/// The next event that is not idle.
fn event(worker: &mut Worker) -> Event {
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < PATIENCE, "nothing happens");
        match worker.next(Duration::from_millis(100)).unwrap() {
            Event::Idle => {}
            event => return event,
        }
    }
}

fn assigned(worker: &mut Worker) -> Vec<PartitionStart> {
    loop {
        if let Event::Assigned(starts) = event(worker) {
            return starts;
        }
    }
}

fn records(worker: &mut Worker, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        if let Event::Records(batch) = event(worker) {
            texts.extend(batch.iter().map(|record| text(record.value)));
        }
    }
    texts
}

#[test]
fn what_is_committed_is_seen_with_its_offsets_and_what_is_aborted_never_is() {
    for kind in Kind::ALL {
        let settings = settings(kind);
        let (input, output) = (new_topic(&settings, 1), new_topic(&settings, 1));
        let group = unique("group");
        produce(&settings, &input, &["a", "b", "c"]);
        let mut worker = worker(&settings, &group, &input);
        let start = PartitionStart { place: place(&input, 0), offset: None, metadata: String::new() };
        assert_eq!(assigned(&mut worker), [start]);
        assert_eq!(records(&mut worker, 3), ["a", "b", "c"]);
        let mut producer = connect(&settings, &unique("id"));
        let topic = producer.topic(&output).unwrap();
        let commit = |offset: i64, metadata: &str| {
            [OffsetCommit { place: place(&input, 0), offset, metadata: metadata.into() }]
        };

        producer.begin().unwrap();
        producer.send(&topic, &value("thrown away")).unwrap();
        producer.send_offsets(&commit(1, "c=1"), &worker.group_metadata()).unwrap();
        producer.abort().unwrap();
        worker.rewind().unwrap();
        let Event::Lost(lost) = event(&mut worker) else { panic!("the state is to be dropped") };
        assert_eq!(lost, [place(&input, 0)]);
        assert_eq!(assigned(&mut worker)[0].offset, Some(0));
        assert_eq!(records(&mut worker, 3), ["a", "b", "c"]);

        producer.begin().unwrap();
        producer.send(&topic, &value("kept")).unwrap();
        producer.send_offsets(&commit(2, "c=17 ü"), &worker.group_metadata()).unwrap();
        producer.commit().unwrap();
        worker.rewind().unwrap();
        let start = PartitionStart { place: place(&input, 0), offset: Some(2), metadata: "c=17 ü".into() };
        assert_eq!(assigned(&mut worker), [start]);
        assert_eq!(records(&mut worker, 1), ["c"]);

        assert_eq!(committed(&settings, &output), ["kept"]);
        let counters = producer.counters();
        assert_eq!((counters.begun, counters.committed, counters.aborted, counters.records), (2, 1, 1, 2));
        assert_eq!(producer.commit_latency().count, 1);
        worker.close().unwrap();
    }
}

/// The end of a partition is told in the same fetch as the records before it: they must not be taken for what lies beyond.
#[test]
fn a_reader_misses_nothing_before_the_end() {
    const RECORDS: usize = 1_500;
    const READS: usize = 4;
    for kind in Kind::ALL {
        let settings = settings(kind);
        let topic = new_topic(&settings, 1);
        let texts: Vec<String> = (0..RECORDS).map(|number| number.to_string()).collect();
        let mut producer = connect(&settings, &unique("id"));
        for part in texts.chunks(100) {
            let to = producer.topic(&topic).unwrap();
            producer.begin().unwrap();
            for text in part {
                producer.send(&to, &value(text)).unwrap();
            }
            producer.commit().unwrap();
        }
        for _ in 0..READS {
            assert_eq!(committed(&settings, &topic).len(), RECORDS);
        }
    }
}
