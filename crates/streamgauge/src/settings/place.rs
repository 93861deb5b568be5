//! Where things stand in a settings file: lines and columns, also of a part of a text value.
//!
//! A value's text is not what stands in the file: there are quotes around it, and perhaps escapes in it. [`Written`] keeps
//! both sides, so that byte 12 of a rule's condition can be found again.

use std::path::PathBuf;
use std::sync::Arc;

use super::layer::Origin;

/// Line and column, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The place of a byte of a text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        Self { line: 1, column: 1 }.behind(text.get(..offset).unwrap_or(text))
    }

    /// The place behind `text` that begins here.
    fn behind(self, text: &str) -> Self {
        match text.rfind('\n') {
            None => Self { line: self.line, column: self.column + text.chars().count() },
            Some(last) => Self {
                line: self.line + text.matches('\n').count(),
                column: 1 + text[last + 1..].chars().count(),
            },
        }
    }
}

/// A value as it stands in a settings file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// The file; `None` for the built-in one.
    pub(super) file: Option<Arc<PathBuf>>,
    /// The place of its first byte.
    pub(super) place: Place,
    /// Quotes, escapes and all.
    pub(super) raw: String,
}

impl Written {
    /// Where the value begins.
    pub(crate) fn origin(&self) -> Origin {
        self.at(self.place)
    }

    /// Where byte `offset` of the text `value`, which this is, stands; where the value begins if that cannot be said.
    pub(crate) fn origin_of(&self, value: &str, offset: usize) -> Origin {
        let inside = offset_in_source(&self.raw, value, offset);
        self.at(inside.map_or(self.place, |inside| self.place.behind(&self.raw[..inside])))
    }

    fn at(&self, place: Place) -> Origin {
        match &self.file {
            None => Origin::Default,
            Some(path) => Origin::File { path: Arc::clone(path), place },
        }
    }
}

/// Where in `raw`, a TOML string with its quotes, byte `wanted` of the text that it stands for is. `None` if `raw` does not
/// stand for `value`.
fn offset_in_source(raw: &str, value: &str, wanted: usize) -> Option<usize> {
    let quote = raw.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let several_lines = raw.len() >= 6 && raw.bytes().take(3).all(|byte| byte == quote as u8);
    let quotes = if several_lines { 3 } else { 1 };
    let end = raw.len().checked_sub(quotes).filter(|end| *end >= quotes)?;
    let mut at = quotes;
    if several_lines {
        at += [("\r\n", 2), ("\n", 1)]
            .into_iter()
            .find(|(it, _)| raw[at..].starts_with(it))
            .map_or(0, |it| it.1);
    }
    let (mut text, mut found) = (String::with_capacity(value.len()), None);
    while at < end {
        let (letter, length) = letter(&raw[at..end], quote == '"')?;
        if let Some(letter) = letter {
            if text.len() >= wanted && found.is_none() {
                found = Some(at);
            }
            text.push(letter);
        }
        at += length;
    }
    (text == value).then_some(found.unwrap_or(end))
}

/// The next letter of a string's inside, and how many bytes it takes there; no letter for a line that goes on.
fn letter(inside: &str, escapes: bool) -> Option<(Option<char>, usize)> {
    let first = inside.chars().next()?;
    if first != '\\' || !escapes {
        return Some((Some(first), first.len_utf8()));
    }
    let code = |digits: usize| {
        let number = u32::from_str_radix(inside.get(2..2 + digits)?, 16).ok()?;
        Some((Some(char::from_u32(number)?), 2 + digits))
    };
    let plain = |letter| Some((Some(letter), 2));
    match inside[1..].chars().next()? {
        'b' => plain('\u{8}'),
        't' => plain('\t'),
        'n' => plain('\n'),
        'f' => plain('\u{c}'),
        'r' => plain('\r'),
        'e' => plain('\u{1b}'),
        same @ ('"' | '\\') => plain(same),
        'x' => code(2),
        'u' => code(4),
        'U' => code(8),
        blank if blank.is_ascii_whitespace() => {
            let rest = inside[1..].trim_start_matches([' ', '\t', '\r', '\n']);
            Some((None, inside.len() - rest.len()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        for (text, offset, expected) in [
            ("abc", 0, (1, 1)),
            ("abc", 2, (1, 3)),
            ("a\nbé c", 5, (2, 3)),
            ("a\n", 2, (2, 1)),
            ("a", 9, (1, 2)),
        ] {
            let place = Place::of(text, offset);
            assert_eq!((place.line, place.column), expected, "{text:?} {offset}");
        }
    }

    /// Writes the document, lets the TOML parser read it, and looks for the first `>` of the value.
    #[track_caller]
    fn check(document: &str, expected: (usize, usize)) {
        let table = toml::de::DeTable::parse(document).expect("TOML");
        let value = &table.get_ref()["when"];
        let text = value.get_ref().as_str().expect("text");
        let written = Written {
            file: Some(Arc::new(PathBuf::from("f"))),
            place: Place::of(document, value.span().start),
            raw: document[value.span()].to_owned(),
        };
        let offset = text.find('>').expect("there is one");
        assert_eq!(
            written.origin_of(text, offset).to_string(),
            format!("f:{}:{}", expected.0, expected.1),
            "{document}"
        );
    }

    #[test]
    fn a_part_of_a_text_is_found_in_the_file() {
        check("when = 'a > 1'", (1, 11));
        check("when = \"a > 1\"", (1, 11));
        check(r#"when = "\u0061\t\"é\" > 1""#, (1, 23));
        check("\nwhen = \"\"\"\na >\n 1\"\"\"", (3, 3));
        check("when = \"\"\"a \\\n   and b > 1\"\"\"", (2, 10));
        check("when = \"\"\"\"a\" > 1\"\"\"", (1, 15));
        check("when = '''\na\\\nb > 1'''", (3, 3));
        check("when = \"\"\"\r\na\r\n > 1\"\"\"", (3, 2));
        check("when=\"😀>\"", (1, 8));
    }

    #[test]
    fn the_end_of_a_text_is_its_closing_quote_and_nonsense_has_no_place() {
        assert_eq!(offset_in_source("'ab'", "ab", 2), Some(3));
        assert_eq!(offset_in_source("\"\"", "", 0), Some(1));
        for raw in ["", "'", "7", "'other'", "\"\\q\"", "\"\"\"\""] {
            assert_eq!(offset_in_source(raw, "ab", 1), None, "{raw}");
        }
    }
}
