//! Reads a topic from a start to the end that it had when reading began, outside any group rebalancing.
//!
//! For finite jobs: listing dead letters, replaying them. Offsets may be committed to a group by hand, which is
//! how a replay knows what it has replayed already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

use crate::native::consumer::Consumer;
use crate::settings::KafkaSettings;
use crate::worker::batch::{Batch, TopicNames};
use crate::{CONNECT_TIMEOUT, Error, TopicPartition};

/// Most records in one batch.
const MAX_BATCH: usize = 500;
/// How long one fetch waits.
const FETCH_WAIT: Duration = Duration::from_millis(100);
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the oldest record of each partition.
    Beginning,
    /// Where the group has committed, else at the oldest record.
    Committed,
}

/// A finite reader of one topic.
pub struct TopicReader {
    consumer: Consumer,
    topics: TopicNames,
    /// The next offset and the end of every partition not read to its end yet.
    open: BTreeMap<i32, i64>,
    doing: String,
}

impl TopicReader {
    /// Opens a topic. `group` holds the committed offsets; nobody else should be a member of it.
    pub fn open(settings: &KafkaSettings, group: &str, topic: &str, from: ReadFrom) -> Result<Self, Error> {
        settings.check()?;
        let mut settings = settings.clone();
        settings.consumer.insert("group.id".into(), group.into());
        let consumer = Consumer::new(&settings)?;
        let cluster = consumer.client().metadata(CONNECT_TIMEOUT)?;
        let Some(info) = cluster.topic(topic) else {
            return Err(Error::MissingTopic { topic: topic.into(), bootstrap: settings.bootstrap().into() });
        };
        let name: Arc<str> = topic.into();
        let places: Vec<_> = info
            .partitions
            .iter()
            .map(|info| TopicPartition { topic: Arc::clone(&name), partition: info.partition })
            .collect();
        let doing = format!("cannot read {topic:?}");
        let wrap = |code| Error::kafka(doing.clone(), code);
        let committed = match from {
            ReadFrom::Beginning => places.into_iter().map(|place| (place, None)).collect(),
            ReadFrom::Committed => {
                let starts = consumer.committed(&places, CONNECT_TIMEOUT).map_err(wrap)?;
                starts.into_iter().map(|start| (start.place, start.offset)).collect::<Vec<_>>()
            }
        };
        let (mut starts, mut open) = (Vec::new(), BTreeMap::new());
        for (place, offset) in committed {
            let (low, high) = consumer.watermarks(&place, CONNECT_TIMEOUT).map_err(wrap)?;
            let start = offset.unwrap_or(low).max(low);
            if start < high {
                open.insert(place.partition, high);
                starts.push((place, Some(start)));
            }
        }
        if !starts.is_empty() {
            consumer.assign(&starts).map_err(wrap)?;
        }
        Ok(Self { consumer, topics: TopicNames::default(), open, doing })
    }

    /// The next records; `None` when the end that the topic had at the opening is reached. An empty wait is not
    /// the end: `Some` of an empty batch, so that the caller can look whether to stop.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        if self.open.is_empty() {
            return Ok(None);
        }
        let mut batch = self.consumer.fetch(MAX_BATCH, FETCH_WAIT);
        for notice in batch.take_notices() {
            match notice.error() {
                Some(RDKafkaErrorCode::PartitionEOF) => self.pass(notice.partition(), notice.offset()),
                Some(code) if code != RDKafkaErrorCode::BrokerTransportFailure => {
                    return Err(Error::Kafka {
                        doing: self.doing.clone(),
                        code,
                        detail: notice.error_text(),
                    });
                }
                _ => {}
            }
        }
        for message in batch.messages() {
            self.pass(message.partition(), message.offset() + 1);
        }
        self.topics.learn(batch.messages());
        Ok(Some(Batch::new(batch, &self.topics)))
    }

    fn pass(&mut self, partition: i32, next: i64) {
        if self.open.get(&partition).is_some_and(|end| next >= *end) {
            self.open.remove(&partition);
        }
    }

    /// Commits offsets to the reader's group: each is that of the next record to read.
    pub fn commit(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.consumer
            .commit_sync(offsets, COMMIT_TIMEOUT)
            .map_err(|code| Error::kafka("cannot commit what was read", code))
    }
}
