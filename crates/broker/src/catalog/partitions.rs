//! The partitions as transactions see them.

use kafka_protocol::ResponseError;

use super::Catalog;
use crate::coordinator::Partitions;

/// The epoch of the one coordinator there ever is.
const COORDINATOR_EPOCH: i32 = 0;

impl Partitions for Catalog {
    fn exists(&self, topic: &str, partition: i32) -> bool {
        self.partition(topic, partition).is_some()
    }

    fn begin_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
    ) -> Result<(), ResponseError> {
        let log = self.partition(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        log.begin_transaction(producer_id, epoch).map_err(|error| error.code())
    }

    fn end_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
        commit: bool,
    ) -> Result<(), ResponseError> {
        let log = self.partition(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        match log.end_transaction(producer_id, epoch, COORDINATOR_EPOCH, commit, crate::now_ms()) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(topic, partition, producer_id, %error, "cannot end a transaction");
                Err(error.code())
            }
        }
    }

    fn open_transactions(&self) -> Vec<(String, i32, i64, i16)> {
        let mut open = Vec::new();
        for topic in self.all() {
            for (log, partition) in topic.partitions.iter().zip(0..) {
                for (producer_id, epoch, _) in log.open_transactions() {
                    open.push((topic.name.to_string(), partition, producer_id, epoch));
                }
            }
        }
        open
    }
}
