//! Event time: when something was measured, in microseconds since the Unix epoch, UTC.
//!
//! # Text form
//! Written as Python's `datetime.isoformat()` writes it: `2024-11-07T10:15:30`, and with six digits of fraction
//! only where it is not zero, `2024-11-07T10:15:30.250000`. There is no zone: it is always UTC.
//!
//! Read more leniently: `T`, `t` or a space between date and time; a fraction of any length after a point (cut off,
//! not rounded, at the microsecond); a zone `Z`, `z`, `±hh`, `±hhmm` or `±hh:mm`, where none means UTC. The calendar is
//! checked. A leap second (`:60`) is accepted where there can be one, at the end of a UTC day, and is the
//! first second of the next.
//!
//! Invariant: an [`EventTime`] lies in the years 0001 to 9999, so that its text form always has four digits of year.

use std::fmt;

use crate::json::digits;
use crate::json::write::PAIRS;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MILLI: i64 = 1_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01, the start of the year as the conversions count it, to the Unix epoch.
const DAYS_TO_EPOCH: i64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: u32 = 146_097;
/// The longest text form: date, `T`, time and six digits of fraction.
const MAX_TEXT: usize = 26;
/// The text form without a fraction, which is also the shortest that is read.
const WHOLE_SECONDS_TEXT: usize = 19;

/// A point in time: microseconds since the Unix epoch, UTC, in the years 0001 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// The first: 0001-01-01T00:00:00.
    pub const MIN: Self = Self(-62_135_596_800 * MICROS_PER_SECOND);
    /// The last: 9999-12-31T23:59:59.999999.
    pub const MAX: Self = Self(253_402_300_800 * MICROS_PER_SECOND - 1);

    /// From microseconds since the epoch; what lies outside the range becomes its nearer end.
    pub const fn from_micros(micros: i64) -> Self {
        match Self::checked_from_micros(micros) {
            Some(time) => time,
            None if micros < 0 => Self::MIN,
            None => Self::MAX,
        }
    }

    /// From milliseconds since the epoch; what lies outside the range becomes its nearer end.
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(MICROS_PER_MILLI))
    }

    /// From microseconds since the epoch; `None` outside the range.
    pub const fn checked_from_micros(micros: i64) -> Option<Self> {
        if micros < Self::MIN.0 || micros > Self::MAX.0 { None } else { Some(Self(micros)) }
    }

    /// From milliseconds since the epoch; `None` outside the range.
    pub const fn checked_from_millis(millis: i64) -> Option<Self> {
        Self::checked_from_micros(millis.saturating_mul(MICROS_PER_MILLI))
    }

    /// Microseconds since the epoch; negative before 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded towards the past.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(MICROS_PER_MILLI)
    }

    /// Reads the text form described in the [module](self); `None` if it is anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::parse_prefix(text).and_then(|(time, rest)| rest.is_empty().then_some(time))
    }

    /// Reads the longest text form that `text` begins with: the time and what follows it.
    #[inline]
    pub(crate) fn parse_prefix(text: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = text.split_first_chunk::<WHOLE_SECONDS_TEXT>()?;
        let civil = Civil::parse(head)?;
        let (micros, rest) = parse_fraction(rest)?;
        let (offset, rest) = parse_zone(rest)?;
        let seconds = civil.seconds() - offset;
        if civil.second == 60 && seconds.rem_euclid(SECONDS_PER_DAY) != 0 {
            return None;
        }
        Some((Self::checked_from_micros(seconds * MICROS_PER_SECOND + micros)?, rest))
    }

    /// Appends the text form, at most 26 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        // Filled in place: a copy of bytes written just before, one or two at a time, would have to wait for them.
        let start = out.len();
        out.extend_from_slice(&[0; MAX_TEXT]);
        let len = self.fill(&mut out[start..]);
        out.truncate(start + len);
    }

    /// Puts the text form into `text`, which has [`MAX_TEXT`] bytes: its length.
    #[inline]
    fn fill(self, text: &mut [u8]) -> usize {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let micros = self.0.rem_euclid(MICROS_PER_SECOND) as u32;
        let civil = Civil::from_seconds(seconds);
        text.copy_from_slice(b"0000-00-00T00:00:00.000000");
        put_pair(text, 0, civil.year / 100);
        put_pair(text, 2, civil.year % 100);
        put_pair(text, 5, civil.month);
        put_pair(text, 8, civil.day);
        put_pair(text, 11, civil.hour);
        put_pair(text, 14, civil.minute);
        put_pair(text, 17, civil.second);
        if micros == 0 {
            return WHOLE_SECONDS_TEXT;
        }
        put_pair(text, 20, micros / 10_000);
        put_pair(text, 22, micros / 100 % 100);
        put_pair(text, 24, micros % 100);
        MAX_TEXT
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; MAX_TEXT];
        let len = self.fill(&mut text);
        f.pad(str::from_utf8(&text[..len]).expect("digits and punctuation are ASCII"))
    }
}

fn put_pair(text: &mut [u8], at: usize, value: u32) {
    text[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
}

/// A date and time of day in the proleptic Gregorian calendar.
struct Civil {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Civil {
    /// Reads `yyyy-mm-ddThh:mm:ss`; a second 60 is left to the caller.
    #[inline]
    fn parse(text: &[u8; WHOLE_SECONDS_TEXT]) -> Option<Self> {
        let date = digits::pairs(*text.first_chunk()?, *b"0000-00-")?;
        let time = digits::pairs(*text.last_chunk()?, *b"00:00:00")?;
        let civil = Self {
            year: u32::from(date[1]) * 100 + u32::from(date[3]),
            month: u32::from(date[6]),
            day: pair(text[8], text[9])?,
            hour: u32::from(time[1]),
            minute: u32::from(time[4]),
            second: u32::from(time[7]),
        };
        let real = matches!(text[10], b'T' | b't' | b' ')
            && civil.year >= 1
            && (1..=12).contains(&civil.month)
            && civil.day >= 1
            && (civil.day <= 28 || civil.day <= days_in_month(civil.year, civil.month))
            && civil.hour < 24
            && civil.minute < 60
            && civil.second <= 60;
        real.then_some(civil)
    }

    /// Seconds since the epoch, as if in UTC.
    #[inline]
    fn seconds(&self) -> i64 {
        // Years begin in March here, so that the leap day is the last of its year (Hinnant, "chrono-compatible
        // low-level date algorithms"). Year 1 minus one is still not negative, so unsigned arithmetic will do.
        let (year, month) =
            if self.month <= 2 { (self.year - 1, self.month + 9) } else { (self.year, self.month - 3) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + self.day - 1;
        let of_day = self.hour * 3_600 + self.minute * 60 + self.second;
        (i64::from(days) - DAYS_TO_EPOCH) * SECONDS_PER_DAY + i64::from(of_day)
    }

    /// The inverse of [`Civil::seconds`], for an [`EventTime`]'s range.
    fn from_seconds(seconds: i64) -> Self {
        let days = (seconds.div_euclid(SECONDS_PER_DAY) + DAYS_TO_EPOCH) as u32;
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
        let of_era = days % DAYS_PER_ERA;
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = days / DAYS_PER_ERA * 400 + year_of_era + u32::from(month <= 2);
        Self { year, month, day, hour: of_day / 3_600, minute: of_day / 60 % 60, second: of_day % 60 }
    }
}

#[inline]
fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads `.ddd…` if there is one: microseconds and what follows.
#[inline]
fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', text)) = text.split_first() else { return Some((0, text)) };
    let (count, value) = digits::leading(text);
    let micros = match count {
        0 => return None,
        1..=6 => value * [100_000, 10_000, 1_000, 100, 10, 1][count - 1],
        7 => value / 10,
        _ => value / 100,
    };
    let rest = &text[count..];
    let more = if count < 8 { 0 } else { rest.iter().take_while(|byte| byte.is_ascii_digit()).count() };
    Some((micros as i64, &rest[more..]))
}

/// Reads a zone if there is one: its offset from UTC in seconds, positive to the east, and what follows.
#[inline]
fn parse_zone(text: &[u8]) -> Option<(i64, &[u8])> {
    match text.split_first() {
        Some((b'Z' | b'z', rest)) => Some((0, rest)),
        Some((b'+', rest)) => parse_offset(rest),
        Some((b'-', rest)) => parse_offset(rest).map(|(offset, rest)| (-offset, rest)),
        _ => Some((0, text)),
    }
}

/// Reads `hh`, `hhmm` or `hh:mm` in seconds.
fn parse_offset(text: &[u8]) -> Option<(i64, &[u8])> {
    let (&[h1, h2], rest) = text.split_first_chunk()?;
    let (minutes, rest) = match *rest {
        [b':', m1, m2, ..] => (pair(m1, m2)?, &rest[3..]),
        [m1, m2, ..] if m1.is_ascii_digit() => (pair(m1, m2)?, &rest[2..]),
        _ => (0, rest),
    };
    let hours = pair(h1, h2)?;
    (hours < 24 && minutes < 60).then(|| (i64::from(hours * 3_600 + minutes * 60), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `text`; what it names is given in the text form we write, or is `None`.
    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let read = EventTime::parse(text.as_bytes()).map(|time| time.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn reads_what_producers_write() {
        check("2024-11-07T10:15:30", Some("2024-11-07T10:15:30"));
        check("2024-11-07 10:15:30", Some("2024-11-07T10:15:30"));
        check("2024-11-07t10:15:30z", Some("2024-11-07T10:15:30"));
        check("2024-11-07T10:15:30.5", Some("2024-11-07T10:15:30.500000"));
        check("2024-11-07T10:15:30.123456", Some("2024-11-07T10:15:30.123456"));
        check("2024-11-07T10:15:30.000001Z", Some("2024-11-07T10:15:30.000001"));
        check("2024-11-07T10:15:30.000000", Some("2024-11-07T10:15:30"));
    }

    #[test]
    fn a_longer_fraction_is_cut_off() {
        check("2024-11-07T10:15:30.1234567", Some("2024-11-07T10:15:30.123456"));
        check("2024-11-07T10:15:30.12345678", Some("2024-11-07T10:15:30.123456"));
        check("2024-11-07T10:15:30.999999999Z", Some("2024-11-07T10:15:30.999999"));
        check("1969-12-31T23:59:59.99999999999999999999", Some("1969-12-31T23:59:59.999999"));
    }

    #[test]
    fn zones_are_taken_off() {
        check("2024-11-07T10:15:30+01:00", Some("2024-11-07T09:15:30"));
        check("2024-11-07T10:15:30-0530", Some("2024-11-07T15:45:30"));
        check("2024-01-01T00:15:30.25+01", Some("2023-12-31T23:15:30.250000"));
        check("2024-11-07T10:15:30-00:00", Some("2024-11-07T10:15:30"));
        check("2024-11-07T10:15:30+23:59", Some("2024-11-06T10:16:30"));
    }

    #[test]
    fn the_calendar_is_real() {
        check("2024-02-29T00:00:00", Some("2024-02-29T00:00:00"));
        check("2000-02-29T00:00:00", Some("2000-02-29T00:00:00"));
        check("2023-02-29T00:00:00", None);
        check("1900-02-29T00:00:00", None);
        check("2024-04-31T00:00:00", None);
        check("2024-12-31T00:00:00", Some("2024-12-31T00:00:00"));
        check("2024-00-01T00:00:00", None);
        check("2024-13-01T00:00:00", None);
        check("2024-01-00T00:00:00", None);
        check("2024-01-32T00:00:00", None);
        check("2024-01-01T24:00:00", None);
        check("2024-01-01T00:60:00", None);
    }

    #[test]
    fn a_leap_second_is_the_next_second() {
        check("2016-12-31T23:59:60Z", Some("2017-01-01T00:00:00"));
        check("2016-12-31T23:59:60.5", Some("2017-01-01T00:00:00.500000"));
        check("2017-01-01T00:59:60+01:00", Some("2017-01-01T00:00:00"));
        check("2016-12-31T12:00:60Z", None);
        check("2016-12-31T23:59:60+01:00", None);
        check("2016-12-31T23:59:61Z", None);
        check("9999-12-31T23:59:60Z", None);
    }

    #[test]
    fn the_range_is_four_digits_of_year() {
        check("0001-01-01T00:00:00", Some("0001-01-01T00:00:00"));
        check("0000-12-31T23:59:59", None);
        check("0001-01-01T00:00:00+00:01", None);
        check("9999-12-31T23:59:59.999999", Some("9999-12-31T23:59:59.999999"));
        check("9999-12-31T23:59:59-00:01", None);
        assert_eq!(EventTime::parse(b"0001-01-01T00:00:00"), Some(EventTime::MIN));
        assert_eq!(EventTime::parse(b"9999-12-31T23:59:59.999999"), Some(EventTime::MAX));
        assert_eq!(EventTime::from_micros(i64::MIN), EventTime::MIN);
        assert_eq!(EventTime::from_millis(i64::MAX), EventTime::MAX);
        assert_eq!(EventTime::checked_from_millis(i64::MIN), None);
    }

    #[test]
    fn anything_else_is_unreadable() {
        for text in [
            "",
            "2024",
            "2024-11-07",
            "2024-11-07T10:15",
            "2024-11-07_10:15:30",
            "2024/11/07T10:15:30",
            "2024-11-07T10.15.30",
            "2024-1-07T10:15:300",
            "2024-11-07T10:15:30 ",
            " 2024-11-07T10:15:30",
            "2024-11-07T10:15:30.",
            "2024-11-07T10:15:30.Z",
            "2024-11-07T10:15:30.5x",
            "2024-11-07T10:15:30,5",
            "2024-11-07T10:15:30ZZ",
            "2024-11-07T10:15:30+",
            "2024-11-07T10:15:30+1",
            "2024-11-07T10:15:30+1:00",
            "2024-11-07T10:15:30+01:0",
            "2024-11-07T10:15:30+01:",
            "2024-11-07T10:15:30+010",
            "2024-11-07T10:15:30+01:00:00",
            "2024-11-07T10:15:30+24:00",
            "2024-11-07T10:15:30+00:60",
            "-024-11-07T10:15:30",
            "２024-11-07T10:15:30",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn milliseconds_round_towards_the_past() {
        assert_eq!(EventTime::from_micros(-1).millis(), -1);
        assert_eq!(EventTime::from_micros(1_999).millis(), 1);
        assert_eq!(EventTime::from_millis(-5).micros(), -5_000);
    }

    /// The days since the epoch by counting years and months one by one.
    fn days_by_counting(year: u32, month: u32, day: u32) -> i64 {
        let leap =
            |year: u32| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let year_days = |year| if leap(year) { 366_i64 } else { 365 };
        let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let to_1970: i64 = (1..1970).map(year_days).sum();
        (1..year).map(year_days).sum::<i64>() - to_1970
            + months[..month as usize - 1].iter().sum::<i64>()
            + i64::from(day)
            - 1
    }

    proptest! {
        #[test]
        fn agrees_with_counting_days(
            (year, month, day) in (1_u32..=9999, 1_u32..=12, 1_u32..=31),
            (hour, minute, second, micros) in (0_u32..24, 0_u32..60, 0_u32..60, 0_i64..1_000_000),
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}");
            let days = days_by_counting(year, month, day);
            let real = days < days_by_counting(year + month / 12, month % 12 + 1, 1);
            let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
            let expected = real.then_some(seconds * 1_000_000 + micros);
            prop_assert_eq!(EventTime::parse(text.as_bytes()).map(EventTime::micros), expected);
        }

        #[test]
        fn what_is_written_reads_back(micros in EventTime::MIN.0..=EventTime::MAX.0, whole in any::<bool>()) {
            let micros = if whole { micros / 1_000_000 * 1_000_000 } else { micros };
            let time = EventTime::from_micros(micros);
            prop_assert_eq!(time.micros(), micros);
            let text = time.to_string();
            prop_assert_eq!(EventTime::parse(text.as_bytes()), Some(time));
            prop_assert_eq!(text.len(), if micros % 1_000_000 == 0 { 19 } else { 26 });
        }

        #[test]
        fn zones_only_shift(micros in 0_i64..4_000_000_000_000_000, minutes in -1_439_i64..=1_439) {
            let local = EventTime::from_micros(micros + minutes * 60_000_000);
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
            for zone in [format!("{sign}{hours:02}:{minutes:02}"), format!("{sign}{hours:02}{minutes:02}")] {
                let read = EventTime::parse(format!("{local}{zone}").as_bytes());
                prop_assert_eq!(read.map(EventTime::micros), Some(micros));
            }
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            EventTime::parse(&text);
        }

        #[test]
        fn no_spoiled_time_panics(at in 0_usize..32, byte in any::<u8>()) {
            let mut text = *b"2024-11-07T10:15:30.123456+01:00";
            text[at] = byte;
            EventTime::parse(&text);
        }
    }
}
