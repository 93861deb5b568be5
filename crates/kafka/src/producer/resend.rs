//! Records that came back because their topic seemed to be gone, kept until it is there again.
//!
//! The only broker of a ZooKeeper cluster, started again, answers for a moment that its topics do not exist. librdkafka
//! takes that as final and hands back what it has buffered. Here these records wait, in the order in which they came
//! back, and no new record is taken before they are on their way again.
//!
//! Invariants: what waits is bounded by librdkafka's own buffer, which it came from; a record leaves by being sent
//! again or by being reported as failed, never otherwise.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::{Delivery, Outgoing};
use crate::native::client::{Client, lock};
use crate::native::producer::NativeTopic;

/// How long brokers may answer that a topic is not there before that is believed.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one question for the topics may take, so that deliveries of other topics are not held up.
const ASK_TIMEOUT: Duration = Duration::from_millis(250);

/// Whether an error says that the topic or its partitions are not there.
pub(crate) fn says_missing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}

/// A record that came back, with all that is needed to send it again.
pub(crate) struct Returned {
    pub(crate) topic: Arc<str>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp_ms: Option<i64>,
    /// What to report if it is given up.
    pub(crate) delivery: Delivery,
}

impl Returned {
    fn send(&self, topic: &NativeTopic) -> Result<(), RDKafkaErrorCode> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        topic.send(&Outgoing {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            partition: Some(self.delivery.partition).filter(|partition| *partition >= 0),
            timestamp_ms: self.timestamp_ms,
            tag: self.delivery.tag,
        })
    }
}

/// The records that came back and the topic that is waited for.
#[derive(Default)]
pub(crate) struct Resend {
    /// Whether a topic is waited for; to be looked at for every record.
    waiting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: VecDeque<Returned>,
    /// The topic that is waited for, and since when brokers answer that it is not there.
    missing: Option<(Arc<str>, Instant)>,
    /// The topic that was waited for in vain.
    given_up: Option<Arc<str>>,
}

impl State {
    fn miss(&mut self, topic: &Arc<str>) {
        self.missing.get_or_insert_with(|| (Arc::clone(topic), Instant::now()));
    }
}

impl Resend {
    /// Whether new records must wait because earlier ones do.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Begins to wait for a topic that could not be sent to. `false`: it was waited for already, in vain.
    pub(crate) fn wait_for(&self, topic: &Arc<str>) -> bool {
        let mut state = lock(&self.state);
        if state.given_up.as_ref() == Some(topic) {
            return false;
        }
        state.miss(topic);
        self.waiting.store(true, Ordering::Release);
        true
    }

    /// Keeps a record that came back. `false`: not kept, as its topic was waited for in vain.
    pub(crate) fn keep(&self, record: Returned) -> bool {
        let mut state = lock(&self.state);
        if state.given_up.as_ref() == Some(&record.topic) {
            return false;
        }
        if state.missing.is_none() {
            tracing::warn!(topic = &*record.topic, "brokers say that the topic is gone: waiting for it");
        }
        state.miss(&record.topic);
        state.records.push_back(record);
        self.waiting.store(true, Ordering::Release);
        true
    }

    /// Sends again what can be sent; returns what is given up. Called by the thread that polls, and only by it.
    pub(crate) fn attempt(&self, client: &Arc<Client>) -> Vec<Returned> {
        let Some((name, since)) = lock(&self.state).missing.clone() else { return Vec::new() };
        // Asked without the lock: the answer is served by callbacks that may bring more records back.
        let answer = client.metadata(ASK_TIMEOUT);
        let mut state = lock(&self.state);
        match answer {
            // Nobody says that it is gone while nobody answers.
            Err(_) => {
                state.missing = Some((name, Instant::now()));
                return Vec::new();
            }
            Ok(cluster) if cluster.topic(&name).is_none_or(|topic| topic.partitions.is_empty()) => {
                if since.elapsed() < PATIENCE {
                    return Vec::new();
                }
                state.missing = None;
                state.given_up = Some(name);
                self.waiting.store(false, Ordering::Release);
                return state.records.drain(..).collect();
            }
            Ok(_) => {}
        }
        let (failed, sent) = send_all(client, &mut state.records);
        if let Some(returned) = state.records.front() {
            state.missing = Some((Arc::clone(&returned.topic), Instant::now()));
        } else {
            tracing::info!(topic = &*name, sent, "the topic is back");
            state.missing = None;
            self.waiting.store(false, Ordering::Release);
        }
        failed
    }
}

/// Sends from the front until one must wait; returns those that cannot be sent at all, and how many were sent.
fn send_all(client: &Arc<Client>, records: &mut VecDeque<Returned>) -> (Vec<Returned>, usize) {
    let mut handle: Option<(Arc<str>, NativeTopic)> = None;
    let (mut failed, mut sent) = (Vec::new(), 0);
    while let Some(mut record) = records.pop_front() {
        let result = match &handle {
            Some((name, topic)) if *name == record.topic => record.send(topic),
            _ => NativeTopic::new(client, &record.topic).and_then(|topic| {
                let result = record.send(&topic);
                handle = Some((Arc::clone(&record.topic), topic));
                result
            }),
        };
        match result {
            Ok(()) => sent += 1,
            Err(code) if code == RDKafkaErrorCode::QueueFull || says_missing(code) => {
                records.push_front(record);
                break;
            }
            Err(code) => {
                record.delivery.error = Some(code);
                failed.push(record);
            }
        }
    }
    (failed, sent)
}
