//! Windows, rules and groups: from the tables of a settings file to the engine's plan, with the place of every mistake.
//!
//! All mistakes are gathered, not only the first: whoever writes rules wants to see them together. What the engine says
//! of a window or rule is told by the key and the place in the file that it came from.

mod form;
mod rule;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use engine::plan::{Limits, Mistake, Plan, PlanSpec, RuleSpec, TimeSpec, WindowSpec};

use super::item::{GROUPS, Item, group_name};
use super::layer::{Layer, Origin, Value};
use form::Form;

/// What windows and rules have that say nothing themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defaults {
    /// How long after its end a window takes late readings.
    pub(super) grace: Duration,
    /// How long a session may become.
    pub(super) max_length: Duration,
    /// Alarms of one sensor in an hour.
    pub(super) max_per_hour: u32,
}

/// What is wrong with a window, rule or group, and where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlanMistake {
    /// The place in the file.
    pub(crate) origin: Origin,
    /// What it is about, `rule "hot"` for instance.
    pub(crate) item: String,
    /// The key; empty for the whole.
    pub(crate) key: String,
    /// What is wrong, and what would be right.
    pub(crate) problem: String,
}

impl fmt::Display for PlanMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.item)?;
        if !self.key.is_empty() {
            write!(f, ", {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// A window or rule of the plan with the table that it was read from.
struct Read<'a, T> {
    spec: T,
    item: &'a Item,
    what: String,
}

/// Makes the plan and checks it as the engine does; the mistakes are in the order of the file.
pub(super) fn read(
    entries: &Layer,
    time: TimeSpec,
    limits: Limits,
    defaults: &Defaults,
) -> Result<PlanSpec, Vec<PlanMistake>> {
    let mut mistakes = Vec::new();
    let groups = groups(entries);
    let windows =
        tables(entries, "windows", "window", &mut mistakes, |form| window::read(form, &groups, defaults));
    let rules = tables(entries, "rules", "rule", &mut mistakes, |form| rule::read(form, &groups, defaults));
    let spec = PlanSpec {
        time,
        windows: windows.iter().map(|read| read.spec.clone()).collect(),
        rules: rules.iter().map(|read| read.spec.clone()).collect(),
        groups,
        limits,
    };
    if let Err(found) = Plan::compile(spec.clone()) {
        mistakes.extend(found.iter().map(|mistake| placed(mistake, entries, &windows, &rules)));
    }
    if mistakes.is_empty() {
        return Ok(spec);
    }
    mistakes.sort_by_key(|mistake| match &mistake.origin {
        Origin::File { place, .. } => (place.line, place.column),
        _ => (0, 0),
    });
    Err(mistakes)
}

fn groups(entries: &Layer) -> BTreeMap<String, Vec<String>> {
    let groups = entries.iter().filter_map(|(path, entry)| match &entry.value {
        Value::Texts(patterns) => Some((group_name(path)?.to_owned(), patterns.clone())),
        _ => None,
    });
    groups.collect()
}

/// Reads the tables of a list; those with a mistake are left out.
fn tables<'a, T>(
    entries: &'a Layer,
    list: &str,
    kind: &str,
    mistakes: &mut Vec<PlanMistake>,
    read: impl Fn(&mut Form<'a>) -> Option<T>,
) -> Vec<Read<'a, T>> {
    let Some(Value::Items(items)) = entries.get(list).map(|entry| &entry.value) else { return Vec::new() };
    let mut all = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let what = match item.name() {
            Some(name) => format!("{kind} {name:?}"),
            None => format!("{kind} {}", index + 1),
        };
        let mut form = Form::new(item, what.clone());
        let spec = read(&mut form);
        let found = form.finish();
        if let (Some(spec), true) = (spec, found.is_empty()) {
            all.push(Read { spec, item, what });
        }
        mistakes.extend(found);
    }
    all
}

/// The engine's mistake with its place in the file.
fn placed(
    mistake: &Mistake,
    entries: &Layer,
    windows: &[Read<'_, WindowSpec>],
    rules: &[Read<'_, RuleSpec>],
) -> PlanMistake {
    use engine::plan::Item as Part;
    let (item, what, keys) = match mistake.item {
        Part::Window(index) => (windows[index].item, &windows[index].what, window::KEYS_OF_FIELDS),
        Part::Rule(index) => (rules[index].item, &rules[index].what, rule::KEYS_OF_FIELDS),
        Part::Plan => return of_plan(mistake, entries),
    };
    let known = keys.iter().find(|(field, _)| *field == mistake.field);
    // What the engine calls as the file does is in no list.
    let keys = known.map_or(std::slice::from_ref(&mistake.field), |(_, keys)| *keys);
    let field = keys.iter().find_map(|key| item.field(key));
    let origin = match (field, &mistake.at) {
        (None, _) => item.origin.clone(),
        (Some(field), Some(range)) => match &field.value {
            Ok(Value::Text(text)) => field.written.origin_of(text, range.start),
            _ => field.written.origin(),
        },
        (Some(field), None) => field.written.origin(),
    };
    let key =
        field.map_or_else(|| keys.first().copied().unwrap_or_default().to_owned(), |field| field.key.clone());
    PlanMistake { origin, item: what.clone(), key, problem: mistake.problem.clone() }
}

/// A mistake that is of no window or rule: of a group, or of a setting of `[process]`.
fn of_plan(mistake: &Mistake, entries: &Layer) -> PlanMistake {
    let path = format!("process.time.{}", mistake.field);
    let limit = format!("process.limits.{}", mistake.field.trim_start_matches("max_"));
    let (path, entry) = [path, limit]
        .into_iter()
        .find_map(|path| entries.get(&path).map(|entry| (path, entry)))
        .or_else(|| {
            // The engine names the group in its words; if it does not, the first one is where to look.
            let mut groups: Vec<_> = entries.iter().filter(|(path, _)| group_name(path).is_some()).collect();
            let is_named =
                |path| group_name(path).is_some_and(|name| mistake.problem.contains(&format!("{name:?}")));
            groups.sort_by_key(|(path, _)| !is_named(path));
            groups.first().map(|(path, entry)| ((*path).to_owned(), *entry))
        })
        .map_or((GROUPS.to_owned(), None), |(path, entry)| (path, Some(entry)));
    PlanMistake {
        origin: entry.map_or(Origin::Default, |entry| entry.origin.clone()),
        item: path,
        key: String::new(),
        problem: mistake.problem.clone(),
    }
}
