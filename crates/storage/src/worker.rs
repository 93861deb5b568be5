//! One worker: a thread, a consumer, a sink, and the rows of its partitions on their way from one to the other.
//!
//! # Order, on which the guarantee rests
//! A partition is taken over from its last owner before its first record is asked for, and reading begins where the sink
//! says, whatever the group has committed. Rows gather; when there are enough, or they are old enough, the dead letters among
//! the records are waited for, and the sink makes rows and position durable together. Only then is the position committed to
//! the group, for those who look at its lag: nothing depends on it.
//!
//! A failure that may pass (a full disk, a database that is away) pauses the partitions; the worker stays in the group and
//! tries again. When another worker has taken a partition over, everything that is not stored is dropped and the group
//! joined again: what was dropped is read again by whoever has the partition now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka::dead_letters::Rejection;
use kafka::{
    Batch, CommitMode, Ends, Event, OffsetCommit, PartitionStart, Record, TopicPartition, Worker,
    WorkerOptions,
};
use runtime::{StopReason, now_micros};
use tracing::{debug, info, warn};

use crate::options::BadRecord;
use crate::run::Shared;
use crate::sink::{self, Sink, Span};
use crate::table::{Finished, Reject, Rows};
use crate::{Error, Table};

/// How long one wait for records lasts; so quickly the end that is asked for is seen.
const POLL: Duration = Duration::from_millis(100);
/// How often lag, broker problems and other members' progress are looked at.
const CHORES_EVERY: Duration = Duration::from_millis(500);
/// How long the first wait after a failure that may pass is; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait after a failure that may pass.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A worker that is fenced so often within this time is not one that slept.
const FENCED_OFTEN: usize = 4;
const FENCED_WITHIN: Duration = Duration::from_secs(30);
/// The stage that a dead letter names.
const STAGE: &str = "store";

/// Why a worker is not ready that waits for the group.
pub(crate) const NOT_JOINED: &str = "not in the consumer group yet";

/// The name of a worker's thread, which is also its name in the readiness report.
pub(crate) fn thread_name(number: usize) -> String {
    format!("store-{number}")
}

/// Works until the end is asked for.
pub(crate) fn work(shared: &Shared, number: usize) -> Result<(), Error> {
    let mut fenced: Vec<Instant> = Vec::new();
    let mut wait = FIRST_WAIT;
    loop {
        let began = Instant::now();
        match Session::run(shared, number) {
            Err(error @ Error::Fenced { .. }) => {
                fenced.retain(|before| before.elapsed() < FENCED_WITHIN);
                fenced.push(Instant::now());
                if fenced.len() == FENCED_OFTEN {
                    return Err(error);
                }
                warn!(%error, "joining the group again");
            }
            Err(error) if error.is_passing() && !matches!(error, Error::Kafka(_)) => {
                if began.elapsed() > LONGEST_WAIT {
                    wait = FIRST_WAIT;
                }
                warn!(%error, again_in = wait.as_secs_f64(), "cannot store for now");
                shared.meters.retry();
                shared.status.set_unready(&thread_name(number), error.to_string());
                shared.figures.of(number).problem = Some(error.to_string());
                if shared.shutdown.wait(wait) {
                    return Err(error);
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            outcome => return outcome,
        }
    }
}

/// What has gathered of one partition.
struct Partition {
    table: Table,
    rows: Rows,
    /// Rows that were finished for an attempt to store them that failed, with their stretch.
    failed: Option<(Option<Finished>, Span)>,
    /// Everything before it is stored.
    stored: i64,
    /// Records since then that were no rows.
    refused: u64,
    /// When the first of the rows, or of the refused, came.
    since: Option<Instant>,
}

/// An attempt to store that failed and may go well later.
struct Blocked {
    again_at: Instant,
    wait: Duration,
    reason: String,
}

/// One membership in the group.
struct Session<'s> {
    shared: &'s Shared,
    number: usize,
    consumer: Worker,
    sink: Box<dyn Sink>,
    partitions: BTreeMap<TopicPartition, Partition>,
    blocked: Option<Blocked>,
    last_chores: Instant,
    /// The timestamp of the last record read, in milliseconds.
    last_read_ms: Option<i64>,
}

impl<'s> Session<'s> {
    fn run(shared: &'s Shared, number: usize) -> Result<(), Error> {
        let sink = shared.sink()?;
        let options = WorkerOptions {
            group: shared.options.group.clone(),
            topics: shared.options.topics.iter().map(|stored| stored.topic.clone()).collect(),
            commit: CommitMode::External,
            max_batch: shared.options.max_batch.get(),
            stall_timeout: shared.options.stall_timeout,
        };
        let consumer = Worker::connect(&shared.settings, options)?;
        let mut session = Self {
            shared,
            number,
            consumer,
            sink,
            partitions: BTreeMap::new(),
            blocked: None,
            last_chores: Instant::now(),
            last_read_ms: None,
        };
        let worked = session.work();
        let places: Vec<_> = session.partitions.keys().cloned().collect();
        for place in &places {
            session.forget(place);
        }
        let left = session.consumer.close();
        worked.and(left.map_err(Error::from))
    }

    fn work(&mut self) -> Result<(), Error> {
        while !self.shared.shutdown.is_requested() {
            let event = self.consumer.next(POLL)?;
            self.take(event)?;
            self.store_due()?;
            self.chores()?;
            if self.shared.end.as_ref().is_some_and(Ends::is_reached) {
                self.shared.shutdown.request(StopReason::Finished);
            }
        }
        let places: Vec<_> = self.partitions.keys().cloned().collect();
        places.iter().try_for_each(|place| self.store_all(place))
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Records(batch) => self.batch(&batch)?,
            Event::Assigned(starts) => self.assigned(&starts)?,
            Event::Revoked(places) => self.revoked(&places)?,
            Event::Lost(places) => places.iter().for_each(|place| self.forget(place)),
            Event::Stalled { lag } => warn!(lag, "the consumer made no progress and was rebuilt"),
            Event::ReachedEnd { .. } | Event::Idle => {}
        }
        Ok(())
    }

    fn assigned(&mut self, starts: &[PartitionStart]) -> Result<(), Error> {
        let marks = if starts.is_empty() { Vec::new() } else { self.consumer.watermarks()? };
        for start in starts {
            let place = &start.place;
            let table = self.shared.table_of(&place.topic);
            let next = self.sink.take_over(place, table)?;
            let Some((_, low, high)) = marks.iter().find(|(of, ..)| of == place) else {
                let (topic, bootstrap) =
                    (place.topic.to_string(), self.shared.settings.bootstrap().to_owned());
                return Err(kafka::Error::MissingTopic { topic, bootstrap }.into());
            };
            let from = self.begin_at(place, next, *low, *high)?;
            info!(%place, from, stored_before = next, "storing");
            self.consumer.start_at(place, from);
            let rows = Rows::new(table, place.clone());
            let partition = Partition { table, rows, failed: None, stored: from, refused: 0, since: None };
            self.partitions.insert(place.clone(), partition);
            if let Some(end) = &self.shared.end {
                end.hold(std::iter::once(place));
                end.pass(place, from);
            }
        }
        self.shared.figures.of(self.number).joined = true;
        self.report_readiness();
        Ok(())
    }

    /// Where reading begins, by what is stored and by what the topic has.
    fn begin_at(
        &mut self,
        place: &TopicPartition,
        next: Option<i64>,
        low: i64,
        high: i64,
    ) -> Result<i64, Error> {
        sink::check(place, next, (low, high), self.shared.options.accept_gaps)?;
        let Some(next) = next else { return Ok(low) };
        if next >= low {
            return Ok(next);
        }
        let gap = low.abs_diff(next);
        warn!(%place, from = next, to = low, "retention deleted records before they were read; going on behind them");
        self.sink.store(place, None, Span { first: next, next: low, refused: 0, gap })?;
        self.shared.figures.of(self.number).gap += gap;
        Ok(low)
    }

    fn revoked(&mut self, places: &[TopicPartition]) -> Result<(), Error> {
        for place in places {
            match self.store_all(place) {
                Err(error) if error.is_passing() => {
                    warn!(%place, %error, "rows are not stored before the partition goes; its next owner reads them again");
                }
                outcome => outcome?,
            }
            self.forget(place);
        }
        Ok(())
    }

    fn forget(&mut self, place: &TopicPartition) {
        if self.partitions.remove(place).is_some() {
            self.sink.give_up(place);
            if let Some(end) = &self.shared.end {
                end.release(std::iter::once(place));
            }
            self.shared.meters.forget(place);
        }
        // A member that has given up everything is about to be told what it gets instead.
        self.shared.figures.of(self.number).joined = !self.partitions.is_empty();
        self.count_behind();
        self.report_readiness();
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), Error> {
        self.shared.meters.batch();
        let now = Instant::now();
        let mut late = Vec::new();
        let mut records = batch.iter().peekable();
        while let Some(first) = records.next() {
            let place = TopicPartition { topic: first.topic.clone(), partition: first.partition };
            // Fetched before the partition went: whoever has it now reads them.
            let Some(partition) = self.partitions.get_mut(&place) else { continue };
            partition.since.get_or_insert(now);
            let mut next = Some(first);
            while let Some(record) = next {
                if let Err(reject) = partition.rows.append(&record) {
                    refuse(self.shared, self.number, &mut self.consumer, &place, &record, &reject)?;
                    partition.refused += 1;
                }
                // Records come in runs of one partition.
                let same =
                    |record: &Record<'_>| record.partition == place.partition && *record.topic == place.topic;
                self.last_read_ms = record.timestamp_ms().or(self.last_read_ms);
                next = records.next_if(same);
            }
            if self.blocked.is_some() {
                late.push(place);
            }
        }
        // Fetched before the pause, or assigned after it.
        if late.is_empty() { Ok(()) } else { Ok(self.consumer.pause(&late)?) }
    }

    /// Stores what is large or old enough, and the largest where memory runs short.
    fn store_due(&mut self) -> Result<(), Error> {
        if self.blocked.as_ref().is_some_and(|blocked| Instant::now() < blocked.again_at) {
            return Ok(());
        }
        let (options, end) = (&self.shared.options, self.shared.end.as_ref());
        let reached: Vec<TopicPartition> = match end {
            Some(end) => self
                .consumer
                .positions()
                .filter_map(|(place, position)| Some((place, position?)))
                .filter(|(place, position)| end.is_behind(place, *position))
                .map(|(place, _)| place.clone())
                .collect(),
            None => Vec::new(),
        };
        let is_due = |place: &TopicPartition, partition: &Partition| {
            partition.failed.is_some()
                || partition.rows.len() >= options.max_rows
                || partition.since.is_some_and(|since| since.elapsed() >= options.max_age)
                || reached.contains(place)
        };
        let mut due: Vec<TopicPartition> = self
            .partitions
            .iter()
            .filter(|(place, partition)| is_due(place, partition))
            .map(|(place, _)| place.clone())
            .collect();
        let memory = options.memory / self.shared.workers;
        let bytes: usize = self.partitions.values().map(|partition| partition.rows.bytes()).sum();
        if due.is_empty() && bytes > memory {
            let largest = self.partitions.iter().max_by_key(|(_, partition)| partition.rows.bytes());
            due.extend(largest.map(|(place, _)| place.clone()));
        }
        for place in due {
            match self.store(&place) {
                Err(error) if error.is_passing() => {
                    self.block(&error)?;
                    return Ok(());
                }
                outcome => outcome?,
            }
        }
        self.unblock()
    }

    /// Stores everything that was read of a partition.
    fn store_all(&mut self, place: &TopicPartition) -> Result<(), Error> {
        if self.partitions.get(place).is_some_and(|partition| partition.failed.is_some()) {
            self.store(place)?;
        }
        self.store(place)
    }

    /// Stores what has gathered of a partition, or what could not be stored before, and commits its position for those who look at the group.
    fn store(&mut self, place: &TopicPartition) -> Result<(), Error> {
        let position =
            self.consumer.positions().find(|(of, _)| *of == place).and_then(|(_, position)| position);
        let Some(partition) = self.partitions.get_mut(place) else { return Ok(()) };
        let began = Instant::now();
        if partition.failed.is_none() {
            let span = Span {
                first: partition.stored,
                next: position.unwrap_or(partition.stored),
                refused: partition.refused,
                gap: 0,
            };
            if span.next <= span.first {
                return Ok(());
            }
            let rows = (!partition.rows.is_empty()).then(|| partition.rows.finish());
            partition.failed = Some((rows, span));
            (partition.refused, partition.since) = (0, None);
        }
        // From here to the end it is kept, so that a failure leaves it to be stored again.
        let (rows, span) = partition.failed.as_ref().expect("it was just set");
        let (table, span, count) = (partition.table, *span, rows.as_ref().map_or(0, Finished::rows) as u64);
        if span.refused > 0 {
            self.consumer.settle_dead_letters()?;
        }
        let stored = self.sink.store(place, rows.as_ref(), span)?;
        (partition.failed, partition.stored) = (None, span.next);
        self.shared.meters.stored(table.name(), count, stored, began.elapsed());
        {
            let mut own = self.shared.figures.of(self.number);
            *own.rows.entry(table).or_default() += count;
            own.files += stored.files;
            own.bytes += stored.bytes;
        }
        if let Some(end) = &self.shared.end {
            end.pass(place, span.next);
        }
        let commit = OffsetCommit { place: place.clone(), offset: span.next, metadata: String::new() };
        match self.consumer.commit_offsets(&[commit]) {
            Err(error) if !error.is_retryable() => Err(error.into()),
            Ok(_) => Ok(()),
            Err(error) => {
                debug!(%place, %error, "the group does not know yet how far storing is");
                Ok(())
            }
        }
    }

    /// After a failure that may pass: nothing more is read until storing goes well.
    fn block(&mut self, error: &Error) -> Result<(), Error> {
        self.shared.meters.retry();
        let wait = self.blocked.as_ref().map_or(FIRST_WAIT, |before| (before.wait * 2).min(LONGEST_WAIT));
        if self.blocked.is_none() {
            warn!(%error, "cannot store for now; reading pauses and storing is tried again");
            let places: Vec<_> = self.partitions.keys().cloned().collect();
            self.consumer.pause(&places)?;
        }
        self.blocked = Some(Blocked { again_at: Instant::now() + wait, wait, reason: error.to_string() });
        self.report_readiness();
        Ok(())
    }

    fn unblock(&mut self) -> Result<(), Error> {
        if self.blocked.take().is_some() {
            info!("storing goes on");
            let places: Vec<_> = self.partitions.keys().cloned().collect();
            self.consumer.resume(&places)?;
            self.report_readiness();
        }
        Ok(())
    }

    /// Now and then: lag, broker problems, other members' progress.
    fn chores(&mut self) -> Result<(), Error> {
        if self.last_chores.elapsed() < CHORES_EVERY {
            return Ok(());
        }
        self.last_chores = Instant::now();
        let all_joined = self.count_behind();
        self.report_readiness();
        self.look_elsewhere(all_joined)
    }

    /// Counts what is not read and what is not stored. Whether all workers are in the group.
    fn count_behind(&self) -> bool {
        let mut lag = self.consumer.lag();
        lag.retain(|lag| self.partitions.contains_key(&lag.place));
        let behind: u64 = lag.iter().map(kafka::PartitionLag::records).sum();
        let waiting: usize = self.partitions.values().map(|partition| partition.rows.len()).sum();
        let seconds = match self.last_read_ms {
            Some(millis) if behind > 0 => (now_micros() / 1_000).saturating_sub(millis) as f64 / 1e3,
            _ => 0.0,
        };
        {
            let mut own = self.shared.figures.of(self.number);
            (own.lag, own.waiting, own.lag_seconds) = (behind, waiting as u64, seconds.max(0.0));
        }
        let all = self.shared.figures.progress();
        self.shared.meters.behind(all.waiting, all.lag_seconds, &lag);
        all.joined
    }

    fn report_readiness(&self) {
        let name = thread_name(self.number);
        let mut own = self.shared.figures.of(self.number);
        let blocked = self.blocked.as_ref().map(|blocked| blocked.reason.clone());
        own.problem = blocked.or_else(|| self.consumer.broker_problem());
        match &own.problem {
            Some(problem) => self.shared.status.set_unready(&name, problem.as_str()),
            None if !own.joined => self.shared.status.set_unready(&name, NOT_JOINED),
            None => self.shared.status.set_ready(&name),
        }
    }

    /// With `exit_at_end`: asks the group how far it is in the partitions that other members own.
    fn look_elsewhere(&self, all_joined: bool) -> Result<(), Error> {
        match &self.shared.end {
            Some(end) if all_joined => Ok(end.look_elsewhere(&self.consumer)?),
            _ => Ok(()),
        }
    }
}

/// What becomes of a record that is no row.
fn refuse(
    shared: &Shared,
    number: usize,
    consumer: &mut Worker,
    place: &TopicPartition,
    record: &Record<'_>,
    reject: &Reject,
) -> Result<(), Error> {
    let Reject { class, message } = reject;
    if shared.options.bad_record == BadRecord::Stop {
        let (class, message) = (*class, message.clone());
        return Err(Error::BadRecord { place: place.clone(), offset: record.offset, class, message });
    }
    consumer.dead_letter(record, &Rejection { stage: STAGE, class, message })?;
    info!(topic = %place.topic, partition = place.partition, offset = record.offset, reason = class, message, "dead letter");
    *shared.figures.of(number).dead_letters.entry(class).or_default() += 1;
    shared.meters.dead_letter(&place.topic, class);
    Ok(())
}
