//! Sums that do not depend on the order of what is added, for all that a reader of the result can see.
//!
//! A [`Sum`] is a double and the rounding error of that double (Dekker, 1971; Knuth's two-sum): about 106 bits. The sum of
//! some million readings of usual digits fits without any rounding, so that windows of the same readings have the same mean
//! to the last bit in whatever order the readings came, and squares can be summed without losing a small spread around a
//! large mean.

/// A sum of doubles with twice their digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

/// A variance below this part of the squared mean is what rounding leaves of none: values do not have so many digits.
const NOTHING: f64 = 1e-24;

/// The rounded sum and what rounding took.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// The rounded product and what rounding took.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    // Veltkamp's split instead of a fused multiply-add, which is a call of the C library on a usual target.
    let (a_high, a_low) = split(a);
    let (b_high, b_low) = split(b);
    (product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

fn split(value: f64) -> (f64, f64) {
    const FACTOR: f64 = 134_217_729.0; // 2^27 + 1
    let scaled = FACTOR * value;
    let high = scaled - (scaled - value);
    (high, value - high)
}

impl Sum {
    /// Adds a value.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.add_both(value, 0.0);
    }

    /// Adds the square of a value, of which nothing is rounded away.
    #[inline]
    pub(crate) fn add_square(&mut self, value: f64) {
        let (square, rest) = two_product(value, value);
        self.add_both(square, rest);
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: Self) {
        self.add_both(other.high, other.low);
    }

    #[inline]
    fn add_both(&mut self, high: f64, low: f64) {
        let (sum, error) = two_sum(self.high, high);
        let (low_sum, low_error) = two_sum(self.low, low);
        let (sum, error) = two_sum(sum, error + low_sum);
        (self.high, self.low) = two_sum(sum, error + low_error);
    }

    /// The mean of `count` values with this sum.
    pub(crate) fn mean(self, count: f64) -> f64 {
        self.over(count).high
    }

    /// The variance (of the whole, not of a sample) of `count` values whose squares have the sum `squares`; not negative.
    pub(crate) fn variance(self, squares: Self, count: f64) -> f64 {
        let mean = self.over(count);
        let mut variance = squares.over(count);
        let (square, rest) = two_product(mean.high, mean.high);
        variance.add_both(-square, -(rest + 2.0 * mean.high * mean.low));
        if variance.high < NOTHING * square { 0.0 } else { variance.high }
    }

    fn over(self, divisor: f64) -> Self {
        let quotient = self.high / divisor;
        let (product, rest) = two_product(quotient, divisor);
        let low = ((self.high - product) - rest + self.low) / divisor;
        let (high, low) = two_sum(quotient, low);
        Self { high, low }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> (f64, f64) {
        let (mut sum, mut squares) = (Sum::default(), Sum::default());
        for value in values {
            sum.add(*value);
            squares.add_square(*value);
        }
        let count = values.len() as f64;
        (sum.mean(count), sum.variance(squares, count))
    }

    #[test]
    fn a_small_spread_around_a_large_mean_is_kept() {
        let values: Vec<f64> = (0..10_000).map(|step| 1e9 + f64::from(step % 10) * 0.125).collect();
        let (mean, variance) = of(&values);
        assert!((mean - (1e9 + 0.5625)).abs() < 1e-6, "{mean}");
        assert!((variance - 99.0 / 12.0 / 64.0).abs() < 1e-9, "{variance}");
    }

    #[test]
    fn a_constant_has_no_spread() {
        assert_eq!(of(&[0.1; 1_000]), (0.1, 0.0));
        let (mean, variance) = of(&[1e100, 1e100, -1e100]);
        assert!(mean.is_finite() && variance.is_finite());
    }

    proptest! {
        #[test]
        fn the_order_of_readings_is_not_seen(
            digits in prop::collection::vec(-20_000_000_i32..20_000_000, 1..400), places in 0_i32..6, turn in 0_usize..400,
        ) {
            let values: Vec<f64> = digits.iter().map(|digits| f64::from(*digits) / 10_f64.powi(places)).collect();
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len());
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let expected = of(&values);
            prop_assert_eq!(of(&turned), expected);
            prop_assert_eq!(of(&sorted), expected);
        }

        #[test]
        fn it_agrees_with_two_passes(values in prop::collection::vec(-1e6..1e6_f64, 1..300)) {
            let (mean, variance) = of(&values);
            let count = values.len() as f64;
            let plain = values.iter().sum::<f64>() / count;
            let spread = values.iter().map(|value| (value - plain) * (value - plain)).sum::<f64>() / count;
            prop_assert!((mean - plain).abs() <= 1e-9 * plain.abs().max(1.0));
            prop_assert!((variance - spread).abs() <= 1e-9 * spread.max(1.0));
        }

        #[test]
        fn sums_can_be_put_together(a in prop::collection::vec(-1e3..1e3_f64, 1..50), b in prop::collection::vec(-1e3..1e3_f64, 1..50)) {
            let sum = |values: &[f64]| values.iter().fold(Sum::default(), |mut sum, value| { sum.add(*value); sum });
            let mut merged = sum(&a);
            merged.merge(sum(&b));
            let whole = sum(&[a, b].concat());
            prop_assert!((merged.high - whole.high).abs() <= 1e-12 * whole.high.abs().max(1.0));
        }
    }
}
