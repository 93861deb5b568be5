//! The watchdog: tells a consumer that has nothing to read from one that has stalled, and replaces the latter.

use std::time::Instant;

use tracing::{error, warn};

use super::batch::TopicNames;
use super::{Event, Worker};
use crate::{CONNECT_TIMEOUT, Error, TopicPartition};

/// What the watchdog found out about a quiet consumer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has read everything there is.
    CaughtUp,
    /// There are unread records and none arrive.
    Stalled { lag: u64 },
}

/// Judges by the next offset to read (if known), the first and the next offset of every partition.
pub(super) fn judge(partitions: impl IntoIterator<Item = (Option<i64>, i64, i64)>) -> Verdict {
    let lag = partitions
        .into_iter()
        .filter_map(|(position, low, high)| u64::try_from(high - position.unwrap_or(low).max(low)).ok())
        .sum();
    if lag == 0 { Verdict::CaughtUp } else { Verdict::Stalled { lag } }
}

impl Worker {
    /// Nothing came: is that because there is nothing?
    pub(super) fn watch_for_stall(&mut self) -> Result<Event, Error> {
        let quiet = self.last_progress.elapsed();
        if self.positions.is_empty() || quiet < self.options.stall_timeout {
            return Ok(Event::Idle);
        }
        self.last_progress = Instant::now();
        let ends: Result<Vec<_>, _> = self
            .positions
            .current()
            .filter(|(place, _)| !self.paused.contains(place))
            .map(|(place, position)| {
                self.consumer.watermarks(place, CONNECT_TIMEOUT).map(|(low, high)| (position, low, high))
            })
            .collect();
        match ends.map(judge) {
            // No leader to ask: the brokers are away, which is not the consumer's fault.
            Err(code) => {
                warn!(group = self.options.group, %code, "no records and no answer about the partitions' ends");
                Ok(Event::Idle)
            }
            Ok(Verdict::CaughtUp) => Ok(Event::Idle),
            Ok(Verdict::Stalled { lag }) => {
                error!(
                    group = self.options.group,
                    lag,
                    quiet_seconds = quiet.as_secs(),
                    "the consumer has stalled and is rebuilt"
                );
                self.rebuild(lag)
            }
        }
    }

    /// Replaces the consumer. What was processed is committed first, as far as the old one still can.
    fn rebuild(&mut self, lag: u64) -> Result<Event, Error> {
        self.commit()?;
        let places: Vec<TopicPartition> = self.positions.current().map(|(place, _)| place.clone()).collect();
        self.positions.end(&places);
        self.waiting.clear();
        self.paused.clear();
        self.answer = None;
        // The old member leaves first, so that the group does not wait for its session to time out.
        if let Err(code) = self.consumer.close() {
            warn!(group = self.options.group, %code, "the stalled consumer did not leave its group in order");
        }
        self.consumer = Self::join(&self.settings, &self.options)?;
        // The addresses that the names are kept by were the old client's.
        self.topics = TopicNames::default();
        self.last_progress = Instant::now();
        self.waiting.push_back(Event::Stalled { lag });
        Ok(Event::Lost(places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(partitions: &[(Option<i64>, i64, i64)], expected: &Verdict) {
        assert_eq!(judge(partitions.iter().copied()), *expected);
    }

    #[test]
    fn unread_records_decide() {
        check(&[], &Verdict::CaughtUp);
        check(&[(Some(7), 0, 7), (None, 3, 3)], &Verdict::CaughtUp);
        check(&[(Some(7), 0, 9), (None, 3, 4)], &Verdict::Stalled { lag: 3 });
        // Behind the first offset that retention has left: only what is left can be read.
        check(&[(Some(1), 5, 6)], &Verdict::Stalled { lag: 1 });
        // Ahead of the end (the topic was made anew): nothing unread.
        check(&[(Some(9), 0, 2)], &Verdict::CaughtUp);
    }
}
