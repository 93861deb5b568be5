//! One worker: a thread, a consumer, a producer, and the loop over the consumer's events.
//!
//! What the guarantee rests on: a partition is not given up before what was made of it is committed or thrown away;
//! nothing is open while state is read back; and after anything that went wrong every lane is thrown away and read back
//! from what was committed, so that there is one way to recover, which every start takes too.

mod held;
mod membership;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::{Batch, CommitMode, Ends, Event, Record, TopicPartition, Worker, WorkerOptions};
use model::Scratch;
use runtime::{StopReason, now_micros};
use tracing::{debug, info, warn};

use crate::driver::{Lane, Outbox, Pace};
use crate::inputs::Kind;
use crate::intake::{self, Letter};
use crate::process::Shared;
use crate::watch::Progress;
use crate::writer::{WriteError, Writer};
use crate::{Error, ProcessOptions};
use held::Held;
use membership::LEAVE_BYTES;

/// How long one wait for records lasts at most; so quickly the end that is asked for is seen.
const POLL: Duration = Duration::from_millis(100);
/// How often it is looked whether the clock has something to do.
const CLOCK_EVERY: Duration = Duration::from_millis(100);
/// How often figures are published, and lag and broker problems looked at.
const CHORES_EVERY: Duration = Duration::from_millis(500);

/// Why a worker is not ready that waits for the group.
pub(crate) const NOT_JOINED: &str = "not in the consumer group yet";

/// The name of a worker's thread, which is also its name in the readiness report.
pub(crate) fn thread_name(number: usize) -> String {
    format!("process-{number}")
}

/// Works until the end is asked for.
pub(crate) fn work(shared: &Shared, number: usize) -> Result<(), Error> {
    let mut own = Own::connect(shared, number)?;
    while !shared.shutdown.is_requested() {
        let event = own.consumer.next(own.patience())?;
        own.take(event)?;
        own.chores()?;
        if shared.end.as_ref().is_some_and(Ends::is_reached) {
            shared.shutdown.request(StopReason::Finished);
        }
    }
    own.finish()
}

/// What a worker has for itself; buffers are used again and again.
struct Own<'s> {
    shared: &'s Shared,
    number: usize,
    consumer: Worker,
    writer: Writer,
    held: Vec<Held>,
    outbox: Outbox,
    pace: Pace,
    scratch: Scratch,
    /// How often the plan had been replaced when it was looked at last.
    plan_version: u64,
    /// The timestamp of the oldest record whose effects are not committed, in milliseconds.
    oldest_ms: Option<i64>,
    counted: Progress,
    /// What of it the metrics know.
    metered: Progress,
    last_clock: Instant,
    last_chores: Instant,
    is_joined: bool,
}

impl<'s> Own<'s> {
    fn connect(shared: &'s Shared, number: usize) -> Result<Self, Error> {
        let ProcessOptions { group, max_batch, stall_timeout, commit_interval, .. } = &shared.options;
        let writer =
            Writer::connect(&shared.options, number, &shared.names, &shared.settings, &shared.shutdown)?;
        let options = WorkerOptions {
            group: group.clone(),
            topics: shared.names.inputs.clone(),
            commit: CommitMode::External,
            max_batch: max_batch.get(),
            stall_timeout: *stall_timeout,
        };
        Ok(Self {
            consumer: Worker::connect(&shared.settings, options)?,
            shared,
            number,
            writer,
            held: Vec::new(),
            outbox: Outbox::new(),
            pace: Pace::new(*commit_interval),
            scratch: Scratch::new(),
            plan_version: shared.options.plan.version(),
            oldest_ms: None,
            counted: Progress::default(),
            metered: Progress::default(),
            last_clock: Instant::now(),
            last_chores: Instant::now(),
            is_joined: false,
        })
    }

    /// How long to wait for the next event.
    fn patience(&self) -> Duration {
        self.pace.left(now_micros()).map_or(POLL, |left| left.min(POLL))
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        match self.step(event) {
            Ok(()) => Ok(()),
            Err(WriteError::GoBack(reason)) => self.go_back(&reason),
            Err(WriteError::Failed(error)) => Err(error),
        }
    }

    fn step(&mut self, event: Event) -> Result<(), WriteError> {
        let is_drained = matches!(event, Event::Idle | Event::ReachedEnd { .. });
        match event {
            Event::Records(batch) => self.batch(&batch)?,
            Event::Assigned(starts) => self.assigned(&starts)?,
            Event::Revoked(places) => self.revoked(&places)?,
            Event::Lost(places) => self.lost(&places)?,
            Event::ReachedEnd { place, offset } => self.reached_end(&place, offset),
            Event::Stalled { lag } => warn!(lag, "the consumer made no progress and was rebuilt"),
            Event::Idle => {}
        }
        self.look_at_plan();
        self.look_at_clock();
        if self.pace.wants_commit(now_micros(), is_drained) {
            self.commit()?;
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let began = Instant::now();
        let now = now_micros();
        let before = (self.outbox.alarms(), self.outbox.summaries());
        self.note_age(batch.iter().next().and_then(|record| record.timestamp_ms()));
        let mut taken = 0;
        let mut run: Option<Run<'_>> = None;
        for record in batch.iter() {
            let run = match run {
                Some(run) if run.is_of(&record) => run,
                _ => {
                    let Some(next) = self.run(&record, now) else { continue };
                    *run.insert(next)
                }
            };
            let lane = &mut self.held[run.index].lane;
            if !run.is_live {
                lane.before_input(appended(&record, now), &mut self.outbox);
            }
            let letter = match run.kind {
                Kind::Readings => {
                    let wants_sequence = run.wants_sequence;
                    reading(lane, &record, wants_sequence, &mut self.scratch, &mut self.outbox)
                }
                Kind::Events => event(lane, &record, &mut self.outbox),
            };
            match letter {
                None => taken += 1,
                Some(letter) => self.dead_letter(&record, &letter)?,
            }
        }
        self.counted.records += batch.len() as u64;
        self.counted.taken += taken;
        self.pace.moved(now);
        self.notice_output(before, now);
        self.writer.write(&mut self.outbox)?;
        self.shared.meters.batch(began);
        Ok(())
    }

    /// The lane that the records from here on belong to; it is told what time it is.
    fn run<'r>(&mut self, record: &Record<'r>, now: i64) -> Option<Run<'r>> {
        let is_of = |held: &Held| {
            let place = held.lane.place();
            place.partition == record.partition && place.topic == *record.topic
        };
        let Some(index) = self.held.iter().position(is_of) else {
            warn!(topic = %record.topic, partition = record.partition, "a record of a partition that is not held");
            return None;
        };
        let lane = &mut self.held[index].lane;
        if lane.is_live() {
            lane.before_input(now, &mut self.outbox);
        }
        Some(Run {
            topic: record.topic,
            partition: record.partition,
            index,
            kind: self.shared.names.kind(record.topic),
            wants_sequence: lane.plan().needs_sequence(),
            is_live: lane.is_live(),
        })
    }

    fn dead_letter(&mut self, record: &Record<'_>, letter: &Letter) -> Result<(), WriteError> {
        let Letter { reason, message, .. } = letter;
        debug!(partition = record.partition, offset = record.offset, reason, message, "dead letter");
        self.writer.dead_letter(record, letter)?;
        self.counted.dead_letters += 1;
        self.counted.late += u64::from(*reason == "late");
        *self.counted.dead_letters_by_reason.entry(reason).or_default() += 1;
        self.shared.meters.dead_letter(record.topic, reason);
        Ok(())
    }

    /// From here on, what was said since `before` waits for its commit.
    fn notice_output(&mut self, before: (u64, u64), now: i64) {
        if self.outbox.alarms() > before.0 {
            self.pace.alarmed(now);
        } else if self.outbox.summaries() > before.1 {
            self.pace.said(now);
        }
    }

    fn note_age(&mut self, timestamp_ms: Option<i64>) {
        self.oldest_ms = match (self.oldest_ms, timestamp_ms) {
            (Some(oldest), Some(new)) => Some(oldest.min(new)),
            (oldest, new) => oldest.or(new),
        };
    }

    fn reached_end(&mut self, place: &TopicPartition, offset: i64) {
        // Also behind transaction markers, which are no records but have offsets.
        if let Some(held) = self.held.iter_mut().find(|held| held.lane.place() == place) {
            held.lane.pass(offset);
            // At the end of what was there at the start, time does not go on: open windows stay open.
            if self.shared.end.is_none() {
                held.lane.caught_up();
            }
            if held.lane.is_changed() {
                self.pace.moved(now_micros());
            }
        }
    }

    /// Goes on under another plan, if there is one.
    fn look_at_plan(&mut self) {
        let version = self.shared.options.plan.version();
        if version == self.plan_version {
            return;
        }
        self.plan_version = version;
        let plan = self.shared.options.plan.current();
        let now = now_micros();
        for held in &mut self.held {
            held.lane.change_plan(&plan, now, &mut self.outbox);
        }
        if !self.outbox.is_empty() {
            info!(fingerprint = format!("{:016x}", plan.fingerprint()), "going on under another plan");
            self.pace.alarmed(now);
        }
    }

    /// Does what the clock has to do, also in partitions without input.
    fn look_at_clock(&mut self) {
        if self.last_clock.elapsed() < CLOCK_EVERY {
            return;
        }
        self.last_clock = Instant::now();
        let now = now_micros();
        let before = (self.outbox.alarms(), self.outbox.summaries());
        for held in &mut self.held {
            if held.lane.idle(now, &mut self.outbox) || held.lane.wants_save(now) {
                self.pace.moved(now);
            }
        }
        self.notice_output(before, now);
    }

    /// Commits what was said, the positions, and the snapshots whose turn it is.
    fn commit(&mut self) -> Result<(), WriteError> {
        let now = now_micros();
        for held in &mut self.held {
            held.lane.save(now, &mut self.outbox);
        }
        self.commit_now()
    }

    fn commit_now(&mut self) -> Result<(), WriteError> {
        self.writer.write(&mut self.outbox)?;
        let lanes = self.held.iter().map(|held| &held.lane);
        let offsets: Vec<_> = lanes.filter(|lane| lane.is_changed()).map(Lane::offset).collect();
        if offsets.is_empty() && !self.writer.is_open() {
            self.pace.done(now_micros());
            return Ok(());
        }
        let began = Instant::now();
        self.writer.commit(&offsets, &mut self.consumer)?;
        for held in &mut self.held {
            held.lane.committed();
            if let Some(end) = &self.shared.end {
                end.pass(held.lane.place(), held.lane.position());
            }
        }
        let now = now_micros();
        let waited = self.oldest_ms.take().map(|oldest| now.saturating_sub(oldest.saturating_mul(1_000)));
        let waited = waited.map(|micros| u64::try_from(micros).unwrap_or(0));
        self.counted.commits += 1;
        self.pace.done(now);
        self.shared.meters.committed(began.elapsed(), waited);
        Ok(())
    }

    /// Brings the counts of the engine up to date.
    fn count(&mut self) {
        for held in &mut self.held {
            held.count(&mut self.counted);
        }
    }

    /// Now and then: figures, lag, broker problems, other members' progress.
    fn chores(&mut self) -> Result<(), Error> {
        if self.last_chores.elapsed() < CHORES_EVERY {
            return Ok(());
        }
        self.last_chores = Instant::now();
        self.count();
        let (lag, now) = (self.consumer.lag(), now_micros());
        self.counted.partitions = self.held.iter_mut().map(|held| held.progress(&lag, now)).collect();
        self.counted.lag = self.counted.partitions.iter().map(|partition| partition.lag).sum();
        self.counted.sensors = self.held.iter_mut().map(|held| held.lane.partition().sensors() as u64).sum();
        held::look_closely(&mut self.held, &mut self.counted);
        self.counted.problem = self.consumer.broker_problem().or_else(|| self.writer.problem());
        self.publish();
        if self.number == 0 {
            self.shared.meters.state(&self.shared.figures.progress());
        }
        self.look_elsewhere()
    }

    /// Lets others see the figures.
    fn publish(&mut self) {
        self.counted.joined = self.is_joined;
        self.shared.meters.counts(&self.metered, &self.counted);
        self.metered.clone_from(&self.counted);
        self.shared.figures.of(self.number).clone_from(&self.counted);
        let name = thread_name(self.number);
        match &self.counted.problem {
            Some(problem) => self.shared.status.set_unready(&name, problem.as_str()),
            None if !self.is_joined => self.shared.status.set_unready(&name, NOT_JOINED),
            None => self.shared.status.set_ready(&name),
        }
    }

    /// With `exit_at_end`: asks the group how far it is in the partitions that other members own.
    fn look_elsewhere(&self) -> Result<(), Error> {
        match &self.shared.end {
            Some(end) if self.shared.figures.progress().joined => Ok(end.look_elsewhere(&self.consumer)?),
            _ => Ok(()),
        }
    }

    /// Commits what was processed, with the state, and leaves the group.
    fn finish(mut self) -> Result<(), Error> {
        let now = now_micros();
        for held in &mut self.held {
            held.lane.save_all(now, LEAVE_BYTES, &mut self.outbox);
        }
        match self.commit_now() {
            Ok(()) => {}
            // It is processed again by whoever gets the partitions.
            Err(WriteError::GoBack(reason)) => {
                warn!(reason, "the last commit failed");
                self.writer.go_back()?;
            }
            Err(WriteError::Failed(error)) => return Err(error),
        }
        self.count();
        self.counted.sensors = self.held.iter_mut().map(|held| held.lane.partition().sensors() as u64).sum();
        self.publish();
        Ok(self.consumer.close()?)
    }
}

/// Records that follow each other in one partition.
#[derive(Clone, Copy)]
struct Run<'r> {
    topic: &'r Arc<str>,
    partition: i32,
    index: usize,
    kind: Kind,
    wants_sequence: bool,
    is_live: bool,
}

impl Run<'_> {
    #[inline]
    fn is_of(&self, record: &Record<'_>) -> bool {
        self.partition == record.partition && Arc::ptr_eq(self.topic, record.topic)
    }
}

/// When a record was appended, in microseconds since the epoch; `now` if it does not say, or says a time to come.
#[inline]
fn appended(record: &Record<'_>, now: i64) -> i64 {
    record.timestamp_ms().map_or(now, |millis| now.min(millis.saturating_mul(1_000)))
}

/// Takes a reading in; why it is a dead letter, if it is one.
#[inline]
fn reading(
    lane: &mut Lane,
    record: &Record<'_>,
    wants_sequence: bool,
    scratch: &mut Scratch,
    outbox: &mut Outbox,
) -> Option<Letter> {
    let Some(value) = record.value else {
        lane.pass(record.offset + 1);
        return Some(Letter::without_value());
    };
    match model::decode(value, scratch) {
        Ok(reading) => Letter::of(lane.reading(&reading, intake::arrival(record, wants_sequence), outbox)),
        Err(reject) => {
            lane.pass(record.offset + 1);
            Some(Letter::undecodable(reject.reason(), &reject))
        }
    }
}

/// Takes an event in; why it is a dead letter, if it is one.
fn event(lane: &mut Lane, record: &Record<'_>, outbox: &mut Outbox) -> Option<Letter> {
    match intake::event(record) {
        Ok((event, time)) => {
            let arrival = intake::arrival(record, false);
            Letter::of(lane.event((&event.type_, &event.source), time, arrival, outbox))
        }
        Err(letter) => {
            lane.pass(record.offset + 1);
            Some(letter)
        }
    }
}
