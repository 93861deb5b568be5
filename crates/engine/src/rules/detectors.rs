//! Detectors: what a condition can ask about a measurement beyond its newest value.
//!
//! A detector is one file in here: it says how many numbers it remembers of a sensor, and what it makes of a reading. All of
//! its memory are these numbers, which begin as zeros; so it is written down and read back without its help. It is listed in
//! `of`, which finds it by the name of its function.

mod aggregate;
mod change;
mod deviation;
mod gaps;
mod hourly;
mod robust;
mod stuck;

use std::fmt::Debug;
use std::time::Duration;

/// What a detector is shown: a reading that is not older than the one before.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The event time in seconds since the epoch.
    pub seconds: f64,
    /// The measurement's value; `None` if the reading does not have it, or has one that cannot be true.
    pub value: Option<f64>,
    /// The reading's sequence number.
    pub sequence: Option<u64>,
}

/// Says something about a measurement from what it was before.
pub trait Detector: Debug + Send + Sync {
    /// How many numbers it remembers of a sensor. They are zeros at first.
    fn words(&self) -> usize;

    /// Takes a moment in and says the figure; `None` while it cannot be known. A moment without a value changes nothing.
    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64>;

    /// How far back the figure looks, where that is a fixed time; for the evidence.
    fn window(&self) -> Option<Duration> {
        None
    }

    /// What it compares the value with, by name, for the evidence; as it was before the newest moment.
    fn evidence(&self, _words: &[f64], _seconds: f64) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Whether it looks at sequence numbers.
    fn needs_sequence(&self) -> bool {
        false
    }
}

/// The functions with what they take.
pub(super) const FUNCTIONS: [(&str, &str); 14] = [
    ("mean", "(measurement, time)"),
    ("min", "(measurement, time)"),
    ("max", "(measurement, time)"),
    ("stddev", "(measurement, time)"),
    ("count", "(measurement, time)"),
    ("range", "(measurement, time)"),
    ("rate", "(measurement) or (measurement, time)"),
    ("stuck", "(measurement, time)"),
    ("deviation", "(measurement)"),
    ("robust", "(measurement)"),
    ("hourly", "(measurement)"),
    ("abs", "(number)"),
    ("value", "(\"measurement\")"),
    ("gaps", "()"),
];

/// The detector of a function; `None` if there is none, or it takes other arguments.
pub(super) fn of(function: &str, time: Option<Duration>) -> Option<Box<dyn Detector>> {
    Some(match (function, time) {
        ("mean" | "min" | "max" | "stddev" | "count" | "range", Some(time)) => {
            Box::new(aggregate::Aggregate::new(aggregate::Figure::named(function)?, time))
        }
        ("rate", time) => Box::new(change::Rate::new(time)),
        ("stuck", Some(time)) => Box::new(stuck::Stuck::new(time)),
        ("deviation", None) => Box::new(deviation::Deviation),
        ("robust", None) => Box::new(robust::Robust),
        ("hourly", None) => Box::new(hourly::Hourly),
        ("gaps", None) => Box::new(gaps::Gaps),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the moments to a detector that has seen nothing.
    pub(super) fn run(
        detector: &dyn Detector,
        moments: impl IntoIterator<Item = (f64, f64)>,
    ) -> Vec<Option<f64>> {
        let mut words = vec![0.0; detector.words()];
        let see = |(seconds, value)| {
            detector.observe(&mut words, Moment { seconds, value: Some(value), sequence: None })
        };
        moments.into_iter().map(see).collect()
    }

    #[test]
    fn a_missing_value_changes_nothing() {
        for (function, _) in FUNCTIONS {
            let Some(detector) = of(function, None).or_else(|| of(function, Some(Duration::from_mins(1))))
            else {
                continue;
            };
            let mut words = vec![0.0; detector.words()];
            let nothing = Moment { seconds: 5.0, value: None, sequence: None };
            assert_eq!(detector.observe(&mut words, nothing), None, "{function}");
            assert!(words.iter().all(|word| *word == 0.0), "{function}");
        }
    }
}
