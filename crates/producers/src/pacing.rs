//! When a record is due: the schedule of a stream in simulated time, turned into real time.
//!
//! Every record has an *offset*: simulated time since the stream began. At speed *s* it is due `offset / s` after the
//! real start, by a monotonic clock. Each due time comes from its offset and never from the record before it, so
//! nothing adds up over a long run. A record is never early. It may be late by [`COALESCE`], because waits are rounded
//! up to that: at 100,000 records a second a wait serves a hundred records instead of one.
//!
//! A stream that was held up (the broker was away) catches up at full speed, but not for ever: what lies more than
//! [`MAX_CATCH_UP`] behind moves the rest of the schedule, and that is reported.

use std::str::FromStr;
use std::time::{Duration, Instant};

use runtime::Shutdown;

/// The shortest wait, and thereby the most that a record of an undisturbed stream can be late.
pub const COALESCE: Duration = Duration::from_millis(1);

/// How much of a held-up schedule is made good at full speed.
pub const MAX_CATCH_UP: Duration = Duration::from_mins(1);

/// How long after its time a run may go on to send what was due in time.
pub const OVERTIME: Duration = Duration::from_secs(1);

/// A stream that does not wait reads the clock only once in so many records.
const CLOCK_STRIDE: u32 = 64;

/// Seconds of simulated time that pass in a second of real time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// This many; positive and finite.
    Times(f64),
    /// As many as the machine manages: nothing waits.
    Max,
}

impl Speed {
    /// Real time.
    pub const REAL: Self = Self::Times(1.0);
}

/// The text is neither `max` nor a positive number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a speed: write \"max\" or a positive number, for instance 60 for a minute a second")]
pub struct SpeedError(String);

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err(SpeedError(text.to_owned())),
        }
    }
}

/// What to do with a record whose offset was given to [`Schedule::decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is due.
    Now,
    /// Wait this long, at least [`COALESCE`], then ask again.
    Wait(Duration),
}

/// The pure part of pacing: offsets and the time since the start in, decisions out.
#[derive(Debug, Clone)]
pub struct Schedule {
    speed: Speed,
    /// Real seconds by which the schedule was moved because too much had to be caught up.
    moved: Duration,
    max_lateness: Duration,
}

impl Schedule {
    /// A schedule that starts at elapsed time zero with offset zero.
    pub fn new(speed: Speed) -> Self {
        Self { speed, moved: Duration::ZERO, max_lateness: Duration::ZERO }
    }

    /// Real time from the start until the record at `offset` is due; `None` if nothing ever waits.
    pub fn due(&self, offset: Duration) -> Option<Duration> {
        match self.speed {
            Speed::Max => None,
            // Real time stays in integers, so that a run of years is exact to the nanosecond.
            Speed::Times(1.0) => Some(offset.saturating_add(self.moved)),
            Speed::Times(times) => Some(
                Duration::try_from_secs_f64(offset.as_secs_f64() / times)
                    .unwrap_or(Duration::MAX)
                    .saturating_add(self.moved),
            ),
        }
    }

    /// Decides on the record at `offset` when `elapsed` has passed since the start.
    pub fn decide(&mut self, offset: Duration, elapsed: Duration) -> Decision {
        let Some(due) = self.due(offset) else { return Decision::Now };
        let Some(lateness) = elapsed.checked_sub(due) else {
            return Decision::Wait(due.saturating_sub(elapsed).max(COALESCE));
        };
        self.max_lateness = self.max_lateness.max(lateness);
        if lateness > MAX_CATCH_UP {
            self.moved += lateness;
        }
        Decision::Now
    }

    /// How far the schedule was moved altogether, because it lay more than [`MAX_CATCH_UP`] behind.
    pub fn moved(&self) -> Duration {
        self.moved
    }

    /// The most that a record was late.
    pub fn max_lateness(&self) -> Duration {
        self.max_lateness
    }
}

/// How a wait for a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The record is due.
    Due,
    /// It is not, but the longest wait allowed is over.
    NotYet,
    /// The run's time is up.
    TimeUp,
    /// Somebody asked for the end.
    Stopped,
}

/// A [`Schedule`] with the clock, the run's time limit, and waits that a shutdown ends.
#[derive(Debug)]
pub(crate) struct Pacer {
    schedule: Schedule,
    started: Instant,
    limit: Option<Duration>,
    /// The clock as last read; a record that was due by then needs no new look.
    elapsed: Duration,
    unread: u32,
    /// How far the schedule was moved since somebody asked.
    moved: Duration,
}

impl Pacer {
    /// Starts the clock. With a `limit` the run is over that long after.
    pub(crate) fn start(speed: Speed, limit: Option<Duration>) -> Self {
        Self {
            schedule: Schedule::new(speed),
            started: Instant::now(),
            limit,
            elapsed: Duration::ZERO,
            unread: 0,
            moved: Duration::ZERO,
        }
    }

    /// Sleeps until the record at `offset` is due, at most about `longest`.
    pub(crate) fn wait(&mut self, offset: Duration, longest: Duration, shutdown: &Shutdown) -> Turn {
        let mut waited = Duration::ZERO;
        loop {
            if shutdown.is_requested() {
                return Turn::Stopped;
            }
            let due = self.schedule.due(offset);
            self.read_clock(due);
            if self.is_over(due) {
                return Turn::TimeUp;
            }
            let moved = self.schedule.moved();
            match self.schedule.decide(offset, self.elapsed) {
                Decision::Now => {
                    if self.schedule.moved() > moved {
                        let moved = self.schedule.moved().saturating_sub(moved);
                        self.moved += moved;
                        let moved_seconds = moved.as_secs_f64();
                        tracing::warn!(moved_seconds, "too far behind to catch up: the schedule moved");
                    }
                    return Turn::Due;
                }
                Decision::Wait(_) if waited >= longest => return Turn::NotYet,
                Decision::Wait(time) => {
                    let left = self.limit.map_or(time, |limit| limit.saturating_sub(self.elapsed));
                    let time = time.min(left).min(longest);
                    shutdown.wait(time);
                    waited += time;
                }
            }
        }
    }

    /// A new look at the clock, for after the stream was held up. True once the run's time is up.
    pub(crate) fn check_time(&mut self) -> bool {
        self.elapsed = self.started.elapsed();
        self.is_over(None)
    }

    /// Starts the clock anew now, because the stream was not ready to go before.
    pub(crate) fn begin(&mut self) {
        let waited = self.started.elapsed();
        self.started += waited;
        self.elapsed = Duration::ZERO;
        self.moved += waited;
    }

    pub(crate) fn is_paced(&self) -> bool {
        self.schedule.speed != Speed::Max
    }

    /// How far the schedule was moved since this was asked last.
    pub(crate) fn take_moved(&mut self) -> Duration {
        std::mem::take(&mut self.moved)
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Reads the clock if it is needed for a record that is due then, and now and then anyway.
    fn read_clock(&mut self, due: Option<Duration>) {
        self.unread += 1;
        if self.unread >= CLOCK_STRIDE || due.is_some_and(|due| due > self.elapsed) {
            self.unread = 0;
            self.elapsed = self.started.elapsed();
        }
    }

    /// Whether the run is over before the record that is due then. What was due in time is still sent if that takes
    /// only a little longer, so that a rate and a duration give the number of records that one expects.
    fn is_over(&self, due: Option<Duration>) -> bool {
        let Some(limit) = self.limit else { return false };
        let in_time = due.is_some_and(|due| due < limit);
        self.elapsed >= if in_time { limit.saturating_add(OVERTIME) } else { limit }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a schedule against a simulated clock whose every reading costs `cost`; returns (due, sent) per record.
    fn simulate(speed: f64, step: Duration, records: u32, cost: Duration) -> Vec<(Duration, Duration)> {
        let mut schedule = Schedule::new(Speed::Times(speed));
        let mut clock = Duration::ZERO;
        let mut sent = Vec::new();
        for record in 0..records {
            let offset = step * record;
            while let Decision::Wait(time) = schedule.decide(offset, clock) {
                assert!(time >= COALESCE, "a wait below the quantum would be a busy loop");
                clock += time;
            }
            sent.push((schedule.due(offset).expect("paced"), clock));
            clock += cost;
        }
        sent
    }

    #[test]
    fn speeds_are_parsed() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        for bad in ["", "0", "-1", "nan", "inf", "fast"] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_run_does_not_drift() {
        let mut schedule = Schedule::new(Speed::REAL);
        let year = Duration::from_hours(24 * 365);
        assert_eq!(
            schedule.decide(year, year.checked_sub(Duration::from_nanos(1)).unwrap()),
            Decision::Wait(COALESCE)
        );
        assert_eq!(schedule.decide(year, year), Decision::Now);
    }

    #[test]
    fn a_short_hold_up_is_caught_up_and_a_long_one_moves_the_schedule() {
        let mut schedule = Schedule::new(Speed::REAL);
        let second = Duration::from_secs(1);
        assert_eq!(schedule.decide(second, second + MAX_CATCH_UP), Decision::Now);
        assert_eq!(schedule.moved(), Duration::ZERO);
        assert_eq!(schedule.max_lateness(), MAX_CATCH_UP);
        assert_eq!(schedule.decide(second, second * 2 + MAX_CATCH_UP), Decision::Now);
        assert_eq!(schedule.moved(), second + MAX_CATCH_UP);
        // The next second is due a second after the one that was late, not at once.
        assert_eq!(schedule.decide(second * 2, second * 2 + MAX_CATCH_UP), Decision::Wait(second));
    }

    #[test]
    fn a_wait_ends_early_when_it_is_long_or_the_time_is_up_or_the_end_is_asked_for() {
        let hour = Duration::from_hours(1);
        let shutdown = Shutdown::new();
        let mut pacer = Pacer::start(Speed::REAL, Some(hour));
        assert_eq!(pacer.wait(Duration::ZERO, Duration::MAX, &shutdown), Turn::Due);
        assert_eq!(pacer.wait(hour * 2, Duration::from_micros(1), &shutdown), Turn::NotYet);
        let just_before = hour.saturating_sub(COALESCE);
        pacer.elapsed = hour;
        assert!(pacer.is_over(Some(hour)) && pacer.is_over(None));
        assert!(!pacer.is_over(Some(just_before)), "what was due in time is still sent");
        pacer.elapsed = hour + OVERTIME;
        assert!(pacer.is_over(Some(just_before)), "but not for ever");
        let mut brief = Pacer::start(Speed::REAL, Some(Duration::from_micros(1)));
        assert_eq!(brief.wait(hour, Duration::MAX, &shutdown), Turn::TimeUp);
        shutdown.request(runtime::StopReason::Finished);
        assert_eq!(pacer.wait(Duration::ZERO, Duration::MAX, &shutdown), Turn::Stopped);
    }

    proptest! {
        #[test]
        fn never_early_and_late_by_one_quantum(
            speed in 0.1f64..1000.0, step_micros in 1u64..5_000_000, records in 1u32..500,
        ) {
            for (due, sent) in simulate(speed, Duration::from_micros(step_micros), records, Duration::ZERO) {
                prop_assert!(sent >= due && sent.checked_sub(due).unwrap() <= COALESCE, "due {due:?}, sent {sent:?}");
            }
        }

        #[test]
        fn a_slow_sender_catches_up(step_micros in 1000u64..10_000, stall_millis in 1u64..50_000) {
            // The sender loses `stall` once, then needs half a step a record: the lateness must go back to nothing.
            let step = Duration::from_micros(step_micros);
            let mut schedule = Schedule::new(Speed::REAL);
            let mut clock = Duration::from_millis(stall_millis);
            let mut record = 0;
            loop {
                match schedule.decide(step * record, clock) {
                    Decision::Wait(_) => break,
                    Decision::Now => { clock += step / 2; record += 1; }
                }
            }
            prop_assert_eq!(schedule.moved(), Duration::ZERO);
            prop_assert!(u128::from(record) <= 2 * u128::from(stall_millis) * 1_000_000 / step.as_nanos() + 2);
        }
    }
}
