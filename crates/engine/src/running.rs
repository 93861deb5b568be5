//! Count, mean, spread and extremes of a series of numbers, in constant space and without keeping the numbers.
//!
//! The mean and the sum of squared deviations follow Welford (1962); two series are put together after Chan and
//! others (1979). Neither ever subtracts two large sums, so a small spread around a large mean keeps
//! its digits, where a sum of squares would lose them all.
//!
//! Invariant: nothing in here is ever NaN or infinite. [`Running::add`] therefore takes only values up to
//! [`Running::MAX_MAGNITUDE`], whose squares still fit a double with room for 10^100 of them.

/// The running statistics of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Running {
    count: u64,
    mean: f64,
    /// The sum of squared deviations from the mean.
    m2: f64,
    min: f64,
    max: f64,
}

impl Running {
    /// The statistics of an empty series.
    pub const EMPTY: Self = Self { count: 0, mean: 0.0, m2: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// The largest magnitude that can be summed up: far beyond any physical quantity in any unit.
    pub const MAX_MAGNITUDE: f64 = 1e100;

    /// Whether [`Running::add`] takes this value.
    pub fn accepts(value: f64) -> bool {
        // Also false for NaN.
        value.abs() <= Self::MAX_MAGNITUDE
    }

    /// Adds one value, which must be one that [`Running::accepts`].
    pub fn add(&mut self, value: f64) {
        debug_assert!(Self::accepts(value), "{value} cannot be summed up");
        self.count += 1;
        let from_old_mean = value - self.mean;
        self.mean += from_old_mean / self.count as f64;
        self.m2 += from_old_mean * (value - self.mean);
        // Not `f64::min`: its care for NaN costs, and there is none here.
        if value < self.min {
            self.min = value;
        }
        if value > self.max {
            self.max = value;
        }
    }

    /// Adds all values of another series.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (own, others) = (self.count as f64, other.count as f64);
        let between = other.mean - self.mean;
        self.count += other.count;
        let share = others / self.count as f64;
        self.mean += between * share;
        self.m2 += other.m2 + between * between * own * share;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The arithmetic mean; `None` of an empty series.
    pub fn mean(&self) -> Option<f64> {
        self.of_any(self.mean)
    }

    /// The smallest value; `None` of an empty series.
    pub fn min(&self) -> Option<f64> {
        self.of_any(self.min)
    }

    /// The largest value; `None` of an empty series.
    pub fn max(&self) -> Option<f64> {
        self.of_any(self.max)
    }

    /// The population variance, the mean squared deviation (divided by the count, not by one less); `None` of an
    /// empty series.
    pub fn variance(&self) -> Option<f64> {
        self.of_any(self.m2 / self.count as f64)
    }

    /// The population standard deviation, the root of [`Running::variance`], in the unit of the values; 0 of one
    /// value, `None` of an empty series. Python's `pstdev` computes the same.
    pub fn stddev(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The sample standard deviation (divided by one less than the count), an estimate for the population that
    /// the values were drawn from; `None` of fewer than two values. Python's `stdev` computes the same.
    pub fn sample_stddev(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.m2 / (self.count - 1) as f64).sqrt())
    }

    fn of_any(&self, figure: f64) -> Option<f64> {
        (self.count > 0).then_some(figure)
    }
}

impl Default for Running {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Running {
        let mut running = Running::EMPTY;
        for value in values {
            running.add(*value);
        }
        running
    }

    /// The textbook way: two passes over all values.
    fn two_pass(values: &[f64]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        // The second term takes out what rounding left in the mean.
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let rest: f64 = values.iter().map(|value| value - mean).sum();
        (mean, ((squares - rest * rest / count) / count).sqrt())
    }

    #[track_caller]
    fn assert_close(got: f64, expected: f64, scale: f64) {
        assert!(
            (got - expected).abs() <= 1e-9 * scale.max(f64::MIN_POSITIVE),
            "{got} is not about {expected}"
        );
    }

    #[track_caller]
    fn check(running: &Running, values: &[f64]) {
        let (mean, stddev) = two_pass(values);
        let spread = values.iter().fold(0.0_f64, |widest, value| widest.max((value - mean).abs()));
        let magnitude = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        assert_eq!(running.count(), values.len() as u64);
        assert_close(running.mean().expect("not empty"), mean, magnitude);
        // 1e-15 of the magnitude is what the values themselves are rounded to.
        assert_close(running.stddev().expect("not empty"), stddev, spread + magnitude * 1e-5);
        assert_eq!(running.min(), values.iter().copied().reduce(f64::min));
        assert_eq!(running.max(), values.iter().copied().reduce(f64::max));
    }

    #[test]
    fn an_empty_series_has_no_figures() {
        let empty = Running::EMPTY;
        assert_eq!((empty.count(), empty.mean(), empty.min(), empty.max()), (0, None, None, None));
        assert_eq!((empty.variance(), empty.stddev(), empty.sample_stddev()), (None, None, None));
    }

    #[test]
    fn known_values() {
        let running = of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((running.mean(), running.stddev()), (Some(5.0), Some(2.0)));
        assert_close(running.sample_stddev().expect("eight values"), (32.0_f64 / 7.0).sqrt(), 1.0);
        let one = of(&[-7.5]);
        assert_eq!((one.mean(), one.stddev(), one.sample_stddev()), (Some(-7.5), Some(0.0), None));
    }

    #[test]
    fn a_constant_has_no_spread() {
        let running = of(&vec![0.1; 10_000]);
        assert_eq!((running.mean(), running.stddev()), (Some(0.1), Some(0.0)));
    }

    #[test]
    fn a_small_spread_around_a_large_mean_is_kept() {
        // A sum of squares would have about 1e18 to take apart here, with 16 digits.
        let values: Vec<f64> = (0..100_000).map(|step| 1e9 + f64::from(step % 10) * 0.1).collect();
        let running = of(&values);
        let expected = (99.0_f64 / 12.0).sqrt() * 0.1;
        assert!((running.stddev().expect("many") - expected).abs() < 1e-6, "{running:?}");
        assert!((running.mean().expect("many") - (1e9 + 0.45)).abs() < 1e-5, "{running:?}");
    }

    #[test]
    fn the_largest_values_stay_finite() {
        let mut running = of(&[Running::MAX_MAGNITUDE, -Running::MAX_MAGNITUDE, Running::MAX_MAGNITUDE]);
        running.merge(&of(&[-Running::MAX_MAGNITUDE]));
        assert!(running.stddev().expect("four values").is_finite());
        assert!(
            !Running::accepts(f64::NAN) && !Running::accepts(f64::INFINITY) && !Running::accepts(1.1e100)
        );
    }

    fn series() -> impl Strategy<Value = Vec<f64>> {
        let shift = prop_oneof![Just(0.0), Just(1e9), Just(-1e9), -1e6..1e6];
        let scale = prop_oneof![Just(1.0), Just(1e-3), Just(1e4)];
        (shift, scale, prop::collection::vec(-1.0..1.0, 1..300))
            .prop_map(|(shift, scale, noise)| noise.iter().map(|step| shift + scale * step).collect())
    }

    proptest! {
        #[test]
        fn agrees_with_two_passes(values in series()) {
            check(&of(&values), &values);
        }

        #[test]
        fn a_merge_agrees_with_two_passes(left in series(), right in series()) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            check(&merged, &[left, right].concat());
        }

        #[test]
        fn merging_is_associative(a in series(), b in series(), c in series()) {
            let [mut left, mut right] = [of(&a), of(&b)];
            left.merge(&of(&b));
            left.merge(&of(&c));
            right.merge(&of(&c));
            let mut other = of(&a);
            other.merge(&right);
            let all = [a, b, c].concat();
            check(&left, &all);
            check(&other, &all);
        }

        #[test]
        fn the_empty_series_is_neutral(values in series()) {
            let whole = of(&values);
            let (mut left, mut right) = (Running::EMPTY, whole);
            left.merge(&whole);
            right.merge(&Running::EMPTY);
            prop_assert_eq!(left, whole);
            prop_assert_eq!(right, whole);
        }
    }
}
