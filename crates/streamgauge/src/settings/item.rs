//! One table of a list of tables in a settings file (`[[windows]]`, `[[rules]]`), as it is written: nothing is checked yet,
//! but everything knows where it stands.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::layer::{Origin, Value};
use super::place::Written;

/// The lists of tables that there are.
pub(super) const LISTS: [&str; 2] = ["windows", "rules"];
/// The section whose keys are the names of groups.
pub(super) const GROUPS: &str = "groups";

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Where its heading stands.
    pub(crate) origin: Origin,
    /// What is in it, in the order of the file.
    pub(crate) fields: Vec<Field>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) origin: Origin,
    /// The value, or what it is if settings have no such kind.
    pub(crate) value: Result<Value, &'static str>,
    /// The value as it stands in the file.
    pub(crate) written: Written,
    /// Of a list, its elements as they stand in the file.
    pub(crate) elements: Vec<Written>,
}

impl Item {
    /// What a key holds.
    pub(crate) fn field(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// What the table is called.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.field("name")?.value {
            Ok(Value::Text(name)) => Some(name),
            _ => None,
        }
    }
}

/// The setting if it is that of a group of sensors.
pub(crate) fn group_name(path: &str) -> Option<&str> {
    path.strip_prefix(GROUPS)?.strip_prefix('.')
}

/// Whether the setting is a list of tables.
pub(crate) fn is_list(path: &str) -> bool {
    LISTS.contains(&path)
}

/// Reads the tables of a list; `written` tells where a piece of the file stands. `None` if it is no list of tables.
pub(super) fn read(
    value: &DeValue<'_>,
    written: &dyn Fn(std::ops::Range<usize>) -> Written,
) -> Option<Vec<Item>> {
    let DeValue::Array(tables) = value else { return None };
    tables
        .iter()
        .map(|table| match table.get_ref() {
            DeValue::Table(fields) => {
                Some(Item { origin: written(table.span()).origin(), fields: read_fields(fields, written) })
            }
            _ => None,
        })
        .collect()
}

fn read_fields(table: &DeTable<'_>, written: &dyn Fn(std::ops::Range<usize>) -> Written) -> Vec<Field> {
    let mut keys: Vec<_> = table.iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    let read = |key: &Spanned<_>, value: &Spanned<DeValue<'_>>, name: String| Field {
        key: name,
        origin: written(key.span()).origin(),
        value: scalar(value.get_ref()).ok_or_else(|| value.get_ref().type_str()),
        written: written(value.span()),
        elements: match value.get_ref() {
            DeValue::Array(elements) => elements.iter().map(|element| written(element.span())).collect(),
            _ => Vec::new(),
        },
    };
    keys.into_iter().map(|(key, value)| read(key, value, key.get_ref().to_string())).collect()
}

/// The value if it is one of the kinds that settings have.
pub(super) fn scalar(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Whole)
        }
        DeValue::Float(number) => {
            number.as_str().parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Number)
        }
        DeValue::Boolean(on) => Some(Value::Switch(*on)),
        DeValue::Array(elements) => texts(elements).map(Value::Texts),
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn texts(elements: &DeArray<'_>) -> Option<Vec<String>> {
    elements.iter().map(|element| element.get_ref().as_str().map(str::to_owned)).collect()
}
