//! The timestamps of files, of which every tool writes another kind.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use model::EventTime;

use super::row::shortened;

/// How the timestamps of an input are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// ISO 8601, or a number since the epoch whose size tells its unit: seconds below 10^11, milliseconds below 10^14,
    /// microseconds below 10^17, nanoseconds beyond. Right for times from March 1973 on.
    #[default]
    Auto,
    /// A number of units since the epoch, of which so many make a second.
    Epoch {
        /// 1, 1,000, 1,000,000 or 1,000,000,000.
        per_second: i64,
    },
    /// A pattern as of `strftime`, such as `%d/%m/%Y %H:%M`; without a zone, UTC.
    Pattern(String),
}

/// The text is no time format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time format: write auto, epoch-s, epoch-ms, epoch-us, epoch-ns, or a pattern such as \
     \"%d/%m/%Y %H:%M\""
)]
pub struct TimeFormatError(String);

impl FromStr for TimeFormat {
    type Err = TimeFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "epoch-s" => Self::Epoch { per_second: 1 },
            "epoch-ms" => Self::Epoch { per_second: 1_000 },
            "epoch-us" => Self::Epoch { per_second: 1_000_000 },
            "epoch-ns" => Self::Epoch { per_second: 1_000_000_000 },
            pattern if pattern.contains('%') => Self::Pattern(pattern.to_owned()),
            _ => return Err(TimeFormatError(text.to_owned())),
        })
    }
}

impl TimeFormat {
    /// Reads a timestamp; `Err` says what it is not.
    pub(super) fn read(&self, text: &str) -> Result<EventTime, String> {
        let time = match self {
            Self::Auto => EventTime::parse(text.as_bytes())
                .or_else(|| EventTime::parse(format!("{text}T00:00:00").as_bytes()))
                .or_else(|| EventTime::parse(format!("{text}:00").as_bytes()))
                .or_else(|| epoch(text, None)),
            Self::Epoch { per_second } => epoch(text, Some(*per_second)),
            Self::Pattern(pattern) => return by_pattern(pattern, text),
        };
        time.ok_or_else(|| match self {
            Self::Auto => {
                format!("{} is neither an ISO 8601 time nor a number since the epoch", shortened(text))
            }
            _ => format!("{} is not a number since the epoch", shortened(text)),
        })
    }
}

/// A number since the epoch; the unit by its size, if not given.
fn epoch(text: &str, per_second: Option<i64>) -> Option<EventTime> {
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let per_second = per_second.unwrap_or(match number.abs() {
        size if size < 1e11 => 1,
        size if size < 1e14 => 1_000,
        size if size < 1e17 => 1_000_000,
        _ => 1_000_000_000,
    });
    // Whole numbers stay exact; only what has a fraction goes through a float.
    let micros = match text.parse::<i64>() {
        Ok(whole) => i128::from(whole) * 1_000_000 / i128::from(per_second),
        Err(_) => (number * (1e6 / per_second as f64)).round() as i128,
    };
    EventTime::checked_from_micros(i64::try_from(micros).ok()?)
}

fn by_pattern(pattern: &str, text: &str) -> Result<EventTime, String> {
    let problem = |error: jiff::Error| format!("{} does not fit {pattern:?}: {error}", shortened(text));
    let parsed = strtime::parse(pattern, text).map_err(problem)?;
    let timestamp = if parsed.offset().is_some() {
        parsed.to_timestamp().map_err(problem)?
    } else {
        // A pattern without a time of day means its midnight.
        let civil =
            parsed.to_datetime().or_else(|_| parsed.to_date().map(DateTime::from)).map_err(problem)?;
        TimeZone::UTC.to_timestamp(civil).map_err(problem)?
    };
    Ok(EventTime::from_micros(timestamp.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, text: &str, expected: &str) {
        let format: TimeFormat = format.parse().expect("a format");
        match format.read(text) {
            Ok(time) => assert_eq!(time.to_string(), expected, "{text}"),
            Err(problem) => assert!(problem.contains(expected), "{text}: {problem}"),
        }
    }

    #[test]
    fn automatic() {
        check("auto", "2014-04-01 00:05:00", "2014-04-01T00:05:00");
        check("auto", "2014-04-01T00:05:00.25+02:00", "2014-03-31T22:05:00.250000");
        check("auto", "2014-04-01", "2014-04-01T00:00:00");
        check("auto", "2014-04-01 00:05", "2014-04-01T00:05:00");
        check("auto", "1396310700", "2014-04-01T00:05:00");
        check("auto", "1396310700.5", "2014-04-01T00:05:00.500000");
        check("auto", "1396310700123", "2014-04-01T00:05:00.123000");
        check("auto", "1396310700123456", "2014-04-01T00:05:00.123456");
        check("auto", "1396310700123456789", "2014-04-01T00:05:00.123456");
        check("auto", "noon", "neither an ISO 8601 time nor a number");
        check("auto", "2014-02-30 00:00:00", "neither");
        check("auto", "inf", "neither");
    }

    #[test]
    fn by_unit() {
        check("epoch-ms", "5", "1970-01-01T00:00:00.005000");
        check("epoch-s", "5", "1970-01-01T00:00:05");
        check("epoch-s", "2014-04-01", "is not a number since the epoch");
        check("epoch-s", "99999999999999", "is not a number since the epoch");
    }

    #[test]
    fn by_pattern() {
        check("%d/%m/%Y %H:%M", "01/04/2014 00:05", "2014-04-01T00:05:00");
        check("%d.%m.%Y", "01.04.2014", "2014-04-01T00:00:00");
        check("%Y-%m-%d %H:%M:%S %z", "2014-04-01 00:05:00 +0200", "2014-03-31T22:05:00");
        check("%d/%m/%Y %H:%M", "2014-04-01", "does not fit");
        assert!("soon".parse::<TimeFormat>().is_err());
    }
}
