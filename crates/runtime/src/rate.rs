//! The rate of a growing counter over the last seconds, for progress lines.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many samples a meter keeps at most; older ones are forgotten even if they are inside the window.
const MAX_SAMPLES: usize = 64;

/// Turns samples of a counter into a rate over a sliding window.
#[derive(Debug, Clone)]
pub struct RateMeter {
    window: Duration,
    samples: VecDeque<(Instant, u64)>,
}

impl RateMeter {
    /// A meter over the last `window`.
    pub fn new(window: Duration) -> Self {
        Self { window, samples: VecDeque::with_capacity(MAX_SAMPLES) }
    }

    /// Notes that the counter stood at `total` at `now`, and returns the rate per second over the window:
    /// zero for the first sample. Samples must come in the order of time.
    pub fn sample(&mut self, now: Instant, total: u64) -> f64 {
        // One sample at or before the window's start stays, so that the window is covered in full.
        while self.samples.len() >= 2
            && self.samples.get(1).is_some_and(|&(at, _)| now.duration_since(at) >= self.window)
        {
            self.samples.pop_front();
        }
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now, total));
        let Some(&(since, first)) = self.samples.front() else { return 0.0 };
        let seconds = now.duration_since(since).as_secs_f64();
        if seconds > 0.0 { total.saturating_sub(first) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_window() {
        let start = Instant::now();
        let mut meter = RateMeter::new(Duration::from_secs(2));
        let mut rates = Vec::new();
        for (second, total) in [(0, 0), (1, 100), (2, 200), (3, 200), (4, 200), (5, 200)] {
            rates.push(meter.sample(start + Duration::from_secs(second), total));
        }
        assert_eq!(rates, [0.0, 100.0, 100.0, 50.0, 0.0, 0.0]);
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut meter = RateMeter::new(Duration::from_hours(1));
        for millis in 0..10_000 {
            meter.sample(start + Duration::from_millis(millis), millis);
        }
        assert_eq!(meter.samples.len(), MAX_SAMPLES);
    }
}
