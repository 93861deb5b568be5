//! Figures of the last fifteen minutes, in steps of ten seconds.

use std::collections::VecDeque;

/// A step, in seconds.
pub(super) const STEP: i64 = 10;
/// Steps that are kept.
const STEPS: usize = 90;

/// One figure over time.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The number of the newest step since 1970.
    newest: i64,
    values: VecDeque<f64>,
}

impl History {
    /// Adds to the step of a time.
    pub(super) fn add(&mut self, now_seconds: i64, value: f64) {
        *self.at(now_seconds) += value;
    }

    /// Sets the value of the step of a time.
    pub(super) fn set(&mut self, now_seconds: i64, value: f64) {
        *self.at(now_seconds) = value;
    }

    fn at(&mut self, now_seconds: i64) -> &mut f64 {
        let step = now_seconds.div_euclid(STEP);
        if self.values.is_empty() {
            self.newest = step;
            self.values.push_back(0.0);
        }
        while self.newest < step {
            // After a long silence the old steps are of no use.
            self.newest = (self.newest + 1).max(step - STEPS as i64);
            self.values.push_back(0.0);
            if self.values.len() > STEPS {
                self.values.pop_front();
            }
        }
        self.values.back_mut().expect("there is one step at least")
    }

    /// All steps up to a time, the oldest first.
    pub(super) fn until(&mut self, now_seconds: i64) -> Vec<f64> {
        self.at(now_seconds);
        self.values.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_pass_with_time_and_old_ones_go() {
        let mut history = History::default();
        history.add(100, 1.0);
        history.add(109, 2.0);
        history.add(130, 5.0);
        assert_eq!(history.until(140), [3.0, 0.0, 0.0, 5.0, 0.0]);
        history.set(141, 7.0);
        assert_eq!(history.until(141).last(), Some(&7.0));
        history.add(1_000_000, 1.0);
        let values = history.until(1_000_000);
        assert_eq!((values.len(), values.iter().sum::<f64>()), (STEPS, 1.0));
    }
}
