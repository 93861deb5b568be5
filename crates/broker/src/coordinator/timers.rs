//! What is due when: at most one time for each thing that has deadlines.
//!
//! Invariants: a timer never fires late, and may fire early: whoever is called looks at the deadline itself and arms
//! the timer again. So a deadline that moves away, as with every heartbeat, costs nothing.

use std::collections::{BTreeMap, BTreeSet};

/// Something that has deadlines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next deadline of a group.
    Group(String),
    /// The timeout of a transaction, or another try to complete it.
    Transaction(String),
    /// Offsets and transactional ids that nobody used for long.
    Sweep,
}

/// All timers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: BTreeMap<Timer, i64>,
    queue: BTreeSet<(i64, Timer)>,
}

impl Timers {
    /// `timer` fires at `at_ms`, or before.
    pub(super) fn arm(&mut self, timer: Timer, at_ms: i64) {
        if let Some(armed_ms) = self.armed.get(&timer) {
            if *armed_ms <= at_ms {
                return;
            }
            self.queue.remove(&(*armed_ms, timer.clone()));
        }
        self.queue.insert((at_ms, timer.clone()));
        self.armed.insert(timer, at_ms);
    }

    /// When the next timer fires.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.queue.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the next timer that is due.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<Timer> {
        if self.next_ms()? > now_ms {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.armed.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::{Timer, Timers};

    #[test]
    fn the_earliest_time_of_a_timer_counts() {
        let mut timers = Timers::default();
        let group = |name: &str| Timer::Group(name.to_owned());
        timers.arm(group("a"), 30);
        timers.arm(group("b"), 20);
        timers.arm(group("a"), 10);
        timers.arm(group("b"), 40);
        assert_eq!(timers.next_ms(), Some(10));
        assert_eq!(timers.take_due(9), None);
        assert_eq!(timers.take_due(25), Some(group("a")));
        assert_eq!(timers.take_due(25), Some(group("b")));
        assert_eq!(timers.take_due(i64::MAX), None);
    }
}
