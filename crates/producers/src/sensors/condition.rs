//! The fault that a sensor has at the moment: when one begins, what it does to each reading, when it ends.
//!
//! This is a pure state machine: [`Condition::take`] is given each reading of the sensor in order and says what becomes
//! of it. Invariants: one fault at a time; between two faults of a sensor at least one reading goes untouched; what is
//! held back is bounded by the longest extent of a fault, and comes out later in its order.

use model::EventTime;

use super::faults::{Fault, FaultPlan};
use super::sensor::Values;
use crate::noise::Noise;

/// How much stronger the noise is during a noise burst.
const NOISE_BURST_GAIN: f64 = 10.0;

/// A reading as it was taken, before it is encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) time: EventTime,
    pub(super) sequence: u64,
    pub(super) values: Values,
}

/// What becomes of a reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    /// It is sent, labelled with the fault that touched it, if any.
    Send(Measured, Option<Fault>),
    /// It is sent twice, the second time labelled.
    SendTwice(Measured),
    /// It is never sent.
    Drop,
    /// It is kept for later.
    HoldBack,
    /// It is sent, and after it, labelled, the one that was kept.
    SendThenHeld(Measured, Measured),
    /// All that were kept are sent, labelled, and then this one. The caller takes them by
    /// [`Condition::take_buffer`].
    SendAfterBuffer(Measured),
}

/// A sensor's present fault.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    fault: Option<Fault>,
    /// Readings that the fault still lasts.
    left: u32,
    /// What the fault needs to remember: °C of drift so far, °C a reading of drift, or seconds of clock skew.
    amount: f64,
    slope: f64,
    /// The values of a stuck sensor, or the reading that others overtake.
    held: Option<Measured>,
    /// The readings of an outage; empty, and without memory, at other times.
    buffer: Vec<Measured>,
}

impl Condition {
    /// Lets a fault begin if the plan and chance say so, and says how strong the next reading's noise is.
    pub(super) fn begin(&mut self, plan: &FaultPlan, total: f64, chance: &mut Noise) -> f64 {
        if self.fault.is_none() {
            let drawn = chance.uniform();
            if drawn < total
                && let Some(fault) = plan.pick(drawn)
            {
                let (shortest, longest) = fault.extent().into_inner();
                self.left = chance.whole(shortest, longest);
                self.fault = Some(fault);
                (self.amount, self.slope) = amounts(fault, self.left, chance);
            }
        }
        if self.fault == Some(Fault::NoiseBurst) && self.left > 0 { NOISE_BURST_GAIN } else { 1.0 }
    }

    /// Decides what becomes of the sensor's next reading. `spare` gives a buffer when an outage begins.
    pub(super) fn take(
        &mut self,
        mut reading: Measured,
        chance: &mut Noise,
        spare: impl FnOnce() -> Vec<Measured>,
    ) -> Fate {
        let Some(fault) = self.fault else { return Fate::Send(reading, None) };
        if self.left == 0 {
            return self.end(fault, reading);
        }
        self.left -= 1;
        match fault {
            Fault::Spike => spike(&mut reading.values, chance),
            Fault::Drift => {
                self.amount += self.slope;
                reading.values.temperature += self.amount;
            }
            Fault::Stuck => reading.values = self.held.get_or_insert(reading).values,
            Fault::ClockSkew => reading.time = skewed(reading.time, self.amount),
            Fault::NoiseBurst | Fault::Malformed => {}
            Fault::Dropout => return Fate::Drop,
            Fault::Duplicate => return Fate::SendTwice(reading),
            Fault::OutOfOrder => return self.overtake(reading),
            Fault::LateBurst => {
                if self.buffer.capacity() == 0 {
                    self.buffer = spare();
                }
                self.buffer.push(reading);
                return Fate::HoldBack;
            }
        }
        Fate::Send(reading, Some(fault))
    }

    /// The readings of an outage, in order; the caller sends them and may use the memory again.
    pub(super) fn take_buffer(&mut self) -> Vec<Measured> {
        std::mem::take(&mut self.buffer)
    }

    /// The reading that others were to overtake, when there will be no others.
    pub(super) fn take_held_back(&mut self) -> Option<Measured> {
        if self.fault == Some(Fault::OutOfOrder) { self.held.take() } else { None }
    }

    /// The first reading after a fault.
    fn end(&mut self, fault: Fault, reading: Measured) -> Fate {
        self.fault = None;
        let held = self.held.take();
        match (fault, held) {
            (Fault::Dropout, _) => Fate::Send(reading, Some(Fault::Dropout)),
            (Fault::LateBurst, _) => Fate::SendAfterBuffer(reading),
            (Fault::OutOfOrder, Some(held)) => Fate::SendThenHeld(reading, held),
            _ => Fate::Send(reading, None),
        }
    }

    /// The first reading is kept, the next ones pass it, the last of them comes by way of [`Condition::end`].
    fn overtake(&mut self, reading: Measured) -> Fate {
        if self.held.is_none() {
            self.held = Some(reading);
            Fate::HoldBack
        } else {
            Fate::Send(reading, None)
        }
    }
}

/// The amount and slope that a fault of this extent begins with.
fn amounts(fault: Fault, extent: u32, chance: &mut Noise) -> (f64, f64) {
    let sign = if chance.uniform() < 0.5 { -1.0 } else { 1.0 };
    match fault {
        // 3 to 12 °C at the end.
        Fault::Drift => (0.0, sign * chance.between(3.0, 12.0) / f64::from(extent)),
        Fault::ClockSkew => (sign * chance.between(60.0, 7_200.0), 0.0),
        _ => (0.0, 0.0),
    }
}

/// Throws one measurement far off, sometimes to where no physical value is.
fn spike(values: &mut Values, chance: &mut Noise) {
    let sign = if chance.uniform() < 0.5 { -1.0 } else { 1.0 };
    match chance.whole(0, 9) {
        0..=5 => values.temperature += sign * chance.between(15.0, 45.0),
        6..=7 => values.humidity += sign * chance.between(40.0, 80.0),
        _ => values.pressure += sign * chance.between(60.0, 150.0),
    }
}

fn skewed(time: EventTime, seconds: f64) -> EventTime {
    // Whole seconds, so that the skewed timestamps look like the others.
    EventTime::from_micros(time.micros().saturating_add(seconds as i64 * 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Purpose;

    fn reading(sequence: u64) -> Measured {
        Measured { time: EventTime::from_micros(0), sequence, values: Values::default() }
    }

    /// Runs `fault` from the first reading on, for as long as it lasts and one reading more.
    fn run(fault: Fault) -> (Vec<Fate>, Condition) {
        let plan: FaultPlan = format!("{fault}=1").parse().expect("a plan");
        let mut chance = Noise::new(7, Purpose::Faults, 0);
        let mut condition = Condition::default();
        let mut fates = Vec::new();
        for sequence in 1..1_000 {
            condition.begin(&plan, plan.total(), &mut chance);
            let last = condition.left == 0;
            fates.push(condition.take(reading(sequence), &mut chance, Vec::new));
            if last {
                break;
            }
        }
        (fates, condition)
    }

    #[test]
    fn every_fault_lasts_for_its_extent_and_then_ends() {
        for fault in Fault::ALL {
            let (fates, condition) = run(fault);
            assert_eq!(condition.fault, None, "{fault}");
            assert!(fault.extent().contains(&(fates.len() as u32 - 1)), "{fault}: {}", fates.len());
        }
    }

    #[test]
    fn a_dropout_labels_the_first_reading_after_it() {
        let (fates, _) = run(Fault::Dropout);
        let (last, dropped) = fates.split_last().expect("fates");
        assert!(dropped.iter().all(|fate| *fate == Fate::Drop));
        assert_eq!(*last, Fate::Send(reading(fates.len() as u64), Some(Fault::Dropout)));
    }

    #[test]
    fn an_overtaken_reading_comes_after_up_to_three_later_ones() {
        let (fates, _) = run(Fault::OutOfOrder);
        assert_eq!(fates[0], Fate::HoldBack);
        let last = fates.len() as u64;
        assert!((2..=4).contains(&last));
        assert_eq!(fates[fates.len() - 1], Fate::SendThenHeld(reading(last), reading(1)));
    }

    #[test]
    fn an_outage_keeps_every_reading_in_order() {
        let (fates, mut condition) = run(Fault::LateBurst);
        let kept: Vec<u64> = condition.take_buffer().iter().map(|reading| reading.sequence).collect();
        assert_eq!(kept, (1..fates.len() as u64).collect::<Vec<_>>());
        assert_eq!(fates[fates.len() - 1], Fate::SendAfterBuffer(reading(fates.len() as u64)));
    }

    #[test]
    fn values_change_as_the_fault_says() {
        let label = |fates: &[Fate], index: usize| match fates[index] {
            Fate::Send(reading, label) => (reading, label),
            other => panic!("{other:?}"),
        };
        let (spike, fault) = label(&run(Fault::Spike).0, 0);
        assert!(spike.values != Values::default() && fault == Some(Fault::Spike));
        let drift = run(Fault::Drift).0;
        let end = label(&drift, drift.len() - 2).0.values.temperature.abs();
        assert!((2.99..=12.01).contains(&end) && label(&drift, 0).0.values.temperature.abs() < end / 10.0);
        let skew = label(&run(Fault::ClockSkew).0, 0).0.time.micros().abs();
        assert!((59_000_000..=7_200_000_000).contains(&skew) && skew % 1_000_000 == 0, "{skew}");
        assert!(matches!(run(Fault::Duplicate).0[0], Fate::SendTwice(_)));
    }
}
