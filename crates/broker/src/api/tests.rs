//! The handlers over a real catalog in a temporary directory.

mod cluster;
mod configs;
mod fetch;
mod offsets;
mod produce;
mod records;
mod topics;

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{CreateTopicsRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tempfile::TempDir;

use crate::broker::Stats;
use crate::catalog::Catalog;
use crate::coordinator::Coordinator;
use crate::log::LastShutdown;
use crate::server::Context;
use crate::settings::Settings;
use crate::{Node, Shared, now_ms};

/// Nothing in these tests takes longer, unless something is wrong.
const BOUND: Duration = Duration::from_secs(20);

/// The number of the node, unlike any default.
const NODE: i32 = 7;

/// A broker without a listener.
struct Fixture {
    shared: Arc<Shared>,
    directory: TempDir,
}

fn fixture() -> Fixture {
    fixture_with(|_| {})
}

fn fixture_with(change: impl FnOnce(&mut Settings)) -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let mut settings = crate::catalog::tests::settings(directory.path());
    change(&mut settings);
    let catalog = Arc::new(Catalog::open(&settings, LastShutdown::Clean).expect("a catalog"));
    let journal = directory.path().join("coordinator");
    let coordinator =
        Coordinator::open(&settings, &journal, Arc::clone(&catalog) as _, now_ms()).expect("a coordinator");
    let node = Node { id: NODE, host: text("broker.example"), port: 9092, cluster_id: text("cluster") };
    let stats = Arc::new(Stats::new());
    Fixture { shared: Arc::new(Shared { settings, node, catalog, coordinator, stats }), directory }
}

impl Fixture {
    /// Creates a topic with these settings.
    async fn topic(&self, name: &'static str, partitions: i32, configs: &[(&'static str, &str)]) {
        use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        let response = super::create_topics(&self.shared, &context(7), request).await;
        assert_eq!(code(response.topics[0].error_code), None, "{:?}", response.topics[0].error_message);
    }

    /// Appends a batch to a partition.
    fn append(&self, topic: &'static str, partition: i32, records: &Bytes) -> PartitionProduceResponse {
        let request = produce_request(topic, partition, Some(records.clone()));
        let mut response =
            super::produce(&self.shared, &context(11), request).expect("the answer was asked for");
        response.responses.remove(0).partition_responses.remove(0)
    }
}

fn produce_request(topic: &'static str, partition: i32, records: Option<Bytes>) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(records);
    let data = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_topic_data(vec![data])
}

fn context(api_version: i16) -> Context {
    Context {
        api_version,
        client_id: "test".to_owned(),
        client_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        principal: None,
    }
}

/// A record with a timestamp; the other fields as of a producer that is not idempotent.
fn record(offset: i64, timestamp: i64, value: &str) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: NO_SEQUENCE + offset as i32,
        timestamp,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::from(value.to_owned())),
        headers: IndexMap::new(),
    }
}

fn encode(records: &[Record], compression: Compression) -> Bytes {
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut bytes, records, &options).expect("they can be encoded");
    bytes.freeze()
}

/// A batch of so many records, a millisecond apart from this time on.
fn batch(count: i64, timestamp: i64) -> Bytes {
    let records: Vec<Record> = (0..count).map(|offset| record(offset, timestamp + offset, "value")).collect();
    encode(&records, Compression::None)
}

/// A batch of one record of a transaction.
fn transactional_batch(producer_id: i64, sequence: i32) -> Bytes {
    let record =
        Record { transactional: true, producer_id, producer_epoch: 0, sequence, ..record(0, now_ms(), "t") };
    encode(&[record], Compression::None)
}

fn topic_name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

fn text(string: &str) -> StrBytes {
    StrBytes::from_string(string.to_owned())
}

/// The error of a code.
fn code(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

/// Whether the codec takes the answer in this version.
fn assert_encodable(response: &(impl Encodable + Debug), version: i16) {
    let mut bytes = BytesMut::new();
    if let Err(error) = response.encode(&mut bytes, version) {
        panic!("version {version}: {error}: {response:?}");
    }
}

/// Runs a test on its own small runtime, within a bound.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(BOUND, test).await.expect("the test hangs");
    });
}
