//! `hourly`: how many standard deviations a value is away from what is usual at this hour of the day (UTC).
//!
//! For each hour a mean and a variance, exponentially weighted with a memory of [`MEMORY`] readings, learned as in
//! `deviation`. Known for an hour after [`LEARNED`] readings in it on at least two days.

use super::deviation::spread;
use super::{Detector, Moment};

const HOURS: usize = 24;
/// Of each hour: readings, mean, variance, the first day.
const HOUR: usize = 4;
const MEMORY: f64 = 2_000.0;
const LEARNED: f64 = 20.0;
const CLIP: f64 = 3.0;

/// The distance from the usual of the hour.
#[derive(Debug)]
pub(super) struct Hourly;

fn hour(seconds: f64) -> usize {
    ((seconds / 3_600.0).floor().rem_euclid(HOURS as f64)) as usize
}

impl Detector for Hourly {
    fn words(&self) -> usize {
        HOURS * HOUR
    }

    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64> {
        let value = moment.value?;
        let [count, mean, variance, first_day] = &mut words[hour(moment.seconds) * HOUR..][..HOUR] else {
            return None;
        };
        let day = (moment.seconds / 86_400.0).floor();
        if *count == 0.0 {
            *first_day = day;
        }
        let usual = spread(variance.sqrt(), *mean);
        let known = *count >= LEARNED && day > *first_day;
        let score = known.then(|| (value - *mean).abs() / usual);
        *count = (*count + 1.0).min(MEMORY);
        let away = if known { (value - *mean).clamp(-CLIP * usual, CLIP * usual) } else { value - *mean };
        let weight = 1.0 / *count;
        *mean += weight * away;
        *variance = (1.0 - weight) * (*variance + weight * away * away);
        score
    }

    fn evidence(&self, words: &[f64], seconds: f64) -> Vec<(&'static str, f64)> {
        let hour = &words[hour(seconds) * HOUR..][..HOUR];
        vec![("usual at this hour", hour[1]), ("spread", hour[2].sqrt())]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn noon_is_warmer_than_midnight() {
        let daily =
            |minute: u32| 20.0 + 8.0 * (f64::from(minute % 1_440) / 1_440.0 * std::f64::consts::TAU).sin();
        let days = (0..1_440 * 4).map(|minute| (f64::from(minute) * 60.0, daily(minute)));
        // At the hour of the highest, and at that of the lowest: 28 degrees.
        let end = 1_440.0 * 4.0 * 60.0;
        let figures = run(&Hourly, days.chain([(end + 6.0 * 3_600.0, 28.0), (end + 18.0 * 3_600.0, 28.0)]));
        let [.., usual, unusual] = figures[..] else { panic!("there are figures") };
        assert!(usual.expect("known") < 3.0 && unusual.expect("known") > 10.0, "{usual:?} {unusual:?}");
        assert!(figures[..1_440].iter().all(Option::is_none), "the first day is for learning");
    }
}
