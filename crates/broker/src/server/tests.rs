//! The listener over real sockets: what clients may do to it, and what it tells them.

mod hostile;
mod security;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::protocol::Decodable;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::limits;
use crate::settings::{Limits, Security, Settings};
use crate::{Broker, BrokerError, StatsHandle};

/// No exchange of these tests takes longer, unless something is wrong.
const BOUND: Duration = Duration::from_secs(20);

fn settings(data: &TempDir) -> Settings {
    Settings {
        data_directory: data.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        node_id: 0,
        create_topics: true,
        default_partitions: 1,
        topic_defaults: Vec::new(),
        initial_rebalance_delay: Duration::ZERO,
        session_timeouts: (Duration::from_secs(1), Duration::from_secs(60)),
        offsets_retention: Duration::from_secs(3600),
        longest_transaction: Duration::from_secs(60),
        producer_retention: Duration::from_secs(3600),
        housekeeping: Duration::from_secs(60),
        security: Security::default(),
        limits: Limits {
            connections: 4,
            request_bytes: 1 << 20,
            requests_in_flight_bytes: 2 << 20,
            partitions: 100,
            idle_connection: Duration::from_secs(60),
        },
    }
}

/// A broker that runs until it is told to stop.
struct Running {
    address: SocketAddr,
    stats: StatsHandle,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), BrokerError>>,
    data: TempDir,
}

impl Running {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut settings = settings(&data);
        change(&mut settings);
        let broker = Broker::bind(settings).await.unwrap();
        let (address, stats) = (broker.address(), broker.stats());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(broker.run(async { stopped.await.unwrap() }));
        Self { address, stats, stop, ended, data }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(BOUND, self.ended).await.unwrap().unwrap().unwrap();
    }
}

/// Runs a test on its own small runtime, within a bound.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { timeout(BOUND, test).await.expect("the test hangs") });
}

/// Runs a test whose clock goes on to the next deadline whenever all wait: half a minute takes no time.
fn run_hurried(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

/// A request's frame: a header of version 1 and the body.
fn frame(key: i16, version: i16, correlation_id: i32, body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_u32(14 + body.len() as u32);
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    frame.put_slice(b"\x00\x04test");
    frame.put_slice(body);
    frame
}

async fn send(socket: &mut TcpStream, key: i16, version: i16, correlation_id: i32, body: &[u8]) {
    socket.write_all(&frame(key, version, correlation_id, body)).await.unwrap();
}

/// The correlation id and the rest of a response.
async fn receive(socket: &mut TcpStream) -> (i32, bytes::Bytes) {
    let mut bytes = vec![0; socket.read_u32().await.unwrap() as usize - 4];
    let correlation_id = socket.read_i32().await.unwrap();
    socket.read_exact(&mut bytes).await.unwrap();
    (correlation_id, bytes.into())
}

/// Nothing more comes.
async fn is_closed(socket: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    // A reset is an end too.
    !matches!(socket.read_to_end(&mut rest).await, Ok(1..))
}

#[test]
fn versions_are_told_in_every_version_and_in_order() {
    run(async {
        let broker = Running::start(|_| {}).await;
        let mut socket = broker.connect().await;
        // All are sent before the first answer is read.
        for version in 0..=2 {
            send(&mut socket, 18, version, 100 + i32::from(version), &[]).await;
        }
        send(&mut socket, 18, 3, 103, b"\x00\x0blibrdkafka\x052.12\x00").await;
        send(&mut socket, 18, 3, 104, b"\x00\x02-\x052.12\x00").await;
        send(&mut socket, 18, 99, 105, b"whatever it may be").await;
        for (id, version, error) in
            [(100, 0, 0), (101, 1, 0), (102, 2, 0), (103, 3, 0), (104, 3, 42), (105, 0, 35)]
        {
            let (correlation_id, mut body) = receive(&mut socket).await;
            let response = ApiVersionsResponse::decode(&mut body, version).unwrap();
            assert_eq!((correlation_id, response.error_code), (id, error));
            assert_eq!(response.api_keys.is_empty(), error == 42);
            assert!(body.is_empty());
        }
        let requests = broker.stats.figures().requests;
        assert_eq!(requests, [("ApiVersions".to_owned(), 6)]);
        broker.stop().await;
    });
}

#[test]
fn unknown_requests_and_versions_are_answered() {
    run(async {
        let broker = Running::start(|_| {}).await;
        let mut socket = broker.connect().await;
        let heartbeat: &[u8] = &[0, 0, 0, 0, 0, 0, 35, 0];
        let alone: &[u8] = &[0, 35];
        for (key, version, expected) in
            [(999, 0, alone), (-1, 7, alone), (12, 99, heartbeat), (3, -1, alone), (68, 0, alone)]
        {
            send(&mut socket, key, version, 7, b"body").await;
            let (correlation_id, body) = receive(&mut socket).await;
            assert_eq!((correlation_id, body.as_ref()), (7, expected), "{key} {version}");
        }
        broker.stop().await;
    });
}

#[test]
fn what_is_no_request_closes_its_connection_alone() {
    run(async {
        let broker = Running::start(|_| {}).await;
        let mut bystander = broker.connect().await;
        let cases: [&[u8]; 7] = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
            &[0xff; 64],
            &[0x7f, 0xff, 0xff, 0xff, 0, 0],
            &[0, 0, 0, 0, 0, 0],
            // Too short for a header; a client id beyond the frame.
            &[0, 0, 0, 2, 0, 18],
            &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0x7f, 0xff],
        ];
        for case in cases {
            let mut socket = broker.connect().await;
            socket.write_all(case).await.unwrap();
            assert!(is_closed(&mut socket).await, "{case:?}");
        }
        send(&mut bystander, 18, 0, 1, &[]).await;
        assert_eq!(receive(&mut bystander).await.0, 1);
        assert_eq!(broker.stats.figures().connections_failed, 7);
        broker.stop().await;
    });
}
