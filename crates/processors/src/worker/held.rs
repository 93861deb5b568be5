//! A lane that a worker holds, and what of its counts is counted already.

use kafka::PartitionLag;

use crate::driver::Lane;
use crate::watch::{PartitionProgress, Progress};

/// How many of the busiest sensors are told.
const BUSIEST: usize = 5;
/// State is weighed, and the busiest sensors are looked for, in each so-many-th round of chores: both look at every sensor.
const CLOSE_LOOK_EVERY: u32 = 10;

/// A lane with what is known of its counts.
pub(super) struct Held {
    pub(super) lane: Lane,
    /// What of the engine's counts belongs to a replay, or is counted already.
    counted: Counts,
    rounds: u32,
    state_bytes: u64,
    busiest: Vec<(String, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    closed: u64,
    revisions: u64,
    fired: u64,
    cleared: u64,
    held_back: u64,
}

impl Counts {
    fn of(lane: &Lane) -> Self {
        let counters = lane.counters();
        let alarms = &counters.alarms;
        Self {
            closed: counters.windows.iter().map(|window| window.closed).sum(),
            revisions: counters.windows.iter().map(|window| window.revisions).sum(),
            fired: alarms.fired,
            cleared: alarms.cleared,
            held_back: alarms.held_back,
        }
    }
}

impl Held {
    pub(super) fn new(lane: Lane) -> Self {
        let counted = Counts::of(&lane);
        Self { lane, counted, rounds: 0, state_bytes: 0, busiest: Vec::new() }
    }

    /// Adds what the engine has counted since the last time. A change of the plan takes counts of windows away.
    pub(super) fn count(&mut self, all: &mut Progress) {
        let now = Counts::of(&self.lane);
        let before = std::mem::replace(&mut self.counted, now);
        all.windows_closed += now.closed.saturating_sub(before.closed);
        all.revisions += now.revisions.saturating_sub(before.revisions);
        all.alarms_fired += now.fired.saturating_sub(before.fired);
        all.alarms_cleared += now.cleared.saturating_sub(before.cleared);
        all.alarms_held_back += now.held_back.saturating_sub(before.held_back);
    }

    /// Whether these are its figures.
    pub(super) fn is(&self, told: &PartitionProgress) -> bool {
        let place = self.lane.place();
        told.partition == place.partition && *told.topic == *place.topic
    }

    /// How far it is. `now` is in microseconds since the epoch.
    pub(super) fn progress(&mut self, lag: &[PartitionLag], now: i64) -> PartitionProgress {
        let newest = self.lane.partition().newest();
        let place = self.lane.place();
        let behind = lag.iter().find(|lag| lag.place == *place);
        PartitionProgress {
            topic: place.topic.to_string(),
            partition: place.partition,
            position: self.lane.position(),
            lag: behind.map_or(0, PartitionLag::records),
            delay_seconds: newest.map(|newest| now.saturating_sub(newest.micros()) as f64 / 1e6),
        }
    }
}

impl Progress {
    /// Takes the figures of a lane out that goes.
    pub(super) fn settle(&mut self, held: &Held) {
        self.state_bytes = self.state_bytes.saturating_sub(held.state_bytes);
    }
}

/// What takes a look at every sensor, now and then.
pub(super) fn look_closely(all: &mut [Held], figures: &mut Progress) {
    for held in &mut *all {
        if held.rounds.is_multiple_of(CLOSE_LOOK_EVERY) {
            held.state_bytes = held.lane.partition().state_bytes() as u64;
            held.busiest = held.lane.partition().busiest(BUSIEST);
        }
        held.rounds = held.rounds.wrapping_add(1);
    }
    figures.state_bytes = all.iter().map(|held| held.state_bytes).sum();
    figures.busiest = all.iter().flat_map(|held| held.busiest.iter().cloned()).collect();
    figures.busiest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    figures.busiest.truncate(BUSIEST);
}
