//! `deviation`: how many standard deviations a value is away from what is usual of late.
//!
//! Mean and variance are exponentially weighted (Roberts, 1959; the variance after West, 1979), with a memory of about
//! [`MEMORY`] readings. A value counts for at most [`CLIP`] standard deviations when the usual is learned, so that a fault
//! does not soon look usual. Known after [`LEARNED`] readings.

use super::{Detector, Moment};

const MEMORY: f64 = 200.0;
const LEARNED: f64 = 30.0;
const CLIP: f64 = 3.0;
/// A spread below this part of the mean is taken for a sensor of few digits, not for a steady one.
const LEAST_SPREAD: f64 = 1e-3;

/// The distance from the usual in standard deviations.
#[derive(Debug)]
pub(super) struct Deviation;

/// A spread that is not nothing, so that the first other value of a constant is not infinitely far.
pub(super) fn spread(stddev: f64, mean: f64) -> f64 {
    stddev.max(mean.abs() * LEAST_SPREAD).max(1e-6)
}

impl Detector for Deviation {
    fn words(&self) -> usize {
        3 // Readings, mean, variance.
    }

    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64> {
        let value = moment.value?;
        let [count, mean, variance] = words else { return None };
        let usual = spread(variance.sqrt(), *mean);
        let score = (*count >= LEARNED).then(|| (value - *mean).abs() / usual);
        *count = (*count + 1.0).min(MEMORY);
        let away =
            if score.is_some() { (value - *mean).clamp(-CLIP * usual, CLIP * usual) } else { value - *mean };
        let weight = 1.0 / *count;
        *mean += weight * away;
        *variance = (1.0 - weight) * (*variance + weight * away * away);
        score
    }

    fn evidence(&self, words: &[f64], _seconds: f64) -> Vec<(&'static str, f64)> {
        vec![("usual", words[1]), ("spread", words[2].sqrt())]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn a_jump_is_far_and_noise_is_not() {
        let noise = |step: u32| f64::from(step * 7_919 % 101) / 101.0;
        let steady = (0..300).map(|step| (f64::from(step), 20.0 + noise(step)));
        let figures = run(&Deviation, steady.chain([(300.0, 24.0), (301.0, 20.5)]));
        assert!(figures[..29].iter().all(Option::is_none));
        assert!(figures[40..300].iter().flatten().all(|score| *score < 3.0));
        assert!(figures[300].expect("known") > 8.0);
        assert!(figures[301].expect("known") < 2.0, "the jump was not learned");
    }
}
