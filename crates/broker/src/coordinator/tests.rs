//! What all tests of the coordinator share: partitions in memory, and a coordinator whose time the test sets.

mod fencing;
mod joining;
mod membership;
mod model;
mod offsets;
mod restart;
mod static_members;
mod timing;
mod transactions;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};

use super::group::text;
use super::state::State;
use super::{Answer, Partitions};
use crate::server::Context;
use crate::settings::{Limits, Security, Settings};

const SESSION_MS: i64 = 10_000;
const REBALANCE_MS: i64 = 30_000;
const DELAY_MS: i64 = 100;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const BEGIN_MS: i64 = 1_700_000_000_000;

/// A partition of the tests: topic and index.
type Place = (String, i32);

/// Partitions that take one number a batch.
#[derive(Default)]
pub(super) struct Memory {
    logs: Mutex<Logs>,
}

#[derive(Default)]
struct Logs {
    permits: BTreeSet<(Place, i64, i16)>,
    open: BTreeMap<(Place, i64), (i16, Vec<u64>)>,
    /// The epoch of the last marker of each producer.
    epochs: BTreeMap<(Place, i64), i16>,
    committed: BTreeSet<u64>,
    aborted: BTreeSet<u64>,
    /// Markers that were written.
    markers: usize,
    /// Logs take nothing, as on a full disk.
    full: bool,
    deleted: BTreeSet<String>,
}

impl Memory {
    fn logs(&self) -> std::sync::MutexGuard<'_, Logs> {
        self.logs.lock().unwrap()
    }

    /// A transactional batch.
    fn produce(
        &self,
        topic: &str,
        partition: i32,
        producer: (i64, i16),
        batch: u64,
    ) -> Result<(), ResponseError> {
        let mut logs = self.logs();
        let place = (topic.to_owned(), partition);
        if logs.epochs.get(&(place.clone(), producer.0)).is_some_and(|epoch| *epoch > producer.1) {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if !logs.permits.contains(&(place.clone(), producer.0, producer.1)) {
            return Err(ResponseError::InvalidTxnState);
        }
        let open = logs.open.entry((place, producer.0)).or_insert((producer.1, Vec::new()));
        open.1.push(batch);
        Ok(())
    }
}

impl Partitions for Memory {
    fn exists(&self, topic: &str, partition: i32) -> bool {
        topic.starts_with('t') && !self.logs().deleted.contains(topic) && (0..4).contains(&partition)
    }

    fn begin_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
    ) -> Result<(), ResponseError> {
        self.logs().permits.insert(((topic.to_owned(), partition), producer_id, epoch));
        Ok(())
    }

    fn end_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
        commit: bool,
    ) -> Result<(), ResponseError> {
        let mut logs = self.logs();
        if logs.full {
            return Err(ResponseError::KafkaStorageError);
        }
        let place = (topic.to_owned(), partition);
        logs.permits.retain(|(at, producer, _)| *at != place || *producer != producer_id);
        if let Some((_, batches)) = logs.open.remove(&(place.clone(), producer_id)) {
            logs.markers += 1;
            logs.epochs.insert((place, producer_id), epoch);
            if commit { logs.committed.extend(batches) } else { logs.aborted.extend(batches) }
        }
        Ok(())
    }

    fn open_transactions(&self) -> Vec<(String, i32, i64, i16)> {
        let logs = self.logs();
        let open = logs.open.iter();
        open.map(|(((topic, partition), producer), (epoch, _))| {
            (topic.clone(), *partition, *producer, *epoch)
        })
        .collect()
    }
}

/// A coordinator, and the time that it is told.
pub(super) struct Harness {
    directory: tempfile::TempDir,
    memory: Arc<Memory>,
    state: State,
    now_ms: i64,
}

impl Harness {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let memory = Arc::new(Memory::default());
        let state = open(directory.path(), &memory, BEGIN_MS);
        Self { directory, memory, state, now_ms: BEGIN_MS }
    }

    /// The process ends at this instant and starts again.
    fn restart(&mut self) {
        self.memory.logs().permits.clear();
        self.state = open(self.directory.path(), &self.memory, self.now_ms);
    }

    /// Time goes by, and what is due is done when it is.
    fn wait(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while let Some(next_ms) = self.state.timers.next_ms().filter(|next_ms| *next_ms <= end_ms) {
            self.now_ms = self.now_ms.max(next_ms);
            self.state.tick(self.now_ms);
        }
        self.now_ms = end_ms;
    }

    fn join(&mut self, group: &str, member: &str) -> Answer<JoinGroupResponse> {
        self.join_as(group, member, None, &["range"], 9)
    }

    fn join_as(
        &mut self,
        group: &str,
        member: &str,
        instance: Option<&str>,
        protocols: &[&str],
        version: i16,
    ) -> Answer<JoinGroupResponse> {
        let protocols = protocols.iter().map(|name| {
            let metadata = Bytes::from(subscription(&["t1"]));
            JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(metadata)
        });
        let request = JoinGroupRequest::default()
            .with_group_id(text(group).into())
            .with_member_id(text(member))
            .with_group_instance_id(instance.map(text))
            .with_session_timeout_ms(SESSION_MS as i32)
            .with_rebalance_timeout_ms(REBALANCE_MS as i32)
            .with_protocol_type(text("consumer"))
            .with_protocols(protocols.collect());
        self.state.join(&request, &context(version), self.now_ms)
    }

    /// A member id, as clients get theirs from version 4 on.
    fn promise(&mut self, group: &str) -> String {
        let response = now(self.join(group, ""));
        assert_eq!(error(response.error_code), Some(ResponseError::MemberIdRequired));
        response.member_id.to_string()
    }

    fn sync(
        &mut self,
        group: &str,
        joined: &JoinGroupResponse,
        plan: &[(&str, &str)],
    ) -> Answer<SyncGroupResponse> {
        let assignments = plan.iter().map(|(member, work)| {
            let work = Bytes::copy_from_slice(work.as_bytes());
            SyncGroupRequestAssignment::default().with_member_id(text(member)).with_assignment(work)
        });
        let request = SyncGroupRequest::default()
            .with_group_id(text(group).into())
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone())
            .with_assignments(assignments.collect());
        self.state.sync(&request, self.now_ms)
    }

    fn beat(&mut self, group: &str, member: &str, generation: i32) -> Option<ResponseError> {
        let request = HeartbeatRequest::default()
            .with_group_id(text(group).into())
            .with_member_id(text(member))
            .with_generation_id(generation);
        error(self.state.heartbeat(&request, self.now_ms).error_code)
    }

    /// A stable group of one member, which is returned as it joined.
    fn stable(&mut self, group: &str) -> JoinGroupResponse {
        let id = self.promise(group);
        let joining = self.join(group, &id);
        self.wait(DELAY_MS);
        let joined = later(joining);
        assert_eq!(joined.leader.as_str(), id);
        let synced = now(self.sync(group, &joined, &[(&id, "all")]));
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
        joined
    }
}

fn open(directory: &std::path::Path, memory: &Arc<Memory>, now_ms: i64) -> State {
    let partitions: Arc<dyn Partitions> = memory.clone();
    let mut state = State::open(&settings(), directory, partitions, now_ms).unwrap();
    state.resume(now_ms);
    state
}

fn settings() -> Settings {
    Settings {
        data_directory: "unused".into(),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        advertise: None,
        node_id: 0,
        create_topics: false,
        default_partitions: 1,
        topic_defaults: Vec::new(),
        initial_rebalance_delay: Duration::from_millis(DELAY_MS as u64),
        session_timeouts: (Duration::from_secs(1), Duration::from_secs(60)),
        offsets_retention: Duration::from_millis(DAY_MS as u64),
        longest_transaction: Duration::from_secs(900),
        producer_retention: Duration::from_millis(DAY_MS as u64),
        housekeeping: Duration::from_secs(60),
        security: Security::default(),
        limits: Limits {
            connections: 1,
            request_bytes: 1,
            requests_in_flight_bytes: 1,
            partitions: 1,
            idle_connection: Duration::from_secs(1),
        },
    }
}

fn context(api_version: i16) -> Context {
    Context {
        api_version,
        client_id: "client".to_owned(),
        client_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        principal: None,
    }
}

/// Kafka's `ConsumerProtocolSubscription`, version 0, as far as the coordinator reads it.
fn subscription(topics: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes
}

fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

/// The answer, which must be there at once.
fn now<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Now(response) => response,
        Answer::Later(_) => panic!("the request waits"),
    }
}

/// The answer, which must have come while the request waited.
fn later<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Now(_) => panic!("the request did not wait"),
        Answer::Later(mut answer) => answer.try_recv().expect("the answer has not come"),
    }
}

/// The request must be waiting still; it waits on.
fn waits<T>(answer: Answer<T>) -> Answer<T> {
    match answer {
        Answer::Now(_) => panic!("the request did not wait"),
        Answer::Later(mut answer) => {
            assert_eq!(answer.try_recv().err(), Some(tokio::sync::oneshot::error::TryRecvError::Empty));
            Answer::Later(answer)
        }
    }
}
