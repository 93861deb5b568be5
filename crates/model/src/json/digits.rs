//! Runs of decimal digits, eight at a time in one machine word.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;

/// How many of the first eight bytes are digits before the first that is not, and their value.
///
/// Bytes past the end of `bytes` count as no digits.
#[inline]
pub(crate) fn leading(bytes: &[u8]) -> (usize, u64) {
    let chunk = match bytes.first_chunk::<8>() {
        Some(chunk) => *chunk,
        None => padded(bytes),
    };
    let values = u64::from_le_bytes(chunk) ^ (u64::from(b'0') * ONES);
    // A byte that held a digit is now 0 to 9; adding 0x76 to the lower seven bits reaches the high bit from 10 on.
    let others = (((values & !HIGH_BITS) + 0x76 * ONES) | values) & HIGH_BITS;
    let count = others.trailing_zeros() / 8;
    if count == 0 {
        return (0, 0);
    }
    // The digits move to the top of the word and zeros follow below, where they read as leading zeros.
    (count as usize, value_of(values << (64 - 8 * count)))
}

/// The value of eight digits, the first in the lowest byte: neighbours are joined by 10, 100 and 10,000.
#[inline]
fn value_of(digits: u64) -> u64 {
    let pairs = (digits.wrapping_mul(10 * 256 + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 * (1 << 16) + 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 * (1 << 32) + 1) >> 32
}

#[cold]
fn padded(bytes: &[u8]) -> [u8; 8] {
    let mut chunk = [0; 8];
    chunk[..bytes.len()].copy_from_slice(bytes);
    chunk
}

#[cfg(test)]
mod tests {
    use super::leading;

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
}
