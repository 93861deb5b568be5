//! Settings files: finding the one to read, and reading TOML into a [`Layer`] with the line of every key.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::SettingsError;
use super::item::{self, GROUPS, group_name, is_list};
use super::layer::{Layer, Origin, Value};
use super::place::{Place, Written};
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
    Reader { text, file: Some(Arc::new(path.to_owned())), schema: Some(schema) }.read()
}

/// Reads the embedded file, which defines what is known instead of being checked against it.
pub(super) fn read_defaults(text: &str) -> Result<Layer, SettingsError> {
    Reader { text, file: None, schema: None }.read()
}

struct Reader<'a> {
    text: &'a str,
    /// `None` for the embedded file.
    file: Option<Arc<PathBuf>>,
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
        if is_kafka(path) || path == GROUPS || schema.is_section(path) {
            return Ok(());
        }
        match schema.default_of(path) {
            Some(default) => Err(kind_error(origin, path, default.value.kind(), "a section")),
            None if group_name(path).is_some() => {
                Err(kind_error(origin, path, Value::Texts(Vec::new()).kind(), "a section"))
            }
            None => Err(schema.unknown(origin.clone(), path)),
        }
    }

    fn check_value(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        origin: &Origin,
    ) -> Result<Value, SettingsError> {
        if is_list(path) {
            return self.check_list(path, value, origin);
        }
        let scalar = item::scalar(value.get_ref());
        let found = value.get_ref().type_str();
        if group_name(path).is_some() {
            let texts = scalar.filter(|value| matches!(value, Value::Texts(_)));
            return texts.ok_or_else(|| kind_error(origin, path, Value::Texts(Vec::new()).kind(), found));
        }
        // No other setting is a list.
        let scalar = scalar.filter(|value| !matches!(value, Value::Texts(_)));
        let any = "text, a number, true or false";
        let Some(schema) = self.schema else {
            return scalar.ok_or_else(|| kind_error(origin, path, any, found));
        };
        if super::layer::KAFKA_SECTIONS.contains(&path) || path == GROUPS {
            return Err(kind_error(origin, path, "a section", found));
        }
        if is_kafka(path) {
            return scalar.ok_or_else(|| kind_error(origin, path, any, found));
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

    fn check_list(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        origin: &Origin,
    ) -> Result<Value, SettingsError> {
        let items = item::read(value.get_ref(), &|span| self.written(span));
        let items = items.map(|items| Value::Items(Arc::new(items)));
        let wanted = Value::Items(Arc::default()).kind();
        items.ok_or_else(|| kind_error(origin, path, wanted, value.get_ref().type_str()))
    }

    fn origin_at(&self, offset: usize) -> Origin {
        self.written(offset..offset).origin()
    }

    fn written(&self, span: Range<usize>) -> Written {
        let raw = self.text.get(span.clone()).unwrap_or_default().to_owned();
        Written { file: self.file.clone(), place: Place::of(self.text, span.start), raw }
    }
}

/// True for the kafka sections and everything in them.
fn is_kafka(path: &str) -> bool {
    path == "kafka" || path.starts_with("kafka.")
}

fn kind_error(origin: &Origin, path: &str, wanted: &'static str, got: &str) -> SettingsError {
    SettingsError::Kind { origin: origin.clone(), path: path.to_owned(), wanted, got: got.to_owned() }
}
