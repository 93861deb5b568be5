//! JSON as bytes: a cursor that reads a text in one pass, and functions that write. Nothing here knows a reading.
//!
//! # What is accepted
//! Exactly RFC 8259, and of that only what has a meaning as data: strings must be Unicode (a `\ud800` without its
//! other half is refused) and numbers must fit a finite `f64`. The cursor refuses whatever `serde_json` refuses when
//! it parses into a `Value`, and the other way round, except for nesting, which callers bound tighter.
//!
//! Invariants: the cursor never allocates except to unescape, and then only into the caller's buffer; every flaw
//! carries the byte where it was met; no input panics.

pub(crate) mod cursor;
pub(crate) mod digits;
mod number;
mod string;
pub mod write;

use thiserror::Error;

/// What is wrong with a text as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// The text ends too early.
    #[error("it ends too early")]
    End,
    /// A byte that cannot stand here.
    #[error("unexpected character")]
    Unexpected,
    /// A value was expected.
    #[error("no value")]
    Value,
    /// Something follows the value.
    #[error("something follows the value")]
    Trailing,
    /// A control character inside a string.
    #[error("control character in a string")]
    Control,
    /// A bad escape in a string.
    #[error("invalid escape")]
    Escape,
    /// Half of a surrogate pair.
    #[error("half of a surrogate pair")]
    Surrogate,
    /// Digits where the grammar has none, or none where it has some.
    #[error("malformed number")]
    Number,
    /// A number beyond `f64`, or one of Python's NaN, Infinity, -Infinity.
    #[error("number that is not finite")]
    NonFinite,
    /// Nested deeper than the caller allows.
    #[error("nested too deep")]
    TooDeep,
}

/// A [`Flaw`] and the byte where it was met, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlawAt {
    pub(crate) flaw: Flaw,
    pub(crate) at: u32,
}

/// Where the characters of a string are: in the text itself, or unescaped in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
    unescaped: bool,
}

impl Span {
    /// Whether it has no characters.
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The characters, given the text and the buffer that the span was read with.
    #[inline]
    pub(crate) fn resolve<'a>(self, text: &'a str, unescaped: &'a str) -> &'a str {
        let whole = if self.unescaped { unescaped } else { text };
        &whole[self.start as usize..self.end as usize]
    }
}
