//! Base64 as the `CloudEvents` JSON format has it: RFC 4648 §4, padded, without line breaks.

/// The bytes of `text`; `None` if it is not canonical base64.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (quads, []) = text.as_chunks::<4>() else { return None };
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let mut bytes = Vec::with_capacity(quads.len() * 3);
    for (index, quad) in quads.iter().enumerate() {
        let padding = if index + 1 == quads.len() { padding } else { 0 };
        let (letters, pads) = quad.split_at(4 - padding);
        let bits = letters.iter().try_fold(0, |bits, &letter| Some(bits << 6 | value(letter)?))?;
        let [_, group @ ..] = (bits << (6 * pads.len())).to_be_bytes();
        let (kept, rest) = group.split_at(3 - padding);
        // Bits that no byte needs must be zero, or two texts would mean the same bytes.
        if rest.iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[track_caller]
    fn check(text: &str, expected: Option<&[u8]>) {
        assert_eq!(decode(text.as_bytes()).as_deref(), expected, "{text}");
    }

    #[test]
    fn the_vectors_of_the_standard() {
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYmE=", Some(b"fooba"));
        check("+/+/", Some(&[0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        check("Zg", None);
        check("Zg=", None);
        check("Zg==Zg==", None);
        check("Zh==", None);
        check("====", None);
        check("Z===", None);
        check("Zm 9", None);
        check("Zm9-", None);
    }
}
