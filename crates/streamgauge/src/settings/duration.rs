//! Durations as people write them: `5s`, `100ms`, `7d`, `1h30m`, `0.1` (seconds).

use std::time::Duration;

/// The longest duration accepted, a hundred years: more is a slip, and arithmetic on it could overflow.
const MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotADuration {
    text: String,
}

impl std::fmt::Display for NotADuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} is not a duration; write a number with a unit (us, ms, s, m, h, d, w), such as \"100ms\" or \"1h30m\"",
            self.text
        )
    }
}

impl std::error::Error for NotADuration {}

/// Reads a duration: one or more numbers with units from large to small, or a bare number of seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, NotADuration> {
    total(text.trim()).filter(|total| *total <= MAX).ok_or_else(|| NotADuration { text: text.to_owned() })
}

fn total(text: &str) -> Option<Duration> {
    if let Some(seconds) = number(text) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut last_unit = f64::INFINITY;
    while !rest.is_empty() {
        let (amount, behind) = rest.split_at(rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?);
        let (unit, behind) =
            behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        let seconds = unit_seconds(unit)?;
        if seconds >= last_unit {
            return None;
        }
        total = total.checked_add(Duration::try_from_secs_f64(number(amount)? * seconds).ok()?)?;
        last_unit = seconds;
        rest = behind;
    }
    (last_unit.is_finite()).then_some(total)
}

/// A plain decimal number; no sign, exponent, infinity or NaN.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, micros) in [
            ("5s", 5_000_000),
            ("100ms", 100_000),
            ("250us", 250),
            ("7d", 604_800_000_000),
            ("2w", 1_209_600_000_000),
            ("1h30m", 5_400_000_000),
            ("1.5s", 1_500_000),
            ("0.1", 100_000),
            ("0", 0),
            (" 3 ", 3_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in
            ["", "s", "5 s", "5x", "-1s", "1m1h", "1s1s", "1e3", "inf", "nan", "1.2.3s", "999999w", "5s3"]
        {
            assert!(parse(text).is_err(), "{text:?} was read as {:?}", parse(text));
        }
    }
}
