//! Runs of decimal digits, eight at a time in one machine word: from text, and to text.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;

/// Eight bytes of text, the first in the lowest byte, each reduced by `0`: a digit has become its value.
#[derive(Clone, Copy)]
pub(crate) struct Eight(u64);

impl Eight {
    #[inline]
    pub(crate) fn new(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes) ^ (u64::from(b'0') * ONES))
    }

    /// Marks the bytes that are no digits in their high bit.
    #[inline]
    pub(crate) fn others(self) -> u64 {
        // Adding 0x76 to the lower seven bits of a byte reaches its high bit from 10 on.
        (((self.0 & !HIGH_BITS) + 0x76 * ONES) | self.0) & HIGH_BITS
    }

    /// Takes out the byte at index `at`; those above it move down.
    #[inline]
    pub(crate) fn without(self, at: u32) -> Self {
        let below = (1 << (8 * at)) - 1;
        Self((self.0 & below) | ((self.0 >> 8) & !below))
    }

    /// The value of the first `count` bytes, which are digits; `count` is 1 to 8.
    #[inline]
    pub(crate) fn value(self, count: u32) -> u64 {
        // The digits move to the top of the word and zeros follow below, where they read as leading zeros. Then
        // neighbours are joined by 10, 100 and 10,000.
        let digits = self.0 << (64 - 8 * count);
        let pairs = (digits.wrapping_mul(10 * 256 + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs.wrapping_mul(100 * (1 << 16) + 1) >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(10_000 * (1 << 32) + 1) >> 32
    }
}

/// The eight digits of `value`, which is below 10^8, as values (not yet text), the first in the lowest byte.
#[inline]
pub(crate) fn eight_of(value: u32) -> u64 {
    // The inverse of `Eight::value`: halves of four digits, then pairs, then digits. The multiplications divide by 100
    // and by 10, exactly for numbers this small.
    let fours = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - 10 * tens) << 8
}

/// How many of the first eight bytes are digits before the first that is not, and their value.
///
/// Bytes past the end of `bytes` count as no digits.
#[inline]
pub(crate) fn leading(bytes: &[u8]) -> (usize, u64) {
    let eight = Eight::new(bytes.first_chunk::<8>().copied().unwrap_or_else(|| padded(bytes)));
    let count = eight.others().trailing_zeros() / 8;
    if count == 0 { (0, 0) } else { (count as usize, eight.value(count)) }
}

/// The values of all pairs of neighbouring digits in eight bytes of the form `pattern`, in which `0` stands for any
/// digit and any other byte for itself: the pair that begins at `i` is at index `i + 1` of the result.
#[inline]
pub(crate) fn pairs(bytes: [u8; 8], pattern: [u8; 8]) -> Option<[u8; 8]> {
    let values = u64::from_le_bytes(bytes) ^ u64::from_le_bytes(pattern);
    // Now a digit must be below 10, and a byte that stands for itself must be 0; see `Eight::others`.
    let reach = u64::from_le_bytes(pattern.map(|byte| if byte == b'0' { 0x76 } else { 0x7f }));
    if (((values & !HIGH_BITS) + reach) | values) & HIGH_BITS != 0 {
        return None;
    }
    // Ten times each byte is added to the next; with at most 99 in a byte nothing is carried further.
    Some(values.wrapping_mul(10 * 256 + 1).to_le_bytes())
}

#[cold]
fn padded(bytes: &[u8]) -> [u8; 8] {
    let mut chunk = [0; 8];
    chunk[..bytes.len()].copy_from_slice(bytes);
    chunk
}

#[cfg(test)]
mod tests {
    use super::{eight_of, leading, pairs};

    #[track_caller]
    fn check(text: &str, expected: (usize, u64)) {
        assert_eq!(leading(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn counts_and_reads_what_is_there() {
        check("", (0, 0));
        check("x", (0, 0));
        check("7", (1, 7));
        check("1013.25,", (4, 1013));
        check("12345678", (8, 12_345_678));
        check("123456789", (8, 12_345_678));
        check("00000001", (8, 1));
        check("9999999:", (7, 9_999_999));
        check("9999999/", (7, 9_999_999));
        check("1\u{ff}111111", (1, 1));
    }

    #[test]
    fn every_number_has_its_digits() {
        // All of the upper half, all of the lower half, and the ends.
        let halves = (0..10_000).flat_map(|half| [half, half * 10_000, half * 10_001, 99_999_999 - half]);
        for value in halves {
            let digits = eight_of(value).to_le_bytes().map(|digit| char::from(b'0' + digit));
            assert_eq!(String::from_iter(digits), format!("{value:08}"));
        }
    }

    #[test]
    fn pairs_follow_a_pattern() {
        let read = |text: &[u8; 8]| pairs(*text, *b"00:00:00").map(|pairs| [pairs[1], pairs[4], pairs[7]]);
        assert_eq!(read(b"10:15:30"), Some([10, 15, 30]));
        assert_eq!(read(b"99:99:99"), Some([99, 99, 99]));
        for at in 0..8 {
            for wrong in [b'/', b':' + u8::from(at == 2 || at == 5), b' ', b'T', 0, 0xff, b'0' | 0x80] {
                let mut text = *b"10:15:30";
                text[at] = wrong;
                assert_eq!(read(&text), None, "{text:?}");
            }
        }
    }
}
