//! Which sensors a window or a rule is for: patterns of ids, and names for sets of patterns.
//!
//! In a pattern `*` stands for any characters, also none, and `?` for one character; everything else, upper and lower case
//! included, for itself. There is no escape. `@floor-2` stands for the patterns of the group `floor-2`; a group's patterns
//! stand for themselves, groups in groups there are none.

use std::collections::BTreeMap;

use crate::plan::{Item, Mistake};

/// The first character of a pattern that names a group.
const GROUP: char = '@';

/// A compiled selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Of which one has to match; `None`: everything does.
    patterns: Option<Box<[Box<str>]>>,
}

impl Select {
    /// The selection of everything.
    pub const ALL: Self = Self { patterns: None };

    /// Checks the patterns of the field `select` of an item, and looks up its groups. No patterns select everything.
    pub fn compile(
        select: &[String],
        groups: &BTreeMap<String, Vec<String>>,
        item: Item,
    ) -> Result<Self, Vec<Mistake>> {
        if select.is_empty() {
            return Ok(Self::ALL);
        }
        let (mut patterns, mut mistakes) = (Vec::new(), Vec::new());
        for pattern in select {
            match pattern.strip_prefix(GROUP) {
                Some(name) => match groups.get(name) {
                    Some(members) => patterns.extend(members.iter().map(|member| member.as_str().into())),
                    None => mistakes.push(format!("there is no group {name:?}: {}", known(groups))),
                },
                None if pattern.is_empty() => {
                    mistakes.push("a pattern is empty: leave it out, or write * for all".to_owned());
                }
                None => patterns.push(pattern.as_str().into()),
            }
        }
        if mistakes.is_empty() {
            // A set: neither the order nor a repetition of patterns makes it another selection.
            patterns.sort_unstable();
            patterns.dedup();
            return Ok(Self { patterns: Some(patterns.into()) });
        }
        let of = |problem| Mistake { item, field: "select", at: None, problem };
        Err(mistakes.into_iter().map(of).collect())
    }

    /// Whether a sensor is selected.
    pub fn matches(&self, id: &str) -> bool {
        match &self.patterns {
            None => true,
            Some(patterns) => patterns.iter().any(|pattern| matches(pattern, id)),
        }
    }
}

fn known(groups: &BTreeMap<String, Vec<String>>) -> String {
    if groups.is_empty() {
        return "there are none".to_owned();
    }
    let names: Vec<&str> = groups.keys().map(String::as_str).collect();
    format!("there are {}", names.join(", "))
}

/// Whether the whole text matches the pattern. On a mismatch only the last `*` has to be tried longer, so the time is at
/// most the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // What follows the last `*`, and the text from which it was tried last.
    let mut retry = None;
    loop {
        let here = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                text = here.clone();
                retry = Some((pattern.clone(), here));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after, from)) = &mut retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (after.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(matches(pattern, text), "{pattern} should match {text:?}");
        }
        for text in no {
            assert!(!matches(pattern, text), "{pattern} should not match {text:?}");
        }
    }

    #[test]
    fn patterns() {
        check("SENSOR_1", &["SENSOR_1"], &["sensor_1", "SENSOR_10", "", "SENSOR_"]);
        check("*", &["", "a", "äöü"], &[]);
        check("?", &["a", "ä"], &["", "ab"]);
        check("a*b*c", &["abc", "aXbYc", "abbbcc", "abcbc"], &["ab", "abcd", "acb"]);
        check("*-?-*", &["x-y-z", "--y--", "-ä-"], &["x--z", "-y"]);
        check("**a", &["a", "ba"], &["", "b"]);
        check("a*", &["a", "ab"], &["", "ba"]);
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let (pattern, text) = ("*a".repeat(200), "a".repeat(199) + &"b".repeat(2_000));
        assert!(!matches(&pattern, &text));
    }

    #[test]
    fn groups_stand_for_their_patterns() {
        let groups = BTreeMap::from([("hall".to_owned(), vec!["H-*".to_owned(), "@odd".to_owned()])]);
        let select = Select::compile(&["@hall".into(), "X".into()], &groups, Item::Plan).expect("right");
        assert!(select.matches("H-1") && select.matches("X") && select.matches("@odd"));
        assert!(!select.matches("Y"));
        assert!(Select::compile(&[], &groups, Item::Plan).expect("right").matches("anything"));
        let mistakes =
            Select::compile(&["@hull".into(), String::new()], &groups, Item::Rule(3)).expect_err("wrong");
        assert_eq!((mistakes.len(), mistakes[0].item, mistakes[0].field), (2, Item::Rule(3), "select"));
        assert_eq!(mistakes[0].problem, r#"there is no group "hull": there are hall"#);
    }

    /// The definition, read aloud.
    fn by_recursion(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|taken| by_recursion(rest, &text[taken..])),
            (Some(('?', rest)), Some((_, text))) => by_recursion(rest, text),
            (Some((wanted, rest)), Some((found, text))) => wanted == found && by_recursion(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,7}", text in "[abä]{0,8}") {
            let (by_pattern, by_text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), by_recursion(&by_pattern, &by_text));
        }
    }
}
