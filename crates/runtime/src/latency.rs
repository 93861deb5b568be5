//! Latency figures: many threads record durations in microseconds, anyone reads percentiles.
//!
//! Recording takes a lock, so a hot path gathers its values and hands them over once a batch with
//! [`Latency::record_all`]. Memory is fixed: about 100 KB for the whole range.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

/// The largest value kept apart, 10 minutes; longer ones count as this.
const MAX_MICROS: u64 = 600_000_000;
/// Two significant digits: a percentile is within 1 % of the true value.
const SIGNIFICANT_DIGITS: u8 = 2;

/// A shared recorder; clones share it.
#[derive(Debug, Clone)]
pub struct Latency {
    histogram: Arc<Mutex<Histogram<u64>>>,
}

/// Percentiles in microseconds; all zero while nothing was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencySnapshot {
    /// How many values were recorded.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest value, at most ten minutes.
    pub max: u64,
}

impl Latency {
    /// An empty recorder.
    pub fn new() -> Self {
        Self { histogram: Arc::new(Mutex::new(empty_histogram())) }
    }

    /// Records one value in microseconds.
    pub fn record(&self, micros: u64) {
        self.lock().saturating_record(micros);
    }

    /// Records a batch of values in microseconds under one lock.
    pub fn record_all(&self, micros: impl IntoIterator<Item = u64>) {
        let mut histogram = self.lock();
        for value in micros {
            histogram.saturating_record(value);
        }
    }

    /// The percentiles of everything recorded so far.
    pub fn snapshot(&self) -> LatencySnapshot {
        let histogram = self.lock();
        LatencySnapshot {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.50),
            p95: histogram.value_at_quantile(0.95),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.histogram.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_MICROS, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants in the order the histogram asks for")
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent() {
        let latency = Latency::new();
        assert_eq!(latency.snapshot(), LatencySnapshot::default());
        latency.record_all(1..=99_999);
        latency.record(100_000);
        let got = latency.snapshot();
        assert_eq!(got.count, 100_000);
        for (value, expected) in [(got.p50, 50_000), (got.p95, 95_000), (got.p99, 99_000), (got.max, 100_000)]
        {
            assert!(value.abs_diff(expected) <= expected / 100, "{value} is not about {expected}");
        }
    }

    #[test]
    fn a_value_beyond_the_range_counts_as_the_largest() {
        let latency = Latency::new();
        latency.record(u64::MAX);
        let max = latency.snapshot().max;
        assert!(max.abs_diff(MAX_MICROS) <= MAX_MICROS / 100, "{max}");
    }
}
