//! When to commit.
//!
//! An alarm goes out at once. Summaries go out when the input that was fetched is drained, so that nobody waits for nothing,
//! and everything goes out at the interval at the latest. With nothing to say only the positions move, and they have time
//! until the interval is over. Nothing at all is never committed.

use std::time::Duration;

/// Decides when to commit. Times are in microseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    interval: i64,
    /// When the first thing that waits came.
    since: Option<i64>,
    has_output: bool,
    is_urgent: bool,
}

impl Pace {
    /// A pace with this interval.
    pub fn new(interval: Duration) -> Self {
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        Self { interval, since: None, has_output: false, is_urgent: false }
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
        self.is_urgent = true;
    }

    /// Whether it is time; `is_drained`: nothing more is at hand to process.
    pub fn wants_commit(&self, now: i64, is_drained: bool) -> bool {
        let Some(since) = self.since else { return false };
        // A clock that was set back must not keep a commit waiting.
        let is_over = now < since || now - since >= self.interval;
        self.is_urgent || is_over || (self.has_output && is_drained)
    }

    /// Whether anything waits.
    pub fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// How long until the interval is over; `None` if nothing waits.
    pub fn left(&self, now: i64) -> Option<Duration> {
        let end = self.since?.saturating_add(self.interval);
        Some(Duration::from_micros(u64::try_from(end.saturating_sub(now)).unwrap_or(0)))
    }

    /// Everything is committed, or thrown away.
    pub fn done(&mut self) {
        (self.since, self.has_output, self.is_urgent) = (None, false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(Duration::from_micros(100))
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
        pace.moved(1_050);
        assert!(!pace.wants_commit(1_099, true));
        assert_eq!(pace.left(1_099), Some(Duration::from_micros(1)));
        assert!(pace.wants_commit(1_100, false));
        pace.done();
        assert!(!pace.wants_commit(5_000, true));
    }

    #[test]
    fn summaries_wait_until_the_input_is_drained_and_alarms_do_not_wait() {
        let mut pace = pace();
        pace.said(1_000);
        assert!(!pace.wants_commit(1_001, false));
        assert!(pace.wants_commit(1_001, true));
        pace.alarmed(1_001);
        assert!(pace.wants_commit(1_001, false));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_stop_commits() {
        let mut pace = pace();
        pace.moved(1_000);
        assert!(pace.wants_commit(10, false));
    }
}
