//! Dead letters: records that could not be used, kept byte-exact beside their topic, listed and replayed.
//!
//! # Format
//! A dead letter of topic `t` is a record of topic `t.dlq` with the original key, value and headers, byte for
//! byte and in order, followed by the provenance headers of Kafka Connect (`__connect.errors.topic`, `.partition`,
//! `.offset`, `.stage`, `.exception.class.name`, `.exception.message`), all UTF-8 text.
//!
//! # Replay
//! A replayed record goes back to its origin topic with its original key, value and headers and one more,
//! `sg-replays`, that counts its replays. A record that was replayed [`MAX_REPLAYS`] times and rejected each time
//! is left where it is: a replay never makes a loop. What was replayed is remembered as the committed offset of
//! the group `streamgauge.dlq-replay`, so a second replay takes only what is new.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use model::TopicSpec;
use model::headers::{ERROR_CLASS, ERROR_MESSAGE, ERROR_OFFSET, ERROR_PARTITION, ERROR_STAGE, ERROR_TOPIC};
use runtime::Shutdown;
use tracing::info;

use crate::reader::{ReadFrom, TopicReader};
use crate::{
    Admin, CONNECT_TIMEOUT, Error, KafkaSettings, Outgoing, Producer, ProducerOptions, Record, Topic,
    TopicPartition,
};

/// The header that counts a record's replays, in decimal.
pub const REPLAYS: &str = "sg-replays";
/// What the names of all provenance headers begin with.
const ERROR_PREFIX: &str = "__connect.errors.";
/// How often a record may be replayed before it is left among the dead letters.
pub const MAX_REPLAYS: u32 = 3;
/// The group whose offsets say what was replayed.
pub const REPLAY_GROUP: &str = "streamgauge.dlq-replay";
/// The group name that listing uses; it commits nothing.
const LIST_GROUP: &str = "streamgauge.dlq-list";
/// The largest dead letter with its headers: that of the topic, see [`TopicSpec::dead_letters`].
const MAX_MESSAGE_BYTES: u32 = 16 << 20;
/// How long a replay waits for the last acknowledgements.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a record was rejected.
#[derive(Clone, Copy, Debug)]
pub struct Rejection<'a> {
    /// Where in the pipeline, for instance `decode`.
    pub stage: &'a str,
    /// The stable label of the reason, for instance `not-json`.
    pub class: &'a str,
    /// The reason in words.
    pub message: &'a str,
}

/// Makes the dead letter of a record and hands it to `send`, which writes it to the topic
/// [`model::dead_letter_topic`] of the record's topic.
pub fn with_letter<R>(
    record: &Record<'_>,
    rejection: &Rejection<'_>,
    send: impl FnOnce(&Outgoing<'_>) -> R,
) -> R {
    let (partition, offset) = (record.partition.to_string(), record.offset.to_string());
    let original = record.headers();
    let provenance = [
        (ERROR_TOPIC, &**record.topic),
        (ERROR_PARTITION, &partition),
        (ERROR_OFFSET, &offset),
        (ERROR_STAGE, rejection.stage),
        (ERROR_CLASS, rejection.class),
        (ERROR_MESSAGE, rejection.message),
    ];
    let headers: Vec<(&str, Option<&[u8]>)> = original
        .iter()
        .map(|(name, value)| (&**name, *value))
        .chain(provenance.map(|(name, value)| (name, Some(value.as_bytes()))))
        .collect();
    send(&Outgoing {
        key: record.key,
        value: record.value,
        headers: &headers,
        timestamp_ms: record.timestamp_ms(),
        ..Outgoing::default()
    })
}

/// Creates the dead-letter topic of `origin` as the catalogue says.
pub(crate) fn create_topic(settings: &KafkaSettings, origin: &str) -> Result<(), Error> {
    info!(topic = model::dead_letter_topic(origin), "creating the dead-letter topic");
    Admin::connect(settings, CONNECT_TIMEOUT)?.create_topics(&[TopicSpec::dead_letters(origin)])?;
    Ok(())
}

/// Writes dead letters for one worker. The producer starts with the first of them.
pub(crate) struct DeadLetters {
    settings: KafkaSettings,
    producer: Option<Producer>,
    topics: HashMap<String, Topic>,
}

impl DeadLetters {
    pub(crate) fn new(settings: KafkaSettings) -> Self {
        Self { settings: for_any_size(settings), producer: None, topics: HashMap::new() }
    }

    /// Takes a copy of a record. It is acknowledged when [`DeadLetters::settle`] says so.
    pub(crate) fn send(&mut self, record: &Record<'_>, rejection: &Rejection<'_>) -> Result<(), Error> {
        let name = model::topics::dead_letter_topic(record.topic);
        self.open(record.topic, &name)?;
        let (Some(producer), Some(topic)) = (&self.producer, self.topics.get(&name)) else {
            unreachable!("opened above")
        };
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let taken = with_letter(record, rejection, |letter| {
            producer.send_unless(topic, letter, || Instant::now() >= deadline)
        })?;
        if taken {
            return Ok(());
        }
        let detail = producer.broker_problem().unwrap_or_else(|| "the buffer stays full".into());
        Err(Error::DeadLetter { topic: name, count: 1, detail })
    }

    /// Starts the producer and looks the topic up, creating it as the catalogue says.
    fn open(&mut self, origin: &str, name: &str) -> Result<(), Error> {
        if self.topics.contains_key(name) {
            return Ok(());
        }
        if self.producer.is_none() {
            self.producer = Some(Producer::start(&self.settings, ProducerOptions::default())?);
        }
        let producer = self.producer.as_ref().expect("started above");
        let topic = match producer.topic(name) {
            Err(Error::MissingTopic { .. }) => {
                create_topic(&self.settings, origin)?;
                producer.topic(name)?
            }
            other => other?,
        };
        self.topics.insert(name.to_owned(), topic);
        Ok(())
    }

    /// Waits until every dead letter taken is acknowledged; an error if one was not.
    pub(crate) fn settle(&self, timeout: Duration) -> Result<(), Error> {
        let Some(producer) = &self.producer else { return Ok(()) };
        producer.flush(timeout)?;
        let failed = producer.counters().failed;
        if failed == 0 {
            return Ok(());
        }
        let topic = self.topics.keys().cloned().collect::<Vec<_>>().join(", ");
        let detail = producer.last_failure().map(|code| code.to_string()).unwrap_or_default();
        Err(Error::DeadLetter { topic, count: failed, detail })
    }
}

/// A record may be rejected for its size. The topics take it, so the client must not refuse it, on either way.
pub(crate) fn for_any_size(mut settings: KafkaSettings) -> KafkaSettings {
    settings.set_for_all("message.max.bytes", MAX_MESSAGE_BYTES.to_string());
    settings
}

/// A dead letter as it was read back.
pub struct DeadLetter<'a> {
    /// Its own position in the dead-letter topic.
    pub record: Record<'a>,
    /// All headers, the original ones first.
    pub headers: Vec<(Cow<'a, str>, Option<&'a [u8]>)>,
}

impl<'a> DeadLetter<'a> {
    fn read(record: Record<'a>) -> Self {
        let headers = record.headers();
        Self { record, headers }
    }

    /// The text of the last header of this name.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers.iter().rev().find(|(header, _)| header == name)?;
        value.and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The topic that it was rejected from.
    pub fn origin(&self) -> Option<&'a str> {
        self.text(ERROR_TOPIC)
    }

    /// The stable label of the reason.
    pub fn class(&self) -> Option<&'a str> {
        self.text(ERROR_CLASS)
    }

    /// How often it was replayed before it came here.
    pub fn replays(&self) -> u32 {
        self.text(REPLAYS).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The headers that the record had before it was rejected.
    pub fn original_headers(&self) -> impl Iterator<Item = (&str, Option<&'a [u8]>)> {
        self.headers
            .iter()
            .map(|(name, value)| (&**name, *value))
            .filter(|(name, _)| !name.starts_with(ERROR_PREFIX) && *name != REPLAYS)
    }
}

/// Calls `each` for every dead letter in a dead-letter topic, oldest first within a partition, until it says no.
pub fn for_each(
    settings: &KafkaSettings,
    topic: &str,
    mut each: impl FnMut(&DeadLetter<'_>) -> bool,
) -> Result<(), Error> {
    let mut reader = TopicReader::open(settings, LIST_GROUP, topic, ReadFrom::Beginning)?;
    while let Some(batch) = reader.next_batch()? {
        for record in batch.iter() {
            if !each(&DeadLetter::read(record)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records written back to their origin and acknowledged.
    pub replayed: u64,
    /// Records left because they came back [`MAX_REPLAYS`] times.
    pub looping: u64,
    /// Records left because they do not say where they came from, or their origin is itself a dead-letter topic.
    pub without_origin: u64,
    /// Records that the filter left.
    pub filtered: u64,
}

/// Writes dead letters back to the topics that they came from.
///
/// `wanted` decides about each by its reason and content. Records that are left stay in the dead-letter topic; a
/// later replay from [`ReadFrom::Beginning`] sees them again.
pub fn replay(
    settings: &KafkaSettings,
    topic: &str,
    from: ReadFrom,
    wanted: impl Fn(&DeadLetter<'_>) -> bool,
    shutdown: &Shutdown,
) -> Result<Replayed, Error> {
    let mut reader = TopicReader::open(settings, REPLAY_GROUP, topic, from)?;
    let producer = Producer::start(&for_any_size(settings.clone()), ProducerOptions::default())?;
    let mut origins = HashMap::new();
    let mut done = Replayed::default();
    while let Some(batch) = reader.next_batch()? {
        let mut offsets: HashMap<i32, (TopicPartition, i64)> = HashMap::new();
        for record in batch.iter() {
            let place = TopicPartition { topic: record.topic.clone(), partition: record.partition };
            let next = record.offset + 1;
            let letter = DeadLetter::read(record);
            if !replay_one(&letter, &producer, &mut origins, &wanted, shutdown, &mut done)? {
                break;
            }
            offsets.insert(place.partition, (place, next));
        }
        // Acknowledged at the origin before it counts as replayed: a crash in between replays it again.
        producer.flush(FLUSH_TIMEOUT)?;
        let failed = producer.counters().failed;
        if failed > 0 {
            let detail = producer.last_failure().map(|code| code.to_string()).unwrap_or_default();
            return Err(Error::DeadLetter { topic: topic.into(), count: failed, detail });
        }
        reader.commit(&offsets.into_values().collect::<Vec<_>>())?;
        if shutdown.is_requested() {
            break;
        }
    }
    Ok(done)
}

/// Replays or leaves one dead letter; `false` if shutdown came before it was taken.
fn replay_one(
    letter: &DeadLetter<'_>,
    producer: &Producer,
    origins: &mut HashMap<String, Topic>,
    wanted: &impl Fn(&DeadLetter<'_>) -> bool,
    shutdown: &Shutdown,
    done: &mut Replayed,
) -> Result<bool, Error> {
    let Some(origin) = letter.origin().filter(|topic| !model::topics::is_dead_letter_topic(topic)) else {
        done.without_origin += 1;
        return Ok(true);
    };
    if letter.replays() >= MAX_REPLAYS {
        done.looping += 1;
        return Ok(true);
    }
    if !wanted(letter) {
        done.filtered += 1;
        return Ok(true);
    }
    if !origins.contains_key(origin) {
        origins.insert(origin.to_owned(), producer.topic(origin)?);
    }
    let count = (letter.replays() + 1).to_string();
    let headers: Vec<_> = letter.original_headers().chain([(REPLAYS, Some(count.as_bytes()))]).collect();
    let outgoing = Outgoing {
        key: letter.record.key,
        value: letter.record.value,
        headers: &headers,
        timestamp_ms: letter.record.timestamp_ms(),
        ..Outgoing::default()
    };
    let taken = producer.send(&origins[origin], &outgoing, shutdown)?;
    done.replayed += u64::from(taken);
    Ok(taken)
}
