//! A payload to a reading: one pass over the bytes, borrowing from them, without allocation.
//!
//! # Which reason wins
//! 1. [`Reject::TooLarge`], then 2. [`Reject::InvalidUtf8`], for the payload as a whole;
//! 3. the first problem met from left to right, be it the grammar's or a field's (so a wrong type at byte 20 hides a
//!    missing brace at byte 200). A duplicate is met at its second key, an incomplete location at its end;
//! 4. with the whole payload read: a missing sensor id, then a missing timestamp, then no measurement.
//!
//! A payload that begins as something else than an object is [`Reject::NotAnObject`] only if it is JSON.
//!
//! # What is not checked
//! Duplicate keys inside unknown objects, which are skipped.

use super::fields::{Further, Scratch};
use super::{HUMIDITY, Location, PRESSURE, Reading, Reject, TEMPERATURE};
use crate::json::cursor::Cursor;
use crate::json::{Flaw, FlawAt, Span};
use crate::quoted::quoted;
use crate::time::EventTime;

/// The largest payload that is decoded, 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// How deep objects and arrays may nest; the reading itself is the first level.
pub const MAX_DEPTH: usize = 32;
/// How many unknown fields a reading, and its location, may have.
pub const MAX_FIELDS: usize = 1_024;

const SENSOR_ID: &str = "sensor_id";
const TIMESTAMP: &str = "timestamp";
const LOCATION: &str = "location";
const STATUS: &str = "status";
const LATITUDE: &str = "location.latitude";
const LONGITUDE: &str = "location.longitude";

/// Reads one reading from `payload`.
///
/// Fails with the [`Reject`] that the [module](self) says.
pub fn decode<'a>(payload: &'a [u8], scratch: &'a mut Scratch) -> Result<Reading<'a>, Reject> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(Reject::TooLarge { bytes: payload.len() });
    }
    let text = simdutf8::basic::from_utf8(payload).map_err(|_| invalid_utf8(payload))?;
    scratch.clear();
    let mut decoder = Decoder { json: Cursor::new(text), scratch, draft: Draft::default() };
    decoder.payload()?;
    let draft = decoder.draft;
    let scratch: &'a Scratch = scratch;
    let unescaped = &scratch.unescaped;
    let reading = Reading {
        sensor_id: draft.sensor_id.ok_or(Reject::MissingSensorId)?.resolve(text, unescaped),
        time: draft.time.ok_or(Reject::MissingTimestamp)?,
        temperature: draft.temperature,
        humidity: draft.humidity,
        pressure: draft.pressure,
        location: draft.location,
        status: draft.status.map(|status| status.resolve(text, unescaped)),
        further: Further::Decoded { spans: &scratch.further, text, unescaped },
    };
    let named = draft.temperature.or(draft.humidity).or(draft.pressure);
    if named.is_none() && scratch.further.is_empty() {
        return Err(Reject::NoMeasurement);
    }
    Ok(reading)
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

struct Decoder<'a, 's> {
    json: Cursor<'a>,
    scratch: &'s mut Scratch,
    draft: Draft,
}

impl Decoder<'_, '_> {
    fn payload(&mut self) -> Result<(), Reject> {
        if self.json.peek_token() != Some(b'{') {
            return Err(self.not_an_object());
        }
        self.json.open(MAX_DEPTH).map_err(broken)?;
        if !self.json.closed(b'}') {
            loop {
                let key = self.key()?;
                self.field(key)?;
                if !self.json.more(b'}').map_err(broken)? {
                    break;
                }
            }
        }
        self.json.end().map_err(broken)
    }

    /// Reads a key and its colon.
    #[inline]
    fn key(&mut self) -> Result<Key, Reject> {
        if self.json.peek_token() != Some(b'"') {
            return Err(broken(self.json.unexpected()));
        }
        let at = self.json.position();
        let span = self.json.string(&mut self.scratch.unescaped).map_err(broken)?;
        self.json.take(b':').map_err(broken)?;
        Ok(Key { span, at })
    }

    #[inline]
    fn field(&mut self, key: Key) -> Result<(), Reject> {
        match self.resolve(key.span).as_bytes() {
            b"sensor_id" => {
                self.once(key, 1 << 0)?;
                self.draft.sensor_id = self.sensor_id()?;
            }
            b"timestamp" => {
                self.once(key, 1 << 1)?;
                self.draft.time = self.timestamp()?;
            }
            b"temperature" => {
                self.once(key, 1 << 2)?;
                self.draft.temperature = self.number(TEMPERATURE)?;
            }
            b"humidity" => {
                self.once(key, 1 << 3)?;
                self.draft.humidity = self.number(HUMIDITY)?;
            }
            b"pressure" => {
                self.once(key, 1 << 4)?;
                self.draft.pressure = self.number(PRESSURE)?;
            }
            b"location" => {
                self.once(key, 1 << 5)?;
                self.draft.location = self.location()?;
            }
            b"status" => {
                self.once(key, 1 << 6)?;
                self.draft.status = self.text(STATUS)?;
            }
            _ => self.further(key)?,
        }
        Ok(())
    }

    /// Refuses a known key that was met before; `bit` stands for it.
    #[inline]
    fn once(&mut self, key: Key, bit: u8) -> Result<(), Reject> {
        if self.draft.seen & bit != 0 {
            return Err(self.duplicate(key, ""));
        }
        self.draft.seen |= bit;
        Ok(())
    }

    fn sensor_id(&mut self) -> Result<Option<Span>, Reject> {
        let id = self.text(SENSOR_ID)?;
        if let Some(span) = id
            && self.resolve(span).is_empty()
        {
            return Err(Reject::EmptySensorId { at: self.json.position() - 2 });
        }
        Ok(id)
    }

    fn timestamp(&mut self) -> Result<Option<EventTime>, Reject> {
        const EXPECTED: &str = "a string or an integer";
        let token = self.json.peek_token();
        let at = self.json.position();
        let (found, time) = match token {
            Some(b'"') => {
                let span = self.json.string(&mut self.scratch.unescaped).map_err(broken)?;
                let text = self.resolve(span);
                (text, EventTime::parse(text.as_bytes()))
            }
            Some(b'-' | b'0'..=b'9') => {
                self.json.number().map_err(|flaw| in_field(flaw, TIMESTAMP))?;
                let text = &self.json.text()[at..self.json.position()];
                (text, text.parse().ok().and_then(EventTime::checked_from_millis))
            }
            _ => return self.null_or_wrong(TIMESTAMP, EXPECTED).map(|()| None),
        };
        time.map(Some).ok_or_else(|| Reject::UnreadableTimestamp { found: quoted(found), at })
    }

    /// A number, or `None` for `null`.
    #[inline]
    fn number(&mut self, field: &'static str) -> Result<Option<f64>, Reject> {
        match self.json.peek_token() {
            Some(b'-' | b'0'..=b'9') => self.json.number().map(Some).map_err(|flaw| in_field(flaw, field)),
            _ => self.null_or_wrong(field, "a number").map(|()| None),
        }
    }

    /// A string, or `None` for `null`.
    #[inline]
    fn text(&mut self, field: &'static str) -> Result<Option<Span>, Reject> {
        match self.json.peek_token() {
            Some(b'"') => self.json.string(&mut self.scratch.unescaped).map(Some).map_err(broken),
            _ => self.null_or_wrong(field, "a string").map(|()| None),
        }
    }

    fn location(&mut self) -> Result<Option<Location>, Reject> {
        if self.json.peek_token() != Some(b'{') {
            return self.null_or_wrong(LOCATION, "an object").map(|()| None);
        }
        let at = self.json.position();
        let mut fields = LocationFields::default();
        let depth = self.json.open(MAX_DEPTH - 1).map_err(broken)?;
        if !self.json.closed(b'}') {
            loop {
                let key = self.key()?;
                self.location_field(key, depth, &mut fields)?;
                if !self.json.more(b'}').map_err(broken)? {
                    break;
                }
            }
        }
        match (fields.latitude, fields.longitude) {
            (Some(latitude), Some(longitude)) => Ok(Some(Location { latitude, longitude })),
            (None, None) => Ok(None),
            (None, _) => Err(Reject::IncompleteLocation { missing: "latitude", at }),
            (_, None) => Err(Reject::IncompleteLocation { missing: "longitude", at }),
        }
    }

    #[inline]
    fn location_field(&mut self, key: Key, depth: usize, fields: &mut LocationFields) -> Result<(), Reject> {
        let (bit, value) = match self.resolve(key.span).as_bytes() {
            b"latitude" => (1, self.number(LATITUDE)),
            b"longitude" => (2, self.number(LONGITUDE)),
            _ => return self.location_further(key, depth),
        };
        if fields.seen & bit != 0 {
            return Err(self.duplicate(key, "location."));
        }
        fields.seen |= bit;
        if bit == 1 {
            fields.latitude = value?;
        } else {
            fields.longitude = value?;
        }
        Ok(())
    }

    /// An unknown field of the location: checked and skipped.
    #[cold]
    fn location_further(&mut self, key: Key, depth: usize) -> Result<(), Reject> {
        if self.scratch.location_names.len() == MAX_FIELDS {
            return Err(Reject::TooManyFields { at: key.at });
        }
        let Scratch { unescaped, location_names, .. } = &mut *self.scratch;
        let text = self.json.text();
        if !location_names.insert(key.span, |span| span.resolve(text, unescaped)) {
            return Err(self.duplicate(key, "location."));
        }
        self.json.skip_value(depth, &mut self.scratch.unescaped).map_err(|flaw| in_field(flaw, LOCATION))
    }

    /// An unknown field: a number is a further measurement, the rest is checked and skipped.
    fn further(&mut self, key: Key) -> Result<(), Reject> {
        if self.scratch.names.len() == MAX_FIELDS {
            return Err(Reject::TooManyFields { at: key.at });
        }
        let Scratch { unescaped, names, .. } = &mut *self.scratch;
        let text = self.json.text();
        if !names.insert(key.span, |span| span.resolve(text, unescaped)) {
            return Err(self.duplicate(key, ""));
        }
        let result = match self.json.peek_token() {
            Some(b'-' | b'0'..=b'9') => {
                self.json.number().map(|value| self.scratch.further.push((key.span, value)))
            }
            _ => self.json.skip_value(MAX_DEPTH - 1, &mut self.scratch.unescaped),
        };
        result.map_err(|flaw| in_field(flaw, self.resolve(key.span)))
    }

    fn resolve(&self, span: Span) -> &str {
        span.resolve(self.json.text(), &self.scratch.unescaped)
    }

    /// Takes `null`, or says why the value here is wrong for a known field.
    #[cold]
    fn null_or_wrong(&mut self, field: &'static str, expected: &'static str) -> Result<(), Reject> {
        if self.json.peek() == Some(b'n') {
            return self.json.word("null").map_err(broken);
        }
        let at = self.json.position();
        let found = self.kind();
        // A value that is not JSON is that first of all.
        self.json
            .skip_value(MAX_DEPTH - 1, &mut self.scratch.unescaped)
            .map_err(|flaw| in_field(flaw, field))?;
        Err(Reject::WrongType { field, expected, found, at })
    }

    #[cold]
    fn not_an_object(&mut self) -> Reject {
        let found = self.kind();
        let whole =
            self.json.skip_value(MAX_DEPTH, &mut self.scratch.unescaped).and_then(|()| self.json.end());
        match whole {
            Ok(()) => Reject::NotAnObject { found },
            Err(flaw) => in_field(flaw, "the payload"),
        }
    }

    fn kind(&self) -> &'static str {
        match self.json.peek() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    #[cold]
    fn duplicate(&self, key: Key, within: &str) -> Reject {
        Reject::DuplicateKey { key: format!("{within}{}", quoted(self.resolve(key.span))), at: key.at }
    }
}

/// A key, and where its quote is.
#[derive(Clone, Copy)]
struct Key {
    span: Span,
    at: usize,
}

#[derive(Default)]
struct LocationFields {
    latitude: Option<f64>,
    longitude: Option<f64>,
    seen: u8,
}

/// A flaw outside any value.
#[cold]
fn broken(flaw: FlawAt) -> Reject {
    in_field(flaw, "")
}

/// A flaw in the value of `field`.
#[cold]
fn in_field(FlawAt { flaw, at }: FlawAt, field: &str) -> Reject {
    let at = at as usize;
    match flaw {
        Flaw::TooDeep => Reject::TooDeep { at },
        Flaw::NonFinite => Reject::NonFiniteNumber { field: quoted(field), at },
        _ => Reject::NotJson { flaw, at },
    }
}

#[cold]
fn invalid_utf8(payload: &[u8]) -> Reject {
    let at = str::from_utf8(payload).map_or_else(|error| error.valid_up_to(), str::len);
    Reject::InvalidUtf8 { at }
}
