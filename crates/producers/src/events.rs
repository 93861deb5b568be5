//! `produce events`: application events as CloudEvents (binary mode), believable in their order per entity.
//!
//! Orders are created, paid, shipped and delivered, or cancelled; users log in and out; devices come and go; errors are
//! raised and resolved. The record's key is the entity's id, so that its events stay in order. The header `sg-seq`
//! numbers the events of each entity from 1.
//!
//! - [`EventStream`]: the stream, without I/O.

mod data;
mod lifecycle;
mod stream;

use std::str::FromStr;
use std::time::{Duration, Instant};

use kafka::{KafkaSettings, Outgoing, ProducerOptions};
use model::{EventTime, headers};
use runtime::Shutdown;

pub use lifecycle::Kind;
pub use stream::{EventStream, Happening, MAX_ENTITIES, StreamOptions};

use crate::delivery::{Outlet, Sent, Target, deliver};
use crate::digits::Digits;
use crate::error::Error;
use crate::pacing::{Pacer, Speed, Turn};
use crate::progress::Progress;
use crate::summary::{StoppedBy, Summary};

/// Events a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// This many; positive and finite.
    PerSecond(f64),
    /// As many as the machine manages.
    Max,
}

/// The text is neither `max` nor a positive number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate: write \"max\" or a positive number of records a second")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            _ if text.eq_ignore_ascii_case("max") => Ok(Self::Max),
            Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(Self::PerSecond(rate)),
            _ => Err(RateError(text.to_owned())),
        }
    }
}

/// What `produce events` does.
#[derive(Debug, Clone)]
pub struct EventsOptions {
    /// What the stream is made of.
    pub stream: StreamOptions,
    /// The real time after which the run ends.
    pub duration: Option<Duration>,
    /// Where the events go.
    pub target: Target,
}

/// Options that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// No entities, or too many.
    #[error("--entities {0} is not between 1 and {MAX_ENTITIES}")]
    Entities(usize),
}

/// Produces events until the count, the time or `shutdown` ends it.
pub fn run(
    options: &EventsOptions,
    settings: &KafkaSettings,
    progress: Progress,
    shutdown: &Shutdown,
) -> Result<Summary, Error> {
    let prepared = Instant::now();
    let now = EventTime::from_micros(runtime::now_micros());
    let mut stream = EventStream::new(&options.stream, now)?;
    let follows_clock = options.stream.start_time.is_none();
    let speed = match options.stream.rate {
        Rate::PerSecond(_) => Speed::REAL,
        Rate::Max => Speed::Max,
    };
    deliver(&options.target, settings, ProducerOptions::default(), progress, shutdown, |outlet, summary| {
        let mut pacer = Pacer::start(speed, options.duration);
        if follows_clock {
            stream.sleep(prepared.elapsed());
        }
        let stopped = produce(&mut stream, follows_clock, outlet, &mut pacer, &mut summary.unsent);
        summary.moved_seconds = pacer.schedule().moved().as_secs_f64();
        summary.max_lateness_seconds = pacer.schedule().max_lateness().as_secs_f64();
        stopped
    })
}

fn produce(
    stream: &mut EventStream,
    follows_clock: bool,
    outlet: &mut Outlet<'_>,
    pacer: &mut Pacer,
    unsent: &mut u64,
) -> Result<StoppedBy, Error> {
    while let Some(due) = stream.next_due() {
        match outlet.wait(pacer, due)? {
            Turn::Due => {}
            Turn::NotYet => continue,
            Turn::TimeUp => return Ok(StoppedBy::Duration),
            Turn::Stopped => return Ok(outlet.stop_reason()),
        }
        if follows_clock {
            stream.sleep(pacer.take_moved());
        }
        if stream.is_live() {
            stream.set_now(runtime::now_micros());
        }
        let Some(happening) = stream.next_happening() else { break };
        match send(&happening, outlet, pacer)? {
            Sent::Taken | Sent::TakenLate => {}
            ended => {
                // Only the last one can find no room.
                *unsent = 1;
                return Ok(if ended == Sent::TimeUp { StoppedBy::Duration } else { outlet.stop_reason() });
            }
        }
    }
    Ok(StoppedBy::Count)
}

fn send(happening: &Happening, outlet: &mut Outlet<'_>, pacer: &mut Pacer) -> Result<Sent, Error> {
    let (attributes, value) = happening.event.to_binary();
    let digits = Digits::of(happening.sequence);
    let mut headers: Vec<(&str, Option<&[u8]>)> =
        attributes.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))).collect();
    headers.push((headers::SEQ, Some(digits.as_bytes())));
    let record = Outgoing {
        key: Some(happening.entity.as_bytes()),
        value: Some(value),
        headers: &headers,
        ..Outgoing::default()
    };
    outlet.send(&record, pacer)
}
