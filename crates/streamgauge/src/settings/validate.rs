//! From values to validated types: ranges, units and choices, each checked once, each refusal with its place.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use kafka::{CommitMode, KafkaSettings};
use producers::events::MAX_ENTITIES;
use producers::sensors::{Cadence, MAX_SENSORS};

use super::duration;
use super::error::SettingsError;
use super::layer::{Layer, Origin, Value, kafka_property};
use super::nearest::nearest;
use super::raw::{Raw, RawAnalyze, RawLog, RawProduce, RawTopic, RawTopics};
use super::{AnalyzeSettings, LogSettings, ProduceSettings, Settings, TopicSettings, TopicShape};

/// Kafka's own limit lies in the thousands; this catches a slip.
const MAX_PARTITIONS: i64 = 100_000;
/// A batch is held in memory.
pub(super) const MAX_POLL_RECORDS: usize = 1_000_000;
/// More threads than any machine has processors.
pub(super) const MAX_WORKERS: usize = 1_024;
/// Levels of the log. Anything else would be taken for a module's name and silence everything outside it.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Validates the whole.
pub(super) fn validate(entries: &Layer) -> Result<Settings, SettingsError> {
    let raw: Raw =
        closed_table(entries).try_into().expect("every layer was checked against the default file");
    let check = Check { entries };
    Ok(Settings {
        kafka: kafka_settings(entries)?,
        topics: check.topics(&raw.topics)?,
        produce: check.produce(&raw.produce)?,
        analyze: check.analyze(raw.analyze)?,
        process: check.process(raw.process)?,
        store: check.store(raw.store)?,
        broker: check.broker(raw.broker)?,
        names_brokers: entries
            .get("kafka.bootstrap.servers")
            .is_some_and(|entry| entry.origin != Origin::Default),
        log: check.log(raw.log)?,
        page_listen: raw.monitor.listen,
        page_is_default: entries.get("monitor.listen").is_none_or(|entry| entry.origin == Origin::Default),
        metrics_listen: Some(raw.metrics.listen).filter(|listen| !listen.is_empty()),
        shutdown_deadline: check.duration("shutdown.deadline", &raw.shutdown.deadline)?,
    })
}

/// The settings outside the kafka sections as a table, for the raw structs; windows, rules and groups are read by
/// [`plan`](super::plan).
fn closed_table(entries: &Layer) -> toml::Table {
    let mut root = toml::Table::new();
    for (path, entry) in entries.iter().filter(|(path, _)| kafka_property(path).is_none()) {
        let Some(value) = scalar(&entry.value) else { continue };
        let mut table = &mut root;
        let mut parts: Vec<&str> = path.split('.').collect();
        let key = parts.pop().unwrap_or_default();
        for part in parts {
            let below = table.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            table = below.as_table_mut().expect("a section of the default file is never a value");
        }
        table.insert(key.to_owned(), value);
    }
    root
}

fn scalar(value: &Value) -> Option<toml::Value> {
    match value {
        Value::Text(text) => Some(toml::Value::String(text.clone())),
        Value::Whole(number) => Some(toml::Value::Integer(*number)),
        Value::Number(number) => Some(toml::Value::Float(*number)),
        Value::Switch(on) => Some(toml::Value::Boolean(*on)),
        Value::Texts(_) | Value::Items(_) => None,
    }
}

fn kafka_settings(entries: &Layer) -> Result<KafkaSettings, SettingsError> {
    let mut settings = KafkaSettings::default();
    for (path, entry) in entries.iter() {
        let Some((section, property)) = kafka_property(path) else { continue };
        let table = match section {
            "kafka.producer" => &mut settings.producer,
            "kafka.consumer" => &mut settings.consumer,
            _ => &mut settings.common,
        };
        table.insert(property.to_owned(), entry.value.to_string());
    }
    settings.check().map_err(|verdict| {
        let origin = blamed(&verdict).and_then(|property| {
            let sections = super::layer::KAFKA_SECTIONS.iter();
            let mut found = sections.filter_map(|section| entries.get(&format!("{section}.{property}")));
            found.find(|entry| entry.origin != Origin::Default).map(|entry| entry.origin.clone())
        });
        SettingsError::Kafka { origin, verdict }
    })?;
    Ok(settings)
}

/// The property that was refused, if one is to blame.
fn blamed(verdict: &kafka::SettingsError) -> Option<&str> {
    match verdict {
        kafka::SettingsError::Unknown { key, .. }
        | kafka::SettingsError::Invalid { key, .. }
        | kafka::SettingsError::Refused { key, .. } => Some(key),
        kafka::SettingsError::Conflict { .. } => None,
    }
}

/// The checks, with the places to name in a refusal.
pub(super) struct Check<'a> {
    pub(super) entries: &'a Layer,
}

impl Check<'_> {
    fn topics(&self, raw: &RawTopics) -> Result<TopicSettings, SettingsError> {
        Ok(TopicSettings {
            replication_factor: self.replicas("topics.replication_factor", raw.replication_factor)?,
            min_insync_replicas: self.replicas("topics.min_insync_replicas", raw.min_insync_replicas)?,
            sensor_data: self.topic("topics.sensor-data", &raw.sensor_data)?,
            events: self.topic("topics.events", &raw.events)?,
            alerts: self.topic("topics.alerts", &raw.alerts)?,
            analytics: self.topic("topics.analytics", &raw.analytics)?,
            dead_letters: self.topic("topics.dead-letters", &raw.dead_letters)?,
        })
    }

    fn topic(&self, section: &str, raw: &RawTopic) -> Result<TopicShape, SettingsError> {
        let partitions = self.whole(&format!("{section}.partitions"), raw.partitions, 1..=MAX_PARTITIONS)?;
        let retention = self.some_time(&format!("{section}.retention"), &raw.retention)?;
        Ok(TopicShape { partitions: partitions as i32, retention })
    }

    /// A number of replicas, where -1 leaves it to the brokers.
    fn replicas(&self, path: &str, value: i64) -> Result<Option<i16>, SettingsError> {
        if value == -1 {
            return Ok(None);
        }
        match i16::try_from(value) {
            Ok(replicas) if replicas >= 1 => Ok(Some(replicas)),
            _ => Err(self.refusal(path, "it must be -1 (the brokers decide) or at least 1")),
        }
    }

    fn produce(&self, raw: &RawProduce) -> Result<ProduceSettings, SettingsError> {
        if raw.rate < 0.0 {
            return Err(self.refusal("produce.rate", "it must be 0 (the interval decides) or positive"));
        }
        let interval = self.duration("produce.interval", &raw.interval)?;
        let (interval_counts, rate_counts) = self.nearest_of("produce.interval", "produce.rate");
        let rate = Some(raw.rate).filter(|rate| *rate > 0.0 && rate_counts);
        Ok(ProduceSettings {
            seed: self.whole("produce.seed", raw.seed, 0..=i64::MAX)? as u64,
            num_sensors: self.count("produce.num_sensors", raw.num_sensors, MAX_SENSORS)?.get(),
            interval: Some(interval).filter(|_| rate.is_none() || interval_counts),
            rate,
            cadence: self.choice(
                "produce.cadence",
                &raw.cadence,
                &[("same", Cadence::Same), ("mixed", Cadence::Mixed)],
            )?,
            key_format: self.parsed("produce.key_format", &raw.key_format)?,
            event_entities: self.count("produce.events.entities", raw.events.entities, MAX_ENTITIES)?.get(),
            event_rate: self.parsed("produce.events.rate", &raw.events.rate)?,
        })
    }

    fn analyze(&self, raw: RawAnalyze) -> Result<AnalyzeSettings, SettingsError> {
        if raw.group.trim().is_empty() {
            return Err(self.refusal("analyze.group", "it must name a consumer group"));
        }
        let interval = self.some_time("analyze.commit_interval", &raw.commit_interval)?;
        let commit = self.choice(
            "analyze.commit",
            &raw.commit,
            &[("interval", CommitMode::Interval(interval)), ("each-batch", CommitMode::EachBatch)],
        )?;
        Ok(AnalyzeSettings {
            group: raw.group,
            high_temperature: raw.high_temperature,
            commit,
            max_poll_records: self.count(
                "analyze.max_poll_records",
                raw.max_poll_records,
                MAX_POLL_RECORDS,
            )?,
            workers: match raw.workers {
                0 => None,
                workers => Some(self.count("analyze.workers", workers, MAX_WORKERS)?),
            },
            stall_timeout: self.some_time("analyze.stall_timeout", &raw.stall_timeout)?,
        })
    }

    fn log(&self, raw: RawLog) -> Result<LogSettings, SettingsError> {
        let formats = [("text", runtime::LogFormat::Text), ("json", runtime::LogFormat::Json)];
        let format = self.choice("log.format", &raw.format, &formats)?;
        for part in raw.level.split(',') {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
            self.choice("log.level", level, &LEVELS.map(|level| (level, ())))?;
        }
        Ok(LogSettings { filter: raw.level, format })
    }

    pub(super) fn whole(
        &self,
        path: &str,
        value: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64, SettingsError> {
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = range.into_inner();
        Err(self.refusal(path, format!("it must be a whole number from {low} to {high}")))
    }

    /// A whole number from 1.
    pub(super) fn count(&self, path: &str, value: i64, most: usize) -> Result<NonZeroUsize, SettingsError> {
        let value = self.whole(path, value, 1..=most as i64)?;
        Ok(NonZeroUsize::new(value as usize).unwrap_or(NonZeroUsize::MIN))
    }

    /// Which of two settings that decide the same thing count: the one set nearer to the user, or both.
    fn nearest_of(&self, one: &str, other: &str) -> (bool, bool) {
        let nearness = |path| self.entries.get(path).map_or(0, |entry| entry.origin.nearness());
        let (one, other) = (nearness(one), nearness(other));
        (one >= other, other >= one)
    }

    /// A value of a library's own type.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &self,
        path: &str,
        text: &str,
    ) -> Result<T, SettingsError> {
        text.parse().map_err(|error: T::Err| self.refusal(path, error.to_string()))
    }

    pub(super) fn duration(&self, path: &str, text: &str) -> Result<Duration, SettingsError> {
        duration::parse(text).map_err(|error| self.refusal(path, error.to_string()))
    }

    /// A duration that is not zero.
    pub(super) fn some_time(&self, path: &str, text: &str) -> Result<Duration, SettingsError> {
        let time = self.duration(path, text)?;
        if time.is_zero() { Err(self.refusal(path, "it must be longer than zero")) } else { Ok(time) }
    }

    pub(super) fn choice<T: Copy>(
        &self,
        path: &str,
        text: &str,
        choices: &[(&str, T)],
    ) -> Result<T, SettingsError> {
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = nearest(text, names.iter().copied());
        let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        Err(self.refusal(path, format!("it must be one of {}{hint}", names.join(", "))))
    }

    pub(super) fn refusal(&self, path: &str, wanted: impl Into<String>) -> SettingsError {
        let entry = self.entries.get(path).expect("only keys of the default file are checked");
        SettingsError::Value {
            origin: entry.origin.clone(),
            path: path.to_owned(),
            value: if super::is_secret(path) { "***".to_owned() } else { shown(&entry.value) },
            wanted: wanted.into(),
        }
    }
}

/// The value as it would stand in a file.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
