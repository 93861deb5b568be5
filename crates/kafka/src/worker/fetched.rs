//! What a fetch brought: records, and notices such as the end of a partition.

use std::sync::Arc;
use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode;
use tracing::{debug, warn};

use super::batch::Batch;
use super::{COMMIT_TIMEOUT, Event, Worker, list};
use crate::native::message::{NativeBatch, NativeMessage};
use crate::{Error, TopicPartition};

impl Worker {
    /// Splits what was fetched into records, now, and notices, later: the end of a partition is told together with the
    /// records before it.
    pub(super) fn sort_out(&mut self, mut batch: NativeBatch) -> Result<Option<Event>, Error> {
        let mut notices = batch.take_notices();
        self.hand_out(&mut batch, &mut notices);
        let records = (!batch.messages().is_empty()).then(|| Batch::new(batch, &self.topics));
        if records.is_some() {
            self.consumer.client().shared().note_success();
            self.last_progress = Instant::now();
        }
        for notice in notices {
            self.take_notice(&notice)?;
        }
        Ok(records.map(Event::Records).or_else(|| self.waiting.pop_front()))
    }

    /// Moves the positions over the records. Those that do not follow on are taken out, and asked for again from where they
    /// should have begun.
    fn hand_out(&mut self, batch: &mut NativeBatch, notices: &mut Vec<NativeMessage>) {
        self.topics.learn(batch.messages());
        let mut again: Vec<(TopicPartition, i64)> = Vec::new();
        for message in batch.messages() {
            let topic = self.topics.find(message.topic_address()).expect("it was just learned");
            let (partition, offset) = (message.partition(), message.offset());
            if is_among(&again, topic, partition) {
                continue;
            }
            match self.positions.does_not_follow(topic, partition, offset) {
                Some(from) => again.push((TopicPartition { topic: Arc::clone(topic), partition }, from)),
                None => self.positions.hand_out(topic, partition, offset, offset + 1),
            }
        }
        if again.is_empty() {
            return;
        }
        debug!(
            partitions = list(again.iter().map(|(place, _)| place)),
            "reading again from the end that was told"
        );
        let topics = &self.topics;
        batch.retain(|message| {
            let topic = topics.find(message.topic_address()).expect("it was just learned");
            !is_among(&again, topic, message.partition())
        });
        notices.retain(|notice| !is_among(&again, &notice.topic_name(), notice.partition()));
        if let Err((_, code)) = self.consumer.seek(&again, COMMIT_TIMEOUT) {
            // A partition that is just being taken away, most likely; if it stays, its next record is looked at again.
            warn!(group = self.options.group, %code, "cannot read again yet");
            for (place, _) in &again {
                self.positions.ask_once_more(place);
            }
        }
    }

    fn take_notice(&mut self, notice: &NativeMessage) -> Result<(), Error> {
        let topic = notice.topic_name();
        let code = notice.error().expect("a notice has an error");
        match code {
            RDKafkaErrorCode::PartitionEOF => {
                let place = TopicPartition { topic, partition: notice.partition() };
                let offset = notice.offset();
                self.positions.reach_end(&place.topic, place.partition, offset);
                self.waiting.push_back(Event::ReachedEnd { place, offset });
                Ok(())
            }
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                let bootstrap = self.settings.bootstrap().to_owned();
                Err(Error::MissingTopic { topic: topic.to_string(), bootstrap })
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange => Err(Error::Kafka {
                doing: format!("cannot read {topic:?} as group {:?}", self.options.group),
                code,
                detail: notice.error_text(),
            }),
            // The client goes on by itself: it reconnects, rejoins or fetches again.
            _ => {
                warn!(%topic, ?code, detail = notice.error_text(), "consumer notice");
                Ok(())
            }
        }
    }
}

fn is_among(places: &[(TopicPartition, i64)], topic: &str, partition: i32) -> bool {
    places.iter().any(|(place, _)| place.partition == partition && *place.topic == *topic)
}
