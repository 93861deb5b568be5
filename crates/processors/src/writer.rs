//! How a worker's output gets into topics: in transactions, or plainly.
//!
//! With at-least-once the order is what keeps anything from being lost: output, control records and snapshots are
//! acknowledged before the positions are committed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka::dead_letters::with_letter;
use kafka::{
    Admin, CONNECT_TIMEOUT, KafkaSettings, OffsetCommit, Outgoing, Producer, ProducerOptions, Record, Topic,
    TransactionError, TransactionOptions, Transactional, Worker,
};
use model::TopicSpec;
use runtime::Shutdown;

use crate::driver::{Outbox, Target};
use crate::inputs::Names;
use crate::intake::Letter;
use crate::{Error, Guarantee, ProcessOptions};

/// How long output may take to be acknowledged before the run fails.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest dead letter: that of its topic.
const MAX_LETTER_BYTES: &str = "16777216";

/// Why something was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// What was written since the last commit counts for nothing: go back to it.
    GoBack(String),
    /// The run fails.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        match error.into() {
            Error::Transaction(error @ (TransactionError::Abort { .. } | TransactionError::Renew { .. })) => {
                Self::GoBack(error.to_string())
            }
            other => Self::Failed(other),
        }
    }
}

/// Writes for one worker.
pub(crate) struct Writer {
    settings: KafkaSettings,
    names: Names,
    transaction: TransactionOptions,
    shutdown: Shutdown,
    way: Way,
    topics: Opened,
}

enum Way {
    Transactions(Transactional),
    Plain(Plain),
}

struct Plain {
    producer: Producer,
    letters: HashMap<String, Topic>,
    /// Records given up so far; more of them fail the next commit.
    is_dirty: bool,
}

/// The topics as the producer in use has opened them.
struct Opened {
    analytics: Topic,
    alerts: Topic,
    control: Topic,
    snapshots: Topic,
}

impl Opened {
    fn new<E>(names: &Names, open: impl Fn(&str) -> Result<Topic, E>) -> Result<Self, E> {
        Ok(Self {
            analytics: open(&names.analytics)?,
            alerts: open(&names.alerts)?,
            control: open(&names.control)?,
            snapshots: open(&names.snapshots)?,
        })
    }

    fn of(&self, target: Target) -> (&Topic, Option<i32>) {
        match target {
            Target::Analytics => (&self.analytics, None),
            Target::Alerts => (&self.alerts, None),
            Target::Control(partition) => (&self.control, Some(partition)),
            Target::Snapshots(partition) => (&self.snapshots, Some(partition)),
        }
    }
}

impl Writer {
    /// Connects. With exactly-once it takes over the slot's transactional id: what an earlier owner left open is aborted.
    pub(crate) fn connect(
        options: &ProcessOptions,
        slot: usize,
        names: &Names,
        settings: &KafkaSettings,
        shutdown: &Shutdown,
    ) -> Result<Self, Error> {
        let ProcessOptions { group, instance, .. } = options;
        let transaction = TransactionOptions {
            id: format!("streamgauge-{group}-{instance}-{slot}"),
            timeout: options.transaction_timeout,
        };
        let (way, topics) = match options.guarantee {
            Guarantee::ExactlyOnce => transactional(settings, &transaction, names, shutdown)?,
            Guarantee::AtLeastOnce => plain(settings, names)?,
        };
        let (settings, names, shutdown) = (settings.clone(), names.clone(), shutdown.clone());
        Ok(Self { settings, names, transaction, shutdown, way, topics })
    }

    /// Writes what waits.
    pub(crate) fn write(&mut self, outbox: &mut Outbox) -> Result<(), WriteError> {
        if outbox.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let (topics, way, shutdown) = (&self.topics, &mut self.way, &self.shutdown);
        outbox.drain(|target, key, value, timestamp_ms| {
            let (topic, partition) = topics.of(target);
            let record = Outgoing { key: Some(key), value, partition, timestamp_ms, ..Outgoing::default() };
            match way {
                Way::Transactions(producer) => Ok(producer.send(topic, &record)?),
                Way::Plain(plain) => plain.send(topic, &record, shutdown),
            }
        })
    }

    /// Writes a dead letter.
    pub(crate) fn dead_letter(&mut self, record: &Record<'_>, letter: &Letter) -> Result<(), WriteError> {
        self.begin()?;
        match &mut self.way {
            Way::Transactions(producer) => Ok(producer.dead_letter(record, &letter.rejection())?),
            Way::Plain(plain) => plain.dead_letter(record, letter, &self.settings, &self.shutdown),
        }
    }

    fn begin(&mut self) -> Result<(), WriteError> {
        match &mut self.way {
            Way::Transactions(producer) if !producer.is_open() => Ok(producer.begin()?),
            Way::Transactions(_) => Ok(()),
            Way::Plain(plain) => {
                plain.is_dirty = true;
                Ok(())
            }
        }
    }

    /// Whether something was written since the last commit.
    pub(crate) fn is_open(&self) -> bool {
        match &self.way {
            Way::Transactions(producer) => producer.is_open(),
            Way::Plain(plain) => plain.is_dirty,
        }
    }

    /// Commits what was written, and the positions with it.
    pub(crate) fn commit(
        &mut self,
        offsets: &[OffsetCommit],
        consumer: &mut Worker,
    ) -> Result<(), WriteError> {
        self.begin()?;
        match &mut self.way {
            Way::Transactions(producer) => {
                if !offsets.is_empty() {
                    producer.send_offsets(offsets, &consumer.group_metadata())?;
                }
                Ok(producer.commit()?)
            }
            Way::Plain(plain) => {
                plain.flush()?;
                if !consumer.commit_offsets(offsets)? {
                    return Err(WriteError::GoBack("the group has gone on without this member".into()));
                }
                Ok(())
            }
        }
    }

    /// Throws away what was written since the last commit, as far as that is possible. A producer that is of no more use is
    /// replaced.
    pub(crate) fn go_back(&mut self) -> Result<(), Error> {
        let Way::Transactions(producer) = &mut self.way else { return Ok(()) };
        match producer.abort() {
            Ok(()) => Ok(()),
            Err(TransactionError::Abort { .. } | TransactionError::Renew { .. }) => self.renew(),
            Err(error) => Err(error.into()),
        }
    }

    /// Connects again under the same id, which settles what the producer before it left.
    fn renew(&mut self) -> Result<(), Error> {
        tracing::warn!(id = self.transaction.id, "making the transactional producer anew");
        (self.way, self.topics) =
            transactional(&self.settings, &self.transaction, &self.names, &self.shutdown)?;
        Ok(())
    }

    /// What is wrong with the connection, while no broker is up.
    pub(crate) fn problem(&self) -> Option<String> {
        match &self.way {
            Way::Transactions(producer) => producer.broker_problem(),
            Way::Plain(plain) => plain.producer.broker_problem(),
        }
    }
}

fn transactional(
    settings: &KafkaSettings,
    options: &TransactionOptions,
    names: &Names,
    shutdown: &Shutdown,
) -> Result<(Way, Opened), Error> {
    let producer = Transactional::connect(settings, options.clone(), shutdown)?;
    let topics = Opened::new(names, |name| producer.topic(name))?;
    Ok((Way::Transactions(producer), topics))
}

fn plain(settings: &KafkaSettings, names: &Names) -> Result<(Way, Opened), Error> {
    let mut settings = settings.clone();
    settings.producer.insert("message.max.bytes".into(), MAX_LETTER_BYTES.into());
    settings.common.remove("message.max.bytes");
    // What belongs together is sent together already: waiting for more would only delay an alarm.
    settings.producer.insert("linger.ms".into(), "0".into());
    let producer = Producer::start(&settings, ProducerOptions::default())?;
    let topics = Opened::new(names, |name| producer.topic(name))?;
    Ok((Way::Plain(Plain { producer, letters: HashMap::new(), is_dirty: false }), topics))
}

impl Plain {
    fn send(&self, topic: &Topic, record: &Outgoing<'_>, shutdown: &Shutdown) -> Result<(), WriteError> {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        while !self.producer.send(topic, record, shutdown)? {
            // The end was asked for while the buffer was full: what is under way is still finished, in bounded time.
            if Instant::now() >= deadline {
                return Err(WriteError::GoBack("the buffer stays full".into()));
            }
            self.producer.flush(FLUSH_TIMEOUT)?;
        }
        Ok(())
    }

    fn dead_letter(
        &mut self,
        record: &Record<'_>,
        letter: &Letter,
        settings: &KafkaSettings,
        shutdown: &Shutdown,
    ) -> Result<(), WriteError> {
        let origin: &str = record.topic;
        if !self.letters.contains_key(origin) {
            let topic = self.open_letters(origin, settings)?;
            self.letters.insert(origin.to_owned(), topic);
        }
        let topic = self.letters[origin].clone();
        with_letter(record, &letter.rejection(), |outgoing| self.send(&topic, outgoing, shutdown))
    }

    fn open_letters(&self, origin: &str, settings: &KafkaSettings) -> Result<Topic, kafka::Error> {
        let name = model::dead_letter_topic(origin);
        match self.producer.topic(&name) {
            Err(kafka::Error::MissingTopic { .. }) => {
                let admin = Admin::connect(settings, CONNECT_TIMEOUT)?;
                admin.create_topics(&[TopicSpec::dead_letters(origin)])?;
                self.producer.topic(&name)
            }
            other => other,
        }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.producer.flush(FLUSH_TIMEOUT)?;
        let failed = self.producer.counters().failed;
        if failed > 0 {
            let code = self.producer.last_failure().unwrap_or(kafka::ErrorCode::Fail);
            let doing = format!("cannot write {failed} records");
            return Err(kafka::Error::Kafka { doing, code, detail: code.to_string() }.into());
        }
        self.is_dirty = false;
        Ok(())
    }
}
