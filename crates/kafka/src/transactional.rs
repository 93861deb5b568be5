//! The transactional producer: records, dead letters and input offsets that become visible together or not at all.
//!
//! ```no_run
//! # fn run(producer: &mut kafka::Transactional, worker: &mut kafka::Worker, topic: &kafka::Topic,
//! #     record: &kafka::Outgoing<'_>, offsets: &[kafka::OffsetCommit]) -> Result<(), kafka::TransactionError> {
//! producer.begin()?;
//! let done = producer
//!     .send(topic, record)
//!     .and_then(|()| producer.send_offsets(offsets, &worker.group_metadata()))
//!     .and_then(|()| producer.commit());
//! if let Err(error) = done {
//!     if !error.wants_abort() {
//!         return Err(error);
//!     }
//!     producer.abort()?;
//!     worker.rewind()?; // state is dropped and read again from the committed offsets
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantee: exactly once
//! What was sent between [`Transactional::begin`] and a successful [`Transactional::commit`] is seen by readers of
//! committed records once, together with the offsets. After an abort, a crash or a takeover none of it ever is. A record
//! that could not be written fails the commit. A producer that another one with the same id has replaced can commit
//! nothing any more, and neither can a member that its group has gone on without.
//!
//! A commit whose answer never comes is settled by the next producer with the same id: it waits until the transaction is
//! committed or aborted, and the committed offsets then say which.
//!
//! # Threads
//! All of it happens on the caller's thread, deliveries too: a thread of their own would take them away from the commit,
//! which then notices only at its next look, up to 10 ms later.

mod error;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime::{Latency, LatencySnapshot, Shutdown};

use crate::dead_letters::{self, Rejection};
use crate::native::client::{Client, Shared, lock};
use crate::native::list::PartitionList;
use crate::native::transactions::Refusal;
use crate::producer::{Outgoing, Topic};
use crate::settings::{KafkaSettings, Role};
use crate::{CONNECT_TIMEOUT, Error, ErrorCode, GroupMetadata, Record, TopicPartition};

pub use error::TransactionError;

/// How long the coordinator may take to hand over the transactional id at the start.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one wait for the coordinator is, before it is looked whether to stop.
const INIT_SLICE: Duration = Duration::from_millis(250);
/// How long one wait for room in the buffer is.
const ROOM_WAIT: Duration = Duration::from_millis(50);
/// How long a call that may be repeated is repeated for, beyond the transaction's own timeout.
const RETRY_MARGIN: Duration = Duration::from_secs(30);
/// How long the pause before a repeated call is.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Options of a transactional producer beside its Kafka settings.
#[derive(Clone, Debug)]
pub struct TransactionOptions {
    /// `transactional.id`: of one producer at a time, and the same again after a restart.
    pub id: String,
    /// `transaction.timeout.ms`: how long a transaction may stay open before the coordinator aborts it.
    pub timeout: Duration,
}

/// An input position to be committed with a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The partition.
    pub place: TopicPartition,
    /// The offset of the next record to process.
    pub offset: i64,
    /// A short text that is kept beside the offset, see [`PartitionStart::metadata`](crate::PartitionStart).
    pub metadata: String,
}

/// Figures of a transactional producer since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionCounters {
    /// Transactions begun.
    pub begun: u64,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions aborted.
    pub aborted: u64,
    /// Records taken, in transactions of any outcome.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Calls that had to be repeated because a coordinator did not answer.
    pub repeated: u64,
}

/// A producer of one worker slot that writes in transactions.
pub struct Transactional {
    client: Arc<Client>,
    settings: KafkaSettings,
    options: TransactionOptions,
    /// Dead-letter topics by the topics of their records.
    dead_letters: HashMap<String, Topic>,
    /// When the open transaction was begun.
    begun: Option<Instant>,
    counters: TransactionCounters,
    commits: Latency,
}

impl Transactional {
    /// Connects and takes over the id: what an earlier owner left open is aborted, and the earlier owner fenced.
    ///
    /// Waits for the brokers at most [`CONNECT_TIMEOUT`] and for the id at most a minute, or until shutdown.
    pub fn connect(
        settings: &KafkaSettings,
        options: TransactionOptions,
        shutdown: &Shutdown,
    ) -> Result<Self, TransactionError> {
        settings.check().map_err(Error::from)?;
        settings.check_exactly_once().map_err(Error::from)?;
        let settings = for_transactions(settings, &options);
        let client = Client::new(&settings, Role::Producer, Shared::transactional())?;
        client.metadata(CONNECT_TIMEOUT)?;
        let mut producer = Self {
            client,
            settings,
            options,
            dead_letters: HashMap::new(),
            begun: None,
            counters: TransactionCounters::default(),
            commits: Latency::new(),
        };
        producer.take_over(shutdown)?;
        Ok(producer)
    }

    fn take_over(&mut self, shutdown: &Shutdown) -> Result<(), TransactionError> {
        let deadline = Instant::now() + INIT_TIMEOUT;
        loop {
            let Err(refusal) = self.client.init_transactions(INIT_SLICE) else { return Ok(()) };
            self.client.poll(Duration::ZERO);
            if shutdown.is_requested() {
                return Err(TransactionError::Interrupted { id: self.options.id.clone() });
            }
            if !refusal.is_retriable || Instant::now() >= deadline {
                return Err(self.judge("take over the transactional id", refusal));
            }
        }
    }

    /// The transactional id.
    pub fn id(&self) -> &str {
        &self.options.id
    }

    /// Looks a topic up. Waits for the brokers at most [`CONNECT_TIMEOUT`]; never creates the topic.
    pub fn topic(&self, name: &str) -> Result<Topic, TransactionError> {
        Ok(Topic::open(&self.client, name)?)
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.begun.is_some()
    }

    /// Begins a transaction. The coordinator hears of it with the first record or offset.
    ///
    /// # Panics
    /// If one is open.
    pub fn begin(&mut self) -> Result<(), TransactionError> {
        assert!(!self.is_open(), "a producer has one transaction at a time");
        self.client.poll(Duration::ZERO);
        lock(&self.client.shared().failed_record).take();
        self.client.begin_transaction().map_err(|refusal| self.judge("begin a transaction", refusal))?;
        self.begun = Some(Instant::now());
        self.counters.begun += 1;
        Ok(())
    }

    /// Hands a record over, waiting while the buffer is full, at most until the transaction's time is over.
    ///
    /// # Panics
    /// If no transaction is open, or the topic is that of another producer.
    pub fn send(&mut self, topic: &Topic, record: &Outgoing<'_>) -> Result<(), TransactionError> {
        let begun = self.begun.expect("records are sent inside a transaction");
        assert!(topic.is_of(&self.client), "a topic is written to by the producer that opened it");
        loop {
            let Err(code) = topic.send(record) else {
                self.counters.records += 1;
                self.counters.bytes +=
                    (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
                return Ok(());
            };
            if code != ErrorCode::QueueFull {
                return Err(self.refused(topic, code));
            }
            if begun.elapsed() >= self.options.timeout {
                let detail = self.broker_problem().unwrap_or_else(|| "the buffer stays full".into());
                return Err(TransactionError::Abort { code, detail });
            }
            self.client.poll(ROOM_WAIT);
        }
    }

    fn refused(&self, topic: &Topic, code: ErrorCode) -> TransactionError {
        let detail = format!("cannot produce to {:?}: {code}", topic.name());
        match code {
            ErrorCode::Fatal | ErrorCode::Fenced => {
                let text = self.client.shared().fatal().unwrap_or("it did not say why").to_owned();
                let code = self.client.fatal_code().unwrap_or(code);
                let refusal = Refusal { code, text, is_retriable: false, wants_abort: false };
                self.judge(&format!("produce to {:?}", topic.name()), refusal)
            }
            code => TransactionError::Abort { code, detail },
        }
    }

    /// Sends a rejected record to the dead-letter topic of its own topic inside the transaction, byte-exact, with its
    /// position and the reason. The topic is created if it is missing.
    ///
    /// # Panics
    /// If no transaction is open.
    pub fn dead_letter(
        &mut self,
        record: &Record<'_>,
        rejection: &Rejection<'_>,
    ) -> Result<(), TransactionError> {
        let topic = match self.dead_letters.get(&**record.topic) {
            Some(topic) => topic.clone(),
            None => self.open_dead_letters(record.topic)?,
        };
        dead_letters::with_letter(record, rejection, |letter| self.send(&topic, letter))
    }

    fn open_dead_letters(&mut self, origin: &str) -> Result<Topic, TransactionError> {
        let name = model::dead_letter_topic(origin);
        let topic = match Topic::open(&self.client, &name) {
            Err(Error::MissingTopic { .. }) => {
                dead_letters::create_topic(&self.settings, origin)?;
                Topic::open(&self.client, &name)?
            }
            other => other?,
        };
        self.dead_letters.insert(origin.to_owned(), topic.clone());
        Ok(topic)
    }

    /// Adds input positions to the transaction, as the group's member that `group` describes (KIP-447). Waits for both
    /// coordinators.
    ///
    /// # Panics
    /// If no transaction is open.
    pub fn send_offsets(
        &mut self,
        offsets: &[OffsetCommit],
        group: &GroupMetadata,
    ) -> Result<(), TransactionError> {
        assert!(self.is_open(), "offsets are sent inside a transaction");
        let list = PartitionList::with_metadata(
            offsets.iter().map(|commit| (&commit.place, commit.offset, &*commit.metadata)),
        );
        self.repeat("send offsets", |client, left| client.send_offsets_to_transaction(&list, group, left))
    }

    /// Waits for all records, and makes them and the offsets visible.
    ///
    /// # Panics
    /// If no transaction is open.
    pub fn commit(&mut self) -> Result<(), TransactionError> {
        assert!(self.is_open(), "only an open transaction is committed");
        let start = Instant::now();
        self.repeat("commit", Client::commit_transaction)?;
        self.begun = None;
        self.counters.committed += 1;
        self.commits.record(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Ends the transaction so that nothing of it is ever visible. Does nothing if none is open.
    pub fn abort(&mut self) -> Result<(), TransactionError> {
        if !self.is_open() {
            return Ok(());
        }
        self.repeat("abort", Client::abort_transaction)?;
        self.begun = None;
        self.counters.aborted += 1;
        Ok(())
    }

    /// Repeats a call for as long as librdkafka says that it may succeed, at most the transaction's time and a margin.
    fn repeat(
        &mut self,
        doing: &str,
        call: impl Fn(&Client, Duration) -> Result<(), Refusal>,
    ) -> Result<(), TransactionError> {
        let deadline = Instant::now() + self.options.timeout + RETRY_MARGIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Err(refusal) = call(&self.client, left) else { return Ok(()) };
            if !refusal.is_retriable || left.is_zero() {
                return Err(self.judge(doing, refusal));
            }
            self.counters.repeated += 1;
            tracing::debug!(
                id = self.options.id,
                doing,
                detail = refusal.text,
                "repeating a transactional call"
            );
            self.client.poll(RETRY_PAUSE);
        }
    }

    fn judge(&self, doing: &str, mut refusal: Refusal) -> TransactionError {
        if let Some((place, code)) = &*lock(&self.client.shared().failed_record) {
            refusal.text = format!("{}; a record for {place} was not written: {code}", refusal.text);
        }
        let open = self.begun.map(|begun| begun.elapsed());
        error::judge(doing, &refusal, &self.options.id, open, self.options.timeout)
    }

    /// The figures since the start.
    pub fn counters(&self) -> TransactionCounters {
        self.counters
    }

    /// Microseconds from the call of commit to its success.
    pub fn commit_latency(&self) -> LatencySnapshot {
        self.commits.snapshot()
    }

    /// What is wrong with the connection, in words, while no broker is up.
    pub fn broker_problem(&self) -> Option<String> {
        self.client.shared().problem()
    }
}

/// The settings of a transactional producer: what its id and timeout amount to.
fn for_transactions(settings: &KafkaSettings, options: &TransactionOptions) -> KafkaSettings {
    let mut settings = dead_letters::for_any_size(settings.clone());
    // A record may not outlive its transaction; librdkafka sees to that by itself if nothing else is set.
    for key in ["message.timeout.ms", "delivery.timeout.ms"] {
        settings.common.remove(key);
        settings.producer.remove(key);
    }
    // Right after a commit the coordinator may still write its markers, and tells the next transaction to ask again: within
    // milliseconds, not within the 100 that librdkafka waits by itself.
    for (key, value) in [("retry.backoff.ms", "2"), ("retry.backoff.max.ms", "20")] {
        if !settings.common.contains_key(key) {
            settings.producer.entry(key.into()).or_insert_with(|| value.into());
        }
    }
    settings.producer.insert("enable.idempotence".into(), "true".into());
    settings.producer.insert("transactional.id".into(), options.id.clone());
    settings.producer.insert("transaction.timeout.ms".into(), options.timeout.as_millis().to_string());
    settings
}
