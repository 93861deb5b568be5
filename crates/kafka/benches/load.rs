//! Loads a broker with librdkafka and prints one figure as JSON; `scripts/bench-broker` compares brokers with it.
//!
//!     cargo bench --profile release -p kafka --bench load -- produce BOOTSTRAP TOPIC COUNT [CODEC]
//!     cargo bench --profile release -p kafka --bench load -- latency BOOTSTRAP TOPIC RATE SECONDS
//!     cargo bench --profile release -p kafka --bench load -- transactions BOOTSTRAP TOPIC SECONDS
//!
//! `produce` writes constant records of 250 bytes as fast as possible, idempotent and acknowledged by all. `latency` sends
//! one record a request at a steady rate and measures from the call of send until the record is read. `transactions`
//! commits transactions of one record back to back.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka::{CommitMode, Event, KafkaSettings, Outgoing, Producer, ProducerOptions, Worker, WorkerOptions};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use runtime::{Latency, Shutdown, now_micros};

const RECORD_BYTES: usize = 250;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["produce", bootstrap, topic, count] => produce(bootstrap, topic, count.parse().unwrap(), "none"),
        ["produce", bootstrap, topic, count, codec] => {
            produce(bootstrap, topic, count.parse().unwrap(), codec);
        }
        ["latency", bootstrap, topic, rate, seconds] => {
            latency(bootstrap, topic, rate.parse().unwrap(), Duration::from_secs(seconds.parse().unwrap()));
        }
        ["transactions", bootstrap, topic, seconds] => {
            transactions(bootstrap, topic, Duration::from_secs(seconds.parse().unwrap()));
        }
        // `cargo test --all-targets` and `cargo bench` without arguments have no broker to load.
        _ => println!("usage: see the head of this benchmark's file"),
    }
}

fn settings(bootstrap: &str, properties: &[(&str, &str)]) -> KafkaSettings {
    let mut settings = KafkaSettings::with_bootstrap(bootstrap);
    settings.producer.insert("enable.idempotence".into(), "true".into());
    for (key, value) in properties {
        settings.producer.insert((*key).into(), (*value).into());
    }
    settings
}

/// Bytes like those of a reading: not all the same, so that a codec has something to do.
fn payload() -> Vec<u8> {
    let text = r#"{"sensor_id":"SENSOR_042","timestamp":"2024-11-07T10:15:30.250000","temperature":23.5,"#;
    text.bytes().cycle().take(RECORD_BYTES).collect()
}

fn produce(bootstrap: &str, topic: &str, count: u64, codec: &str) {
    let properties = [
        ("compression.type", codec),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("batch.num.messages", "10000"),
    ];
    let producer = Producer::start(&settings(bootstrap, &properties), ProducerOptions::default()).unwrap();
    let topic = producer.topic(topic).unwrap();
    let (value, shutdown) = (payload(), Shutdown::new());
    // The first record waits for the connection and the producer's identity.
    let record = Outgoing { value: Some(&value), ..Outgoing::default() };
    producer.send(&topic, &record, &shutdown).unwrap();
    producer.flush(PATIENCE).unwrap();
    let start = Instant::now();
    for _ in 0..count {
        producer.send(&topic, &record, &shutdown).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("{{\"records_per_second\":{rate:.0}}}");
}

fn latency(bootstrap: &str, topic: &str, rate: u64, time: Duration) {
    let group = format!("latency-{}", now_micros());
    let options = WorkerOptions {
        group,
        topics: vec![topic.to_owned()],
        commit: CommitMode::Interval(Duration::from_secs(5)),
        max_batch: 500,
        stall_timeout: PATIENCE,
    };
    let mut consumed = settings(bootstrap, &[]);
    consumed.consumer.insert("auto.offset.reset".into(), "latest".into());
    consumed.consumer.insert("fetch.queue.backoff.ms".into(), "1".into());
    let mut worker = Worker::connect(&consumed, options).unwrap();
    while !matches!(worker.next(PATIENCE).unwrap(), Event::Assigned(_)) {}
    let properties = [("linger.ms", "0"), ("batch.num.messages", "1")];
    let producer = Producer::start(&settings(bootstrap, &properties), ProducerOptions::default()).unwrap();
    let handle = producer.topic(topic).unwrap();
    // What is sent before the consumer has found its place is not read: it has when it sees one of these.
    let seen_one = Arc::new(AtomicBool::new(false));
    let sees = Arc::clone(&seen_one);
    let sender = thread::spawn(move || {
        let (mut value, shutdown) = (payload(), Shutdown::new());
        value[..8].fill(0);
        while !sees.load(Ordering::Acquire) {
            producer
                .send(&handle, &Outgoing { value: Some(&value), ..Outgoing::default() }, &shutdown)
                .unwrap();
            producer.flush(PATIENCE).unwrap();
        }
        let start = Instant::now();
        let count = rate * time.as_secs();
        for number in 0..count {
            let due = Duration::from_nanos(number * 1_000_000_000 / rate);
            // A pace, kept by the clock.
            if let Some(early) = due.checked_sub(start.elapsed()) {
                thread::sleep(early);
            }
            value[..8].copy_from_slice(&now_micros().to_le_bytes());
            let record = Outgoing { value: Some(&value), ..Outgoing::default() };
            producer.send(&handle, &record, &shutdown).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    });
    let (latency, mut measured, expected) = (Latency::new(), 0, rate * time.as_secs());
    while measured < expected {
        if let Event::Records(batch) = worker.next(Duration::from_millis(100)).unwrap() {
            for record in batch.iter() {
                seen_one.store(true, Ordering::Release);
                let stamp: [u8; 8] = record.value.and_then(|value| value[..8].try_into().ok()).unwrap();
                if stamp != [0; 8] {
                    latency.record((now_micros() - i64::from_le_bytes(stamp)) as u64);
                    measured += 1;
                }
            }
        }
    }
    sender.join().unwrap();
    let found = latency.snapshot();
    println!(
        "{{\"records\":{measured},\"p50_ms\":{:.3},\"p95_ms\":{:.3},\"p99_ms\":{:.3},\"max_ms\":{:.3}}}",
        found.p50 as f64 / 1e3,
        found.p95 as f64 / 1e3,
        found.p99 as f64 / 1e3,
        found.max as f64 / 1e3
    );
}

fn transactions(bootstrap: &str, topic: &str, time: Duration) {
    let id = format!("transactions-{}", now_micros());
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", id)
        .set("linger.ms", "0")
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    let (value, start, mut count) = (payload(), Instant::now(), 0_u64);
    while start.elapsed() < time {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<(), [u8]>::to(topic).payload(&value)).map_err(|(error, _)| error).unwrap();
        // The wrapper's own wait for deliveries looks only ten times a second.
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(PATIENCE).unwrap();
        count += 1;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("{{\"commits_per_second\":{rate:.1}}}");
}
