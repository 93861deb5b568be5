//! Strings: finding their end eight bytes at a time, and unescaping those that need it.

use super::cursor::Cursor;
use super::{Flaw, FlawAt, Span};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;

impl Cursor<'_> {
    /// Reads a string, the cursor being at its opening quote. One with escapes is appended to `unescaped`.
    #[inline]
    pub(crate) fn string(&mut self, unescaped: &mut String) -> Result<Span, FlawAt> {
        let start = self.at + 1;
        self.at = start;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let span = Span { start: start as u32, end: self.at as u32, unescaped: false };
            self.at += 1;
            return Ok(span);
        }
        self.escaped_string(start, unescaped)
    }

    /// Moves to the next quote, backslash or control character, or to the end.
    #[inline]
    fn skip_plain(&mut self) {
        let bytes = self.bytes();
        while let Some(chunk) = bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let marks = special(u64::from_le_bytes(*chunk));
            if marks != 0 {
                self.at += (marks.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = bytes.get(self.at)
            && !matches!(byte, b'"' | b'\\' | 0..0x20)
        {
            self.at += 1;
        }
    }

    /// Goes on with a string that began at `start` and is plain up to here.
    #[cold]
    fn escaped_string(&mut self, start: usize, unescaped: &mut String) -> Result<Span, FlawAt> {
        let first = unescaped.len();
        let mut plain = start;
        loop {
            unescaped.push_str(&self.text()[plain..self.at]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => unescaped.push(self.escape()?),
                Some(_) => return Err(self.flaw_at(Flaw::Control, self.at)),
                None => return Err(self.flaw_at(Flaw::End, self.at)),
            }
            plain = self.at;
            self.skip_plain();
        }
        self.at += 1;
        Ok(Span { start: first as u32, end: unescaped.len() as u32, unescaped: true })
    }

    /// Reads one escape, or the two of a surrogate pair, the cursor being at the backslash.
    fn escape(&mut self) -> Result<char, FlawAt> {
        let start = self.at;
        let letter = self.bytes().get(start + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            Some(_) => return Err(self.flaw_at(Flaw::Escape, start)),
            None => return Err(self.flaw_at(Flaw::End, start + 1)),
        })
    }

    /// Goes on after `\u`, which began at `start`.
    fn unicode_escape(&mut self, start: usize) -> Result<char, FlawAt> {
        let unit = self.hex4(start)?;
        let scalar = match unit {
            0xd800..0xdc00 => {
                if !self.bytes()[self.at..].starts_with(b"\\u") {
                    return Err(self.flaw_at(Flaw::Surrogate, start));
                }
                let second = self.at;
                self.at += 2;
                let low = self.hex4(second)?;
                if !(0xdc00..0xe000).contains(&low) {
                    return Err(self.flaw_at(Flaw::Surrogate, start));
                }
                0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => unit,
        };
        char::from_u32(scalar).ok_or_else(|| self.flaw_at(Flaw::Surrogate, start))
    }

    fn hex4(&mut self, start: usize) -> Result<u32, FlawAt> {
        let Some(digits) = self.bytes().get(self.at..).and_then(<[u8]>::first_chunk::<4>) else {
            return Err(self.flaw_at(Flaw::End, self.bytes().len()));
        };
        let value =
            digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?));
        self.at += 4;
        value.ok_or_else(|| self.flaw_at(Flaw::Escape, start))
    }
}

/// Marks, in the high bit of their byte, quotes, backslashes and control characters. Bytes above the lowest mark may
/// be marked wrongly (a borrow runs upwards), so only the lowest counts.
#[inline]
fn special(word: u64) -> u64 {
    let quotes = word ^ (u64::from(b'"') * ONES);
    let backslashes = word ^ (u64::from(b'\\') * ONES);
    let zero_in_quotes = quotes.wrapping_sub(ONES) & !quotes;
    let zero_in_backslashes = backslashes.wrapping_sub(ONES) & !backslashes;
    let controls = word.wrapping_sub(0x20 * ONES) & !word;
    (zero_in_quotes | zero_in_backslashes | controls) & HIGH_BITS
}
