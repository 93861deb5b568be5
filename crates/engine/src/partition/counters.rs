//! What became of the records of one partition.

use super::{Refusal, Verdict};
use crate::plan::Plan;
use crate::rules::RuleCounters;

/// Counts since a partition was made. They are for people: nothing depends on them, and snapshots leave them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records that were taken.
    pub taken: u64,
    /// Records of a replay, which their shard had seen already.
    pub skipped: u64,
    /// Records that every window selecting them was closed for.
    pub late: u64,
    /// Records too far ahead of the clock.
    pub future: u64,
    /// Records kept out by a bound, by [`Refusal::ALL`].
    pub refused: [u64; 3],
    /// Records older than the newest of their sensor, which rules do not look at.
    pub out_of_order: u64,
    /// Readings with a value that cannot be true or is too large to be summed up.
    pub implausible: u64,
    /// Values of measurements beyond `max_metrics`, in no window.
    pub untracked_values: u64,
    /// Sensors that were forgotten.
    pub forgotten: u64,
    /// By window definition, in the order of the plan.
    pub windows: Vec<WindowCounters>,
    /// Alarms.
    pub alarms: RuleCounters,
}

/// Counts of one window definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowCounters {
    /// The definition's name.
    pub name: String,
    /// Windows of one sensor that were told for the first time: closed by the watermark, or by a silent sensor.
    pub closed: u64,
    /// Windows that were told again because of late records.
    pub revisions: u64,
    /// Windows that were told before they closed.
    pub early: u64,
    /// Sessions that were withdrawn.
    pub withdrawn: u64,
    /// Records that came too late for one window of this definition but were taken by another window.
    pub partly_late: u64,
}

impl Counters {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut counters = Self::default();
        counters.change_plan(plan);
        counters
    }

    /// The place of a refusal in [`Counters::refused`].
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize]
    }

    pub(super) fn count(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Taken => &mut self.taken,
            Verdict::Skipped => &mut self.skipped,
            Verdict::Late => &mut self.late,
            Verdict::Future => &mut self.future,
            Verdict::Refused(refusal) => &mut self.refused[refusal as usize],
        } += 1;
    }

    /// Keeps the counts of definitions that have the same name.
    pub(super) fn change_plan(&mut self, plan: &Plan) {
        let of = |name: &String| {
            let known = self.windows.iter().find(|counters| counters.name == *name);
            known.cloned().unwrap_or_else(|| WindowCounters { name: name.clone(), ..Default::default() })
        };
        self.windows = plan.spec.windows.iter().map(|window| of(&window.name)).collect();
    }
}
