//! The cursor: a position in a JSON text, and reading the next thing there.

use super::{Flaw, FlawAt};

/// A position in a text.
///
/// Invariant: `at` is at most the length of the text, except while an escape that the text cuts short is refused.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `text`, which must be shorter than 4 GiB.
    pub(crate) fn new(text: &'a str) -> Self {
        debug_assert!(u32::try_from(text.len()).is_ok(), "positions are kept in 32 bits");
        Self { text, at: 0 }
    }

    /// The whole text.
    #[inline]
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    #[inline]
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The position, in bytes from the start.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The byte here; `None` at the end.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    /// Skips white space, then gives the byte there.
    #[inline]
    pub(crate) fn peek_token(&mut self) -> Option<u8> {
        match self.peek() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => self.skip_space(),
        }
    }

    #[inline]
    fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Skips white space and takes `expected`.
    #[inline]
    pub(crate) fn take(&mut self, expected: u8) -> Result<(), FlawAt> {
        if self.peek_token() == Some(expected) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// Takes the string here if `read` knows it. It is given what follows the opening quote, and returns what it made of
    /// it with the length it used, up to the closing quote at least; what it accepts must need no unescaping.
    #[inline]
    pub(crate) fn take_known<T>(&mut self, read: impl FnOnce(&[u8]) -> Option<(T, usize)>) -> Option<T> {
        let (known, len) = read(self.bytes().get(self.at + 1..)?)?;
        self.at += 1 + len;
        Some(known)
    }

    /// After a member or element: `true` if another follows a comma, `false` after `close`.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, FlawAt> {
        match self.peek_token() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Takes `close` if the object or array, just opened, is empty.
    #[inline]
    pub(crate) fn closed(&mut self, close: u8) -> bool {
        let closed = self.peek_token() == Some(close);
        self.at += usize::from(closed);
        closed
    }

    /// Takes the end of the text, after white space.
    #[inline]
    pub(crate) fn end(&mut self) -> Result<(), FlawAt> {
        match self.peek_token() {
            None => Ok(()),
            Some(_) => Err(self.flaw_at(Flaw::Trailing, self.at)),
        }
    }

    /// Takes the literal `word`, of which the first byte has been seen.
    #[inline]
    pub(crate) fn word(&mut self, word: &str) -> Result<(), FlawAt> {
        let rest = &self.bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.broken_word(word))
    }

    #[cold]
    fn broken_word(&self, word: &str) -> FlawAt {
        let rest = &self.bytes()[self.at..];
        let same = rest.iter().zip(word.as_bytes()).take_while(|(a, b)| a == b).count();
        let flaw = if same == rest.len() { Flaw::End } else { Flaw::Unexpected };
        self.flaw_at(flaw, self.at + same)
    }

    /// Checks a value of any kind, nested at most `depth` deep, and skips it. `unescaped` is left as it was.
    pub(crate) fn skip_value(&mut self, depth: usize, unescaped: &mut String) -> Result<(), FlawAt> {
        match self.peek_token() {
            Some(b'"') => {
                let before = unescaped.len();
                self.string(unescaped)?;
                unescaped.truncate(before);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(b'{') => self.skip_object(depth, unescaped),
            Some(b'[') => self.skip_array(depth, unescaped),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.no_value()),
        }
    }

    fn skip_object(&mut self, depth: usize, unescaped: &mut String) -> Result<(), FlawAt> {
        let depth = self.open(depth)?;
        if self.closed(b'}') {
            return Ok(());
        }
        loop {
            if self.peek_token() != Some(b'"') {
                return Err(self.unexpected());
            }
            let before = unescaped.len();
            self.string(unescaped)?;
            unescaped.truncate(before);
            self.take(b':')?;
            self.skip_value(depth, unescaped)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: usize, unescaped: &mut String) -> Result<(), FlawAt> {
        let depth = self.open(depth)?;
        if self.closed(b']') {
            return Ok(());
        }
        loop {
            self.skip_value(depth, unescaped)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    /// Takes the bracket here; the depth that is left inside.
    #[inline]
    pub(crate) fn open(&mut self, depth: usize) -> Result<usize, FlawAt> {
        let left = depth.checked_sub(1).ok_or_else(|| self.flaw_at(Flaw::TooDeep, self.at))?;
        self.at += 1;
        Ok(left)
    }

    /// Why no value begins here.
    #[cold]
    pub(crate) fn no_value(&self) -> FlawAt {
        let rest = &self.bytes()[self.at..];
        let flaw = match rest.first() {
            None => Flaw::End,
            Some(_) if rest.starts_with(b"NaN") || rest.starts_with(b"Infinity") => Flaw::NonFinite,
            Some(_) => Flaw::Value,
        };
        self.flaw_at(flaw, self.at)
    }

    /// Why what stands here cannot.
    #[cold]
    pub(crate) fn unexpected(&self) -> FlawAt {
        let flaw = if self.peek().is_none() { Flaw::End } else { Flaw::Unexpected };
        self.flaw_at(flaw, self.at)
    }

    #[cold]
    pub(super) fn flaw_at(&self, flaw: Flaw, at: usize) -> FlawAt {
        FlawAt { flaw, at: at.min(self.text.len()) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Checks that `text` is one value, nested at most three deep.
    fn read(text: &str) -> Result<(), FlawAt> {
        let (mut cursor, mut unescaped) = (Cursor::new(text), String::new());
        let read = cursor.skip_value(3, &mut unescaped).and_then(|()| cursor.end());
        assert!(read.is_err() || unescaped.is_empty(), "what is skipped leaves nothing behind");
        read
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(), (Flaw, u32)>) {
        assert_eq!(read(text), expected.map_err(|(flaw, at)| FlawAt { flaw, at }), "{text}");
    }

    #[test]
    fn every_kind_of_value_is_skipped() {
        for text in ["null", "true", "false", "-1.5e3", "\"a\\n\"", "[]", "{}", " [ ] ", "\t{ }\r\n"] {
            check(text, Ok(()));
        }
        check(r#"{"a":[1,{"b":null}],"c\u0041":"d"}"#, Ok(()));
        check("[1 , 2\n,3]", Ok(()));
        check("[[[]]]", Ok(()));
    }

    #[test]
    fn flaws_are_named_with_their_place() {
        check("", Err((Flaw::End, 0)));
        check("  ", Err((Flaw::End, 2)));
        check("nul", Err((Flaw::End, 3)));
        check("nulx", Err((Flaw::Unexpected, 3)));
        check("nullx", Err((Flaw::Trailing, 4)));
        check("NaN", Err((Flaw::NonFinite, 0)));
        check("[Infinity]", Err((Flaw::NonFinite, 1)));
        check("[-Infinity]", Err((Flaw::NonFinite, 1)));
        check("{} {}", Err((Flaw::Trailing, 3)));
        check("[1,]", Err((Flaw::Value, 3)));
        check("[1 2]", Err((Flaw::Unexpected, 3)));
        check("[1", Err((Flaw::End, 2)));
        check("{\"a\":1,}", Err((Flaw::Unexpected, 7)));
        check("{\"a\" 1}", Err((Flaw::Unexpected, 5)));
        check("{a:1}", Err((Flaw::Unexpected, 1)));
        check("{\"a\":}", Err((Flaw::Value, 5)));
        check("[[[[]]]]", Err((Flaw::TooDeep, 3)));
        check("\u{feff}{}", Err((Flaw::Value, 0)));
        check("\u{b}1", Err((Flaw::Value, 0)));
        check("// no\n1", Err((Flaw::Value, 0)));
    }

    proptest! {
        #[test]
        fn anything_is_judged_as_serde_json_judges_it(
            text in r#"([ \[\]{},:\t\n0-9.e-]|true|false|null|"[a\\"]{0,3}"|NaN){0,12}"#,
        ) {
            let ours = read(&text);
            let too_deep = matches!(ours, Err(FlawAt { flaw: Flaw::TooDeep, .. }));
            prop_assert!(too_deep || ours.is_ok() == serde_json::from_str::<Value>(&text).is_ok(), "{:?}", ours);
        }
    }
}
