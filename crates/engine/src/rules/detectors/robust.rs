//! `robust`: how far a value is from the median of the last [`KEPT`], in units of their usual distance from it.
//!
//! The modified z-score 0.6745 · |x - median| / MAD (Iglewicz and Hoaglin, 1993), exact over the values kept. Up to half of
//! them can be faulty without moving it much. Known after [`LEARNED`] readings; about a microsecond a reading.

use super::deviation::spread;
use super::{Detector, Moment};

const KEPT: usize = 63;
const LEARNED: usize = 20;
/// In front of the values: how many readings there were, then the median and the usual distance that were found last.
const HEAD: usize = 3;

/// The distance from the median.
#[derive(Debug)]
pub(super) struct Robust;

impl Detector for Robust {
    fn words(&self) -> usize {
        HEAD + KEPT
    }

    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64> {
        let value = moment.value?;
        let (head, kept) = words.split_at_mut(HEAD);
        let readings = head[0] as usize;
        let count = readings.min(KEPT);
        let score = (count >= LEARNED).then(|| {
            let mut sorted = [0.0; KEPT];
            let sorted = &mut sorted[..count];
            sorted.copy_from_slice(&kept[..count]);
            let median = middle(sorted);
            for value in &mut *sorted {
                *value = (*value - median).abs();
            }
            let usual = middle(sorted);
            (head[1], head[2]) = (median, usual);
            (value - median).abs() / spread(usual / 0.6745, median)
        });
        kept[readings % KEPT] = value;
        // Goes round below twice the number kept, so that it never loses its last digit.
        head[0] = if readings + 1 >= 2 * KEPT { KEPT as f64 } else { (readings + 1) as f64 };
        score
    }

    fn evidence(&self, words: &[f64], _seconds: f64) -> Vec<(&'static str, f64)> {
        vec![("median", words[1]), ("usual distance", words[2])]
    }
}

fn middle(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    *values.select_nth_unstable_by(half, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn many_faults_do_not_become_usual() {
        let noise = |step: u32| f64::from(step * 7_919 % 101) / 101.0;
        let steady = (0..200).map(|step| (f64::from(step), 20.0 + noise(step)));
        let faults = (200..220).map(|step| (f64::from(step), 40.0));
        let figures = run(&Robust, steady.chain(faults));
        assert!(figures[..20].iter().all(Option::is_none));
        assert!(figures[20..200].iter().flatten().all(|score| *score < 4.0));
        assert!(figures[200..].iter().all(|score| score.expect("known") > 10.0));
    }
}
