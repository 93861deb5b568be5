//! One worker: a thread, a consumer, and the loop over the consumer's events.
//!
//! Order within a batch, on which the guarantee rests: statistics (under the tally's lock), lines, dead letters, and
//! only then the next call of [`Worker::next`], which may commit. A batch whose lines found no reader is never
//! followed by that call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{Outcome, SensorTable};
use kafka::dead_letters::Rejection;
use kafka::{Batch, Event, PartitionStart, Record, TopicPartition, Worker, WorkerOptions};
use model::{Reading, Reject, Scratch};
use runtime::{StopReason, now_micros};
use tracing::{debug, info, warn};

use super::end::End;
use super::lines::{self, Place};
use super::tally::Tally;
use super::{AnalyzeOptions, Error, Format, NULL_VALUE, Shared, Show};

/// How long one wait for records lasts; so quickly the end that is asked for is seen.
const POLL: Duration = Duration::from_millis(100);
/// How often lag, broker problems and other members' progress are looked at.
const CHORES_EVERY: Duration = Duration::from_millis(500);

/// Why a worker is not ready that waits for the group.
pub(super) const NOT_JOINED: &str = "not in the consumer group yet";
/// The stage that a dead letter names.
const STAGE: &str = "decode";

/// The name of a worker's thread, which is also its name in the readiness report.
pub(super) fn thread_name(number: usize) -> String {
    format!("analyze-{number}")
}

/// Works until the end is asked for.
pub(super) fn work(shared: &Shared, number: usize) -> Result<(), Error> {
    let options = WorkerOptions {
        group: shared.options.group.clone(),
        topics: vec![shared.options.topic.clone()],
        commit: shared.options.commit,
        max_batch: shared.options.max_batch.get(),
        stall_timeout: shared.options.stall_timeout,
    };
    let mut consumer = Worker::connect(&shared.settings, options)?;
    let mut own = Own::new(shared, number);
    while !shared.shutdown.is_requested() {
        let event = consumer.next(POLL)?;
        if own.take(&mut consumer, event)? == Flow::OutputClosed {
            info!("standard output was closed, ending without committing its last batch");
            shared.shutdown.request(StopReason::Finished);
            // Commits what came before that batch. Dropping the consumer instead of closing it leaves the batch.
            return Ok(consumer.commit()?);
        }
        own.chores(&consumer)?;
        if shared.end.as_ref().is_some_and(End::is_reached) {
            shared.shutdown.request(StopReason::Finished);
        }
    }
    Ok(consumer.close()?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    GoOn,
    OutputClosed,
}

/// What a worker has for itself; buffers are reused from batch to batch.
struct Own<'s> {
    shared: &'s Shared,
    number: usize,
    scratch: Scratch,
    lines: Vec<u8>,
    rejected: Vec<Rejected>,
    last_chores: Instant,
}

/// A record that is no reading: its index in the batch, and why.
struct Rejected {
    index: usize,
    reason: &'static str,
    message: String,
}

impl<'s> Own<'s> {
    fn new(shared: &'s Shared, number: usize) -> Self {
        Self {
            shared,
            number,
            scratch: Scratch::new(),
            lines: Vec::new(),
            rejected: Vec::new(),
            last_chores: Instant::now(),
        }
    }

    fn take(&mut self, consumer: &mut Worker, event: Event) -> Result<Flow, Error> {
        match event {
            Event::Records(batch) => return self.batch(consumer, &batch),
            Event::Assigned(starts) => self.assigned(&starts),
            Event::Revoked(places) | Event::Lost(places) => self.gone(&places),
            Event::ReachedEnd { place, offset } => self.reached_end(place.partition, offset),
            Event::Stalled { lag } => warn!(lag, "the consumer made no progress and was rebuilt"),
            Event::Idle => {}
        }
        Ok(Flow::GoOn)
    }

    fn assigned(&mut self, starts: &[PartitionStart]) {
        let mut tally = self.shared.tally(self.number);
        let mut archive = self.shared.archive();
        for start in starts {
            let partition = start.place.partition;
            let held = archive.enter(partition, start.offset);
            tally.begin(held).into_iter().for_each(|before| archive.leave(before));
            if let (Some(end), Some(offset)) = (&self.shared.end, start.offset) {
                end.pass(partition, offset);
            }
        }
        tally.joined = true;
        self.report_readiness(&tally);
    }

    fn gone(&mut self, places: &[TopicPartition]) {
        let mut tally = self.shared.tally(self.number);
        let mut archive = self.shared.archive();
        for place in places {
            tally.end(place.partition).into_iter().for_each(|held| archive.leave(held));
        }
        tally.lag.retain(|lag| !places.contains(&lag.place));
        // A member that has given up everything is about to be told what it gets instead.
        tally.joined = !tally.partitions().is_empty();
        self.report_readiness(&tally);
        self.shared.meters.forget(places);
    }

    fn reached_end(&self, partition: i32, next: i64) {
        // Also behind transaction markers, which are no records but have offsets.
        self.shared.tally(self.number).of(partition).next = Some(next);
        self.pass(partition, next);
    }

    fn pass(&self, partition: i32, next: i64) {
        if let Some(end) = &self.shared.end {
            end.pass(partition, next);
        }
    }

    fn batch(&mut self, consumer: &mut Worker, batch: &Batch) -> Result<Flow, Error> {
        let began = Instant::now();
        let arrived = now_micros();
        let mut tally = self.shared.tally(self.number);
        let before = tally.totals();
        for (index, record) in batch.iter().enumerate() {
            self.record(&mut tally, index, &record, arrived);
        }
        let after = tally.totals();
        drop(tally);

        self.shared.meters.batch(began, &before, &after, latency_micros(batch));
        let written = self.shared.output.write(&self.lines)?;
        self.lines.clear();
        if !written {
            return Ok(Flow::OutputClosed);
        }
        self.dead_letters(consumer, batch)?;
        self.pass_all(batch);
        Ok(Flow::GoOn)
    }

    /// One record into the statistics and the lines.
    #[inline]
    fn record(&mut self, tally: &mut Tally, index: usize, record: &Record<'_>, arrived: i64) {
        let held = tally.of(record.partition);
        held.next = Some(record.offset + 1);
        let Some(value) = record.value else {
            return self.rejected.push(Rejected::without_value(index));
        };
        let reading = match model::decode(value, &mut self.scratch) {
            Ok(reading) => reading,
            Err(reject) => return self.rejected.push(Rejected::new(index, &reject)),
        };
        let place = Place { partition: record.partition, offset: record.offset };
        let outcome = held.table.update(&reading);
        let high_temperature = outcome.high_temperature;
        write_lines(&self.shared.options, &reading, &outcome, place, &mut self.lines);
        if let Some(temperature) = high_temperature {
            tally.remember(&reading, temperature, arrived);
        }
    }

    /// Hands what was rejected to the dead-letter topic and counts it.
    fn dead_letters(&mut self, consumer: &mut Worker, batch: &Batch) -> Result<(), Error> {
        let mut rejected = self.rejected.drain(..).peekable();
        for (index, record) in batch.iter().enumerate() {
            let Some(Rejected { reason, message, .. }) = rejected.next_if(|rejected| rejected.index == index)
            else {
                continue;
            };
            consumer.dead_letter(&record, &Rejection { stage: STAGE, class: reason, message: &message })?;
            debug!(partition = record.partition, offset = record.offset, reason, message, "dead letter");
            *self.shared.tally(self.number).dead_letters.entry(reason).or_default() += 1;
            self.shared.meters.dead_letter(reason);
        }
        Ok(())
    }

    /// Tells how far each partition of the batch is processed.
    fn pass_all(&self, batch: &Batch) {
        if self.shared.end.is_none() {
            return;
        }
        // Records come in runs of one partition: only the last of a run tells something new.
        let mut records = batch.iter().peekable();
        while let Some(record) = records.next() {
            if records.peek().is_none_or(|next| next.partition != record.partition) {
                self.pass(record.partition, record.offset + 1);
            }
        }
    }

    /// Now and then: lag, broker problems, other members' progress.
    fn chores(&mut self, consumer: &Worker) -> Result<(), Error> {
        if self.last_chores.elapsed() < CHORES_EVERY {
            return Ok(());
        }
        self.last_chores = Instant::now();
        let (lag, problem) = (consumer.lag(), consumer.broker_problem());
        self.shared.meters.lag(&lag);
        let mut tally = self.shared.tally(self.number);
        tally.lag = lag;
        tally.problem = problem;
        self.report_readiness(&tally);
        drop(tally);
        let sensors = |tally: &Tally| tally.tables().map(SensorTable::len).sum::<usize>();
        self.shared.meters.sensors(self.shared.tallies().map(|tally| sensors(&tally)).sum());
        self.look_elsewhere(consumer)
    }

    fn report_readiness(&self, tally: &Tally) {
        let name = thread_name(self.number);
        match &tally.problem {
            Some(problem) => self.shared.status.set_unready(&name, problem.as_str()),
            None if !tally.joined => self.shared.status.set_unready(&name, NOT_JOINED),
            None => self.shared.status.set_ready(&name),
        }
    }

    /// With `exit_at_end`: asks the group how far it is in the partitions that other members own.
    fn look_elsewhere(&self, consumer: &Worker) -> Result<(), Error> {
        let Some(end) = &self.shared.end else { return Ok(()) };
        if !self.shared.tallies().all(|tally| tally.joined) {
            return Ok(());
        }
        let held: Vec<i32> = self.shared.tallies().flat_map(|tally| tally.partitions()).collect();
        let elsewhere = end.open_elsewhere(|partition| held.contains(&partition));
        if elsewhere.is_empty() {
            return Ok(());
        }
        let topic: Arc<str> = self.shared.options.topic.as_str().into();
        let place = |partition| TopicPartition { topic: Arc::clone(&topic), partition };
        let places: Vec<TopicPartition> = elsewhere.into_iter().map(place).collect();
        match consumer.committed(&places) {
            Ok(committed) => {
                let known =
                    committed.into_iter().filter_map(|(place, offset)| Some((place.partition, offset?)));
                known.for_each(|(partition, offset)| end.pass(partition, offset));
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                warn!(%error, "the group's progress in other partitions is not known, asking again");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Rejected {
    fn new(index: usize, reject: &Reject) -> Self {
        Self { index, reason: reject.reason(), message: reject.to_string() }
    }

    fn without_value(index: usize) -> Self {
        Self { index, reason: NULL_VALUE, message: "the record has no value".to_owned() }
    }
}

/// From the timestamp of the batch's first record, which waited longest, until now; `None` without timestamp, 0 if
/// it lies in the future.
fn latency_micros(batch: &Batch) -> Option<u64> {
    let appended = batch.iter().next()?.timestamp_ms()?.saturating_mul(1_000);
    Some(u64::try_from(now_micros().saturating_sub(appended)).unwrap_or(0))
}

fn write_lines(
    options: &AnalyzeOptions,
    reading: &Reading<'_>,
    outcome: &Outcome<'_>,
    place: Place,
    out: &mut Vec<u8>,
) {
    let bound = options.high_temperature;
    match (options.show, outcome.high_temperature) {
        (Show::Readings(Format::Text), _) => lines::reading_text(reading, outcome, bound, out),
        (Show::Readings(Format::Json), _) => lines::reading_json(reading, outcome, place, out),
        (Show::Alerts(Format::Text), Some(celsius)) => lines::alert_text(reading, celsius, bound, place, out),
        (Show::Alerts(Format::Json), Some(celsius)) => lines::alert_json(reading, celsius, bound, place, out),
        (Show::Alerts(_), None) | (Show::Table(_) | Show::Nothing, _) => {}
    }
}
