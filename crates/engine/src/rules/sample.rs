//! What the rules are told: a reading with its circumstances, or that a sensor is quiet.
//!
//! Invariant: everything that decides an alarm is in here. Nothing depends on when a tick came, only on event times and on
//! the clock's distance from a sensor's last reading.

use model::reading::Bound;
use model::{EventTime, Reading};

use crate::running::Running;

/// A reading that is not older than the sensor's newest, and what is known around it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The reading.
    pub reading: &'a Reading<'a>,
    /// Its offset.
    pub offset: i64,
    /// Its sequence number among the sensor's readings, if the record says so. Looked at only if
    /// [`RuleBook::needs_sequence`](super::RuleBook::needs_sequence).
    pub sequence: Option<u64>,
    /// The sensor's newest reading before this one; `None` if this is its first.
    pub previous: Option<Previous>,
    /// The sensor's usual interval between readings in seconds, as it was *before* this reading, so that a silence is judged
    /// the same by its end as by a tick within it. `None` while it is not known.
    pub cadence: Option<f64>,
    /// The clock, which is that of the last tick.
    pub clock: EventTime,
    /// A value of the reading that cannot be true: [`Fault::of`].
    pub fault: Option<Fault<'a>>,
}

/// A sensor's newest reading so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its event time.
    pub time: EventTime,
    /// Its offset.
    pub offset: i64,
}

/// A value that cannot be true, or is too large to be computed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault<'a> {
    /// The measurement, or `location.latitude`, `location.longitude`.
    pub metric: &'a str,
    /// What it said.
    pub value: f64,
    /// The bound it breaks.
    pub bound: Bound,
}

impl<'a> Fault<'a> {
    /// The first value of a reading that cannot be true: physically, or because its magnitude is beyond
    /// [`Running::MAX_MAGNITUDE`].
    #[inline]
    pub fn of(reading: &Reading<'a>) -> Option<Self> {
        if let Some(found) = reading.implausible() {
            return Some(Self { metric: found.metric, value: found.value, bound: found.bound });
        }
        let (metric, value) = reading.measurements().find(|(_, value)| !Running::accepts(*value))?;
        let bound = if value < 0.0 {
            Bound::AtLeast(-Running::MAX_MAGNITUDE)
        } else {
            Bound::AtMost(Running::MAX_MAGNITUDE)
        };
        Some(Self { metric, value, bound })
    }
}

/// A sensor that has sent nothing since `newest`.
#[derive(Clone, Copy, Debug)]
pub struct Quiet<'a> {
    /// The sensor.
    pub sensor_id: &'a str,
    /// The event time of its newest reading.
    pub newest: EventTime,
    /// The offset of that reading.
    pub offset: i64,
    /// The clock when that reading came.
    pub seen: EventTime,
    /// The usual interval between its readings in seconds, with that reading counted in. `None` while it is not known.
    pub cadence: Option<f64>,
    /// The clock, which is that of the last tick.
    pub clock: EventTime,
}

impl Quiet<'_> {
    /// Whether the sensor is known by readings alone that were not accepted: there is no silence after none.
    pub(super) fn is_unheard(&self) -> bool {
        self.newest == EventTime::MIN
    }
}

/// Where readings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRef<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
}

/// What became of the alarms of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounters {
    /// Alarms that fired.
    pub fired: u64,
    /// Alarms that were escalated.
    pub escalated: u64,
    /// Alarms that were cleared.
    pub cleared: u64,
    /// Alarms that did not fire because of the limit per hour.
    pub held_back: u64,
}
