//! The fields beyond the known ones: numbers are further measurements, the rest is checked and skipped.

use super::{Decoder, Fault, MAX_DEPTH, MAX_FIELDS, duplicate, in_field};
use crate::json::Span;
use crate::reading::Reject;
use crate::reading::fields::Scratch;

impl Decoder<'_, '_> {
    /// Reads the value of the unknown field `name`, of which the key began at `at`.
    pub(super) fn further(&mut self, name: Span, at: usize) -> Result<(), Fault> {
        let Scratch { unescaped, names, .. } = &mut *self.scratch;
        if names.len() == MAX_FIELDS {
            return Err(Reject::TooManyFields { at }.into());
        }
        let text = self.json.text();
        if !names.insert(name, |span| span.resolve(text, unescaped)) {
            return Err(duplicate(self.resolve(name), at));
        }
        let read = match self.json.peek_token() {
            Some(b'-' | b'0'..=b'9') => {
                self.json.number().map(|value| self.scratch.further.push((name, value)))
            }
            _ => self.json.skip_value(MAX_DEPTH - 1, &mut self.scratch.unescaped),
        };
        read.map_err(|flaw| in_field(flaw, self.resolve(name)))
    }
}
