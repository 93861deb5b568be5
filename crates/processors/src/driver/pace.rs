//! When to commit.
//!
//! An alarm goes out as soon as the input that was fetched is drained, and shortly after it came at the latest. Summaries
//! wait for the drained input too, but not more than ten times in an interval, and not longer than one. With nothing to say
//! only the positions move, and they have time until the interval is over. Nothing at all is never committed.

use std::time::Duration;

/// So long an alarm waits at most while there is more to process, in microseconds.
const ALARM_WAIT: i64 = 10_000;
/// Into so many parts an interval is divided for summaries.
const PARTS: i64 = 10;

/// Decides when to commit. Times are in microseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    interval: i64,
    last: i64,
    /// When the first thing that waits came.
    since: Option<i64>,
    has_output: bool,
    /// When the first alarm that waits came.
    alarm: Option<i64>,
}

impl Pace {
    /// A pace with this interval.
    pub fn new(interval: Duration) -> Self {
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        Self { interval, last: i64::MIN, since: None, has_output: false, alarm: None }
    }

    /// Notes that a position moved.
    pub fn moved(&mut self, now: i64) {
        self.since.get_or_insert(now);
    }

    /// Notes that there is something that others wait for.
    pub fn said(&mut self, now: i64) {
        self.moved(now);
        self.has_output = true;
    }

    /// Notes that there is something that must not wait.
    pub fn alarmed(&mut self, now: i64) {
        self.said(now);
        self.alarm.get_or_insert(now);
    }

    /// Whether it is time; `is_drained`: nothing more is at hand to process.
    pub fn wants_commit(&self, now: i64, is_drained: bool) -> bool {
        self.time(is_drained).is_some_and(|time| now >= time || now < self.since.unwrap_or(now))
    }

    /// When it is time; `None` if nothing waits.
    fn time(&self, is_drained: bool) -> Option<i64> {
        let latest = self.since?.saturating_add(self.interval);
        Some(match self.alarm {
            Some(_) if is_drained => i64::MIN,
            Some(alarm) => latest.min(alarm.saturating_add(ALARM_WAIT)),
            None if self.has_output && is_drained => {
                latest.min(self.last.saturating_add(self.interval / PARTS))
            }
            None => latest,
        })
    }

    /// How long until it is time, if nothing more comes; `None` if nothing waits.
    pub fn left(&self, now: i64) -> Option<Duration> {
        let left = self.time(true)?.saturating_sub(now);
        Some(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    }

    /// Everything is committed, or thrown away.
    pub fn done(&mut self, now: i64) {
        (self.last, self.since, self.has_output, self.alarm) = (now, None, false, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(Duration::from_millis(100))
    }

    #[test]
    fn nothing_is_never_committed() {
        assert!(!pace().wants_commit(1_000, true));
        assert_eq!(pace().left(1_000), None);
    }

    #[test]
    fn positions_wait_for_the_interval() {
        let mut pace = pace();
        pace.moved(1_000);
        pace.moved(50_000);
        assert!(!pace.wants_commit(100_999, true));
        assert_eq!(pace.left(100_999), Some(Duration::from_micros(1)));
        assert!(pace.wants_commit(101_000, false));
        pace.done(101_000);
        assert!(!pace.wants_commit(500_000, true));
    }

    #[test]
    fn summaries_wait_until_the_input_is_drained() {
        let mut pace = pace();
        pace.said(1_000);
        assert!(!pace.wants_commit(1_001, false));
        assert!(pace.wants_commit(1_001, true));
        assert!(pace.wants_commit(101_000, false), "but not for ever");
        pace.done(2_000);
        pace.said(3_000);
        assert!(!pace.wants_commit(11_999, true), "not too often");
        assert_eq!(pace.left(11_000), Some(Duration::from_millis(1)));
        assert!(pace.wants_commit(12_000, true));
    }

    #[test]
    fn alarms_hardly_wait() {
        let mut pace = pace();
        pace.done(900);
        pace.alarmed(1_000);
        assert_eq!(pace.left(1_000), Some(Duration::ZERO));
        assert!(pace.wants_commit(1_000, true));
        assert!(!pace.wants_commit(10_999, false));
        assert!(pace.wants_commit(11_000, false));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_stop_commits() {
        let mut pace = pace();
        pace.moved(1_000);
        assert!(pace.wants_commit(10, false));
    }
}
