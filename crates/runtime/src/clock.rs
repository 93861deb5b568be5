//! The wall clock, read in one place. Event time never comes from here: it is in the records.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC; negative before 1970.
///
/// This follows the system's clock, so it may jump when the clock is set. Measure durations with
/// [`std::time::Instant`] instead.
pub fn now_micros() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_is_in_microseconds() {
        // 2024-01-01 and 2100-01-01: a wrong unit would be off by a thousand.
        assert!((1_704_067_200_000_000..4_102_444_800_000_000).contains(&super::now_micros()));
    }
}
