//! Numbers: JSON's grammar to the nearest `f64`.
//!
//! Short decimals take an exact fast path: an integer up to 2^53 and a power of ten up to 10^22 are both exact as
//! `f64`, so one multiplication or division of them is rounded once, as the nearest `f64` is (Clinger, "How to Read
//! Floating Point Numbers Accurately", 1990). The shortest of them, at most seven digits with what ends them inside
//! eight bytes, are read without a loop. The rest is left to the standard library, which is exact too.

use super::cursor::Cursor;
use super::digits::{self, Eight};
use super::{Flaw, FlawAt};

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
    /// Takes the number here if it is a short decimal; `None` is anything else, right or wrong.
    #[inline]
    pub(crate) fn short_number(&mut self) -> Option<f64> {
        let negative = self.peek() == Some(b'-');
        let start = self.at + usize::from(negative);
        let (magnitude, len) = short_decimal(self.bytes().get(start..)?.first_chunk()?)?;
        self.at = start + len;
        // The sign is set without a branch: whether a coordinate is negative is hard to foresee.
        Some(f64::from_bits(magnitude.to_bits() | u64::from(negative) << 63))
    }

    /// Reads a number, the cursor being at its first byte.
    pub(crate) fn number(&mut self) -> Result<f64, FlawAt> {
        let negative = self.peek() == Some(b'-');
        let start = self.at;
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
            None => self.inexact_number(start),
        }
    }

    /// Reads `e`, an optional sign and digits.
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
    fn inexact_number(&self, start: usize) -> Result<f64, FlawAt> {
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

/// Reads an unsigned decimal of at most eight bytes, the ninth being what may end it: its value and length.
#[inline]
fn short_decimal(chunk: &[u8; 9]) -> Option<(f64, usize)> {
    let eight = Eight::new(*chunk.first_chunk()?);
    let others = eight.others();
    let integer_len = others.trailing_zeros() / 8;
    if integer_len == 0 || (chunk[0] == b'0' && integer_len > 1) {
        return None;
    }
    if chunk[integer_len as usize] != b'.' {
        let value = eight.value(integer_len) as i64 as f64;
        return ends(chunk[integer_len as usize]).then_some((value, integer_len as usize));
    }
    let len = (others & others.wrapping_sub(1)).trailing_zeros() / 8;
    let decimals = len.wrapping_sub(integer_len + 1);
    let power = POWERS[..8].get(decimals as usize)?;
    if decimals == 0 || !ends(chunk[len as usize]) {
        return None;
    }
    let mantissa = eight.without(integer_len).value(len - 1) as i64 as f64;
    Some((mantissa / power, len as usize))
}

/// Whether a number may end before `byte`; it is one of a few that stand in no number.
#[inline]
fn ends(byte: u8) -> bool {
    byte == b',' || byte == b'}' || byte <= b' '
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the number at the start of `text`: its value and length, or the flaw.
    fn read(text: &str) -> Result<(f64, usize), Flaw> {
        let mut cursor = Cursor::new(text);
        let whole = cursor.number().map(|value| (value, cursor.position())).map_err(|flaw| flaw.flaw);
        let mut cursor = Cursor::new(text);
        if let Some(value) = cursor.short_number() {
            // The short way must never see what the long way does not.
            let (bits, len) =
                whole.map(|(value, len)| (value.to_bits(), len)).expect("a short decimal is a number");
            assert_eq!((value.to_bits(), cursor.position()), (bits, len), "{text}");
        }
        whole
    }

    #[track_caller]
    fn check(text: &str, expected: Result<f64, Flaw>) {
        for follower in ["", ",", "}", " }", "]", "\n\n\n\n\n\n\n\n\n\n", ",\"pressure\":1"] {
            let whole = format!("{text}{follower}");
            let read = read(&whole).map(|(value, len)| {
                assert_eq!(len, text.len(), "{whole}");
                value.to_bits()
            });
            assert_eq!(read, expected.map(f64::to_bits), "{whole}");
        }
    }

    #[test]
    fn reads_what_the_grammar_allows() {
        check("0", Ok(0.0));
        check("-0", Ok(-0.0));
        check("-0.0", Ok(-0.0));
        check("23", Ok(23.0));
        check("23.5", Ok(23.5));
        check("-5.25", Ok(-5.25));
        check("1013.25", Ok(1013.25));
        check("-179.1234", Ok(-179.1234));
        check("12345678", Ok(12_345_678.0));
        check("1234567.8", Ok(1_234_567.8));
        check("0.0000001", Ok(1e-7));
        check("1e3", Ok(1000.0));
        check("1E+3", Ok(1000.0));
        check("1.5e-3", Ok(0.0015));
        check("1e-400", Ok(0.0));
        check("0e999999999999999999999", Ok(0.0));
        check("23.456789012345678", Ok(23.456_789_012_345_678));
        check("9007199254740993", Ok(9_007_199_254_740_992.0));
        check("123456789012345678901234567890", Ok(123_456_789_012_345_678_901_234_567_890.0));
        check("1.7976931348623157e308", Ok(f64::MAX));
        check("5e-324", Ok(f64::from_bits(1)));
    }

    #[test]
    fn names_what_it_does_not_allow() {
        for text in
            ["01", "-01", "00", "1.", "-", "1.x", ".5", "1e", "1e+", "1.e5", "-x", "+1", "01.5", "-.5"]
        {
            assert!(matches!(read(&format!("{text},,,,,,,,,")), Err(Flaw::Number)), "{text}");
        }
        for text in ["-", "1.", "1e", "1e-", "-1."] {
            assert_eq!(read(text), Err(Flaw::End), "{text}");
        }
        for text in ["1e400", "-1e400", "1e99999999999999999999999", "1.8e308", "-Infinity"] {
            assert_eq!(read(text), Err(Flaw::NonFinite), "{text}");
        }
    }

    #[test]
    fn stops_where_the_number_stops() {
        assert_eq!(read("1.5.5,,,,,,,,"), Ok((1.5, 3)));
        assert_eq!(read("12x456789"), Ok((12.0, 2)));
        assert_eq!(read("1.2-3.4,,,,,"), Ok((1.2, 3)));
    }

    proptest! {
        #[test]
        fn decimals_read_as_the_standard_library_does(
            text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            follower in "[,} \\]]{0,9}",
        ) {
            let expected: f64 = text.parse().unwrap();
            let read = read(&format!("{text}{follower}"));
            if expected.is_finite() {
                prop_assert_eq!(read.map(|(value, len)| (value.to_bits(), len)), Ok((expected.to_bits(), text.len())));
            } else {
                prop_assert_eq!(read, Err(Flaw::NonFinite));
            }
        }

        #[test]
        fn short_decimals_read_as_the_standard_library_does(text in "-?(0|[1-9][0-9]{0,7})(\\.[0-9]{1,6})?") {
            let expected: f64 = text.parse().unwrap();
            let read = read(&format!("{text},        "));
            prop_assert_eq!(read.map(|(value, len)| (value.to_bits(), len)), Ok((expected.to_bits(), text.len())));
        }

        #[test]
        fn any_value_reads_back_from_its_shortest_text(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = format!("{value:e}");
            prop_assert_eq!(read(&text).map(|(value, _)| value.to_bits()), Ok(bits));
        }

        #[test]
        fn anything_is_read_as_serde_json_reads_it(text in "[-+.eE0-9]{1,12}") {
            let ours = read(&text).is_ok_and(|(_, len)| len == text.len());
            prop_assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
