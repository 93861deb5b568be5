//! Writing JSON: numbers as their shortest text that reads back the same, and strings with the escapes JSON demands.
//!
//! The output depends on the value alone, so equal values have equal bytes.

/// The two digits of 0 to 99.
pub(crate) static PAIRS: [[u8; 2]; 100] = pairs();

/// Values below this have at most nine digits before the point; with six behind it that is 15 digits, and of all
/// decimals of up to 15 digits no two are the same `f64`. So one that reads back as the value is the shortest.
const FAST_LIMIT: f64 = 1e9;
/// Smaller values are written with an exponent, or have more than six decimals.
const FAST_MINIMUM: f64 = 1e-5;
const FAST_SCALE: f64 = 1e6;
const FAST_DIVISOR: u64 = 1_000_000;

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
    let scaled = (magnitude * FAST_SCALE + 0.5) as u64;
    #[expect(clippy::float_cmp, reason = "the question is whether the decimal reads back as this very value")]
    if scaled as f64 / FAST_SCALE != magnitude {
        return false;
    }
    // Filled from the back: sign, up to nine digits, the point, six digits.
    let mut text = [0; 17];
    let (mut integer, fraction) = (scaled / FAST_DIVISOR, scaled % FAST_DIVISOR);
    put_pair(&mut text, 11, fraction / 10_000);
    put_pair(&mut text, 13, fraction / 100 % 100);
    put_pair(&mut text, 15, fraction % 100);
    text[10] = b'.';
    let mut start = 10;
    while integer >= 100 {
        start -= 2;
        put_pair(&mut text, start, integer % 100);
        integer /= 100;
    }
    if integer >= 10 {
        start -= 2;
        put_pair(&mut text, start, integer);
    } else {
        start -= 1;
        text[start] = b'0' + integer as u8;
    }
    if value < 0.0 {
        start -= 1;
        text[start] = b'-';
    }
    let mut end = text.len();
    while end > 12 && text[end - 1] == b'0' {
        end -= 1;
    }
    out.extend_from_slice(&text[start..end]);
    true
}

fn put_pair(text: &mut [u8; 17], at: usize, value: u64) {
    text[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
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
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        write_escape(byte, out);
    }
    out.extend_from_slice(&bytes[plain..]);
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
