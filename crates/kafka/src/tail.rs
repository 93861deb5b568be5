//! Follows partitions as they grow, outside any group: live views.
//!
//! Only committed records are handed out. Nothing is committed, no group is joined. Where records were deleted before they
//! were read, reading goes on at the oldest that is there.

use std::time::Duration;

use crate::native::consumer::Consumer;
use crate::settings::KafkaSettings;
use crate::worker::batch::{Batch, TopicNames};
use crate::{CONNECT_TIMEOUT, Error, ErrorCode, TopicPartition};

/// Most records in one batch.
const MAX_BATCH: usize = 5_000;
/// The group name that librdkafka wants; it is never joined, and nothing is committed to it.
const GROUP: &str = "streamgauge.tail";

/// An endless reader of partitions.
pub struct Tail {
    consumer: Consumer,
    topics: TopicNames,
}

impl Tail {
    /// Follows each of these partitions from an offset.
    pub fn open(settings: &KafkaSettings, parts: &[(TopicPartition, i64)]) -> Result<Self, Error> {
        settings.check()?;
        let mut settings = settings.clone();
        for (key, value) in [
            ("group.id", GROUP),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "earliest"),
            ("fetch.wait.max.ms", "50"),
        ] {
            settings.consumer.insert(key.into(), value.into());
            settings.common.remove(key);
        }
        for table in [&mut settings.common, &mut settings.consumer] {
            table.remove("group.instance.id");
        }
        let consumer = Consumer::new(&settings)?;
        consumer.client().metadata(CONNECT_TIMEOUT)?;
        let starts: Vec<_> = parts.iter().map(|(place, from)| (place.clone(), Some(*from))).collect();
        if !starts.is_empty() {
            consumer.assign(&starts).map_err(|code| Error::kafka("cannot follow partitions", code))?;
        }
        Ok(Self { consumer, topics: TopicNames::default() })
    }

    /// The next records, after at most `timeout`; perhaps none. A topic that is gone is an error.
    pub fn next_batch(&mut self, timeout: Duration) -> Result<Batch, Error> {
        let mut batch = self.consumer.fetch(MAX_BATCH, timeout);
        for notice in batch.take_notices() {
            if let Some(code @ (ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopic)) =
                notice.error()
            {
                let doing = format!("cannot follow {}[{}]", notice.topic_name(), notice.partition());
                return Err(Error::Kafka { doing, code, detail: notice.error_text() });
            }
        }
        self.topics.learn(batch.messages());
        Ok(Batch::new(batch, &self.topics))
    }

    /// What is wrong with the connection, in words, while no broker is up.
    pub fn broker_problem(&self) -> Option<String> {
        self.consumer.client().shared().problem()
    }
}
