//! `rate`: how fast a measurement changes, per second.
//!
//! `rate(m)` is the change from the reading before; `rate(m, time)` that since the oldest reading of the last so long, for
//! which one reading is kept of each twelfth of the time. It is known once there is a reading at least half the time back.

use std::time::Duration;

use super::{Detector, Moment};

const PARTS: usize = 12;
/// Of each part: whether there is a reading, its time, its value.
const PART: usize = 3;

/// The change per second.
#[derive(Debug)]
pub(super) struct Rate {
    time: Option<Duration>,
}

impl Rate {
    pub(super) fn new(time: Option<Duration>) -> Self {
        Self { time }
    }
}

impl Detector for Rate {
    fn words(&self) -> usize {
        if self.time.is_some() { PARTS * PART } else { PART }
    }

    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64> {
        let value = moment.value?;
        let per_second = |seconds: f64, before: f64| {
            let passed = moment.seconds - seconds;
            (passed > 0.0).then(|| (value - before) / passed)
        };
        let Some(time) = self.time else {
            let rate = (words[0] > 0.0).then(|| per_second(words[1], words[2])).flatten();
            words.copy_from_slice(&[1.0, moment.seconds, value]);
            return rate;
        };
        let time = time.as_secs_f64();
        let length = time / PARTS as f64;
        let oldest = words
            .chunks_exact(PART)
            .filter(|part| part[0] > 0.0 && moment.seconds - part[1] <= time)
            .min_by(|a, b| a[1].total_cmp(&b[1]));
        let rate = oldest
            .filter(|part| moment.seconds - part[1] >= time / 2.0)
            .and_then(|part| per_second(part[1], part[2]));
        let number = (moment.seconds / length).floor();
        let part = &mut words[number.rem_euclid(PARTS as f64) as usize * PART..][..PART];
        if part[0] == 0.0 || (part[1] / length).floor() != number {
            part.copy_from_slice(&[1.0, moment.seconds, value]);
        }
        rate
    }

    fn window(&self) -> Option<Duration> {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn from_reading_to_reading() {
        let figures = run(&Rate::new(None), [(0.0, 1.0), (2.0, 2.0), (2.0, 9.0), (4.0, 5.0)]);
        assert_eq!(figures, [None, Some(0.5), None, Some(-2.0)]);
    }

    #[test]
    fn over_a_time() {
        let rate = Rate::new(Some(Duration::from_secs(12)));
        let figures = run(&rate, (0..30).map(|second| (f64::from(second), 3.0 * f64::from(second))));
        assert!(
            figures[5].is_none() && figures[6..].iter().all(|figure| *figure == Some(3.0)),
            "{figures:?}"
        );
    }
}
