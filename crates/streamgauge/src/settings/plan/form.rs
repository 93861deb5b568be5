//! Reading one table key by key, gathering what is wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::item::{Field, Item};
use super::super::layer::{Origin, Value};
use super::super::nearest::nearest;
use super::super::{duration, place::Written};
use super::PlanMistake;

/// A table that is being read.
pub(super) struct Form<'a> {
    item: &'a Item,
    what: String,
    /// The keys that were asked for, and so are known.
    known: Vec<&'static str>,
    mistakes: Vec<PlanMistake>,
}

impl<'a> Form<'a> {
    pub(super) fn new(item: &'a Item, what: String) -> Self {
        Self { item, what, known: Vec::new(), mistakes: Vec::new() }
    }

    /// What is wrong, unknown keys included: every key that there is has to have been asked for by now.
    pub(super) fn finish(mut self) -> Vec<PlanMistake> {
        for field in &self.item.fields {
            if self.known.contains(&field.key.as_str()) {
                continue;
            }
            let hint = nearest(&field.key, self.known.iter().copied());
            let hint = hint.map(|key| format!("; did you mean {key:?}?")).unwrap_or_default();
            let known = self.known.join(", ");
            let problem = if hint.is_empty() {
                format!("unknown key; there are {known}")
            } else {
                format!("unknown key{hint}")
            };
            self.mistakes.push(PlanMistake {
                origin: field.origin.clone(),
                item: self.what.clone(),
                key: field.key.clone(),
                problem,
            });
        }
        self.mistakes
    }

    /// Says what is wrong with the table as a whole.
    pub(super) fn complain(&mut self, problem: impl Into<String>) {
        let origin = self.item.origin.clone();
        self.push(origin, "", problem);
    }

    /// Says what is wrong with a key's value.
    pub(super) fn complain_of(&mut self, key: &'static str, problem: impl Into<String>) {
        let origin = self.item.field(key).map_or(&self.item.origin, |field| &field.origin).clone();
        self.push(origin, key, problem);
    }

    fn push(&mut self, origin: Origin, key: &str, problem: impl Into<String>) {
        let (item, key) = (self.what.clone(), key.to_owned());
        self.mistakes.push(PlanMistake { origin, item, key, problem: problem.into() });
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.item.field(key).is_some()
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "text", |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A text that has to be there.
    pub(super) fn needed_text(&mut self, key: &'static str, example: &str) -> Option<String> {
        if !self.has(key) {
            self.known.push(key);
            self.complain(format!("it needs {key}, as in {key} = {example}"));
            return None;
        }
        let text = self.text(key)?;
        if text.trim().is_empty() {
            self.complain_of_value(key, format!("it is empty; write one, as in {key} = {example}"));
            return None;
        }
        Some(text)
    }

    pub(super) fn number(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, "a number", |value| match value {
            Value::Whole(number) => Some(*number as f64),
            Value::Number(number) => Some(*number),
            _ => None,
        })
    }

    pub(super) fn whole(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let number = self.read(key, "a whole number", |value| match value {
            Value::Whole(number) => Some(*number),
            _ => None,
        })?;
        let fitting = u32::try_from(number).ok().filter(|number| (least..=most).contains(number));
        if fitting.is_none() {
            self.complain_of_value(
                key,
                format!("it must be a whole number from {least} to {most}, not {number}"),
            );
        }
        fitting
    }

    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", |value| match value {
            Value::Switch(on) => Some(*on),
            _ => None,
        })
    }

    /// A duration: text with a unit, or a bare number of seconds.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let text = self.read(key, "a duration, such as \"30s\"", |value| match value {
            Value::Text(_) | Value::Whole(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        })?;
        match duration::parse(&text) {
            Ok(duration) => Some(duration),
            Err(refusal) => {
                self.complain_of_value(key, refusal.to_string());
                None
            }
        }
    }

    /// A duration that is longer than nothing.
    pub(super) fn some_time(&mut self, key: &'static str) -> Option<Duration> {
        let duration = self.duration(key)?;
        if duration.is_zero() {
            self.complain_of_value(key, "it must be longer than zero");
            return None;
        }
        Some(duration)
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let texts = self.read(key, "a list of texts, such as [\"A*\", \"B*\"]", |value| match value {
            Value::Texts(texts) => Some(texts.clone()),
            _ => None,
        });
        texts.unwrap_or_default()
    }

    /// A list of patterns, of which those with `@` name a group.
    pub(super) fn patterns(
        &mut self,
        key: &'static str,
        groups: &BTreeMap<String, Vec<String>>,
    ) -> Vec<String> {
        let patterns = self.texts(key);
        for (index, pattern) in patterns.iter().enumerate() {
            let Some(name) = pattern.strip_prefix('@').filter(|name| !groups.contains_key(*name)) else {
                continue;
            };
            let near = nearest(name, groups.keys().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean \"@{near}\"?"),
                None => "define it in [groups]".to_owned(),
            };
            let written = self.item.field(key).and_then(|field| field.elements.get(index));
            let origin = written.map_or_else(|| self.item.origin.clone(), Written::origin);
            self.push(origin, key, format!("there is no group {name:?}; {hint}"));
        }
        patterns
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = nearest(&text, names.iter().copied());
        let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        self.complain_of_value(key, format!("it must be one of {}, not {text:?}{hint}", names.join(", ")));
        None
    }

    /// Says what is wrong, at the place of the value.
    fn complain_of_value(&mut self, key: &'static str, problem: impl Into<String>) {
        let origin =
            self.item.field(key).map_or_else(|| self.item.origin.clone(), |field| field.written.origin());
        self.push(origin, key, problem);
    }

    fn read<T>(&mut self, key: &'static str, wanted: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.known.push(key);
        let field: &Field = self.item.field(key)?;
        let found = match &field.value {
            Ok(value) => match read(value) {
                Some(read) => return Some(read),
                None => value.kind(),
            },
            Err(kind) => kind,
        };
        self.complain_of_value(key, format!("it must be {wanted}, not {found}"));
        None
    }
}
