//! How a sensor's id is made of its number.
//!
//! A format is text with exactly one placeholder: `{}` for the number as it is, `{:05}` for the number padded with
//! zeros to five digits. `{{` and `}}` stand for the braces themselves. Sensors are numbered from 1, so
//! `SENSOR_{:03}` gives `SENSOR_001`, `SENSOR_002`, …

use std::fmt;
use std::str::FromStr;

/// The widest padding, in digits; more than any sensor number has.
const MAX_WIDTH: usize = 20;

/// A parsed key format; see the module's text for the syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFormat {
    before: String,
    width: usize,
    after: String,
}

/// Why a key format was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key format {format:?}: {problem}; write for instance SENSOR_{{:03}}")]
pub struct KeyFormatError {
    format: String,
    problem: &'static str,
}

impl KeyFormat {
    /// The id of the sensor with this number.
    pub fn key(&self, number: u64) -> String {
        format!("{}{:0width$}{}", self.before, number, self.after, width = self.width)
    }
}

impl Default for KeyFormat {
    fn default() -> Self {
        Self { before: "SENSOR_".to_owned(), width: 3, after: String::new() }
    }
}

impl FromStr for KeyFormat {
    type Err = KeyFormatError;

    fn from_str(format: &str) -> Result<Self, Self::Err> {
        let refuse = |problem| Err(KeyFormatError { format: format.to_owned(), problem });
        let mut before = String::new();
        let mut text = String::new();
        let mut width = None;
        let mut rest = format;
        while let Some(next) = rest.chars().next() {
            if let Some(tail) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                text.push(next);
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix('{') {
                let Some((inside, tail)) = tail.split_once('}') else {
                    return refuse("a { has no }");
                };
                let Some(digits) = padding(inside) else {
                    return refuse("a placeholder is {} or {:0N} with N up to 20");
                };
                if width.replace(digits).is_some() {
                    return refuse("it has more than one placeholder");
                }
                before = std::mem::take(&mut text);
                rest = tail;
            } else if next == '}' {
                return refuse("a } has no {");
            } else if next.is_control() {
                return refuse("it has a control character");
            } else {
                text.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        match width {
            Some(width) => Ok(Self { before, width, after: text }),
            None => refuse("it has no placeholder, so all sensors would share one id"),
        }
    }
}

impl fmt::Display for KeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = |text: &str| text.replace('{', "{{").replace('}', "}}");
        f.write_str(&escape(&self.before))?;
        match self.width {
            0 => f.write_str("{}")?,
            width => write!(f, "{{:0{width}}}")?,
        }
        f.write_str(&escape(&self.after))
    }
}

/// The number of digits that the inside of a placeholder asks for; 0 for as many as there are.
fn padding(inside: &str) -> Option<usize> {
    if inside.is_empty() {
        return Some(0);
    }
    let digits = inside.strip_prefix(":0")?;
    digits
        .parse()
        .ok()
        .filter(|width| digits.starts_with(|c: char| c.is_ascii_digit()) && *width <= MAX_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, number: u64, expected: &str) {
        let parsed: KeyFormat = format.parse().expect("a good format");
        assert_eq!(parsed.key(number), expected);
        assert_eq!(parsed.to_string(), format);
    }

    #[test]
    fn formats() {
        check("SENSOR_{:03}", 1, "SENSOR_001");
        check("SENSOR_{:03}", 12_345, "SENSOR_12345");
        check("{}", 7, "7");
        check("a{}b", 7, "a7b");
        check("{{{:02}}}é", 7, "{07}é");
        assert_eq!(KeyFormat::default().to_string(), "SENSOR_{:03}");
    }

    #[test]
    fn refusals() {
        for (format, problem) in [
            ("SENSOR", "no placeholder"),
            ("", "no placeholder"),
            ("{}{}", "more than one"),
            ("{", "has no }"),
            ("a}", "has no {"),
            ("{:3}", "placeholder is"),
            ("{:021}", "placeholder is"),
            ("{:0+3}", "placeholder is"),
            ("{}\n", "control character"),
        ] {
            let message = format.parse::<KeyFormat>().expect_err(format).to_string();
            assert!(message.contains(problem), "{format}: {message}");
        }
    }
}
