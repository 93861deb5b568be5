//! The watchdog against real Kafka: it needs a consumer that can be stalled from inside.

use testing::{Cluster, Kind, unique};

use super::*;
use crate::{Outgoing, Producer, ProducerOptions};

const PATIENCE: Duration = Duration::from_secs(60);

fn produce(settings: &KafkaSettings, topic: &str, count: usize) {
    let producer = Producer::start(settings, ProducerOptions::default()).unwrap();
    let topic = producer.topic(topic).unwrap();
    let shutdown = runtime::Shutdown::new();
    for _ in 0..count {
        assert!(
            producer.send(&topic, &Outgoing { value: Some(b"x"), ..Outgoing::default() }, &shutdown).unwrap()
        );
    }
    producer.flush(PATIENCE).unwrap();
}

fn read(worker: &mut Worker, mut done: impl FnMut(usize, &[&'static str]) -> bool) {
    let (mut records, mut events) = (0, Vec::new());
    let begin = Instant::now();
    while !done(records, &events) {
        assert!(begin.elapsed() < PATIENCE, "{records} records, {events:?}");
        match worker.next(Duration::from_millis(50)).unwrap() {
            Event::Records(batch) => records += batch.len(),
            Event::Lost(_) => events.push("lost"),
            Event::Stalled { lag } => {
                assert_eq!(lag, 7);
                events.push("stalled");
            }
            Event::Assigned(_) => events.push("assigned"),
            Event::Revoked(_) | Event::ReachedEnd { .. } | Event::Idle => {}
        }
    }
}

#[test]
fn a_stalled_consumer_is_rebuilt_and_goes_on() {
    for kind in Kind::ALL {
        let mut settings = KafkaSettings::with_bootstrap(&Cluster::shared(kind).bootstrap);
        settings.consumer.insert("auto.offset.reset".into(), "earliest".into());
        let topic = unique("stall");
        let mut spec = model::TopicSpec::dead_letters("unused");
        spec.name.clone_from(&topic);
        crate::Admin::connect(&settings, CONNECT_TIMEOUT).unwrap().create_topics(&[spec]).unwrap();
        produce(&settings, &topic, 5);
        let options = WorkerOptions {
            group: unique("group"),
            topics: vec![topic.clone()],
            commit: CommitMode::Interval(Duration::from_secs(3600)),
            max_batch: 500,
            stall_timeout: Duration::from_secs(1),
        };
        let mut worker = Worker::connect(&settings, options).unwrap();
        read(&mut worker, |records, events| records == 5 && events == ["assigned"]);
        let places: Vec<_> = worker.assignment().cloned().collect();
        // Behind the worker's back, to play a client that stalls in silence.
        worker.consumer.pause(&places).unwrap();
        produce(&settings, &topic, 7);
        read(&mut worker, |records, events| records == 7 && events == ["lost", "stalled", "assigned"]);
        worker.close().unwrap();
    }
}
