//! Reading and writing the protocol's primitive types, big-endian. Readers never trust a length.

use super::WireError;

/// Collects a request's body.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn int16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn int32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A string with a 16-bit length. Longer ones do not occur: names and mechanisms.
    pub(super) fn text(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).expect("names are short");
        let mut longer = self.int16(length);
        longer.0.extend(text.as_bytes());
        longer
    }

    /// Bytes with a 32-bit length.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let length = i32::try_from(bytes.len()).expect("credentials are short");
        let mut longer = self.int32(length);
        longer.0.extend(bytes);
        longer
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Walks over an answer.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(WireError::Malformed)?;
        self.0 = tail;
        Ok(*head)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(WireError::Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn int8(&mut self) -> Result<i8, WireError> {
        Ok(i8::from_be_bytes(self.take()?))
    }

    pub(super) fn int16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub(super) fn int32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(super) fn int64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    /// The length of an array; null counts as empty. At most what could still follow.
    pub(super) fn count(&mut self) -> Result<usize, WireError> {
        let count = usize::try_from(self.int32()?).unwrap_or(0);
        if count > self.0.len() { Err(WireError::Malformed) } else { Ok(count) }
    }

    /// A string with a 16-bit length; null counts as empty.
    pub(super) fn text(&mut self) -> Result<&'a str, WireError> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        std::str::from_utf8(self.slice(length)?).map_err(|_| WireError::Malformed)
    }

    /// Bytes with a 32-bit length; null counts as empty.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.int32()?).unwrap_or(0);
        self.slice(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = Writer::default().int16(-2).int32(3).text("ab").bytes(b"\xff").done();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.int16().unwrap(), -2);
        assert_eq!(reader.int32().unwrap(), 3);
        assert_eq!(reader.text().unwrap(), "ab");
        assert_eq!(reader.bytes().unwrap(), b"\xff");
        assert!(reader.int8().is_err());
    }

    #[test]
    fn lengths_beyond_the_answer_are_refused() {
        assert!(Reader::new(&[127, 255, 255, 255]).count().is_err());
        assert!(Reader::new(&[0, 9, b'a']).text().is_err());
        assert_eq!(Reader::new(&[255, 255, 255, 255]).count().unwrap(), 0);
        assert_eq!(Reader::new(&[255, 255]).text().unwrap(), "");
    }
}
