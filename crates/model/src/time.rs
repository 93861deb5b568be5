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
        let (head, rest) = text.split_first_chunk::<19>()?;
        let civil = Civil::parse(head)?;
        let (micros, rest) = parse_fraction(rest)?;
        let seconds = civil.seconds() - parse_zone(rest)?;
        if civil.second == 60 && seconds.rem_euclid(SECONDS_PER_DAY) != 0 {
            return None;
        }
        Self::checked_from_micros(seconds * MICROS_PER_SECOND + micros)
    }

    /// Appends the text form, at most 26 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        let (text, len) = self.text();
        out.extend_from_slice(&text[..len]);
    }

    fn text(self) -> ([u8; MAX_TEXT], usize) {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let micros = self.0.rem_euclid(MICROS_PER_SECOND) as u32;
        let civil = Civil::from_seconds(seconds);
        let mut text = *b"0000-00-00T00:00:00.000000";
        put_pair(&mut text, 0, civil.year / 100);
        put_pair(&mut text, 2, civil.year % 100);
        put_pair(&mut text, 5, civil.month);
        put_pair(&mut text, 8, civil.day);
        put_pair(&mut text, 11, civil.hour);
        put_pair(&mut text, 14, civil.minute);
        put_pair(&mut text, 17, civil.second);
        if micros == 0 {
            return (text, 19);
        }
        put_pair(&mut text, 20, micros / 10_000);
        put_pair(&mut text, 22, micros / 100 % 100);
        put_pair(&mut text, 24, micros % 100);
        (text, MAX_TEXT)
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, len) = self.text();
        f.pad(str::from_utf8(&text[..len]).expect("digits and punctuation are ASCII"))
    }
}

fn put_pair(text: &mut [u8; MAX_TEXT], at: usize, value: u32) {
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
    /// Reads `yyyy-mm-ddThh:mm:ss`; second 60 is left to the caller.
    #[inline]
    fn parse(text: &[u8; 19]) -> Option<Self> {
        let punctuated = text[4] == b'-'
            && text[7] == b'-'
            && matches!(text[10], b'T' | b't' | b' ')
            && text[13] == b':'
            && text[16] == b':';
        let civil = Self {
            year: pair(text[0], text[1])? * 100 + pair(text[2], text[3])?,
            month: pair(text[5], text[6])?,
            day: pair(text[8], text[9])?,
            hour: pair(text[11], text[12])?,
            minute: pair(text[14], text[15])?,
            second: pair(text[17], text[18])?,
        };
        let real = civil.year >= 1
            && (1..=12).contains(&civil.month)
            && (1..=days_in_month(civil.year, civil.month)).contains(&civil.day)
            && civil.hour < 24
            && civil.minute < 60
            && civil.second <= 60;
        (punctuated && real).then_some(civil)
    }

    /// Seconds since the epoch, as if in UTC.
    #[inline]
    fn seconds(&self) -> i64 {
        // Years begin in March here, so that the leap day is the last of its year (Hinnant, "chrono-compatible
        // low-level date algorithms"). Year 1 minus one is still not negative, so unsigned arithmetic will do.
        let year = self.year - u32::from(self.month <= 2);
        let month = if self.month <= 2 { self.month + 9 } else { self.month - 3 };
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
    let Some((b'.', digits)) = text.split_first() else { return Some((0, text)) };
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(len);
    let digit = |at: usize| digits.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    Some(((0..6).fold(0, |micros, at| micros * 10 + digit(at)), rest))
}

/// Reads a zone, which must be all there is: its offset from UTC in seconds, positive to the east.
#[inline]
fn parse_zone(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *text {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2] => (sign, pair(h1, h2)?, 0),
        [sign @ (b'+' | b'-'), h1, h2, m1, m2] | [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            (sign, pair(h1, h2)?, pair(m1, m2)?)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = i64::from(hours * 3_600 + minutes * 60);
    Some(if sign == b'-' { -offset } else { offset })
}
