//! The shape of a request: a walk over its bytes, before anything is decoded, that refuses every length, count and tag
//! that the frame cannot hold. The codec trusts counts: it would allocate an array as long as a client claims.
//!
//! Invariants: the walk allocates nothing and always ends; what passes has at most [`REQUEST_ELEMENTS`] elements, each of
//! at least one byte in the frame, so that decoding allocates at most a constant times the frame; the walk and the codec
//! read every field from the same place, which the tests hold for each version of each request.

mod table;

#[cfg(test)]
mod tests;

use kafka_protocol::messages::ApiKey;

use super::limits::REQUEST_ELEMENTS;

/// The bytes are no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what the request's kind and version ask for")]
pub(super) struct Malformed;

/// Checks the body of a request in a version that is answered; returns how many bytes of it the request takes. What
/// follows these is ignored, as Kafka does.
pub(super) fn check(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, Malformed> {
    let request = table::request(key).ok_or(Malformed)?;
    let mut cursor = Cursor::new(body);
    cursor.fields(request.fields, request.tagged, version, version >= request.flexible)?;
    Ok(cursor.position())
}

/// A request, or a part of one that repeats.
pub(super) struct Shape {
    /// From this version on lengths are compact and structures end with tagged fields.
    flexible: i16,
    fields: &'static [Field],
    tagged: &'static [Tagged],
}

/// A field that is there in some versions.
#[derive(Clone, Copy)]
struct Field {
    kind: Kind,
    since: i16,
    until: i16,
}

/// A tagged field that the codec knows; others are skipped by their size.
struct Tagged {
    tag: u32,
    field: Field,
}

#[derive(Clone, Copy)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, or bytes, whose length takes two bytes if it is not compact.
    String,
    /// Bytes whose length takes four bytes if it is not compact.
    Bytes,
    /// Elements of one kind.
    Array(&'static Kind),
    /// Fields in their order, and the tagged ones that are known.
    Struct(&'static [Field], &'static [Tagged]),
    /// A structure behind a byte that is 1 if it is there.
    Optional(&'static [Field]),
}

/// A place in a frame, and what may still be read.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    length: usize,
    elements: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len(), elements: REQUEST_ELEMENTS }
    }

    /// Bytes from the beginning to here.
    pub(super) fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = tail;
        Ok(*head)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.rest = self.rest.get(bytes..).ok_or(Malformed)?;
        Ok(())
    }

    /// A number of 7 bits a byte, least first. As the codec does, it takes at most five bytes and drops what is beyond
    /// 32 bits.
    fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    /// A length of one more than the value; nothing for null.
    fn compact(&mut self) -> Result<Option<usize>, Malformed> {
        Ok((self.varint()? as usize).checked_sub(1))
    }

    fn wide(&mut self) -> Result<Option<usize>, Malformed> {
        optional(i64::from(i32::from_be_bytes(self.take()?)))
    }

    /// Skips a string and returns its length; nothing for null.
    pub(super) fn string(&mut self, compact: bool) -> Result<Option<usize>, Malformed> {
        let length =
            if compact { self.compact()? } else { optional(i64::from(i16::from_be_bytes(self.take()?)))? };
        self.skip(length.unwrap_or(0))?;
        Ok(length)
    }

    fn fields(
        &mut self,
        fields: &[Field],
        tagged: &[Tagged],
        version: i16,
        flexible: bool,
    ) -> Result<(), Malformed> {
        for field in fields.iter().filter(|field| (field.since..=field.until).contains(&version)) {
            self.field(field.kind, version, flexible)?;
        }
        if flexible { self.tagged(tagged, version) } else { Ok(()) }
    }

    fn field(&mut self, kind: Kind, version: i16, flexible: bool) -> Result<(), Malformed> {
        match kind {
            Kind::Fixed(bytes) => self.skip(bytes),
            Kind::String => self.string(flexible).map(|_| ()),
            Kind::Bytes => {
                let length = if flexible { self.compact()? } else { self.wide()? };
                self.skip(length.unwrap_or(0))
            }
            Kind::Array(element) => {
                let count = if flexible { self.compact()? } else { self.wide()? };
                let count = count.unwrap_or(0);
                // Every element takes a byte at least; and the sum over all arrays is bounded.
                self.elements = self.elements.checked_sub(count).ok_or(Malformed)?;
                if count > self.rest.len() {
                    return Err(Malformed);
                }
                (0..count).try_for_each(|_| self.field(*element, version, flexible))
            }
            Kind::Struct(fields, tagged) => self.fields(fields, tagged, version, flexible),
            Kind::Optional(fields) => match self.take()? {
                [1] => self.fields(fields, &[], version, flexible),
                _ => Ok(()),
            },
        }
    }

    /// Skips tagged fields of which none is known, as headers have them.
    pub(super) fn tags(&mut self) -> Result<(), Malformed> {
        self.tagged(&[], 0)
    }

    /// Walks tagged fields; a known one must have the size that it says, and be of this version.
    fn tagged(&mut self, known: &[Tagged], version: i16) -> Result<(), Malformed> {
        let count = self.varint()? as usize;
        // The codec keeps each in a map.
        self.elements = self.elements.checked_sub(count).ok_or(Malformed)?;
        for _ in 0..count {
            let (tag, size) = (self.varint()?, self.varint()? as usize);
            let Some(tagged) = known.iter().find(|tagged| tagged.tag == tag) else {
                self.skip(size)?;
                continue;
            };
            let end = self.rest.len().checked_sub(size).ok_or(Malformed)?;
            if !(tagged.field.since..=tagged.field.until).contains(&version) {
                return Err(Malformed);
            }
            self.field(tagged.field.kind, version, true)?;
            if self.rest.len() != end {
                return Err(Malformed);
            }
        }
        Ok(())
    }
}

/// A length, or null as -1.
fn optional(length: i64) -> Result<Option<usize>, Malformed> {
    if length == -1 { Ok(None) } else { usize::try_from(length).map(Some).map_err(|_| Malformed) }
}
