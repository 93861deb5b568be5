//! The producer: records go into a bounded buffer, are sent in batches, and count when they are acknowledged.
//!
//! # Guarantee
//! With the default settings (idempotent, `acks=all`, at most five requests in flight) every record that
//! [`Producer::send`] took is written exactly once, in order within its partition, or is reported as failed to
//! the delivery hook. While the brokers are away the buffer fills, then `send` waits: nothing is dropped.
//!
//! One exception: a broker that starts can answer for a moment that a topic does not exist (the only broker of a
//! ZooKeeper cluster does), and librdkafka then hands back what is buffered. These records are sent again when the topic
//! is there (see [`resend`]), as new records: one whose request was on its way when the broker died, and was written
//! without an acknowledgement, is then written a second time.

mod resend;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use runtime::{Latency, LatencySnapshot, Shutdown};

use crate::native::client::{Client, Shared, lock};
use crate::native::producer::NativeTopic;
use crate::settings::{KafkaSettings, Role};
use crate::{CONNECT_TIMEOUT, Error};

pub(crate) use resend::{Resend, Returned, says_missing};

/// How long the delivery thread waits for something to report before it looks whether to stop.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How long a sender waits for room before it looks whether to stop.
const ROOM_WAIT: Duration = Duration::from_millis(50);

/// A record to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// Decides the partition, together with the partitioner.
    pub key: Option<&'a [u8]>,
    /// The payload; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// A fixed partition instead of the partitioner's choice.
    pub partition: Option<i32>,
    /// Milliseconds since the Unix epoch; now, if not given.
    pub timestamp_ms: Option<i64>,
    /// Handed back with the delivery.
    pub tag: u64,
}

/// The fate of one record.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The record's tag.
    pub tag: u64,
    /// Where it was written (or was to be).
    pub partition: i32,
    /// Its offset, if acknowledged.
    pub offset: i64,
    /// Why it was not written; `None` means acknowledged.
    pub error: Option<RDKafkaErrorCode>,
    /// Microseconds from `send` to the acknowledgement.
    pub latency_us: i64,
    /// Bytes of key and value.
    pub bytes: u64,
}

/// What is done with every delivery.
pub type OnDelivery = Box<dyn FnMut(&Delivery) + Send>;

/// Options of a producer beside its Kafka settings.
#[derive(Default)]
pub struct ProducerOptions {
    /// Called on the producer's own thread for every record, in order within a partition. It must be quick.
    pub on_delivery: Option<OnDelivery>,
}

/// Figures of a producer since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerCounters {
    /// Records taken into the buffer.
    pub accepted: u64,
    /// Records acknowledged by the brokers.
    pub acknowledged: u64,
    /// Records given up, each reported to the delivery hook.
    pub failed: u64,
    /// Acknowledged bytes of keys and values.
    pub bytes: u64,
}

impl ProducerCounters {
    /// Records taken and neither acknowledged nor given up yet.
    pub fn in_flight(&self) -> u64 {
        self.accepted.saturating_sub(self.acknowledged + self.failed)
    }
}

#[derive(Default)]
struct Tally {
    accepted: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    latency: Latency,
    last_failure: Mutex<Option<RDKafkaErrorCode>>,
    /// Wakes whoever waits for room or for the last acknowledgement.
    progress: (Mutex<()>, Condvar),
    stop: AtomicBool,
}

/// A topic to write to.
#[derive(Clone)]
pub struct Topic {
    native: Arc<NativeTopic>,
    name: Arc<str>,
    partitions: usize,
}

impl Topic {
    /// Looks a topic up; never creates it.
    pub(crate) fn open(client: &Arc<Client>, name: &str) -> Result<Self, Error> {
        let cluster = client.metadata(CONNECT_TIMEOUT)?;
        let Some(found) = cluster.topic(name) else {
            return Err(Error::MissingTopic { topic: name.into(), bootstrap: client.bootstrap().into() });
        };
        let native = NativeTopic::new(client, name)
            .map_err(|code| Error::kafka(format!("cannot open topic {name:?}"), code))?;
        Ok(Self { native: Arc::new(native), name: name.into(), partitions: found.partitions.len() })
    }

    /// Whether it was opened by this client.
    pub(crate) fn is_of(&self, client: &Arc<Client>) -> bool {
        self.native.is_of(client)
    }

    /// Hands a record to the client without waiting.
    pub(crate) fn send(&self, record: &Outgoing<'_>) -> Result<(), RDKafkaErrorCode> {
        self.native.send(record)
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many partitions it had when it was looked up.
    pub fn partitions(&self) -> usize {
        self.partitions
    }
}

/// A producer with its own delivery thread.
pub struct Producer {
    client: Arc<Client>,
    tally: Arc<Tally>,
    poller: Option<JoinHandle<()>>,
}

impl Producer {
    /// Starts a producer. Nothing is sent before the first record; [`Producer::topic`] is what needs a broker.
    pub fn start(settings: &KafkaSettings, options: ProducerOptions) -> Result<Self, Error> {
        settings.check()?;
        let tally = Arc::new(Tally::default());
        let shared = Shared::default();
        shared.deliveries.get_or_init(|| Mutex::new(delivery_hook(Arc::clone(&tally), options.on_delivery)));
        let client = Client::new(settings, Role::Producer, shared)?;
        let (polled, seen) = (Arc::clone(&client), Arc::clone(&tally));
        let name = "kafka-deliveries";
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || poll_deliveries(&polled, &seen))
            .map_err(|source| Error::Thread { name: name.into(), source })?;
        Ok(Self { client, tally, poller: Some(thread) })
    }

    /// Looks a topic up. Waits for the brokers at most [`CONNECT_TIMEOUT`]; never creates the topic.
    pub fn topic(&self, name: &str) -> Result<Topic, Error> {
        Topic::open(&self.client, name)
    }

    /// Hands a record over without waiting. `false`: the buffer is full and the record was not taken.
    pub fn try_send(&self, topic: &Topic, record: &Outgoing<'_>) -> Result<bool, Error> {
        // In order: what came back goes first.
        if self.client.shared().resend.is_waiting() {
            return Ok(false);
        }
        // Counted before it is sent, so that an acknowledgement never runs ahead of it.
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
        let Err(code) = topic.native.send(record) else { return Ok(true) };
        self.tally.accepted.fetch_sub(1, Ordering::Relaxed);
        match code {
            RDKafkaErrorCode::QueueFull => Ok(false),
            RDKafkaErrorCode::Fatal => Err(self.fatal()),
            code if says_missing(code) && self.client.shared().resend.wait_for(&topic.name) => Ok(false),
            code => Err(Error::kafka(format!("cannot produce to {:?}", topic.name()), code)),
        }
    }

    /// Hands a record over, waiting while the buffer is full. `false`: shutdown was requested during the wait and
    /// the record was not taken.
    pub fn send(&self, topic: &Topic, record: &Outgoing<'_>, shutdown: &Shutdown) -> Result<bool, Error> {
        self.send_unless(topic, record, || shutdown.is_requested())
    }

    /// Hands a record over, waiting while the buffer is full and `give_up` is false. Whether it was taken.
    pub(crate) fn send_unless(
        &self,
        topic: &Topic,
        record: &Outgoing<'_>,
        give_up: impl Fn() -> bool,
    ) -> Result<bool, Error> {
        while !self.try_send(topic, record)? {
            if give_up() {
                return Ok(false);
            }
            self.wait_for_progress(ROOM_WAIT, || true);
        }
        Ok(true)
    }

    /// Waits until every record taken has been acknowledged or given up, at most `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let in_flight = self.counters().in_flight();
            if in_flight == 0 {
                return Ok(());
            }
            if self.client.shared().fatal().is_some() {
                return Err(self.fatal());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let detail = self.broker_problem();
                return Err(Error::Unacknowledged { count: in_flight, waited: timeout, detail });
            }
            self.wait_for_progress(ROOM_WAIT.min(left), || self.counters().in_flight() > 0);
        }
    }

    /// The figures since the start.
    pub fn counters(&self) -> ProducerCounters {
        // Read in this order, what is in flight can only be overestimated.
        let acknowledged = self.tally.acknowledged.load(Ordering::Acquire);
        let failed = self.tally.failed.load(Ordering::Acquire);
        ProducerCounters {
            acknowledged,
            failed,
            bytes: self.tally.bytes.load(Ordering::Relaxed),
            accepted: self.tally.accepted.load(Ordering::Acquire),
        }
    }

    /// Microseconds from `send` to the acknowledgement, over all acknowledged records.
    pub fn latency(&self) -> LatencySnapshot {
        self.tally.latency.snapshot()
    }

    /// What is wrong with the connection, in words, while no broker is up.
    pub fn broker_problem(&self) -> Option<String> {
        self.client.shared().problem()
    }

    /// Whether brokers answer that a topic is gone, and records wait for it to come back.
    pub fn is_waiting_for_topic(&self) -> bool {
        self.client.shared().resend.is_waiting()
    }

    /// Why the last of the failed records failed.
    pub fn last_failure(&self) -> Option<RDKafkaErrorCode> {
        *lock(&self.tally.last_failure)
    }

    /// Waits for the next deliveries if `wanted` still holds under the lock that they take.
    fn wait_for_progress(&self, at_most: Duration, wanted: impl Fn() -> bool) {
        let (mutex, condition) = &self.tally.progress;
        let guard = lock(mutex);
        if wanted() {
            // Woken early or for nothing: the caller looks at the counters again either way.
            drop(condition.wait_timeout(guard, at_most));
        }
    }

    fn fatal(&self) -> Error {
        let detail = self.client.shared().fatal().unwrap_or("it did not say why").to_owned();
        Error::Fatal { detail }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.tally.stop.store(true, Ordering::Release);
        if let Some(poller) = self.poller.take() {
            // The poller catches panics of the hook; one of its own has been reported by the panic hook.
            drop(poller.join());
        }
    }
}

fn delivery_hook(tally: Arc<Tally>, mut user: Option<OnDelivery>) -> OnDelivery {
    Box::new(move |delivery| {
        // The user's hook first: who sees the counter sees what the hook has done.
        if let Some(hook) = &mut user {
            hook(delivery);
        }
        match delivery.error {
            None => {
                tally.latency.record(u64::try_from(delivery.latency_us).unwrap_or(0));
                tally.bytes.fetch_add(delivery.bytes, Ordering::Relaxed);
                tally.acknowledged.fetch_add(1, Ordering::Release);
            }
            Some(code) => {
                *lock(&tally.last_failure) = Some(code);
                tally.failed.fetch_add(1, Ordering::Release);
            }
        }
    })
}

fn poll_deliveries(client: &Arc<Client>, tally: &Tally) {
    while !tally.stop.load(Ordering::Acquire) {
        client.poll(POLL_WAIT);
        let shared = client.shared();
        if shared.resend.is_waiting() {
            for record in shared.resend.attempt(client) {
                shared.deliver(&record.delivery);
            }
        }
        // One wake-up for all that a poll has delivered, not one a record. Taking the lock makes sure that whoever
        // has just looked at the counters is already waiting.
        drop(lock(&tally.progress.0));
        tally.progress.1.notify_all();
    }
}
