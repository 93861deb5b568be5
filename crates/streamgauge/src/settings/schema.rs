//! Which settings there are, of which kind, and their defaults: all of it read from the embedded default file.

use super::error::SettingsError;
use super::file;
use super::layer::{Entry, Layer, kafka_property};
use super::nearest::nearest_path;

/// The default file, comments and all.
pub(crate) const DEFAULT_FILE: &str = include_str!("../../../../config/default.toml");

/// The known settings with their defaults.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    defaults: Layer,
}

impl Schema {
    /// Reads the embedded file.
    pub(crate) fn embedded() -> Self {
        let defaults = file::read_defaults(DEFAULT_FILE).expect("a test reads the embedded file");
        Self { defaults }
    }

    /// The defaults, as the lowest layer.
    pub(crate) fn defaults(&self) -> &Layer {
        &self.defaults
    }

    /// The default of a setting outside the kafka sections; `None` if there is no such setting.
    pub(crate) fn default_of(&self, path: &str) -> Option<&Entry> {
        self.defaults.get(path)
    }

    /// True if settings lie below this path.
    pub(crate) fn is_section(&self, path: &str) -> bool {
        self.closed_paths().any(|known| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Every setting outside the kafka sections.
    pub(crate) fn closed_paths(&self) -> impl Iterator<Item = &str> {
        self.defaults.iter().map(|(path, _)| path).filter(|path| kafka_property(path).is_none())
    }

    /// The known setting or section most like this path.
    pub(crate) fn nearest(&self, path: &str) -> Option<String> {
        let mut known: Vec<&str> = self.closed_paths().collect();
        let sections: Vec<&str> =
            known.iter().filter_map(|path| path.rsplit_once('.')).map(|(section, _)| section).collect();
        known.extend(sections);
        known.extend(super::layer::KAFKA_SECTIONS);
        known.sort_unstable();
        known.dedup();
        nearest_path(path, &known).map(str::to_owned)
    }

    /// The error for a setting that does not exist.
    pub(crate) fn unknown(&self, origin: super::layer::Origin, path: &str) -> SettingsError {
        SettingsError::Unknown { origin, name: path.to_owned(), nearest: self.nearest(path) }
    }
}
