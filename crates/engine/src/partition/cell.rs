//! The figures of one measurement in one window.

use model::summary::{Figures, Quantiles};

use crate::exact::Sum;
use crate::metric_names::MetricId;

/// What a window knows of one measurement. Whatever the order in which values come, the figures are the same: sums are
/// exact for all that is seen of them, and of values with the same time the smallest is the first and the largest the last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) metric: MetricId,
    pub(super) count: u32,
    pub(super) first_at: i64,
    pub(super) last_at: i64,
    pub(super) first: f64,
    pub(super) last: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: Sum,
    pub(super) squares: Sum,
}

impl Cell {
    pub(super) fn new(metric: MetricId) -> Self {
        Self {
            metric,
            count: 0,
            first_at: i64::MAX,
            last_at: i64::MIN,
            first: f64::INFINITY,
            last: f64::NEG_INFINITY,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: Sum::default(),
            squares: Sum::default(),
        }
    }

    #[inline]
    pub(super) fn add(&mut self, time: i64, value: f64) {
        self.count = self.count.saturating_add(1);
        if (time, value) < (self.first_at, self.first) {
            (self.first_at, self.first) = (time, value);
        }
        if (time, value) > (self.last_at, self.last) {
            (self.last_at, self.last) = (time, value);
        }
        if value < self.min {
            self.min = value;
        }
        if value > self.max {
            self.max = value;
        }
        self.sum.add(value);
        self.squares.add_square(value);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        if (other.first_at, other.first) < (self.first_at, self.first) {
            (self.first_at, self.first) = (other.first_at, other.first);
        }
        if (other.last_at, other.last) > (self.last_at, self.last) {
            (self.last_at, self.last) = (other.last_at, other.last);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum.merge(other.sum);
        self.squares.merge(other.squares);
    }

    pub(super) fn figures(&self) -> Figures {
        let count = f64::from(self.count);
        Figures {
            // Rounding must not put the mean outside of the values.
            mean: self.sum.mean(count).clamp(self.min, self.max),
            min: self.min,
            max: self.max,
            stddev: self.sum.variance(self.squares, count).sqrt(),
            first: self.first,
            last: self.last,
        }
    }
}

/// p50, p95 and p99 of a sketch that is not empty.
pub(super) fn quantiles(sketch: &crate::sketch::Sketch) -> Option<Quantiles> {
    Some(Quantiles { p50: sketch.quantile(0.5)?, p95: sketch.quantile(0.95)?, p99: sketch.quantile(0.99)? })
}
