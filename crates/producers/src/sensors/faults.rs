//! The faults that the simulator can inject, and the plan that says which and how often.
//!
//! A plan is text: a list of fault names, each with an optional probability, separated by commas; `all` stands for
//! every fault. `spike,stuck=0.001` injects spikes at their usual rate and stuck sensors at one in a thousand readings.
//! The probability is that of the fault *beginning* at a reading of a healthy sensor; some faults then last for a
//! number of readings. Later items override earlier ones, so `all,dropout=0` is everything but dropouts.
//!
//! A sensor has one fault at a time. Every record that a fault touched carries the fault's name in the header
//! `sg-fault`; a record without the header is as the healthy sensor would have sent it.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// One reading with one measurement far off.
    Spike,
    /// The temperature wanders away, a little more with each reading.
    Drift,
    /// The same values again and again.
    Stuck,
    /// Readings that are never sent. Their sequence numbers are missing; the first reading after them is labelled.
    Dropout,
    /// The device's clock is wrong, by a minute to two hours, ahead or behind.
    ClockSkew,
    /// Noise ten times as strong as usual.
    NoiseBurst,
    /// The payload's bytes are broken, each time in another way.
    Malformed,
    /// The record is sent a second time, with the same sequence number; the second one is labelled.
    Duplicate,
    /// The record is sent after one to three later ones of the same sensor.
    OutOfOrder,
    /// The link is down for a while; then all readings of that time arrive at once, in order.
    LateBurst,
}

impl Fault {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Spike,
        Self::Drift,
        Self::Stuck,
        Self::Dropout,
        Self::ClockSkew,
        Self::NoiseBurst,
        Self::Malformed,
        Self::Duplicate,
        Self::OutOfOrder,
        Self::LateBurst,
    ];

    /// The name, as in the header `sg-fault` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::Drift => "drift",
            Self::Stuck => "stuck",
            Self::Dropout => "dropout",
            Self::ClockSkew => "clock-skew",
            Self::NoiseBurst => "noise-burst",
            Self::Malformed => "malformed",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out-of-order",
            Self::LateBurst => "late-burst",
        }
    }

    /// The probability of beginning at a reading, where the plan gives none. The shorter a fault, the more often.
    pub fn usual_probability(self) -> f64 {
        match self {
            Self::Spike | Self::Malformed | Self::Duplicate | Self::OutOfOrder => 0.001,
            Self::Dropout => 0.000_5,
            Self::Drift | Self::Stuck | Self::ClockSkew | Self::NoiseBurst => 0.000_2,
            Self::LateBurst => 0.000_1,
        }
    }

    /// For how many readings the fault lasts: of a late burst the readings held back, of an out-of-order record the
    /// later readings that overtake it.
    pub fn extent(self) -> RangeInclusive<u32> {
        match self {
            Self::Spike | Self::Malformed | Self::Duplicate => 1..=1,
            Self::Drift => 60..=240,
            Self::Stuck | Self::ClockSkew | Self::LateBurst => 20..=120,
            Self::Dropout => 3..=40,
            Self::NoiseBurst => 10..=60,
            Self::OutOfOrder => 1..=3,
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which faults are injected, and how often. The default plan injects none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FaultPlan {
    probabilities: [f64; Fault::ALL.len()],
}

/// Why a fault plan was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FaultPlanError {
    /// A name that is no fault.
    #[error("unknown fault {0:?}; the faults are {names}, or all", names = Fault::ALL.map(Fault::name).join(", "))]
    Unknown(String),
    /// A probability that is none.
    #[error(
        "fault {name}: {value:?} is not a probability; write a number from 0 to 1, for instance {name}=0.001"
    )]
    Probability {
        /// The fault's name.
        name: String,
        /// The text given.
        value: String,
    },
    /// All together are more than certain.
    #[error(
        "the faults' probabilities add up to {0:.3}; a sensor has one fault at a time, so keep them under 1"
    )]
    Sum(f64),
}

impl FaultPlan {
    /// A plan that injects nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// The probability that `fault` begins at a reading of a healthy sensor.
    pub fn probability(&self, fault: Fault) -> f64 {
        self.probabilities[fault.index()]
    }

    /// True if no fault is ever injected.
    pub fn is_empty(&self) -> bool {
        self.probabilities.iter().all(|probability| *probability == 0.0)
    }

    /// The fault that a uniform number from 0 to 1 picks, if any.
    pub(super) fn pick(&self, uniform: f64) -> Option<Fault> {
        let mut left = uniform;
        Fault::ALL.into_iter().find(|fault| {
            let probability = self.probability(*fault);
            let hit = left < probability;
            left -= probability;
            hit
        })
    }

    /// The probability of any fault beginning.
    pub(super) fn total(&self) -> f64 {
        self.probabilities.iter().sum()
    }
}

impl FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut plan = Self::none();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (item, None),
            };
            let given = value.map(|value| parse_probability(name, value)).transpose()?;
            let mut found = false;
            for fault in Fault::ALL.into_iter().filter(|fault| name == "all" || name == fault.name()) {
                plan.probabilities[fault.index()] = given.unwrap_or(fault.usual_probability());
                found = true;
            }
            if !found {
                return Err(FaultPlanError::Unknown(name.to_owned()));
            }
        }
        if plan.total() > 1.0 {
            return Err(FaultPlanError::Sum(plan.total()));
        }
        Ok(plan)
    }
}

fn parse_probability(name: &str, value: &str) -> Result<f64, FaultPlanError> {
    match value.parse::<f64>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(probability),
        _ => Err(FaultPlanError::Probability { name: name.to_owned(), value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> FaultPlan {
        text.parse().expect("a good plan")
    }

    fn refusal(text: &str) -> String {
        text.parse::<FaultPlan>().expect_err(text).to_string()
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "a probability is kept as it was given")]
    fn plans_are_parsed() {
        assert!(plan("").is_empty());
        let two = plan("spike, stuck=0.25");
        assert_eq!(two.probability(Fault::Spike), Fault::Spike.usual_probability());
        assert_eq!(two.probability(Fault::Stuck), 0.25);
        assert_eq!(two.probability(Fault::Drift), 0.0);
        let all = plan("all=0.01,dropout=0");
        assert_eq!((all.probability(Fault::LateBurst), all.probability(Fault::Dropout)), (0.01, 0.0));
        for fault in Fault::ALL {
            assert_eq!(plan(fault.name()).probability(fault), fault.usual_probability());
        }
    }

    #[test]
    fn bad_plans_are_refused() {
        assert!(refusal("spyke").starts_with("unknown fault \"spyke\"; the faults are spike, drift"));
        assert!(refusal("spike=often").contains("spike=0.001"));
        assert!(refusal("spike=1.5").contains("not a probability"));
        assert!(refusal("spike=nan").contains("not a probability"));
        assert!(refusal("all=0.2").contains("add up to 2.000"));
    }

    #[test]
    fn picks_in_proportion() {
        let plan = plan("spike=0.1,late-burst=0.3");
        assert_eq!(plan.pick(0.05), Some(Fault::Spike));
        assert_eq!(plan.pick(0.1), Some(Fault::LateBurst));
        assert_eq!(plan.pick(0.399), Some(Fault::LateBurst));
        assert_eq!(plan.pick(0.41), None);
    }
}
