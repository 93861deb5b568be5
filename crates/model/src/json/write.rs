//! Writing JSON: numbers as their shortest text that reads back the same, and strings with the escapes JSON demands.
//!
//! The output depends on the value alone, so equal values have equal bytes.

use super::digits;
use super::string::next_special;

/// The two digits of 0 to 99.
pub(crate) static PAIRS: [[u8; 2]; 100] = pairs();

/// Values below this have at most eight digits before the point; with six behind it that is 14 digits, and of all
/// decimals of up to 15 digits no two are the same `f64`. So one that reads back as the value is the shortest.
const FAST_LIMIT: f64 = 1e8;
/// Smaller values are written with an exponent, or have more than six decimals.
const FAST_MINIMUM: f64 = 1e-5;
const FAST_SCALE: f64 = 1e6;
const FAST_DIVISOR: i64 = 1_000_000;
/// Eight zeros as text.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[b'0'; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + value as u8 / 10, b'0' + value as u8 % 10];
        value += 1;
    }
    pairs
}

/// Appends `value` as the shortest decimal that reads back as the same `f64`, always with a point or an exponent:
/// `23.0`, `1013.25`, `1e-7`, `-0.0`.
///
/// JSON has no text for a value that is not finite; it is written as Python's `json.dumps` does, `NaN`, `Infinity` or
/// `-Infinity`, which [`decode`](crate::decode) refuses by name. So the garbage of a broken sensor stays visible
/// instead of becoming an absent field.
pub fn write_number(value: f64, out: &mut Vec<u8>) {
    if !write_short(value, out) {
        write_any(value, out);
    }
}

/// Writes a value of at most six decimals; `false`, and nothing written, if it is not one.
#[inline]
fn write_short(value: f64, out: &mut Vec<u8>) -> bool {
    let magnitude = value.abs();
    if !(FAST_MINIMUM..FAST_LIMIT).contains(&magnitude) {
        return false;
    }
    let scaled = (magnitude * FAST_SCALE + 0.5) as i64;
    #[expect(clippy::float_cmp, reason = "the question is whether the decimal reads back as this very value")]
    if scaled as f64 / FAST_SCALE != magnitude {
        return false;
    }
    let integer = digits::eight_of((scaled / FAST_DIVISOR) as u32);
    let fraction = digits::eight_of((scaled % FAST_DIVISOR) as u32 * 100);
    // At least one digit stays on either side of the point.
    let leading_zeros = integer.trailing_zeros().min(56) / 8;
    let trailing_zeros = fraction.leading_zeros().min(56) / 8;
    if value < 0.0 {
        out.push(b'-');
    }
    push_word((integer + ZEROS) >> (8 * leading_zeros), 8 - leading_zeros, out);
    push_word((fraction + ZEROS) << 8 | u64::from(b'.'), 9 - trailing_zeros, out);
    true
}

/// Appends the lowest `len` bytes of `word`: a copy of all eight is one move, and what is too much is cut off again.
#[inline]
fn push_word(word: u64, len: u32, out: &mut Vec<u8>) {
    let end = out.len() + len as usize;
    out.extend_from_slice(&word.to_le_bytes());
    out.truncate(end);
}

#[cold]
fn write_any(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
}

/// Appends `text` in quotes. Quote, backslash and control characters are escaped, everything else is written as it is.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut plain = 0;
    loop {
        let special = next_special(bytes, plain);
        out.extend_from_slice(&bytes[plain..special]);
        let Some(&byte) = bytes.get(special) else { break };
        write_escape(byte, out);
        plain = special + 1;
    }
    out.push(b'"');
}

#[cold]
fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: f64) -> String {
        let mut out = Vec::new();
        write_number(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(number(value), expected);
    }

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        check(23.0, "23.0");
        check(23.5, "23.5");
        check(-0.25, "-0.25");
        check(1013.25, "1013.25");
        check(100.0, "100.0");
        check(0.1 + 0.2, "0.30000000000000004");
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(0.00001, "0.00001");
        check(0.000_001, "1e-6");
        check(52.367_612, "52.367612");
        check(52.367_612_3, "52.3676123");
        check(-99_999_999.999_999, "-99999999.999999");
        check(999_999_999.999_999, "999999999.999999");
        check(1e9, "1000000000.0");
        check(1e16, "1e16");
        check(f64::MAX, "1.7976931348623157e308");
    }

    #[test]
    fn what_json_cannot_say_stays_visible() {
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "Infinity");
        check(f64::NEG_INFINITY, "-Infinity");
    }

    #[test]
    fn strings_escape_what_they_must() {
        assert_eq!(string("SENSOR_001"), r#""SENSOR_001""#);
        assert_eq!(string("é温🌡/"), r#""é温🌡/""#);
        assert_eq!(
            string("a\"b\\c\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}"),
            "\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}\""
        );
    }

    fn by_ryu(value: f64) -> String {
        ryu::Buffer::new().format_finite(value).to_owned()
    }

    /// The decimal of `digits` with the point moved left by `decimals`.
    fn decimal(digits: i64, decimals: u32) -> f64 {
        digits as f64 / 10_f64.powi(decimals as i32)
    }

    proptest! {
        #[test]
        fn decimals_are_written_as_ryu_writes_them(digits in -1_000_000_000_000_000_i64..1_000_000_000_000_000, decimals in 0_u32..9) {
            let value = decimal(digits, decimals);
            prop_assert_eq!(number(value), by_ryu(value));
        }

        #[test]
        fn short_decimals_are_written_as_ryu_writes_them(digits in -10_000_000_i64..10_000_000, decimals in 0_u32..8) {
            let value = decimal(digits, decimals);
            prop_assert_eq!(number(value), by_ryu(value));
        }

        #[test]
        fn neighbours_of_decimals_are_written_as_ryu_writes_them(digits in -10_000_000_i64..10_000_000, decimals in 0_u32..7, step in -2_i64..3) {
            let value = f64::from_bits(decimal(digits, decimals).to_bits().wrapping_add_signed(step));
            prop_assume!(value.is_finite());
            prop_assert_eq!(number(value), by_ryu(value));
        }

        #[test]
        fn any_value_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(number(value).parse::<f64>().unwrap().to_bits(), bits);
        }

        #[test]
        fn strings_are_written_as_serde_json_writes_them(text in "[\u{0}-\u{ff}\u{6e29}\u{1f321}]*") {
            prop_assert_eq!(string(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
