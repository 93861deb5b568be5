//! `produce replay`: readings from CSV and JSON Lines, at their own pace, a multiple of it, or as fast as possible.
//!
//! # Guarantee
//! Rows are sent in the order of the inputs. No row is left out in silence: a malformed one stops the replay, or is
//! counted and named if asked for; rows without any value are counted. With a position file a replay goes on behind the
//! last row before which *every* row was acknowledged. After an orderly end nothing is repeated. After a crash the rows
//! that were acknowledged after the last save, at most those of about [`SAVE_EVERY`], come a second time.
//!
//! Files are read row by row, whatever their size. As in the simulator, the record's own timestamp is the time of
//! sending: Kafka deletes by it, and old data would not live long.

mod csv;
mod error;
mod jsonl;
mod lines;
mod mapping;
mod position_file;
mod preset;
mod row;
mod source;
mod stream;
mod timestamps;
mod tracker;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka::{KafkaSettings, Outgoing, ProducerOptions};
use model::{EventTime, headers};
use runtime::Shutdown;

pub use error::ReplayError;
pub use lines::{Convert, Input};
pub use mapping::{MapItem, Mapping, MappingError, SensorId};
pub use preset::{Preset, PresetError};
pub use source::Format;
pub use timestamps::{TimeFormat, TimeFormatError};

use crate::delivery::{Outlet, Sent, Target, deliver};
use crate::error::Error;
use crate::pacing::{Pacer, Speed, Turn};
use crate::progress::Progress;
use crate::summary::{InputSummary, StoppedBy, Summary};
use position_file::PositionFile;
use stream::{Position, Record, Replay};
use tracker::Tracker;

/// How often the position is saved while the replay goes on.
pub const SAVE_EVERY: Duration = Duration::from_millis(250);

/// What happens at a malformed row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// The replay stops with an error that names the row.
    #[default]
    Stop,
    /// The row is left out, counted, and named if it is one of the first.
    Skip,
}

/// What `produce replay` does.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// The inputs, in this order.
    pub inputs: Vec<Input>,
    /// How they are written; found out for each, if not given.
    pub format: Option<Format>,
    /// The separator of CSV; found out, if not given.
    pub delimiter: Option<u8>,
    /// The data set they belong to; recognised by the columns, if not given.
    pub preset: Option<Preset>,
    /// What the columns are.
    pub mapping: Mapping,
    /// How timestamps are written.
    pub time_format: TimeFormat,
    /// The event time of the first row: all others are shifted along.
    pub start_time: Option<EventTime>,
    /// The time between rows of inputs without timestamps.
    pub step: Option<Duration>,
    /// The present, from which inputs without timestamps begin if there is no start time.
    pub now: EventTime,
    /// The pace.
    pub speed: Speed,
    /// Begin again at the end, for ever.
    pub repeat: bool,
    /// The position file.
    pub resume: Option<PathBuf>,
    /// What happens at a malformed row.
    pub on_error: OnError,
    /// The number of records after which the run ends.
    pub count: Option<u64>,
    /// The real time after which the run ends.
    pub duration: Option<Duration>,
    /// Where the readings go.
    pub target: Target,
}

impl ReplayOptions {
    /// A replay of these inputs to `target`, once, as fast as possible, with everything found out.
    pub fn new(inputs: Vec<Input>, target: Target) -> Self {
        Self {
            inputs,
            format: None,
            delimiter: None,
            preset: None,
            mapping: Mapping::default(),
            time_format: TimeFormat::Auto,
            start_time: None,
            step: None,
            now: EventTime::from_micros(runtime::now_micros()),
            speed: Speed::Max,
            repeat: false,
            resume: None,
            on_error: OnError::Stop,
            count: None,
            duration: None,
            target,
        }
    }
}

/// Replays the inputs until their end, the count, the time or `shutdown`.
pub fn run(
    options: &ReplayOptions,
    settings: &KafkaSettings,
    progress: Progress,
    shutdown: &Shutdown,
) -> Result<Summary, Error> {
    check(options)?;
    let (mut file, start) = match &options.resume {
        Some(path) => {
            let (file, start) = PositionFile::open(path, &options.inputs)?;
            (Some(file), start)
        }
        None => (None, None),
    };
    let mut replay = Replay::new(options, start);
    let tracker = Arc::new(Mutex::new(Tracker::new(replay.position())));
    let acknowledged = Arc::clone(&tracker);
    let producer_options = ProducerOptions {
        on_delivery: Some(Box::new(move |delivery| {
            if delivery.error.is_none() {
                lock(&acknowledged).acknowledged(delivery.tag);
            }
        })),
    };
    let outcome =
        deliver(&options.target, settings, producer_options, progress, shutdown, |outlet, summary| {
            let mut run = Run {
                options,
                pacer: Pacer::start(options.speed, options.duration),
                offset: Duration::ZERO,
                tracker: &tracker,
                file: &mut file,
                saved: Instant::now(),
                sent: 0,
            };
            let stopped = run.produce(&mut replay, outlet);
            summary.moved_seconds = run.pacer.schedule().moved().as_secs_f64();
            summary.max_lateness_seconds = run.pacer.schedule().max_lateness().as_secs_f64();
            let counts = replay.counts().clone();
            summary.input = Some(InputSummary { rows: run.sent, resumed: start.is_some(), ..counts });
            stopped
        });
    // Everything is acknowledged now, or never will be.
    let last_save = file.as_mut().map_or(Ok(()), |file| file.save(lock(&tracker).safe()));
    let summary = match (outcome, &last_save) {
        (Ok(summary), _) => summary,
        (Err(error), Ok(())) => return Err(error),
        (Err(error), Err(unsaved)) => {
            tracing::error!(%unsaved, "the position could not be saved either");
            return Err(error);
        }
    };
    let counts = replay.counts();
    let nothing = summary.stopped_by == StoppedBy::End && summary.accepted + counts.skipped_rows == 0;
    let verdict = if nothing && start.is_none() {
        let without_values = counts.rows_without_values > 0;
        Err(ReplayError::Nothing { inputs: stream::names(&options.inputs), without_values })
    } else {
        last_save
    };
    match verdict {
        Ok(()) => Ok(summary),
        Err(error) => Err(Error::incomplete(&error.into(), summary)),
    }
}

/// Refuses what cannot be replayed before anything is sent.
fn check(options: &ReplayOptions) -> Result<(), ReplayError> {
    if options.inputs.is_empty() {
        return Err(ReplayError::NoInput);
    }
    let needs_files = [("--loop", options.repeat), ("--resume", options.resume.is_some())];
    if let Some((option, _)) = needs_files.into_iter().find(|(_, given)| *given)
        && options.inputs.iter().any(|input| matches!(input, Input::Stdin))
    {
        return Err(ReplayError::NeedsFiles { option });
    }
    let mut seen = Vec::new();
    for input in &options.inputs {
        let path = match input {
            Input::Stdin => PathBuf::from("-"),
            Input::File(path) | Input::Converted(path, _) => {
                fs::canonicalize(path).map_err(|source| ReplayError::Open { input: input.name(), source })?
            }
        };
        if seen.contains(&path) {
            return Err(ReplayError::Twice { input: input.name() });
        }
        seen.push(path);
    }
    Ok(())
}

struct Run<'a> {
    options: &'a ReplayOptions,
    pacer: Pacer,
    /// Time from the first row to the present one, by the pace of the input.
    offset: Duration,
    tracker: &'a Mutex<Tracker<Position>>,
    file: &'a mut Option<PositionFile>,
    saved: Instant,
    sent: u64,
}

impl Run<'_> {
    fn produce(&mut self, replay: &mut Replay<'_>, outlet: &mut Outlet<'_>) -> Result<StoppedBy, Error> {
        loop {
            if self.options.count.is_some_and(|count| self.sent >= count) {
                return Ok(StoppedBy::Count);
            }
            let Some(record) = replay.next_record()? else { break };
            if self.sent > 0 {
                // The first one comes at once, also where a replay goes on after a pause.
                self.offset = self.offset.saturating_add(record.gap);
            }
            loop {
                self.save_now_and_then()?;
                match outlet.wait(&mut self.pacer, self.offset)? {
                    Turn::Due => break,
                    Turn::NotYet => {}
                    Turn::TimeUp => return Ok(StoppedBy::Duration),
                    Turn::Stopped => return Ok(outlet.stop_reason()),
                }
            }
            match self.send(&record, outlet)? {
                Sent::Taken | Sent::TakenLate => self.sent += 1,
                Sent::TimeUp => return Ok(StoppedBy::Duration),
                Sent::Stopped => return Ok(outlet.stop_reason()),
            }
        }
        // Rows at the end that gave no record are done with, too.
        lock(self.tracker).passed(replay.position());
        Ok(StoppedBy::End)
    }

    fn send(&mut self, record: &Record<'_>, outlet: &mut Outlet<'_>) -> Result<Sent, Error> {
        let tag = lock(self.tracker).sending(record.position);
        let fault = record.fault.map(|fault| (headers::FAULT, Some(fault.as_bytes())));
        let outgoing = Outgoing {
            key: Some(record.key.as_bytes()),
            value: Some(record.payload),
            headers: fault.as_slice(),
            tag,
            ..Outgoing::default()
        };
        let sent = outlet.send(&outgoing, &mut self.pacer);
        if !matches!(sent, Ok(Sent::Taken | Sent::TakenLate)) {
            lock(self.tracker).not_taken();
        }
        sent
    }

    fn save_now_and_then(&mut self) -> Result<(), Error> {
        let Some(file) = self.file else { return Ok(()) };
        if self.saved.elapsed() >= SAVE_EVERY {
            self.saved = Instant::now();
            // Not in one expression: the lock must not be held while the disk is waited for.
            let safe = lock(self.tracker).safe();
            file.save(safe)?;
        }
        Ok(())
    }
}

fn lock(tracker: &Mutex<Tracker<Position>>) -> MutexGuard<'_, Tracker<Position>> {
    // A tracker is never left half-changed, so a panic elsewhere does not spoil it.
    tracker.lock().unwrap_or_else(PoisonError::into_inner)
}
