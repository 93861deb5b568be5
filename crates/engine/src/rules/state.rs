//! What the rules remember of one sensor, and its bytes in a snapshot.

use model::EventTime;

/// What the rules remember of one sensor. Empty for a sensor at rest whose rules are thresholds: no heap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    /// The detectors' state, one after the other in the order of the class.
    pub(super) words: Box<[f64]>,
    /// The alarms that are under way, or were of late.
    pub(super) lives: Vec<Life>,
}

impl RuleState {
    /// The bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.words) + self.lives.capacity() * size_of::<Life>()
    }
}

/// One alarm of one sensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Life {
    pub(super) rule: u16,
    pub(super) since: EventTime,
    pub(super) id: String,
}

/// Bytes that are no state of this class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadState;
