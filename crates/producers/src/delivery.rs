//! The way from a stream of records to acknowledgements, the same for every producer of this crate.
//!
//! # Guarantee
//! Records are sent in the order given and counted as acknowledged only when a broker said so. While the brokers are
//! away the client's bounded buffer fills; then the stream waits, for as long as it takes, and goes on without loss or
//! reordering. When the client gives a record up, the run stops. At the end, for whatever reason, the run waits for the
//! acknowledgements that are due, at most [`Target::flush_timeout`]; what is missing then is named as unacknowledged
//! and the run fails.

use std::thread;
use std::time::{Duration, Instant};

use kafka::{ErrorCode, KafkaSettings, Outgoing, Producer, ProducerOptions, Topic};
use runtime::{Shutdown, StopReason};

use crate::error::{Error, ErrorKind};
use crate::pacing::{Pacer, Turn};
use crate::progress::Progress;
use crate::summary::{StoppedBy, Summary, thousands};

/// How long the stream waits for room in the client's buffer before it looks again: short at first, because a fast
/// stream finds room again within a millisecond, then longer, because the brokers are away.
const FIRST_ROOM_WAIT: Duration = Duration::from_millis(1);
const LONGEST_ROOM_WAIT: Duration = Duration::from_millis(50);

/// Whether the client has given up a record is looked up once in so many records, and this often in a long wait.
const FAILURE_STRIDE: u32 = 64;
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// A paced stream waits this long for its first record to be acknowledged, before its clock starts.
const LONGEST_FIRST_WAIT: Duration = Duration::from_secs(2);

/// Where records go.
#[derive(Debug, Clone)]
pub struct Target {
    /// The topic; it must exist.
    pub topic: String,
    /// How long to wait for acknowledgements at the end.
    pub flush_timeout: Duration,
}

impl Target {
    /// This topic, with half a minute for the last acknowledgements.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), flush_timeout: Duration::from_secs(30) }
    }
}

/// How handing over a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The client has it.
    Taken,
    /// The client has it, but only after a wait for room.
    TakenLate,
    /// It was not taken: the run's time was up before there was room.
    TimeUp,
    /// It was not taken: the end was asked for before there was room.
    Stopped,
}

/// What a stream hands its records to.
pub(crate) struct Outlet<'a> {
    producer: &'a Producer,
    topic: &'a Topic,
    shutdown: &'a Shutdown,
    since_check: u32,
    begun: bool,
    /// When the stream began to flow.
    started: Instant,
}

impl Outlet<'_> {
    /// Hands a record over, waiting for room if need be.
    pub(crate) fn send(&mut self, record: &Outgoing<'_>, pacer: &mut Pacer) -> Result<Sent, Error> {
        let sent = self.send_when_there_is_room(record, pacer);
        if !self.begun {
            self.begun = true;
            self.begin(pacer);
        }
        sent
    }

    /// Lets the first record of a paced stream open the way before the clock starts: the client connects and gets its
    /// identity from the brokers, which takes up to half a second that no later record has to wait.
    fn begin(&mut self, pacer: &mut Pacer) {
        if pacer.is_paced() {
            let started = Instant::now();
            while self.producer.counters().in_flight() > 0
                && started.elapsed() < LONGEST_FIRST_WAIT
                && !self.shutdown.wait(FIRST_ROOM_WAIT)
            {}
            pacer.begin();
            self.started = Instant::now();
        }
    }

    fn send_when_there_is_room(&mut self, record: &Outgoing<'_>, pacer: &mut Pacer) -> Result<Sent, Error> {
        self.since_check += 1;
        if self.since_check >= FAILURE_STRIDE {
            self.check_failures()?;
        }
        if self.producer.try_send(self.topic, record)? {
            return Ok(Sent::Taken);
        }
        let mut wait = FIRST_ROOM_WAIT;
        loop {
            if self.shutdown.wait(wait) {
                return Ok(Sent::Stopped);
            }
            if pacer.check_time() {
                return Ok(Sent::TimeUp);
            }
            self.check_failures()?;
            if self.producer.try_send(self.topic, record)? {
                return Ok(Sent::TakenLate);
            }
            wait = (wait * 2).min(LONGEST_ROOM_WAIT);
        }
    }

    /// Fails if the client has given up a record.
    pub(crate) fn check_failures(&mut self) -> Result<(), Error> {
        self.since_check = 0;
        if self.producer.counters().failed > 0 {
            Err(given_up(self.producer, self.topic.name()))
        } else {
            Ok(())
        }
    }

    /// Sleeps until the record at `offset` of the schedule is due, but at most about [`LONGEST_SLEEP`]: the caller asks
    /// again if it is not due yet. A record that the client gave up in the meantime is an error.
    pub(crate) fn wait(&mut self, pacer: &mut Pacer, offset: Duration) -> Result<Turn, Error> {
        let turn = pacer.wait(offset, LONGEST_SLEEP, self.shutdown);
        if turn == Turn::NotYet {
            self.check_failures()?;
        }
        Ok(turn)
    }

    /// Why the end was asked for.
    pub(crate) fn stop_reason(&self) -> StoppedBy {
        StoppedBy::request(self.shutdown)
    }
}

/// Connects, runs `work` while progress is shown, waits for the acknowledgements, and sums up. `work` fills in what
/// only it knows of the summary, and returns why it stopped.
pub(crate) fn deliver(
    target: &Target,
    settings: &KafkaSettings,
    options: ProducerOptions,
    progress: Progress,
    shutdown: &Shutdown,
    work: impl FnOnce(&mut Outlet<'_>, &mut Summary) -> Result<StoppedBy, Error>,
) -> Result<Summary, Error> {
    let producer = Producer::start(settings, options)?;
    let topic = producer.topic(&target.topic)?;
    let mut details = Summary::default();
    let ended: Result<_, Error> = thread::scope(|scope| {
        let done = Done(Shutdown::new());
        let (followed, ended) = (&producer, done.0.clone());
        thread::Builder::new()
            .name("progress".to_owned())
            .spawn_scoped(scope, move || progress.follow(followed, &ended))
            .map_err(|source| Error::Thread { name: "progress", source })?;
        let mut outlet = Outlet {
            producer: &producer,
            topic: &topic,
            shutdown,
            since_check: 0,
            begun: false,
            started: Instant::now(),
        };
        let outcome = work(&mut outlet, &mut details);
        let flushed = producer.flush(target.flush_timeout);
        Ok((outcome, flushed, outlet.started.elapsed()))
    });
    let (outcome, flushed, elapsed) = ended?;
    let counters = producer.counters();
    let figures = Summary::new(&target.topic, counters, producer.latency(), elapsed);
    let stopped_by = *outcome.as_ref().unwrap_or(&StoppedBy::Error);
    let summary = Summary {
        stopped_by,
        unsent: details.unsent,
        faults: details.faults,
        dropped_readings: details.dropped_readings,
        moved_seconds: details.moved_seconds,
        max_lateness_seconds: details.max_lateness_seconds,
        input: details.input,
        ..figures
    };
    if let Err(error) = outcome {
        return Err(Error::incomplete(&error, summary));
    }
    if counters.failed > 0 {
        return Err(Error::incomplete(&given_up(&producer, &target.topic), summary));
    }
    match flushed {
        Ok(()) => Ok(summary),
        Err(error) => Err(Error::incomplete(&error.into(), summary)),
    }
}

/// Ends the progress thread, also when the work panics: the scope would wait for it for ever.
struct Done(Shutdown);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.request(StopReason::Finished);
    }
}

/// The error for records that the client has given up.
fn given_up(producer: &Producer, topic: &str) -> Error {
    let count = thousands(producer.counters().failed);
    let code = producer.last_failure();
    let reason = code.map_or_else(|| "no reason given".to_owned(), |code| code.to_string());
    let kind = match code {
        Some(ErrorCode::MessageTimedOut | ErrorCode::RequestTimedOut | ErrorCode::BrokerTransportFailure) => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Failure,
    };
    let detail = format!("{count} records could not be delivered to {topic:?}: {reason}");
    Error::Incomplete { detail, kind, summary: Box::default() }
}
