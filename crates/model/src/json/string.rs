//! Strings: finding their end eight bytes at a time, and unescaping those that need it.

use super::cursor::Cursor;
use super::{Flaw, FlawAt, Span};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;

impl Cursor<'_> {
    /// Reads a string, the cursor being at its opening quote. One with escapes is appended to `unescaped`.
    #[inline]
    pub(crate) fn string(&mut self, unescaped: &mut String) -> Result<Span, FlawAt> {
        match self.plain_string() {
            Some(span) => Ok(span),
            None => self.escaped_string(unescaped),
        }
    }

    /// Takes the string here, of which the opening quote has been seen, if it needs no unescaping.
    #[inline]
    pub(crate) fn plain_string(&mut self) -> Option<Span> {
        let start = self.at + 1;
        let end = next_special(self.bytes(), start);
        if self.bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some(Span { start: start as u32, end: end as u32, unescaped: false })
    }

    #[cold]
    fn escaped_string(&mut self, unescaped: &mut String) -> Result<Span, FlawAt> {
        let first = unescaped.len();
        self.at += 1;
        loop {
            let plain = self.at;
            self.at = next_special(self.bytes(), plain);
            unescaped.push_str(&self.text()[plain..self.at]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => unescaped.push(self.escape()?),
                Some(_) => return Err(self.flaw_at(Flaw::Control, self.at)),
                None => return Err(self.flaw_at(Flaw::End, self.at)),
            }
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

/// The index, from `at` on, of the next quote, backslash or control character, or the length of `bytes`. These are the
/// bytes that cannot stand for themselves in a string.
#[inline]
pub(super) fn next_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let marks = special(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at)
        && !matches!(byte, b'"' | b'\\' | 0..0x20)
    {
        at += 1;
    }
    at
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the string that is the whole of `text`.
    fn read(text: &str) -> Result<String, Flaw> {
        let (mut cursor, mut unescaped) = (Cursor::new(text), String::from("before"));
        let span = cursor.string(&mut unescaped).map_err(|flaw| flaw.flaw)?;
        assert!(unescaped.starts_with("before"), "what was there stays there");
        if cursor.position() == text.len() {
            Ok(span.resolve(text, &unescaped).to_owned())
        } else {
            Err(Flaw::Trailing)
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, Flaw>) {
        assert_eq!(read(text).as_deref(), expected.as_ref().copied(), "{text}");
    }

    #[test]
    fn reads_plain_and_escaped_strings() {
        check("\"\"", Ok(""));
        check("\"SENSOR_001\"", Ok("SENSOR_001"));
        check("\"1234567\"", Ok("1234567"));
        check("\"12345678\"", Ok("12345678"));
        check("\"grün 温度 🌡\"", Ok("grün 温度 🌡"));
        check(r#""\"\\\/\b\f\n\r\t""#, Ok("\"\\/\u{8}\u{c}\n\r\t"));
        check(r#""\u0041\u00e9\u6e29\ud83c\udf21 and \u0000""#, Ok("Aé温🌡 and \0"));
        check(r#""plain before \u0041 and after, long enough""#, Ok("plain before A and after, long enough"));
    }

    #[test]
    fn names_what_is_no_string() {
        check("\"", Err(Flaw::End));
        check("\"12345678", Err(Flaw::End));
        check(r#""\"#, Err(Flaw::End));
        check(r#""\u00"#, Err(Flaw::End));
        check("\"a\u{1f}\"", Err(Flaw::Control));
        check("\"12345678\n\"", Err(Flaw::Control));
        check("\"\\n\t\"", Err(Flaw::Control));
        check(r#""\x""#, Err(Flaw::Escape));
        check(r#""\u00g0""#, Err(Flaw::Escape));
        check(r#""\u+041""#, Err(Flaw::Escape));
        check("\"\\u00é0\"", Err(Flaw::Escape));
        check(r#""\ud800""#, Err(Flaw::Surrogate));
        check(r#""\ud800\n""#, Err(Flaw::Surrogate));
        check(r#""\ud800\ud800""#, Err(Flaw::Surrogate));
        check(r#""\ud800A""#, Err(Flaw::Surrogate));
        check(r#""\udc00""#, Err(Flaw::Surrogate));
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in ".*") {
            prop_assert_eq!(read(&serde_json::to_string(&text).unwrap()), Ok(text.clone()));
            let escaped = text.encode_utf16().fold(String::new(), |all, unit| format!("{all}\\u{unit:04X}"));
            prop_assert_eq!(read(&format!("\"{escaped}\"")), Ok(text));
        }

        #[test]
        fn anything_is_read_as_serde_json_reads_it(inner in r#"([ a-f0-9"\\u]|\\u[dD][89abcdefABCDEF0-9]{3}|\PC){0,20}"#) {
            let text = format!("\"{inner}\"");
            prop_assert_eq!(read(&text).ok(), serde_json::from_str::<String>(&text).ok());
        }

        #[test]
        fn the_end_is_the_first_special_byte(text in "[ -~\u{80}-\u{fff}\u{0}-\u{1f}]{0,40}") {
            let expected = text.find(|c| c < ' ' || c == '"' || c == '\\').unwrap_or(text.len());
            prop_assert_eq!(next_special(text.as_bytes(), 0), expected);
        }
    }
}
