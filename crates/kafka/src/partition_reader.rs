//! Reads partitions from offset to offset, outside any group: snapshots, control records, replays of input.
//!
//! Only committed records are read, and at most to the last stable offset that a partition had at the opening: whatever an
//! open transaction holds back is left out. Nothing is committed, no group is joined.

use std::time::Duration;

use crate::native::consumer::Consumer;
use crate::native::message::NativeBatch;
use crate::settings::KafkaSettings;
use crate::worker::batch::{Batch, TopicNames};
use crate::{CONNECT_TIMEOUT, Error, ErrorCode, TopicPartition};

/// Most records in one batch.
const MAX_BATCH: usize = 1_000;
/// How long one fetch waits.
const FETCH_WAIT: Duration = Duration::from_millis(100);
/// The group name that librdkafka wants; it is never joined, and nothing is committed to it.
const GROUP: &str = "streamgauge.reader";
/// What is fetched ahead, in kilobytes: enough that the next batch is there when one is done.
const QUEUED_KILOBYTES: &str = "32768";
/// The most that one fetch brings of one partition, in bytes.
const FETCH_BYTES: &str = "8388608";

/// Where reading of a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// At the oldest record.
    Beginning,
    /// At this offset; at the oldest record, if that is younger.
    Offset(i64),
    /// At the first record that is not older than this, in milliseconds since the Unix epoch; at the end, if there is none.
    Time(i64),
}

/// A part of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub place: TopicPartition,
    /// Offset of the first record.
    pub from: i64,
    /// The offset before which reading ends.
    pub to: i64,
}

/// A finite reader of partitions.
pub struct PartitionReader {
    consumer: Consumer,
    topics: TopicNames,
    /// What was to be read at the opening.
    spans: Vec<Span>,
    /// What is left, in the order of `spans`.
    left: Vec<Span>,
}

impl PartitionReader {
    /// Opens partitions, each from a start to before an end; without one, or with one that is beyond it, to the last stable
    /// offset of this moment. What really lies between is told by [`PartitionReader::spans`].
    pub fn open(
        settings: &KafkaSettings,
        parts: &[(TopicPartition, ReadAt, Option<i64>)],
    ) -> Result<Self, Error> {
        settings.check()?;
        let consumer = Consumer::new(&for_reading(settings))?;
        let cluster = consumer.client().metadata(CONNECT_TIMEOUT)?;
        let mut spans = Vec::with_capacity(parts.len());
        for (place, at, to) in parts {
            let known = cluster.topic(&place.topic);
            if known
                .is_none_or(|topic| !topic.partitions.iter().any(|info| info.partition == place.partition))
            {
                return Err(Error::MissingTopic {
                    topic: place.to_string(),
                    bootstrap: settings.bootstrap().into(),
                });
            }
            spans.push(span(&consumer, place, *at, *to)?);
        }
        let left: Vec<Span> = spans.iter().filter(|span| span.from < span.to).cloned().collect();
        let starts: Vec<_> = left.iter().map(|span| (span.place.clone(), Some(span.from))).collect();
        if !starts.is_empty() {
            consumer.assign(&starts).map_err(|code| Error::kafka("cannot read partitions", code))?;
        }
        Ok(Self { consumer, topics: TopicNames::default(), spans, left })
    }

    /// What is read of each partition, in the order given at the opening; empty where there was nothing.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// What has not been read yet: `from` is the offset of the next record. Partitions that are done are left out.
    pub fn left(&self) -> &[Span] {
        &self.left
    }

    /// The next records; `None` when everything is read. An empty wait is not the end: `Some` of an empty batch, so that
    /// the caller can look whether to stop.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let mut batch = self.consumer.fetch(MAX_BATCH, FETCH_WAIT);
        let notices = batch.take_notices();
        self.topics.learn(batch.messages());
        // Before the notices: the end of a partition is told together with the records before it.
        self.take(&mut batch)?;
        for notice in notices {
            match notice.error() {
                Some(ErrorCode::PartitionEOF) => {
                    self.pass(&notice.topic_name(), notice.partition(), notice.offset())?;
                }
                Some(code) if code != ErrorCode::BrokerTransportFailure => {
                    let doing = format!("cannot read {}[{}]", notice.topic_name(), notice.partition());
                    return Err(Error::Kafka { doing, code, detail: notice.error_text() });
                }
                _ => {}
            }
        }
        Ok(Some(Batch::new(batch, &self.topics)))
    }

    /// Notes what was fetched as read, and takes out what lies beyond the ends.
    fn take(&mut self, batch: &mut NativeBatch) -> Result<(), Error> {
        let (topics, left) = (&self.topics, &mut self.left);
        // Records come in runs of one partition.
        let mut last = 0;
        batch.retain(|message| {
            let is_of = |span: &Span| {
                span.place.partition == message.partition()
                    && topics.find(message.topic_address()).is_some_and(|topic| *topic == span.place.topic)
            };
            if !left.get(last).is_some_and(is_of) {
                let Some(index) = left.iter().position(is_of) else { return false };
                last = index;
            }
            let span = &mut left[last];
            let is_within = message.offset() < span.to;
            span.from = (message.offset() + 1).min(span.to);
            is_within
        });
        self.drop_done()
    }

    /// Everything of a partition before `next` was read.
    fn pass(&mut self, topic: &str, partition: i32, next: i64) -> Result<(), Error> {
        for span in &mut self.left {
            if span.place.partition == partition && *span.place.topic == *topic {
                span.from = next.min(span.to).max(span.from);
            }
        }
        self.drop_done()
    }

    /// What is read to its end is fetched no further, though more may come.
    fn drop_done(&mut self) -> Result<(), Error> {
        let done: Vec<_> =
            self.left.extract_if(.., |span| span.from >= span.to).map(|span| span.place).collect();
        if done.is_empty() {
            return Ok(());
        }
        self.consumer.pause(&done).map_err(|code| Error::kafka("cannot stop reading partitions", code))
    }
}

/// What there is to read of a partition.
fn span(consumer: &Consumer, place: &TopicPartition, at: ReadAt, to: Option<i64>) -> Result<Span, Error> {
    let wrap = |code| Error::kafka(format!("cannot read the offsets of {place}"), code);
    let (low, stable) = consumer.watermarks(place, CONNECT_TIMEOUT).map_err(wrap)?;
    let from = match at {
        ReadAt::Beginning => low,
        ReadAt::Offset(offset) => offset.max(low),
        ReadAt::Time(time) => {
            consumer.offset_for_time(place, time, CONNECT_TIMEOUT).map_err(wrap)?.unwrap_or(stable)
        }
    };
    Ok(Span { place: place.clone(), from, to: to.map_or(stable, |to| to.min(stable)) })
}

/// The settings of a consumer that reads by itself and as fast as it can.
fn for_reading(settings: &KafkaSettings) -> KafkaSettings {
    let mut settings = settings.clone();
    for (key, value) in [
        ("group.id", GROUP),
        ("isolation.level", "read_committed"),
        ("queued.min.messages", "1000000"),
        ("queued.max.messages.kbytes", QUEUED_KILOBYTES),
        ("max.partition.fetch.bytes", FETCH_BYTES),
        ("fetch.queue.backoff.ms", "1"),
    ] {
        settings.consumer.insert(key.into(), value.into());
    }
    for table in [&mut settings.common, &mut settings.consumer] {
        table.remove("group.instance.id");
    }
    settings
}
