//! `stuck`: whether a measurement has had the very same value for so long, in at least [`READINGS`] readings.

use std::time::Duration;

use super::{Detector, Moment};

/// Fewer readings do not tell a sensor that is stuck from one that seldom reports.
const READINGS: f64 = 4.0;

/// Whether a value stays the same.
#[derive(Debug)]
pub(super) struct Stuck {
    time: Duration,
}

impl Stuck {
    pub(super) fn new(time: Duration) -> Self {
        Self { time }
    }
}

impl Detector for Stuck {
    fn words(&self) -> usize {
        3 // The value, since when, in how many readings.
    }

    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64> {
        let value = moment.value?;
        if words[2] == 0.0 || words[0] != value {
            words.copy_from_slice(&[value, moment.seconds, 0.0]);
        }
        words[2] += 1.0;
        let stuck = words[2] >= READINGS && moment.seconds - words[1] >= self.time.as_secs_f64();
        Some(f64::from(u8::from(stuck)))
    }

    fn window(&self) -> Option<Duration> {
        Some(self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn a_value_that_stays() {
        let stuck = Stuck::new(Duration::from_secs(5));
        let values = [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.5];
        let figures =
            run(&stuck, values.into_iter().enumerate().map(|(second, value)| (second as f64, value)));
        let stuck: Vec<bool> = figures.iter().map(|figure| *figure == Some(1.0)).collect();
        assert_eq!(stuck, [false, false, false, false, false, false, true, false]);
    }

    #[test]
    fn a_sensor_that_seldom_reports_is_not_stuck_at_once() {
        let figures =
            run(&Stuck::new(Duration::from_secs(5)), (0..5).map(|hour| (3_600.0 * f64::from(hour), 7.0)));
        assert_eq!(figures.iter().filter(|figure| **figure == Some(1.0)).count(), 2);
    }
}
