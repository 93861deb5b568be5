//! A payload to a reading: one pass over the bytes, borrowing from them, without allocation.
//!
//! The known fields are recognised and their values read without looking for their ends first; whatever is written in
//! an unusual way (escapes, space before a colon, many digits) takes a slower and general way to the same result.
//!
//! Invariant: what is accepted is JSON, and what is not JSON is rejected, by the judgement of `serde_json`.

mod further;
mod keys;
mod location;
mod values;

use super::fields::{Further, Scratch};
use super::{Location, Reading, Reject};
use crate::json::cursor::Cursor;
use crate::json::{Flaw, FlawAt, Span};
use crate::quoted::quoted;
use crate::time::EventTime;
use keys::{Field, Key};

/// The largest payload that is decoded, 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// How deep objects and arrays may nest; the reading itself is the first level.
pub const MAX_DEPTH: usize = 32;
/// How many unknown fields a reading, and its location, may have.
pub const MAX_FIELDS: usize = 1_024;

/// A reason on its way out. It is boxed because most functions here only hand it on, which is cheapest in a register.
struct Fault(Box<Reject>);

impl From<Reject> for Fault {
    #[cold]
    fn from(reject: Reject) -> Self {
        Self(Box::new(reject))
    }
}

/// Reads one reading from `payload`, in the format of the [module](crate::reading).
///
/// # Which reason wins
/// Where a payload is wrong in several ways, its [`Reject`] is
/// 1. [`Reject::TooLarge`], or else [`Reject::InvalidUtf8`], for the payload as a whole;
/// 2. the first problem met from left to right, be it the grammar's or a field's (so a wrong type at byte 20 hides a
///    missing brace at byte 200). A duplicate is met at its second key, an incomplete location at its end;
/// 3. with the whole payload read: a missing sensor id, then a missing timestamp, then no measurement.
///
/// A value is of the wrong type, and a payload no object, only if it is JSON.
///
/// Duplicate keys inside unknown fields, which are skipped, are not looked for.
pub fn decode<'a>(payload: &'a [u8], scratch: &'a mut Scratch) -> Result<Reading<'a>, Reject> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(Reject::TooLarge { bytes: payload.len() });
    }
    let text = simdutf8::basic::from_utf8(payload).map_err(|_| invalid_utf8(payload))?;
    scratch.clear();
    let mut decoder = Decoder { json: Cursor::new(text), scratch, draft: Draft::default() };
    decoder.payload().map_err(|Fault(reject)| *reject)?;
    let draft = decoder.draft;
    draft.finish(text, scratch)
}

/// What has been read so far, with strings still as spans.
#[derive(Default)]
struct Draft {
    sensor_id: Option<Span>,
    time: Option<EventTime>,
    temperature: Option<f64>,
    humidity: Option<f64>,
    pressure: Option<f64>,
    location: Option<Location>,
    status: Option<Span>,
    /// The known fields met, one bit each.
    seen: u8,
}

impl Draft {
    #[inline]
    fn finish<'a>(&self, text: &'a str, scratch: &'a Scratch) -> Result<Reading<'a>, Reject> {
        let unescaped = scratch.unescaped.as_str();
        let sensor_id = self.sensor_id.ok_or(Reject::MissingSensorId)?;
        let time = self.time.ok_or(Reject::MissingTimestamp)?;
        let named = self.temperature.or(self.humidity).or(self.pressure);
        if named.is_none() && scratch.further.is_empty() {
            return Err(Reject::NoMeasurement);
        }
        Ok(Reading {
            sensor_id: sensor_id.resolve(text, unescaped),
            time,
            temperature: self.temperature,
            humidity: self.humidity,
            pressure: self.pressure,
            location: self.location,
            status: self.status.map(|status| status.resolve(text, unescaped)),
            further: Further::Decoded {
                spans: &scratch.further,
                text,
                unescaped,
                skipped: scratch.names.len() > scratch.further.len() || scratch.location_names.len() > 0,
            },
        })
    }
}

/// The state of one decoding. The fields' values are read in the submodules.
struct Decoder<'a, 's> {
    json: Cursor<'a>,
    scratch: &'s mut Scratch,
    draft: Draft,
}

impl Decoder<'_, '_> {
    fn payload(&mut self) -> Result<(), Fault> {
        if self.json.peek_token() != Some(b'{') {
            return Err(self.not_an_object());
        }
        self.json.open(MAX_DEPTH).map_err(broken)?;
        if !self.json.closed(b'}') {
            loop {
                let at = self.next_key()?;
                let known = match self.known_key::<Field>() {
                    None => self.unusual_key(at)?,
                    known => known,
                };
                if let Some(field) = known {
                    self.field(field, at)?;
                }
                if !self.json.more(b'}').map_err(broken)? {
                    break;
                }
            }
        }
        self.json.end().map_err(broken)
    }

    /// Reads a key, at `at`, that was not known at a glance; of an unknown field also the value.
    #[inline(never)]
    fn unusual_key(&mut self, at: usize) -> Result<Option<Field>, Fault> {
        match self.key()? {
            Key::Known(field) => Ok(Some(field)),
            Key::Other(name) => self.further(name, at).map(|()| None),
        }
    }

    /// Reads the value of a known field, of which the key began at `at`.
    #[inline]
    fn field(&mut self, field: Field, at: usize) -> Result<(), Fault> {
        let bit = 1 << field as u8;
        if self.draft.seen & bit != 0 {
            return Err(duplicate(field.name(), at));
        }
        self.draft.seen |= bit;
        match field {
            Field::SensorId => self.draft.sensor_id = self.sensor_id()?,
            Field::Timestamp => self.draft.time = self.timestamp()?,
            Field::Temperature => self.draft.temperature = self.number(field.name())?,
            Field::Humidity => self.draft.humidity = self.number(field.name())?,
            Field::Pressure => self.draft.pressure = self.number(field.name())?,
            Field::Location => self.draft.location = self.location()?,
            Field::Status => self.draft.status = self.string(field.name())?,
        }
        Ok(())
    }

    fn resolve(&self, span: Span) -> &str {
        span.resolve(self.json.text(), &self.scratch.unescaped)
    }

    #[cold]
    fn not_an_object(&mut self) -> Fault {
        let found = self.kind();
        let whole =
            self.json.skip_value(MAX_DEPTH, &mut self.scratch.unescaped).and_then(|()| self.json.end());
        match whole {
            Ok(()) => Reject::NotAnObject { found }.into(),
            Err(flaw) => in_field(flaw, "the payload"),
        }
    }
}

#[cold]
fn duplicate(key: &str, at: usize) -> Fault {
    Reject::DuplicateKey { key: quoted(key), at }.into()
}

/// A flaw outside any value.
#[cold]
fn broken(flaw: FlawAt) -> Fault {
    in_field(flaw, "the payload")
}

/// A flaw in the value of `field`.
#[cold]
fn in_field(FlawAt { flaw, at }: FlawAt, field: &str) -> Fault {
    let at = at as usize;
    match flaw {
        Flaw::TooDeep => Reject::TooDeep { at },
        Flaw::NonFinite => Reject::NonFiniteNumber { field: quoted(field), at },
        _ => Reject::NotJson { flaw, at },
    }
    .into()
}

#[cold]
fn invalid_utf8(payload: &[u8]) -> Reject {
    let at = str::from_utf8(payload).map_or_else(|error| error.valid_up_to(), str::len);
    Reject::InvalidUtf8 { at }
}

#[cfg(test)]
mod tests;
