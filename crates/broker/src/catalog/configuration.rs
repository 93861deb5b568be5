//! The settings that a topic has: its own ones over the broker's defaults over the table's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::setting::{self, Definition};
use crate::log::LogSettings;
use crate::settings::Settings;

/// Settings that were given, by name. Every name is known and every value valid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Overrides(BTreeMap<String, String>);

impl Overrides {
    /// Checks every name and value; says what is wrong with the first one that does not hold.
    pub(crate) fn new(given: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let mut overrides = BTreeMap::new();
        for (name, value) in given {
            let definition =
                setting::find(&name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
            definition.check(&value)?;
            overrides.insert(name, value.trim().to_owned());
        }
        Ok(Self(overrides))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Checks again what was read from a file.
    pub(super) fn checked(self) -> Result<Self, String> {
        Self::new(self.0)
    }
}

/// What topics that do not say otherwise are given.
#[derive(Debug)]
pub(crate) struct Defaults {
    values: Overrides,
    producer_retention_ms: i64,
}

impl Defaults {
    /// Fails with what is wrong with the broker's defaults.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let defaults = Self {
            values: Overrides::new(settings.topic_defaults.iter().cloned())?,
            producer_retention_ms: i64::try_from(settings.producer_retention.as_millis()).unwrap_or(i64::MAX),
        };
        defaults.check(&Overrides::default())?;
        Ok(defaults)
    }

    /// The broker's own default of a setting, where it has one that is not the table's.
    pub(crate) fn broker_value(&self, definition: &Definition) -> Option<&str> {
        self.values.get(definition.name)
    }

    /// The value that is in effect.
    pub(crate) fn value<'a>(&'a self, overrides: &'a Overrides, definition: &Definition) -> &'a str {
        overrides.get(definition.name).or_else(|| self.broker_value(definition)).unwrap_or(definition.default)
    }

    /// Checks what concerns several settings at once.
    pub(crate) fn check(&self, overrides: &Overrides) -> Result<(), String> {
        let read = Reader { defaults: self, overrides };
        let (least, most) = (read.long("min.compaction.lag.ms"), read.long("max.compaction.lag.ms"));
        if least > most {
            return Err(format!(
                "conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})"
            ));
        }
        Ok(())
    }

    /// What the logs of a topic with these settings are told.
    pub(super) fn log_settings(&self, overrides: &Overrides) -> LogSettings {
        let read = Reader { defaults: self, overrides };
        let policy = read.text("cleanup.policy");
        let either_side = read.long("message.timestamp.difference.max.ms");
        let one_side = |name| Some(read.long(name)).filter(|limit| *limit != i64::MAX).unwrap_or(either_side);
        LogSettings {
            segment_bytes: read.long("segment.bytes") as u64,
            segment_ms: read.long("segment.ms"),
            segment_index_bytes: read.long("segment.index.bytes") as u64,
            retention_ms: Some(read.long("retention.ms")).filter(|limit| *limit >= 0),
            retention_bytes: u64::try_from(read.long("retention.bytes")).ok(),
            delete: setting::elements(policy).any(|policy| policy == "delete"),
            compact: setting::elements(policy).any(|policy| policy == "compact"),
            min_cleanable_dirty_ratio: read
                .text("min.cleanable.dirty.ratio")
                .parse()
                .expect("the value was checked to be a number"),
            min_compaction_lag_ms: read.long("min.compaction.lag.ms"),
            delete_retention_ms: read.long("delete.retention.ms"),
            max_message_bytes: read.long("max.message.bytes") as usize,
            log_append_time: read.text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: one_side("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: one_side("message.timestamp.after.max.ms"),
            flush_messages: read.unless_never("flush.messages").map(|records| records as u64),
            flush_ms: read.unless_never("flush.ms"),
            index_interval_bytes: read.long("index.interval.bytes") as u64,
            producer_retention_ms: self.producer_retention_ms,
        }
    }
}

/// Reads values that were checked when they were set.
struct Reader<'a> {
    defaults: &'a Defaults,
    overrides: &'a Overrides,
}

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> &'a str {
        let definition = setting::find(name).expect("the name is in the table");
        self.defaults.value(self.overrides, definition)
    }

    fn long(&self, name: &str) -> i64 {
        self.text(name).parse().expect("the value was checked to be a number")
    }

    fn unless_never(&self, name: &str) -> Option<i64> {
        Some(self.long(name)).filter(|limit| *limit != i64::MAX)
    }
}
