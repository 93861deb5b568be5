//! Settings files: finding the one to read, and reading TOML into a [`Layer`] with the line of every key.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::SettingsError;
use super::layer::{Layer, Origin, Value};
use super::schema::Schema;

/// The file in the working directory.
pub(crate) const LOCAL_FILE: &str = "streamgauge.toml";

/// The settings file to read: the one asked for, else the one in the working directory, else the user's own.
///
/// One that was asked for is returned even if it is missing, so that reading it says so.
pub(crate) fn find(asked: Option<&Path>, user_directory: Option<&Path>) -> Option<PathBuf> {
    if let Some(asked) = asked {
        return Some(asked.to_owned());
    }
    let local = PathBuf::from(LOCAL_FILE);
    let own = user_directory.map(|directory| directory.join("streamgauge").join("config.toml"));
    [Some(local), own].into_iter().flatten().find(|path| path.exists())
}

/// Reads a settings file.
pub(crate) fn read(path: &Path, schema: &Schema) -> Result<Layer, SettingsError> {
    let text = fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    read_text(&text, path, schema)
}

pub(super) fn read_text(text: &str, path: &Path, schema: &Schema) -> Result<Layer, SettingsError> {
    let path = Arc::new(path.to_owned());
    let origin = |line| Origin::File { path: Arc::clone(&path), line };
    Reader { text, origin: &origin, schema: Some(schema) }.read()
}

/// Reads the embedded file, which defines what is known instead of being checked against it.
pub(super) fn read_defaults(text: &str) -> Result<Layer, SettingsError> {
    Reader { text, origin: &|_| Origin::Default, schema: None }.read()
}

struct Reader<'a> {
    text: &'a str,
    origin: &'a dyn Fn(usize) -> Origin,
    schema: Option<&'a Schema>,
}

impl Reader<'_> {
    fn read(&self) -> Result<Layer, SettingsError> {
        let table = DeTable::parse(self.text).map_err(|error| SettingsError::Syntax {
            origin: self.origin_at(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let mut layer = Layer::default();
        self.walk("", table.get_ref(), &mut layer)?;
        Ok(layer)
    }

    fn walk(&self, section: &str, table: &DeTable<'_>, layer: &mut Layer) -> Result<(), SettingsError> {
        let mut items: Vec<_> = table.iter().collect();
        // In the order of the file, so that the first mistake is the one reported.
        items.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in items {
            let path = if section.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{section}.{}", key.get_ref())
            };
            let origin = self.origin_at(key.span().start);
            if let DeValue::Table(table) = value.get_ref() {
                self.check_section(&path, &origin)?;
                self.walk(&path, table, layer)?;
            } else {
                let value = self.check_value(&path, value, &origin)?;
                layer.set(path, value, origin);
            }
        }
        Ok(())
    }

    fn check_section(&self, path: &str, origin: &Origin) -> Result<(), SettingsError> {
        let Some(schema) = self.schema else { return Ok(()) };
        if is_kafka(path) || schema.is_section(path) {
            return Ok(());
        }
        match schema.default_of(path) {
            Some(default) => Err(kind_error(origin, path, default.value.kind(), "a section")),
            None => Err(schema.unknown(origin.clone(), path)),
        }
    }

    fn check_value(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        origin: &Origin,
    ) -> Result<Value, SettingsError> {
        let scalar = scalar(value.get_ref());
        let found = value.get_ref().type_str();
        let Some(schema) = self.schema else {
            return scalar.ok_or_else(|| kind_error(origin, path, "text, a number, true or false", found));
        };
        if is_kafka(path) {
            if super::layer::KAFKA_SECTIONS.contains(&path) {
                return Err(kind_error(origin, path, "a section", found));
            }
            return scalar.ok_or_else(|| kind_error(origin, path, "text, a number, true or false", found));
        }
        let Some(default) = schema.default_of(path) else {
            if schema.is_section(path) {
                return Err(kind_error(origin, path, "a section", found));
            }
            return Err(schema.unknown(origin.clone(), path));
        };
        let wanted = default.value.kind();
        let scalar = scalar.ok_or_else(|| kind_error(origin, path, wanted, found))?;
        scalar
            .coerce(&default.value)
            .map_err(|value| kind_error(origin, path, wanted, &format!("{} ({value})", value.kind())))
    }

    fn origin_at(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        (self.origin)(1 + before.matches('\n').count())
    }
}

/// True for the kafka sections and everything in them.
fn is_kafka(path: &str) -> bool {
    path == "kafka" || path.starts_with("kafka.")
}

fn kind_error(origin: &Origin, path: &str, wanted: &'static str, got: &str) -> SettingsError {
    SettingsError::Kind { origin: origin.clone(), path: path.to_owned(), wanted, got: got.to_owned() }
}

/// The value if it is one of the kinds that settings have.
fn scalar(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Whole)
        }
        DeValue::Float(number) => {
            number.as_str().parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Number)
        }
        DeValue::Boolean(on) => Some(Value::Switch(*on)),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
