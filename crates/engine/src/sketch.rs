//! Quantiles of a series in bounded space: `DDSketch` (Masson, Rim and Lee, VLDB 2019).
//!
//! A value falls into the bucket `i` with γ^(i-1) < |value| <= γ^i, where γ = (1 + α) / (1 - α); negative values have buckets
//! of their own, and what is smaller than [`SMALLEST`] counts as zero. The middle of a bucket is at most α = 1 % away from
//! any value in it, so that a quantile is wrong by at most 1 % of itself. Sketches of parts are put together by adding the
//! buckets, without further error, and the order of values does not matter.
//!
//! A sketch has at most [`MAX_BUCKETS`] buckets of either sign, enough for values over ten powers of ten. Beyond that the
//! buckets nearest to zero are put together, so that only quantiles near zero lose their bound on the error.

/// The relative error.
pub const RELATIVE_ERROR: f64 = 0.01;
/// Smaller magnitudes count as zero.
pub const SMALLEST: f64 = 1e-9;
/// Buckets of each sign.
pub const MAX_BUCKETS: usize = 1_200;

const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);

/// Counts of values by their magnitude.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Buckets of one sign by their number, ascending, each with how many values it has.
    pub(crate) negative: Vec<(i16, u32)>,
    pub(crate) positive: Vec<(i16, u32)>,
    pub(crate) zeros: u32,
}

impl Sketch {
    /// Adds a value, which must be finite.
    pub fn add(&mut self, value: f64) {
        let magnitude = value.abs();
        if magnitude < SMALLEST {
            self.zeros = self.zeros.saturating_add(1);
            return;
        }
        let buckets = if value < 0.0 { &mut self.negative } else { &mut self.positive };
        count(buckets, bucket(magnitude), 1);
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Self) {
        self.zeros = self.zeros.saturating_add(other.zeros);
        for (number, values) in &other.negative {
            count(&mut self.negative, *number, *values);
        }
        for (number, values) in &other.positive {
            count(&mut self.positive, *number, *values);
        }
    }

    /// The value of which a share `q` of 0 to 1 is not larger; `None` while there are no values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count =
            |buckets: &[(i16, u32)]| buckets.iter().map(|(_, values)| u64::from(*values)).sum::<u64>();
        let total = count(&self.negative) + count(&self.positive) + u64::from(self.zeros);
        let rank = (q * total.checked_sub(1)? as f64) as u64;
        let negative = self.negative.iter().rev().map(|(number, values)| (-middle(*number), *values));
        let positive = self.positive.iter().map(|(number, values)| (middle(*number), *values));
        let mut seen = 0;
        let mut all = negative.chain([(0.0, self.zeros)]).chain(positive);
        all.find_map(|(value, values)| {
            seen += u64::from(values);
            (seen > rank).then_some(value)
        })
    }

    /// The bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        (self.negative.capacity() + self.positive.capacity()) * size_of::<(i16, u32)>()
    }
}

fn bucket(magnitude: f64) -> i16 {
    (magnitude.ln() / GAMMA.ln()).ceil() as i16
}

fn middle(number: i16) -> f64 {
    2.0 * GAMMA.powi(i32::from(number)) / (GAMMA + 1.0)
}

fn count(buckets: &mut Vec<(i16, u32)>, number: i16, values: u32) {
    match buckets.binary_search_by_key(&number, |(number, _)| *number) {
        Ok(at) => buckets[at].1 = buckets[at].1.saturating_add(values),
        Err(at) => {
            buckets.insert(at, (number, values));
            if buckets.len() > MAX_BUCKETS {
                let (_, nearest) = buckets.remove(0);
                buckets[0].1 = buckets[0].1.saturating_add(nearest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Sketch {
        values.iter().fold(Sketch::default(), |mut sketch, value| {
            sketch.add(*value);
            sketch
        })
    }

    #[test]
    fn an_empty_sketch_has_no_quantiles() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn zeros_and_extremes() {
        let sketch = of(&[0.0, 1e-12, 1e100, -1e100]);
        assert_eq!(sketch.quantile(0.5), Some(0.0));
        let least = sketch.quantile(0.0).expect("four values");
        assert!((least + 1e100).abs() <= 1.001e98, "{least}");
    }

    #[test]
    fn there_is_a_bound_on_buckets() {
        let values: Vec<f64> = (0..20_000).map(|step| 10_f64.powf(f64::from(step) / 180.0 - 9.0)).collect();
        let sketch = of(&values);
        assert_eq!(sketch.positive.len(), MAX_BUCKETS);
        let median = sketch.quantile(0.99).expect("many values");
        let exact = values[19_799];
        assert!((median - exact).abs() <= exact * RELATIVE_ERROR * 1.001);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_the_error(
            mut values in prop::collection::vec(prop_oneof![-1e4..1e4_f64, -1.0..1.0_f64], 1..500), q in 0.0..=1.0_f64,
        ) {
            let got = of(&values).quantile(q).expect("not empty");
            values.sort_by(f64::total_cmp);
            let exact = values[(q * (values.len() - 1) as f64) as usize];
            prop_assert!((got - exact).abs() <= exact.abs() * RELATIVE_ERROR * 1.000_1 + SMALLEST, "{got} is not about {exact}");
        }

        #[test]
        fn order_and_parts_do_not_matter(values in prop::collection::vec(-1e4..1e4_f64, 1..300), at in 0_usize..300) {
            let (left, right) = values.split_at(at % values.len());
            let mut merged = of(right);
            merged.merge(&of(left));
            prop_assert_eq!(merged, of(&values));
        }
    }
}
