//! Foreign text in our messages: cut to a bounded length, with nothing in it that could break a line or a terminal.

/// Text in messages is cut after so many characters.
const MAX_CHARS: usize = 64;

/// `text` for a message: at most 64 characters and then `…`, control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(quoted(text), expected);
    }

    #[test]
    fn cuts_and_escapes() {
        check("plain", "plain");
        check("bell\u{7}\n", "bell\\u{7}\\n");
        check(&"é".repeat(64), &"é".repeat(64));
        check(&"é".repeat(65), &format!("{}…", "é".repeat(64)));
    }
}
