//! From the flags about time to one schedule.
//!
//! Interval, rate and speed belong together: *rate = speed × reports per interval / interval*. Any two give the third;
//! speed is 1 unless something else is said. What contradicts itself is refused.

use std::time::Duration;

use model::EventTime;

use crate::pacing::Speed;

/// The interval where nothing else is said.
const USUAL_INTERVAL_SECONDS: f64 = 1.0;

/// A rate and an interval given together may differ by this share: they were rounded by hand.
const AGREEMENT: f64 = 0.01;

/// The flags about time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TimingFlags {
    /// Simulated time between two readings of a sensor; zero is as fast as possible.
    pub interval: Option<Duration>,
    /// Records a second of real time, over all sensors.
    pub rate: Option<f64>,
    /// Simulated seconds in a second.
    pub speed: Option<Speed>,
    /// The time of the first reading; now, if not given.
    pub start_time: Option<EventTime>,
}

/// How readings are timed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Timing {
    /// Simulated seconds between two readings of a sensor that reports every time; not a `Duration`, because rounding
    /// to nanoseconds would add up. `None`: readings bear the wall clock's time at which they are made, as fast as
    /// possible.
    pub(super) interval_seconds: Option<f64>,
    /// How fast simulated time passes.
    pub(super) speed: Speed,
    /// The event time of the first reading, if it is fixed.
    pub(super) start: Option<EventTime>,
}

/// Flags about time that cannot work together, or a value out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TimingError {
    /// The rate is not a positive number.
    #[error("--rate {0} is not a positive number of records a second")]
    Rate(f64),
    /// The three do not agree.
    #[error(
        "--rate {rate} and --interval {interval} contradict each other: at that interval the sensors make {makes:.1} \
         records a second; leave one of the two out, or add --speed max to replay simulated time at that rate"
    )]
    Contradiction {
        /// Records a second that were asked for.
        rate: f64,
        /// Seconds between readings that were asked for.
        interval: f64,
        /// Records a second at that interval and speed.
        makes: f64,
    },
    /// A speed without an interval to speed up.
    #[error("--interval 0 is as fast as possible already: leave --speed out, or give an interval")]
    SpeedWithoutInterval,
}

impl TimingFlags {
    /// Resolves the flags for sensors that together make `reports` records per interval.
    pub(super) fn resolve(self, reports: f64) -> Result<Timing, TimingError> {
        let Self { interval, rate, speed, start_time: start } = self;
        if let Some(rate) = rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return Err(TimingError::Rate(rate));
        }
        let given = interval.filter(|interval| !interval.is_zero()).map(|interval| interval.as_secs_f64());
        let unpaced = interval.is_some() && given.is_none();
        let (interval_seconds, speed) = match (given, rate, speed) {
            (None, None, Some(Speed::Times(_))) if unpaced => return Err(TimingError::SpeedWithoutInterval),
            (None, None, _) if unpaced && start.is_none() => (None, Speed::Max),
            (None, None, _) if unpaced => (Some(USUAL_INTERVAL_SECONDS), Speed::Max),
            (given, None, speed) => {
                (Some(given.unwrap_or(USUAL_INTERVAL_SECONDS)), speed.unwrap_or(Speed::REAL))
            }
            (given, Some(rate), Some(Speed::Max)) => {
                let interval = given.unwrap_or(USUAL_INTERVAL_SECONDS);
                (Some(interval), Speed::Times(rate * interval / reports))
            }
            (None, Some(rate), speed) => {
                let times = times(speed);
                (Some(times * reports / rate), Speed::Times(times))
            }
            (Some(interval), Some(rate), speed) => {
                let makes = times(speed) * reports / interval;
                if (makes - rate).abs() > AGREEMENT * rate {
                    return Err(TimingError::Contradiction { rate, interval, makes });
                }
                (Some(interval), Speed::Times(times(speed)))
            }
        };
        Ok(Timing { interval_seconds, speed, start })
    }
}

fn times(speed: Option<Speed>) -> f64 {
    match speed {
        Some(Speed::Times(times)) => times,
        Some(Speed::Max) | None => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 sensors; seconds, records a second, speed.
    fn check(
        (interval, rate, speed): (Option<f64>, Option<f64>, Option<Speed>),
        expected: Result<(Option<f64>, Speed), &str>,
    ) {
        let flags =
            TimingFlags { interval: interval.map(Duration::from_secs_f64), rate, speed, start_time: None };
        let got = flags.resolve(100.0).map(|timing| (timing.interval_seconds, timing.speed));
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn any_two_give_the_third() {
        check((None, None, None), Ok((Some(1.0), Speed::REAL)));
        check((Some(0.1), None, None), Ok((Some(0.1), Speed::REAL)));
        check((Some(60.0), None, Some(Speed::Times(10.0))), Ok((Some(60.0), Speed::Times(10.0))));
        check((Some(60.0), None, Some(Speed::Max)), Ok((Some(60.0), Speed::Max)));
        check((None, Some(1000.0), None), Ok((Some(0.1), Speed::REAL)));
        check((Some(0.0), Some(1000.0), None), Ok((Some(0.1), Speed::REAL)));
        check((None, Some(1000.0), Some(Speed::Times(5.0))), Ok((Some(0.5), Speed::Times(5.0))));
        check((Some(60.0), Some(1000.0), Some(Speed::Max)), Ok((Some(60.0), Speed::Times(600.0))));
        check((Some(0.1), Some(1000.0), None), Ok((Some(0.1), Speed::REAL)));
    }

    #[test]
    fn zero_is_as_fast_as_possible() {
        check((Some(0.0), None, None), Ok((None, Speed::Max)));
        check((Some(0.0), None, Some(Speed::Max)), Ok((None, Speed::Max)));
        let flags = TimingFlags {
            interval: Some(Duration::ZERO),
            start_time: Some(EventTime::from_micros(0)),
            ..TimingFlags::default()
        };
        let timing = flags.resolve(1.0).expect("good flags");
        assert_eq!((timing.interval_seconds, timing.speed), (Some(USUAL_INTERVAL_SECONDS), Speed::Max));
    }

    #[test]
    fn contradictions_are_refused() {
        check((Some(0.1), Some(500.0), None), Err("make 1000.0 records a second"));
        check((Some(0.0), None, Some(Speed::Times(2.0))), Err("as fast as possible already"));
        check((None, Some(0.0), None), Err("not a positive number"));
        check((None, Some(f64::NAN), None), Err("not a positive number"));
    }
}
