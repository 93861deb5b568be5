//! The values of the known fields: each is read as its type, is absent as `null`, or is refused by name.

use super::keys::Field;
use super::{Decoder, Fault, MAX_DEPTH, broken, in_field};
use crate::json::Span;
use crate::quoted::quoted;
use crate::reading::Reject;
use crate::time::EventTime;

impl Decoder<'_, '_> {
    /// A number, or `None` for `null`.
    #[inline]
    pub(super) fn number(&mut self, field: &'static str) -> Result<Option<f64>, Fault> {
        let token = self.json.peek_token();
        match self.json.short_number() {
            Some(value) => Ok(Some(value)),
            None => self.unusual_number(token, field),
        }
    }

    #[inline(never)]
    fn unusual_number(&mut self, token: Option<u8>, field: &'static str) -> Result<Option<f64>, Fault> {
        match token {
            Some(b'-' | b'0'..=b'9') => self.json.number().map(Some).map_err(|flaw| in_field(flaw, field)),
            _ => self.null_or_wrong(field, "a number").map(|()| None),
        }
    }

    /// A string, or `None` for `null`.
    #[inline]
    pub(super) fn string(&mut self, field: &'static str) -> Result<Option<Span>, Fault> {
        let token = self.json.peek_token();
        if token == Some(b'"')
            && let Some(span) = self.json.plain_string()
        {
            return Ok(Some(span));
        }
        self.unusual_string(token, field)
    }

    #[inline(never)]
    fn unusual_string(&mut self, token: Option<u8>, field: &'static str) -> Result<Option<Span>, Fault> {
        match token {
            Some(b'"') => self.json.string(&mut self.scratch.unescaped).map(Some).map_err(broken),
            _ => self.null_or_wrong(field, "a string").map(|()| None),
        }
    }

    #[inline]
    pub(super) fn sensor_id(&mut self) -> Result<Option<Span>, Fault> {
        let id = self.string(Field::SensorId.name())?;
        if id.is_some_and(Span::is_empty) {
            // Only the two quotes make an empty string; an escape always stands for a character.
            return Err(Reject::EmptySensorId { at: self.json.position() - 2 }.into());
        }
        Ok(id)
    }

    #[inline]
    pub(super) fn timestamp(&mut self) -> Result<Option<EventTime>, Fault> {
        if self.json.peek_token() == Some(b'"')
            && let Some(time) = self.json.take_known(quoted_time)
        {
            return Ok(Some(time));
        }
        self.unusual_timestamp()
    }

    /// A timestamp with escapes, in milliseconds, or that is none.
    fn unusual_timestamp(&mut self) -> Result<Option<EventTime>, Fault> {
        let field = Field::Timestamp.name();
        let token = self.json.peek_token();
        let at = self.json.position();
        let (found, time) = match token {
            Some(b'"') => {
                let span = self.json.string(&mut self.scratch.unescaped).map_err(broken)?;
                let text = self.resolve(span);
                (text, EventTime::parse(text.as_bytes()))
            }
            Some(b'-' | b'0'..=b'9') => {
                self.json.number().map_err(|flaw| in_field(flaw, field))?;
                let text = &self.json.text()[at..self.json.position()];
                (text, text.parse().ok().and_then(EventTime::checked_from_millis))
            }
            _ => return self.null_or_wrong(field, "a string or an integer").map(|()| None),
        };
        match time {
            Some(time) => Ok(Some(time)),
            None => Err(Reject::UnreadableTimestamp { found: quoted(found), at }.into()),
        }
    }

    /// Takes `null`, or says why the value here is wrong for a known field.
    #[cold]
    pub(super) fn null_or_wrong(&mut self, field: &'static str, expected: &'static str) -> Result<(), Fault> {
        if self.json.peek() == Some(b'n') {
            return self.json.word("null").map_err(broken);
        }
        let at = self.json.position();
        let found = self.kind();
        // A value that is not JSON is that first of all.
        self.json
            .skip_value(MAX_DEPTH - 1, &mut self.scratch.unescaped)
            .map_err(|flaw| in_field(flaw, field))?;
        Err(Reject::WrongType { field, expected, found, at }.into())
    }

    /// The kind of value that begins here, if one does.
    pub(super) fn kind(&self) -> &'static str {
        match self.json.peek() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

/// The time at the start of `text`, which follows an opening quote, and its length with the closing quote.
#[inline]
fn quoted_time(text: &[u8]) -> Option<(EventTime, usize)> {
    let (time, rest) = EventTime::parse_prefix(text)?;
    (rest.first() == Some(&b'"')).then(|| (time, text.len() - rest.len() + 1))
}
