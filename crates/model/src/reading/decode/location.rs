//! The location: both coordinates, or none.

use super::keys::{Coordinate, Field, Key};
use super::{Decoder, Fault, MAX_DEPTH, MAX_FIELDS, broken, duplicate, in_field};
use crate::json::Span;
use crate::reading::fields::Scratch;
use crate::reading::{Location, Reject};

/// The coordinates read so far.
#[derive(Default)]
struct Coordinates {
    latitude: Option<f64>,
    longitude: Option<f64>,
    /// The keys met, one bit each.
    seen: u8,
}

impl Decoder<'_, '_> {
    #[inline]
    pub(super) fn location(&mut self) -> Result<Option<Location>, Fault> {
        if self.json.peek_token() != Some(b'{') {
            return self.null_or_wrong(Field::Location.name(), "an object").map(|()| None);
        }
        let at = self.json.position();
        let mut met = Coordinates::default();
        let depth = self.json.open(MAX_DEPTH - 1).map_err(broken)?;
        if !self.json.closed(b'}') {
            loop {
                let at = self.next_key()?;
                let known = match self.known_key::<Coordinate>() {
                    None => self.unusual_location_key(at, depth)?,
                    known => known,
                };
                if let Some(coordinate) = known {
                    self.coordinate(coordinate, at, &mut met)?;
                }
                if !self.json.more(b'}').map_err(broken)? {
                    break;
                }
            }
        }
        match (met.latitude, met.longitude) {
            (Some(latitude), Some(longitude)) => Ok(Some(Location { latitude, longitude })),
            (None, None) => Ok(None),
            (None, _) => Err(Reject::IncompleteLocation { missing: "latitude", at }.into()),
            (_, None) => Err(Reject::IncompleteLocation { missing: "longitude", at }.into()),
        }
    }

    #[inline]
    fn coordinate(&mut self, coordinate: Coordinate, at: usize, met: &mut Coordinates) -> Result<(), Fault> {
        let bit = 1 << coordinate as u8;
        if met.seen & bit != 0 {
            return Err(duplicate(coordinate.path(), at));
        }
        met.seen |= bit;
        let value = self.number(coordinate.path())?;
        match coordinate {
            Coordinate::Latitude => met.latitude = value,
            Coordinate::Longitude => met.longitude = value,
        }
        Ok(())
    }

    /// Reads a key, at `at`, that was not known at a glance; of an unknown field also the value.
    #[inline(never)]
    fn unusual_location_key(&mut self, at: usize, depth: usize) -> Result<Option<Coordinate>, Fault> {
        match self.key()? {
            Key::Known(coordinate) => Ok(Some(coordinate)),
            Key::Other(name) => self.skip_further(name, at, depth).map(|()| None),
        }
    }

    /// An unknown field of the location, of which the key began at `at`: checked and skipped.
    fn skip_further(&mut self, name: Span, at: usize, depth: usize) -> Result<(), Fault> {
        let Scratch { unescaped, location_names, .. } = &mut *self.scratch;
        if location_names.len() == MAX_FIELDS {
            return Err(Reject::TooManyFields { at }.into());
        }
        let text = self.json.text();
        if !location_names.insert(name, |span| span.resolve(text, unescaped)) {
            return Err(duplicate(&format!("location.{}", self.resolve(name)), at));
        }
        self.json
            .skip_value(depth, &mut self.scratch.unescaped)
            .map_err(|flaw| in_field(flaw, Field::Location.name()))
    }
}
