//! The consumer worker: one consumer of a group, owned and driven by one thread.
//!
//! ```no_run
//! # fn run(settings: &kafka::KafkaSettings, options: kafka::WorkerOptions) -> Result<(), kafka::Error> {
//! use kafka::{Event, Worker};
//! let mut worker = Worker::connect(settings, options)?;
//! loop {
//!     match worker.next(std::time::Duration::from_millis(100))? {
//!         Event::Assigned(starts) => { /* restore state */ }
//!         Event::Records(batch) => for record in batch.iter() { /* process */ },
//!         Event::Revoked(partitions) | Event::Lost(partitions) => { /* drop state */ }
//!         Event::ReachedEnd { .. } | Event::Stalled { .. } => {}
//!         Event::Idle => break,
//!     }
//! }
//! worker.close()
//! # }
//! ```
//!
//! # Guarantee: at least once
//! Calling [`Worker::next`] again says that everything handed out before has been processed. Only such offsets are
//! committed, and only after every dead letter among them has been acknowledged. After a crash the group resumes
//! from the last committed position: nothing is skipped, and what was processed after that position is seen again.
//!
//! - A revoked partition is told to the owner *before* it is given up; its position is committed in between.
//! - A lost one (the group has moved on without this member) is not committed: another member owns it.
//! - Automatic commits go out at an interval without waiting; manual ones after each batch, waiting for the answer.
//!
//! # Exactly once: positions of the owner
//! With [`CommitMode::External`] the worker commits nothing: its owner does, in a [`Transactional`](crate::Transactional)
//! together with its output or in a database of its own. On [`Event::Revoked`] the owner commits before
//! it calls [`Worker::next`] again, on [`Event::Lost`] it aborts; after any abort it calls [`Worker::rewind`].
//!
//! # The watchdog
//! A consumer that has unread records and gets none for `stall_timeout` is taken for stalled: its partitions are
//! reported as lost, the client is rebuilt, and the group resumes from the committed positions.

pub(crate) mod batch;
mod external;
mod fetched;
pub(crate) mod positions;
mod rebuild;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tracing::{debug, info, warn};

use crate::dead_letters::{DeadLetters, Rejection};
use crate::native::client::Rebalance;
use crate::native::consumer::Consumer;
use crate::settings::KafkaSettings;
use crate::{CONNECT_TIMEOUT, Error, TopicPartition};

use batch::{Batch, Record, TopicNames};
use positions::Positions;

/// How long a commit that must not be lost waits for the coordinator.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the group's committed offsets are waited for before librdkafka is left to fetch them itself.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(10);
/// How long dead letters may take to be acknowledged before a commit behind them fails.
const DEAD_LETTER_TIMEOUT: Duration = Duration::from_secs(30);

/// When offsets are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMode {
    /// Automatically, at this interval, for what has been processed by then.
    Interval(Duration),
    /// After each batch, before the next one is fetched.
    EachBatch,
    /// By the owner, with its output: the worker commits nothing. Only committed records are read, and partitions are
    /// handed over one by one (the assignor `cooperative-sticky`, if none is set).
    External,
}

/// Options of a worker beside its Kafka settings.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The consumer group.
    pub group: String,
    /// The topics it reads.
    pub topics: Vec<String>,
    /// When offsets are committed.
    pub commit: CommitMode,
    /// The most records in one batch, at least 1.
    pub max_batch: usize,
    /// How long unread records may lie without progress before the consumer is rebuilt.
    pub stall_timeout: Duration,
}

/// A partition that this worker now owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStart {
    /// The partition.
    pub place: TopicPartition,
    /// The group's committed offset, from where reading goes on; `None`: by `auto.offset.reset`.
    pub offset: Option<i64>,
    /// What was committed beside the offset; empty if nothing was.
    pub metadata: String,
}

/// How far a worker is behind in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub place: TopicPartition,
    /// The next offset to be processed.
    pub position: i64,
    /// The end of the partition, as the last fetch told it.
    pub end: i64,
}

impl PartitionLag {
    /// Offsets between position and end.
    pub fn records(&self) -> u64 {
        u64::try_from(self.end - self.position).unwrap_or(0)
    }
}

/// Everything that can wake a worker's loop.
pub enum Event {
    /// These partitions are now this worker's; their first record comes after the next call.
    Assigned(Vec<PartitionStart>),
    /// These partitions are about to go; their positions are committed at the next call, by the owner before it.
    Revoked(Vec<TopicPartition>),
    /// These partitions are gone already; nothing is committed for them.
    Lost(Vec<TopicPartition>),
    /// Records to process.
    Records(Batch),
    /// All records that a partition had were handed out; `offset` is the next one to come (it also counts the
    /// transaction markers, which are never handed out).
    ReachedEnd {
        /// The partition.
        place: TopicPartition,
        /// The offset of the next record to come.
        offset: i64,
    },
    /// The watchdog has rebuilt the consumer, which had this many unread records and made no progress.
    Stalled {
        /// Unread records in the partitions of this worker.
        lag: u64,
    },
    /// Nothing happened within the time given.
    Idle,
}

/// What has to be done before the next fetch.
enum Answer {
    Assign(Vec<PartitionStart>),
    GiveUp { places: Vec<TopicPartition>, commit: bool },
}

/// One member of a consumer group.
pub struct Worker {
    settings: KafkaSettings,
    options: WorkerOptions,
    consumer: Consumer,
    positions: Positions,
    topics: TopicNames,
    dead_letters: DeadLetters,
    answer: Option<Answer>,
    /// Events found together with an earlier one.
    waiting: VecDeque<Event>,
    paused: Vec<TopicPartition>,
    last_commit: Instant,
    last_progress: Instant,
}

impl Worker {
    /// Checks that the brokers and topics are there, and asks to join the group.
    ///
    /// # Panics
    /// If `max_batch` is 0.
    pub fn connect(settings: &KafkaSettings, options: WorkerOptions) -> Result<Self, Error> {
        settings.check()?;
        assert!(options.max_batch > 0, "a batch holds at least one record");
        let mut settings = settings.clone();
        settings.consumer.insert("group.id".into(), options.group.clone());
        if options.commit == CommitMode::External {
            external::apply(&mut settings);
        }
        let consumer = Self::join(&settings, &options)?;
        let dead_letters = DeadLetters::new(settings.clone());
        let now = Instant::now();
        Ok(Self {
            settings,
            options,
            consumer,
            positions: Positions::default(),
            topics: TopicNames::default(),
            dead_letters,
            answer: None,
            waiting: VecDeque::new(),
            paused: Vec::new(),
            last_commit: now,
            last_progress: now,
        })
    }

    fn join(settings: &KafkaSettings, options: &WorkerOptions) -> Result<Consumer, Error> {
        let consumer = Consumer::new(settings)?;
        let cluster = consumer.client().metadata(CONNECT_TIMEOUT)?;
        if let Some(topic) = options.topics.iter().find(|topic| cluster.topic(topic).is_none()) {
            let bootstrap = settings.bootstrap().to_owned();
            return Err(Error::MissingTopic { topic: topic.clone(), bootstrap });
        }
        consumer.subscribe(&options.topics).map_err(|code| {
            Error::kafka(format!("cannot subscribe to {}", options.topics.join(", ")), code)
        })?;
        Ok(consumer)
    }

    /// The next event, waiting at most `timeout` for one. What earlier events handed out counts as processed.
    pub fn next(&mut self, timeout: Duration) -> Result<Event, Error> {
        self.finish_previous()?;
        if let Some(event) = self.waiting.pop_front() {
            return Ok(event);
        }
        if let Some(event) = self.take_rebalance() {
            return Ok(event);
        }
        let batch = self.consumer.fetch(self.options.max_batch, timeout);
        if let Some(detail) = self.consumer.client().shared().fatal() {
            return Err(Error::Fatal { detail: detail.into() });
        }
        match self.sort_out(batch)? {
            Some(event) => Ok(event),
            None => match self.take_rebalance() {
                Some(event) => Ok(event),
                None => self.watch_for_stall(),
            },
        }
    }

    /// Turns a rebalance that the group has asked for into an event, answered at the next call.
    fn take_rebalance(&mut self) -> Option<Event> {
        match self.consumer.take_rebalance() {
            None => None,
            Some(Rebalance::Assign(places)) => {
                let starts = self.starts(places)?;
                info!(
                    group = self.options.group,
                    partitions = list(starts.iter().map(|start| &start.place)),
                    "partitions assigned"
                );
                self.answer = Some(Answer::Assign(starts.clone()));
                Some(Event::Assigned(starts))
            }
            Some(Rebalance::Revoke(places)) => {
                let lost = self.consumer.assignment_lost();
                info!(group = self.options.group, partitions = list(&places), lost, "partitions revoked");
                self.answer = Some(Answer::GiveUp { places: places.clone(), commit: !lost });
                Some(if lost { Event::Lost(places) } else { Event::Revoked(places) })
            }
        }
    }

    /// Where reading goes on. `None`: the coordinator did not say, and the owner needs to know; asked again at the next
    /// call, until when the group waits for the answer.
    fn starts(&self, places: Vec<TopicPartition>) -> Option<Vec<PartitionStart>> {
        match self.consumer.committed(&places, COMMITTED_TIMEOUT) {
            Ok(starts) => Some(starts),
            Err(code) if self.options.commit == CommitMode::External => {
                warn!(group = self.options.group, %code, "committed offsets not known yet, asked again");
                self.consumer.put_back(Rebalance::Assign(places));
                None
            }
            Err(code) => {
                warn!(group = self.options.group, %code, "committed offsets not known yet, the client fetches them");
                let unknown = |place| PartitionStart { place, offset: None, metadata: String::new() };
                Some(places.into_iter().map(unknown).collect())
            }
        }
    }

    /// What was handed out is processed: advance, commit if it is time, answer the group.
    fn finish_previous(&mut self) -> Result<(), Error> {
        let advanced = self.positions.finish();
        self.note_commits();
        match self.answer.take() {
            Some(Answer::Assign(starts)) => self.accept(&starts)?,
            Some(Answer::GiveUp { places, commit }) => self.give_up(&places, commit)?,
            None => {}
        }
        match self.options.commit {
            CommitMode::EachBatch if advanced => self.commit(),
            CommitMode::Interval(interval) if self.last_commit.elapsed() >= interval => self.commit_async(),
            _ => Ok(()),
        }
    }

    fn accept(&mut self, starts: &[PartitionStart]) -> Result<(), Error> {
        for start in starts {
            self.positions.begin(&start.place, start.offset);
        }
        self.last_progress = Instant::now();
        let places: Vec<_> = starts.iter().map(|start| (start.place.clone(), start.offset)).collect();
        self.consumer.assign(&places).map_err(|code| self.group_error("cannot accept partitions", code))
    }

    fn give_up(&mut self, places: &[TopicPartition], commit: bool) -> Result<(), Error> {
        if commit {
            self.commit()?;
        }
        self.forget_pauses(places)?;
        self.positions.end(places);
        self.waiting
            .retain(|event| !matches!(event, Event::ReachedEnd { place, .. } if places.contains(place)));
        self.last_progress = Instant::now();
        self.consumer.unassign(places).map_err(|code| self.group_error("cannot give partitions back", code))
    }

    /// Commits what has been processed and waits for the answer. A refusal because the group has moved on is not
    /// an error: the next owner of the partition reads those records again. Does nothing where the owner commits.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.last_commit = Instant::now();
        let offsets = self.positions.uncommitted();
        if offsets.is_empty() || self.options.commit == CommitMode::External {
            return Ok(());
        }
        self.dead_letters.settle(DEAD_LETTER_TIMEOUT)?;
        match self.consumer.commit_sync(&offsets, COMMIT_TIMEOUT) {
            Ok(()) => {
                self.positions.committed(&offsets);
                Ok(())
            }
            Err(code) => self.commit_refused(code),
        }
    }

    fn commit_async(&mut self) -> Result<(), Error> {
        self.last_commit = Instant::now();
        let offsets = self.positions.uncommitted();
        if offsets.is_empty() {
            return Ok(());
        }
        self.dead_letters.settle(DEAD_LETTER_TIMEOUT)?;
        match self.consumer.commit_async(&offsets) {
            Ok(()) => Ok(()),
            Err(code) => self.commit_refused(code),
        }
    }

    fn note_commits(&mut self) {
        for result in self.consumer.take_commits() {
            match result.error {
                None => {
                    let offsets: Vec<_> =
                        result.offsets.into_iter().filter_map(|(place, at)| Some((place, at?))).collect();
                    debug!(group = self.options.group, partitions = offsets.len(), "offsets committed");
                    self.positions.committed(&offsets);
                }
                Some(RDKafkaErrorCode::NoOffset) => {}
                Some(code) => {
                    warn!(group = self.options.group, %code, "commit failed, tried again at the next one");
                }
            }
        }
    }

    fn commit_refused(&self, code: RDKafkaErrorCode) -> Result<(), Error> {
        match code {
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::AssignmentLost => {
                info!(group = self.options.group, %code, "commit refused, the group has moved on");
                Ok(())
            }
            code => {
                let error = self.group_error("cannot commit offsets", code);
                if error.is_retryable() {
                    warn!(group = self.options.group, %code, "commit failed, tried again at the next one");
                    return Ok(());
                }
                Err(error)
            }
        }
    }

    fn group_error(&self, doing: &str, code: RDKafkaErrorCode) -> Error {
        Error::kafka(format!("{doing} in group {:?}", self.options.group), code)
    }

    /// Hands a rejected record to the dead-letter topic of its own topic, byte-exact, with its position and the
    /// reason. It is acknowledged before the offset behind it is committed.
    pub fn dead_letter(&mut self, record: &Record<'_>, rejection: &Rejection<'_>) -> Result<(), Error> {
        self.dead_letters.send(record, rejection)
    }

    /// How far behind this worker is, by what the last fetches told.
    pub fn lag(&self) -> Vec<PartitionLag> {
        let lag_of = |(place, position): (&TopicPartition, Option<i64>)| {
            let (low, end) = self.consumer.cached_watermarks(place)?;
            Some(PartitionLag { place: place.clone(), position: position.unwrap_or(low), end })
        };
        self.positions.current().filter_map(lag_of).collect()
    }

    /// The partitions that this worker owns.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.positions.current().map(|(place, _)| place)
    }

    /// What is wrong with the connection, in words, while no broker is up.
    pub fn broker_problem(&self) -> Option<String> {
        self.consumer.client().shared().problem()
    }

    /// The offsets that the group has committed, for any partitions of the worker's topics.
    pub fn committed(&self, places: &[TopicPartition]) -> Result<Vec<(TopicPartition, Option<i64>)>, Error> {
        let found = self
            .consumer
            .committed(places, COMMITTED_TIMEOUT)
            .map_err(|code| self.group_error("cannot read committed offsets", code))?;
        Ok(found.into_iter().map(|start| (start.place, start.offset)).collect())
    }

    /// First and next offset of every partition of the worker's topics.
    pub fn watermarks(&self) -> Result<Vec<(TopicPartition, i64, i64)>, Error> {
        let cluster = self.consumer.client().metadata(CONNECT_TIMEOUT)?;
        let mut found = Vec::new();
        for topic in self.options.topics.iter().filter_map(|name| cluster.topic(name)) {
            for info in &topic.partitions {
                let place = TopicPartition { topic: topic.name.as_str().into(), partition: info.partition };
                let (low, high) = self
                    .consumer
                    .watermarks(&place, CONNECT_TIMEOUT)
                    .map_err(|code| Error::kafka(format!("cannot read the end of {place}"), code))?;
                found.push((place, low, high));
            }
        }
        Ok(found)
    }

    /// Ends in order: what was handed out counts as processed, is committed, and the group is left.
    pub fn close(mut self) -> Result<(), Error> {
        self.positions.finish();
        let committed = if matches!(self.answer, Some(Answer::GiveUp { commit: false, .. })) {
            Ok(())
        } else {
            self.commit()
        };
        let left = self.consumer.close().map_err(|code| self.group_error("cannot leave the group", code));
        committed.and(left)
    }
}

/// Partitions as one word for a log line.
fn list<'a>(places: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let mut text: Vec<_> = places.into_iter().map(ToString::to_string).collect();
    text.sort_unstable();
    text.join(" ")
}

#[cfg(test)]
mod tests;
