//! The language of conditions: from text to a tree, with the place of every mistake.
//!
//! ```text
//! condition  = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | comparison
//! comparison = sum [ ( ">" | ">=" | "<" | "<=" | "==" | "!=" ) sum ]
//! sum        = product { ( "+" | "-" ) product }
//! product    = unary { ( "*" | "/" ) unary }
//! unary      = "-" unary | primary
//! primary    = number | text | name | name "(" [ argument { "," argument } ] ")" | "(" condition ")"
//! argument   = name | text | duration | number | condition
//! ```
//!
//! A name is letters, digits, `_` and `.`; a text stands in double quotes; a duration is a number with a unit: `us`, `ms`,
//! `s`, `m`, `h`, `d`, or several of them: `1h30m`.

use std::ops::Range;
use std::time::Duration;

/// A part of a condition, with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Text(String),
    Duration(Duration),
    Name(String),
    Call { function: String, arguments: Vec<Node> },
    Negate(Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Unequal,
}

impl Comparison {
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }

    /// The comparison that says the same with the sides changed.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Above => Self::Below,
            Self::AtLeast => Self::AtMost,
            Self::Below => Self::Above,
            Self::AtMost => Self::AtLeast,
            same => same,
        }
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: Range<usize>,
    pub(super) problem: String,
}

pub(super) fn wrong<T>(at: Range<usize>, problem: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at, problem: problem.into() })
}

/// Conditions are not longer than this, in bytes; so that the parser's recursion is bounded too.
pub(super) const MAX_TEXT: usize = 2_000;
/// Parentheses, calls and signs in each other.
const MAX_DEPTH: usize = 32;

/// Reads a whole condition.
pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    if text.len() > MAX_TEXT {
        return wrong(0..text.len(), format!("a condition has at most {MAX_TEXT} bytes"));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.len(), depth: 0 };
    let node = parser.condition()?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => wrong(token.at.clone(), "this is not expected here: conditions are joined by and, or"),
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    what: What,
    at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Number(f64),
    Duration(Duration),
    Text(String),
    Name(String),
    Sign(&'static str),
}

const SIGNS: [&str; 13] = [">=", "<=", "==", "!=", ">", "<", "+", "-", "*", "/", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (what, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            number(rest, at)?
        } else if first.is_alphabetic() || first == '_' {
            let length =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
            (What::Name(rest[..length].to_owned()), length)
        } else if first == '"' {
            let Some(length) = rest[1..].find('"') else {
                return wrong(at..text.len(), "the text has no closing quote");
            };
            (What::Text(rest[1..=length].to_owned()), length + 2)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (What::Sign(sign), sign.len())
        } else {
            let hint = match first {
                '=' => "to compare, write ==",
                '&' => "write and",
                '|' => "write or",
                '!' => "write not",
                '\'' => "a text stands in double quotes",
                _ => "it has no meaning in a condition",
            };
            return wrong(at..at + first.len_utf8(), format!("{first:?} is not expected: {hint}"));
        };
        tokens.push(Token { what, at: at..at + length });
        at += length;
    }
    Ok(tokens)
}

/// A number or a duration at the front of `text`, and its length.
fn number(text: &str, at: usize) -> Result<(What, usize), Wrong> {
    let digits = |text: &str| text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let mut length = digits(text);
    let exponent = text[length..].strip_prefix(['e', 'E']);
    if let Some(exponent) = exponent {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let power = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
        if power > 0 {
            length += 1 + (exponent.len() - unsigned.len()) + power;
        }
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(text.len()).max(length);
    if length == end {
        return match text[..length].parse::<f64>() {
            Ok(value) if value.is_finite() => Ok((What::Number(value), length)),
            _ => wrong(at..at + length, "this is not a number"),
        };
    }
    match duration(&text[..end]) {
        Some(duration) if duration <= crate::plan::LONGEST => Ok((What::Duration(duration), end)),
        Some(_) => wrong(at..at + end, "a time in a condition is at most ten years"),
        None => wrong(at..at + end, "this is neither a number nor a time such as 30s, 5m or 1h30m"),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut whole) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        whole += value
            * match &rest[..unit] {
                "us" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(whole).ok()
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    end: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.next += usize::from(token.is_some());
        token
    }

    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        match self.peek() {
            Some(Token { what: What::Sign(sign), .. }) if signs.contains(sign) => {
                self.next += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { what: What::Name(name), .. }) if name == word);
        self.next += usize::from(found);
        found
    }

    fn condition(&mut self) -> Result<Node, Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.peek().map_or(self.end..self.end, |token| token.at.clone());
            return wrong(at, "the condition is nested too deeply");
        }
        let mut left = self.and()?;
        while self.word("or") {
            let right = self.and()?;
            left = join(left, right, Kind::Or);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, Wrong> {
        let mut left = self.not()?;
        while self.word("and") {
            let right = self.not()?;
            left = join(left, right, Kind::And);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, Wrong> {
        let mut starts = Vec::new();
        while let Some(token) = self.peek() {
            if !self.word("not") {
                break;
            }
            starts.push(token.at.start);
        }
        let node = self.comparison()?;
        Ok(starts.into_iter().rev().fold(node, |node, start| {
            let at = start..node.at.end;
            Node { kind: Kind::Not(Box::new(node)), at }
        }))
    }

    fn comparison(&mut self) -> Result<Node, Wrong> {
        let left = self.sum()?;
        let comparison = match self.sign(&[">", ">=", "<", "<=", "==", "!="]) {
            None => return Ok(left),
            Some(">") => Comparison::Above,
            Some(">=") => Comparison::AtLeast,
            Some("<") => Comparison::Below,
            Some("<=") => Comparison::AtMost,
            Some("==") => Comparison::Equal,
            Some(_) => Comparison::Unequal,
        };
        let right = self.sum()?;
        let node = join(left, right, |left, right| Kind::Compare(comparison, left, right));
        match self.peek() {
            Some(Token { what: What::Sign(sign), at })
                if [">", ">=", "<", "<=", "==", "!="].contains(sign) =>
            {
                wrong(at.clone(), "comparisons cannot be chained: join two with and")
            }
            _ => Ok(node),
        }
    }

    fn sum(&mut self) -> Result<Node, Wrong> {
        let mut left = self.product()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let operation = if sign == "+" { Arithmetic::Add } else { Arithmetic::Subtract };
            let right = self.product()?;
            left = join(left, right, |left, right| Kind::Arithmetic(operation, left, right));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Node, Wrong> {
        let mut left = self.unary()?;
        while let Some(sign) = self.sign(&["*", "/"]) {
            let operation = if sign == "*" { Arithmetic::Multiply } else { Arithmetic::Divide };
            let right = self.unary()?;
            left = join(left, right, |left, right| Kind::Arithmetic(operation, left, right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Wrong> {
        let mut starts = Vec::new();
        while let Some(token) = self.peek() {
            if self.sign(&["-"]).is_none() {
                break;
            }
            starts.push(token.at.start);
        }
        let node = self.primary()?;
        Ok(starts.into_iter().rev().fold(node, |node, start| {
            let at = start..node.at.end;
            match node.kind {
                Kind::Number(value) => Node { kind: Kind::Number(-value), at },
                kind => Node { kind: Kind::Negate(Box::new(Node { kind, at: node.at })), at },
            }
        }))
    }

    fn primary(&mut self) -> Result<Node, Wrong> {
        let Some(token) = self.take() else {
            return wrong(
                self.end..self.end,
                "something is missing here: a measurement, a number or a function",
            );
        };
        let at = token.at.clone();
        let kind = match &token.what {
            What::Number(value) => Kind::Number(*value),
            What::Duration(duration) => Kind::Duration(*duration),
            What::Text(text) => Kind::Text(text.clone()),
            What::Name(name) if ["and", "or", "not"].contains(&name.as_str()) => {
                return wrong(at, format!("before {name:?} something is missing"));
            }
            What::Name(name) if self.sign(&["("]).is_some() => {
                let (arguments, end) = self.arguments(&at)?;
                let at = at.start..end;
                return Ok(Node { kind: Kind::Call { function: name.clone(), arguments }, at });
            }
            What::Name(name) => Kind::Name(name.clone()),
            What::Sign("(") => {
                let inner = self.condition()?;
                self.closing(&at)?;
                return Ok(inner);
            }
            What::Sign(sign) => return wrong(at, format!("before {sign:?} something is missing")),
        };
        Ok(Node { kind, at })
    }

    fn arguments(&mut self, opened: &Range<usize>) -> Result<(Vec<Node>, usize), Wrong> {
        let mut arguments = Vec::new();
        if self.sign(&[")"]).is_none() {
            loop {
                arguments.push(self.condition()?);
                if self.sign(&[","]).is_none() {
                    self.closing(opened)?;
                    break;
                }
            }
        }
        let end = self.tokens[self.next - 1].at.end;
        Ok((arguments, end))
    }

    fn closing(&mut self, opened: &Range<usize>) -> Result<(), Wrong> {
        match self.sign(&[")"]) {
            Some(_) => Ok(()),
            None => match self.peek() {
                Some(token) => {
                    wrong(token.at.clone(), "a closing parenthesis or an operator is missing before this")
                }
                None => wrong(opened.start..self.end, "the parenthesis is not closed"),
            },
        }
    }
}

fn join(left: Node, right: Node, kind: impl FnOnce(Box<Node>, Box<Node>) -> Kind) -> Node {
    let at = left.at.start..right.at.end;
    Node { kind: kind(Box::new(left), Box::new(right)), at }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_wrong(text: &str, part: &str, problem: &str) {
        let wrong = parse(text).expect_err("not a condition");
        assert_eq!(&text[wrong.at.clone()], part, "{wrong:?}");
        assert!(wrong.problem.contains(problem), "{wrong:?}");
    }

    #[test]
    fn mistakes_have_their_place() {
        check_wrong("temperature = 3", "=", "write ==");
        check_wrong("temperature >", "", "missing");
        check_wrong("temperature > 3 4", "4", "and, or");
        check_wrong("(temperature > 3", "(temperature > 3", "not closed");
        check_wrong("mean(temperature, 1x) > 3", "1x", "neither a number nor a time");
        check_wrong("1 < temperature < 3", "<", "chained");
        check_wrong("status == 'on'", "'", "double quotes");
        check_wrong("status == \"on", "\"on", "no closing quote");
        check_wrong("and x > 1", "and", "before");
        let deep = "(".repeat(100);
        assert!(parse(&deep).expect_err("deep").problem.contains("deeply"));
    }

    #[test]
    fn operators_bind_as_usual() {
        let same = |a: &str, b: &str| {
            let bare = |text: &str| format!("{:?}", parse(text).expect(text).kind);
            let strip = |text: String| {
                let mut out = String::new();
                let mut rest = text.as_str();
                while let Some(at) = rest.find(", at: ") {
                    out.push_str(&rest[..at]);
                    rest = &rest[at + 6..];
                    rest = &rest[rest.find([' ', '}']).unwrap_or(rest.len())..];
                }
                out + rest
            };
            assert_eq!(strip(bare(a)), strip(bare(b)), "{a} and {b}");
        };
        same("a + b * c > 1 and not d > 2 or e > 3", "((((a + (b * c)) > 1) and (not (d > 2))) or (e > 3))");
        same("- -5 < x", "5 < x");
        same("a - b - c > 0", "((a - b) - c) > 0");
        assert_eq!(parse("1h30m").expect("a time").kind, Kind::Duration(Duration::from_secs(5_400)));
        assert_eq!(parse("1e3").expect("a number").kind, Kind::Number(1_000.0));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Err(wrong) = parse(&text) {
                prop_assert!(wrong.at.end <= text.len() && text.is_char_boundary(wrong.at.start), "{:?}", wrong);
            }
        }

        #[test]
        fn any_mix_of_words_is_read_or_refused(words in prop::collection::vec("(and|or|not|\\(|\\)|<|>=|\\+|-|\\*|/|a|mean|,|1|5m|\"t\")", 0..30)) {
            let text = words.join(" ");
            if let Err(wrong) = parse(&text) {
                prop_assert!(wrong.at.end <= text.len());
            }
        }
    }
}
