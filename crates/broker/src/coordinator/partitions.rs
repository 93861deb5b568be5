//! What the coordinator needs of the partitions; the catalog gives it.

use kafka_protocol::ResponseError;

/// The partitions, as far as transactions and offsets need them. A second implementation is in the tests.
pub(crate) trait Partitions: Send + Sync {
    /// Whether there is such a partition.
    fn exists(&self, topic: &str, partition: i32) -> bool;

    /// Permits batches of this producer's transaction in a partition; does nothing if they are permitted already.
    fn begin_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
    ) -> Result<(), ResponseError>;

    /// Writes the marker that ends the producer's transaction in a partition, and does nothing if none is open there;
    /// either way no more batches of it are permitted.
    fn end_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
        commit: bool,
    ) -> Result<(), ResponseError>;

    /// All transactions that are open in the logs: topic, partition, producer id and epoch.
    fn open_transactions(&self) -> Vec<(String, i32, i64, i16)>;
}
