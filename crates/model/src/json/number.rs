//! Numbers: JSON's grammar to the nearest `f64`.
//!
//! Short decimals take an exact fast path: an integer up to 2^53 and a power of ten up to 10^22 are both exact as
//! `f64`, so one multiplication or division of them is rounded once, as the nearest `f64` is (Clinger, "How to Read
//! Floating Point Numbers Accurately", 1990). The rest is left to the standard library, which is exact too.

use super::cursor::Cursor;
use super::{Flaw, FlawAt, digits};

/// Integers up to this are exact as `f64`.
const MAX_EXACT: u64 = 1 << 53;
/// As many digits always fit a `u64`.
const MAX_DIGITS: usize = 19;
/// An exponent is cut off here: far beyond what can still be finite and not zero in a text of bounded length.
const MAX_EXPONENT: i64 = 1 << 32;

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
const INTEGER_POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

impl Cursor<'_> {
    /// Reads a number, the cursor being at its first byte.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<f64, FlawAt> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let integer = Digits::default().read(self);
        if integer.count == 0 {
            return Err(self.no_digit(negative));
        }
        if integer.count > 1 && self.bytes()[self.at - integer.count] == b'0' {
            return Err(self.flaw_at(Flaw::Number, self.at - integer.count));
        }
        let mut mantissa = integer;
        if self.peek() == Some(b'.') {
            self.at += 1;
            mantissa = integer.read(self);
            if mantissa.count == integer.count {
                return Err(self.missing_digit());
            }
        }
        let mut exponent = integer.count as i64 - mantissa.count as i64;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            exponent += self.exponent()?;
        }
        match mantissa.exact(exponent) {
            Some(value) => Ok(if negative { -value } else { value }),
            None => self.slow_number(start),
        }
    }

    /// Reads `e`, an optional sign and digits.
    #[cold]
    fn exponent(&mut self) -> Result<i64, FlawAt> {
        self.at += 1;
        let negative = self.peek() == Some(b'-');
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        let mut exponent = 0;
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            exponent = (exponent * 10 + i64::from(digit - b'0')).min(MAX_EXPONENT);
            self.at += 1;
        }
        if self.at == start {
            return Err(self.missing_digit());
        }
        Ok(if negative { -exponent } else { exponent })
    }

    /// The number whose text began at `start` and ends here, which the grammar has already accepted.
    #[cold]
    fn slow_number(&self, start: usize) -> Result<f64, FlawAt> {
        let text = &self.text()[start..self.at];
        let value: f64 = text.parse().expect("JSON's numbers are a part of what the standard library reads");
        if value.is_finite() { Ok(value) } else { Err(self.flaw_at(Flaw::NonFinite, start)) }
    }

    /// Why no digit follows the start of a number: `-Infinity` as Python writes it, or nothing sensible.
    #[cold]
    fn no_digit(&self, negative: bool) -> FlawAt {
        let rest = &self.bytes()[self.at..];
        if negative && rest.starts_with(b"Infinity") {
            return self.flaw_at(Flaw::NonFinite, self.at - 1);
        }
        self.missing_digit()
    }

    #[cold]
    fn missing_digit(&self) -> FlawAt {
        let flaw = if self.peek().is_none() { Flaw::End } else { Flaw::Number };
        self.flaw_at(flaw, self.at)
    }
}

/// The digits of a number so far: how many, and their value, which has wrapped if they are more than 19.
#[derive(Debug, Clone, Copy, Default)]
struct Digits {
    count: usize,
    value: u64,
}

impl Digits {
    /// Appends the digits at the cursor.
    #[inline]
    fn read(mut self, cursor: &mut Cursor<'_>) -> Self {
        loop {
            let (count, value) = digits::leading(&cursor.bytes()[cursor.at..]);
            self.value = self.value.wrapping_mul(INTEGER_POWERS[count]).wrapping_add(value);
            self.count += count;
            cursor.at += count;
            if count < 8 {
                return self;
            }
        }
    }

    /// The value times ten to the `exponent`, where that takes a single rounding.
    #[inline]
    fn exact(self, exponent: i64) -> Option<f64> {
        if self.count > MAX_DIGITS || self.value > MAX_EXACT {
            return None;
        }
        let power = POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
        let value = self.value as f64;
        Some(if exponent < 0 { value / power } else { value * power })
    }
}
