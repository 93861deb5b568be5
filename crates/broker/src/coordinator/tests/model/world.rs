//! The coordinator, its clients, and what they believe.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{JoinGroupResponse, LeaveGroupRequest, SyncGroupResponse};

use super::super::offsets::{commit, fetch};
use super::super::transactions::{Producer, add, add_group, end, init, send_offset};
use super::super::{BEGIN_MS, DELAY_MS, Harness, SESSION_MS, context, error};
use super::Step;
use crate::coordinator::Answer;
use crate::coordinator::entry::{Entry, GroupState, TransactionRecord, TransactionState};
use crate::coordinator::group::text;
use crate::coordinator::journal::Journal;

pub(super) const CLIENTS: usize = 3;
pub(super) const PRODUCERS: usize = 4;
const TIMEOUT_MS: i64 = 60_000;
const GROUP: &str = "g";

/// A member of the group.
#[derive(Default)]
struct Client {
    id: String,
    joining: Option<Answer<JoinGroupResponse>>,
    syncing: Option<Answer<SyncGroupResponse>>,
    joined: Option<JoinGroupResponse>,
}

/// A transactional producer; two of them share a transactional id.
#[derive(Default)]
struct Worker {
    has: Option<Producer>,
    fenced: bool,
    /// The partitions of the open transaction, and when it began.
    open: Option<(BTreeSet<i32>, i64)>,
    batches: Vec<u64>,
    offset: Option<i64>,
}

/// What a request was answered, before anybody learns it.
enum Reply {
    Join(Answer<JoinGroupResponse>),
    Sync(Answer<SyncGroupResponse>),
    Error(Option<ResponseError>),
    Init(Result<Producer, ResponseError>),
    None,
}

pub(super) struct World {
    harness: Harness,
    clients: Vec<Client>,
    workers: Vec<Worker>,
    /// The assignment of each generation, by what its leader called it.
    plans: BTreeMap<i32, String>,
    /// The committed offset.
    offset: i64,
    /// Batches whose fate was acknowledged: whether they were committed.
    fates: BTreeMap<u64, bool>,
    /// The next number that nothing has yet.
    next: i64,
}

fn transactional_id(worker: usize) -> &'static str {
    ["x", "y"][worker % 2]
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            harness: Harness::new(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            workers: (0..PRODUCERS).map(|_| Worker::default()).collect(),
            plans: BTreeMap::new(),
            offset: -1,
            fates: BTreeMap::new(),
            next: 1,
        }
    }

    /// A step whose answer is learned.
    pub(super) fn take(&mut self, step: Step) {
        let number = self.number();
        match step {
            Step::Wait(ms) => {
                self.harness.wait(ms);
                self.time_out();
            }
            Step::Rewrite => self.harness.state.rewrite().unwrap(),
            Step::Restart => self.restart(),
            Step::Transact(worker) => {
                let parts = [Step::Add(worker, 0), Step::Produce(worker, 0), Step::SendOffset(worker)];
                if self.workers[worker].has.is_none() || self.workers[worker].fenced {
                    self.take(Step::Init(worker, false));
                }
                for part in parts {
                    self.take(part);
                }
            }
            Step::Produce(worker, partition) => self.produce(worker, partition, number as u64),
            _ => {
                let reply = self.request(step, number);
                self.learn(step, number, reply);
            }
        }
        self.receive();
    }

    /// A step during which the process ends.
    pub(super) fn tear(&mut self, step: Step, kept: usize, logs_have_it: bool) {
        let number = self.number();
        let length = self.harness.state.journal.length();
        let before = self.harness.memory.logs().open.clone();
        let settled = {
            let logs = self.harness.memory.logs();
            (logs.committed.clone(), logs.aborted.clone(), logs.epochs.clone())
        };
        let old_offset = self.offset;
        drop(self.request(step, number));
        let completed = self.cut(length, kept);
        if !completed && !logs_have_it || self.harness.state.journal.length() == length {
            let mut logs = self.harness.memory.logs();
            logs.open = before;
            (logs.committed, logs.aborted, logs.epochs) = settled;
        }
        self.reopen();
        self.believe(old_offset, number);
    }

    fn number(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// Keeps so many of the entries behind `length`, at least none and at most all but the last. Whether one of those
    /// kept completes a transaction, so that all of its markers are there.
    fn cut(&mut self, length: u64, kept: usize) -> bool {
        let path = self.harness.directory.path().join("journal");
        let bytes = std::fs::read(&path).unwrap();
        let mut ends = vec![length as usize];
        let mut end = length as usize;
        while end < bytes.len() {
            end += 8 + u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
            ends.push(end);
        }
        let kept = kept.min(ends.len() - 1);
        std::fs::write(&path, &bytes[..ends[kept]]).unwrap();
        let (journal, entries) = Journal::open(self.harness.directory.path()).unwrap();
        self.harness.state.journal = journal;
        let news = &entries[entries.len() - kept..];
        news.iter().any(|entry| matches!(entry, Entry::TransactionCompleted { .. }))
    }

    fn restart(&mut self) {
        let transactions = self.harness.state.transactions.clone();
        let generation = self.harness.state.groups.get(GROUP).map(|group| group.generation);
        self.reopen();
        assert_eq!(self.harness.state.transactions, transactions);
        let offset = fetch(&self.harness, GROUP, "t1", 0);
        assert_eq!(offset, self.offset);
        let again = self.harness.state.groups.get(GROUP).map(|group| group.generation);
        // A group that only promises were made for is not in the journal.
        assert_eq!(again.unwrap_or(0), generation.unwrap_or(0));
    }

    fn reopen(&mut self) {
        self.harness.restart();
        for client in &mut self.clients {
            (client.joining, client.syncing) = (None, None);
        }
    }

    fn request(&mut self, step: Step, number: i64) -> Reply {
        let harness = &mut self.harness;
        match step {
            Step::Join(client) => Reply::Join(harness.join(GROUP, &self.clients[client].id)),
            Step::Sync(client) => match &self.clients[client].joined {
                Some(joined) => {
                    let plan = format!("plan {number}");
                    let members =
                        joined.members.iter().map(|member| (member.member_id.as_str(), plan.as_str()));
                    Reply::Sync(harness.sync(GROUP, joined, &members.collect::<Vec<_>>()))
                }
                None => Reply::None,
            },
            Step::Beat(client) => match &self.clients[client].joined {
                Some(joined) => Reply::Error(harness.beat(GROUP, &joined.member_id, joined.generation_id)),
                None => Reply::None,
            },
            Step::Leave(client) => {
                let request = LeaveGroupRequest::default()
                    .with_group_id(text(GROUP).into())
                    .with_member_id(text(&self.clients[client].id));
                Reply::Error(error(harness.state.leave(&request, &context(2), harness.now_ms).error_code))
            }
            Step::Commit(client) => {
                let joined = self.clients[client].joined.as_ref();
                let member =
                    joined.map_or(("", -1), |joined| (joined.member_id.as_str(), joined.generation_id));
                Reply::Error(commit(harness, GROUP, member, ("t1", 0), number))
            }
            Step::Init(worker, goes_on) => {
                let has = self.workers[worker].has.filter(|_| goes_on);
                Reply::Init(init(harness, transactional_id(worker), has))
            }
            Step::Add(worker, partition) => match self.workers[worker].has {
                Some(has) => Reply::Error(add(harness, transactional_id(worker), has, ("t1", partition))),
                None => Reply::None,
            },
            Step::SendOffset(worker) => match self.workers[worker].has {
                Some(has) => {
                    let id = transactional_id(worker);
                    let added = add_group(harness, id, has, GROUP);
                    Reply::Error(added.or_else(|| send_offset(harness, id, has, (GROUP, "", -1), number)))
                }
                None => Reply::None,
            },
            Step::End(worker, commit) => match self.workers[worker].has {
                Some(has) => Reply::Error(end(harness, transactional_id(worker), has, commit)),
                None => Reply::None,
            },
            Step::Produce(..) | Step::Transact(_) | Step::Wait(_) | Step::Rewrite | Step::Restart => {
                Reply::None
            }
        }
    }

    fn learn(&mut self, step: Step, number: i64, reply: Reply) {
        match (step, reply) {
            (Step::Join(client), Reply::Join(answer)) => self.clients[client].joining = Some(answer),
            (Step::Sync(client), Reply::Sync(answer)) => self.clients[client].syncing = Some(answer),
            (Step::Leave(client), Reply::Error(None)) => self.clients[client] = Client::default(),
            (Step::Beat(client), Reply::Error(Some(ResponseError::UnknownMemberId))) => {
                self.clients[client] = Client::default();
            }
            (Step::Commit(_), Reply::Error(None)) => self.offset = number,
            (Step::Init(worker, _), Reply::Init(Ok(has))) => self.initialised(worker, has),
            (Step::Add(worker, partition), Reply::Error(result)) => {
                self.allowed(worker, result);
                if result.is_none() {
                    self.opens(worker).insert(partition);
                }
            }
            (Step::SendOffset(worker), Reply::Error(result)) => {
                self.allowed(worker, result);
                if result.is_none() {
                    self.opens(worker);
                    self.workers[worker].offset = Some(number);
                }
            }
            (Step::End(worker, commit), Reply::Error(None)) => {
                self.allowed(worker, None);
                self.ended(worker, commit);
            }
            _ => {}
        }
    }

    /// A fenced producer never succeeds, and any other one always.
    fn allowed(&self, worker: usize, result: Option<ResponseError>) {
        assert_eq!(self.workers[worker].fenced, result.is_some(), "{result:?}");
    }

    fn opens(&mut self, worker: usize) -> &mut BTreeSet<i32> {
        let now_ms = self.harness.now_ms;
        &mut self.workers[worker].open.get_or_insert((BTreeSet::new(), now_ms)).0
    }

    /// The worker has a new epoch: the other one of its id is fenced, and what was open is aborted.
    fn initialised(&mut self, worker: usize, has: Producer) {
        for other in (0..PRODUCERS).filter(|other| other % 2 == worker % 2) {
            self.ended(other, false);
            self.workers[other].fenced = true;
        }
        self.workers[worker] = Worker { has: Some(has), ..Worker::default() };
    }

    fn ended(&mut self, worker: usize, commit: bool) {
        let worker = &mut self.workers[worker];
        worker.open = None;
        self.fates.extend(worker.batches.drain(..).map(|batch| (batch, commit)));
        if let Some(offset) = worker.offset.take().filter(|_| commit) {
            self.offset = offset;
        }
    }

    fn produce(&mut self, worker: usize, partition: i32, batch: u64) {
        let Some(has) = self.workers[worker].has else { return };
        let produced = self.harness.memory.produce("t1", partition, has, batch);
        let worker = &mut self.workers[worker];
        let open = worker.open.as_ref().is_some_and(|(partitions, _)| partitions.contains(&partition));
        assert_eq!(produced.is_ok(), open && !worker.fenced);
        if produced.is_ok() {
            worker.batches.push(batch);
        }
    }

    fn time_out(&mut self) {
        for worker in 0..PRODUCERS {
            let began_ms = self.workers[worker].open.as_ref().map(|(_, began_ms)| *began_ms);
            if began_ms.is_some_and(|began_ms| began_ms + TIMEOUT_MS <= self.harness.now_ms) {
                self.ended(worker, false);
                self.workers[worker].fenced = true;
            }
        }
    }

    /// Takes the answers that have come.
    fn receive(&mut self) {
        for index in 0..CLIENTS {
            if let Some(answer) = self.clients[index].joining.take() {
                match poll(answer) {
                    Ok(response) => self.joined(index, response),
                    Err(answer) => self.clients[index].joining = answer,
                }
            }
            if let Some(answer) = self.clients[index].syncing.take() {
                match poll(answer) {
                    Ok(response) => self.synced(index, &response),
                    Err(answer) => self.clients[index].syncing = answer,
                }
            }
        }
    }

    fn joined(&mut self, client: usize, response: JoinGroupResponse) {
        let client = &mut self.clients[client];
        client.joined = None;
        match error(response.error_code) {
            None => {
                client.id = response.member_id.to_string();
                client.joined = Some(response);
            }
            Some(ResponseError::MemberIdRequired) => client.id = response.member_id.to_string(),
            Some(ResponseError::UnknownMemberId) => client.id = String::new(),
            Some(_) => {}
        }
    }

    fn synced(&mut self, client: usize, response: &SyncGroupResponse) {
        if response.error_code != 0 {
            return;
        }
        let Some(generation) = self.clients[client].joined.as_ref().map(|joined| joined.generation_id) else {
            return;
        };
        let plan = String::from_utf8(response.assignment.to_vec()).unwrap();
        let first = self.plans.entry(generation).or_insert(plan.clone());
        assert_eq!(*first, plan, "generation {generation} has two assignments");
    }

    /// After an answer was lost: whatever is true now must be one of the two things that could be.
    fn believe(&mut self, old_offset: i64, number: i64) {
        let actual = fetch(&self.harness, GROUP, "t1", 0);
        let sent: Vec<i64> = self.workers.iter().filter_map(|worker| worker.offset).collect();
        let possible = actual == old_offset || actual == number || sent.contains(&actual);
        assert!(possible, "the offset is {actual}, which is none of {old_offset}, {number}, {sent:?}");
        for index in 0..PRODUCERS {
            let Some(has) = self.workers[index].has else { continue };
            let record = self.harness.state.transactions[transactional_id(index)].clone();
            let worker = &mut self.workers[index];
            worker.fenced |= (record.producer_id, record.epoch) != has;
            if worker.fenced || record.state != TransactionState::Ongoing {
                let logs = self.harness.memory.logs();
                let committed = worker.batches.first().map(|batch| logs.committed.contains(batch));
                drop(logs);
                let counts = committed.or(worker.offset.map(|offset| offset == actual)).unwrap_or(false);
                if let Some(offset) = worker.offset {
                    assert_eq!(
                        offset == actual,
                        counts,
                        "the offset and the batches of a transaction disagree"
                    );
                }
                self.ended(index, counts);
            } else {
                let partitions = record.partitions.get("t1").cloned().unwrap_or_default();
                worker.open = Some((partitions, record.started_ms));
                let pending =
                    self.harness.state.groups.get(GROUP).and_then(|group| group.pending.get(&has.0));
                worker.offset =
                    pending.and_then(|pending| pending.get("t1", 0)).map(|committed| committed.offset);
            }
        }
        self.offset = actual;
    }

    /// What holds after every step.
    pub(super) fn check(&mut self) {
        assert_eq!(fetch(&self.harness, GROUP, "t1", 0), self.offset);
        let logs = self.harness.memory.logs();
        for (batch, committed) in &self.fates {
            assert_eq!(
                (logs.committed.contains(batch), logs.aborted.contains(batch)),
                (*committed, !*committed)
            );
        }
        drop(logs);
        let state = &self.harness.state;
        // The logs of the model never fail, so a decision is always carried out.
        assert!(state.transactions.values().all(|transaction| transaction.decided().is_none()));
        let next_ms = state.timers.next_ms().unwrap_or(i64::MAX);
        assert!(
            state
                .transactions
                .values()
                .filter_map(TransactionRecord::times_out_ms)
                .all(|at_ms| next_ms <= at_ms)
        );
        let Some(group) = state.groups.get(GROUP) else {
            self.plans.clear();
            return;
        };
        assert!(group.next_deadline_ms().is_none_or(|at_ms| next_ms <= at_ms), "nobody watches the group");
        let preparing = group.state == GroupState::PreparingRebalance;
        assert_eq!(group.joining.is_some(), preparing);
        assert!(preparing || group.waiting() == 0);
        assert!(preparing || group.members.is_empty() == (group.state == GroupState::Empty));
        assert!(group.unsynced.iter().all(|id| group.members.contains_key(id)));
        assert!(group.leader.as_ref().is_none_or(|leader| group.members.contains_key(leader)));
        let syncing = group.members.values().any(|member| member.syncing.is_some());
        assert!(!syncing || group.state == GroupState::CompletingRebalance);
    }

    /// Everybody does as a client should, and all comes to a good end.
    pub(super) fn finish(mut self) {
        for _ in 0..20 {
            for client in 0..CLIENTS {
                self.take(Step::Beat(client));
                let member = &self.clients[client];
                let idle = member.joining.is_none() && member.syncing.is_none();
                let generation =
                    self.harness.state.groups.get(GROUP).map(|group| (group.generation, group.state));
                let current = member.joined.as_ref().map(|joined| joined.generation_id);
                match generation {
                    Some((_, GroupState::Stable))
                        if current.is_some() && current == generation.map(|now| now.0) => {}
                    Some((now, GroupState::CompletingRebalance)) if idle && current == Some(now) => {
                        self.take(Step::Sync(client));
                    }
                    _ if idle => self.take(Step::Join(client)),
                    _ => {}
                }
            }
            self.take(Step::Wait(DELAY_MS.max(SESSION_MS / 3)));
            self.check();
        }
        let group = &self.harness.state.groups[GROUP];
        assert_eq!((group.state, group.members.len()), (GroupState::Stable, CLIENTS));
        self.take(Step::Wait(TIMEOUT_MS));
        assert!(self.harness.memory.logs().open.is_empty());
        assert!(self.workers.iter().all(|worker| worker.open.is_none()));
        assert!(self.harness.now_ms > BEGIN_MS);
    }
}

/// The answer, if it has come; a member that was removed while it waited is unknown.
fn poll<T: Default + Refusal>(answer: Answer<T>) -> Result<T, Option<Answer<T>>> {
    use tokio::sync::oneshot::error::TryRecvError;
    match answer {
        Answer::Now(response) => Ok(response),
        Answer::Later(mut answer) => match answer.try_recv() {
            Ok(response) => Ok(response),
            Err(TryRecvError::Empty) => Err(Some(Answer::Later(answer))),
            Err(TryRecvError::Closed) => Ok(T::unknown()),
        },
    }
}

/// How a removed member is told.
trait Refusal {
    fn unknown() -> Self;
}

impl Refusal for JoinGroupResponse {
    fn unknown() -> Self {
        Self::default().with_error_code(ResponseError::UnknownMemberId.code())
    }
}

impl Refusal for SyncGroupResponse {
    fn unknown() -> Self {
        Self::default().with_error_code(ResponseError::UnknownMemberId.code())
    }
}
