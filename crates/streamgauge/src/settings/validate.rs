//! From values to validated types: ranges, units and choices, each checked once, each refusal with its place.

use std::ops::RangeInclusive;
use std::time::Duration;

use kafka::KafkaSettings;

use super::duration;
use super::error::SettingsError;
use super::layer::{Layer, Origin, Value, kafka_property};
use super::nearest::nearest;
use super::raw::{Raw, RawAnalyze, RawLog, RawProduce, RawTopic, RawTopics};
use super::{AnalyzeSettings, Commit, LogSettings, ProduceSettings, Settings, TopicSettings, TopicShape};

/// More sensors than this do not fit a machine's memory.
const MAX_SENSORS: i64 = 10_000_000;
/// Kafka's own limit lies in the thousands; this catches a slip.
const MAX_PARTITIONS: i64 = 100_000;
/// A batch is held in memory.
const MAX_POLL_RECORDS: i64 = 1_000_000;
/// Levels of the log. Anything else would be taken for a module's name and silence everything outside it.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
/// More threads than any machine has processors.
const MAX_WORKERS: i64 = 1_024;

/// Validates the whole.
pub(super) fn validate(entries: &Layer) -> Result<Settings, SettingsError> {
    let raw: Raw =
        closed_table(entries).try_into().expect("every layer was checked against the default file");
    let check = Check { entries };
    Ok(Settings {
        kafka: kafka_settings(entries)?,
        topics: check.topics(&raw.topics)?,
        produce: check.produce(raw.produce)?,
        analyze: check.analyze(raw.analyze)?,
        log: check.log(raw.log)?,
        metrics_listen: Some(raw.metrics.listen).filter(|listen| !listen.is_empty()),
        shutdown_deadline: check.duration("shutdown.deadline", &raw.shutdown.deadline)?,
    })
}

/// The settings outside the kafka sections as a table, for the raw structs.
fn closed_table(entries: &Layer) -> toml::Table {
    let mut root = toml::Table::new();
    for (path, entry) in entries.iter().filter(|(path, _)| kafka_property(path).is_none()) {
        let mut table = &mut root;
        let mut parts: Vec<&str> = path.split('.').collect();
        let key = parts.pop().unwrap_or_default();
        for part in parts {
            let below = table.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            table = below.as_table_mut().expect("a section of the default file is never a value");
        }
        let value = match &entry.value {
            Value::Text(text) => toml::Value::String(text.clone()),
            Value::Whole(number) => toml::Value::Integer(*number),
            Value::Number(number) => toml::Value::Float(*number),
            Value::Switch(on) => toml::Value::Boolean(*on),
        };
        table.insert(key.to_owned(), value);
    }
    root
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
struct Check<'a> {
    entries: &'a Layer,
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

    fn produce(&self, raw: RawProduce) -> Result<ProduceSettings, SettingsError> {
        let rate = raw.rate;
        if rate < 0.0 {
            return Err(self.refusal("produce.rate", "it must be 0 (the interval decides) or positive"));
        }
        Ok(ProduceSettings {
            num_sensors: self.whole("produce.num_sensors", raw.num_sensors, 1..=MAX_SENSORS)? as u32,
            interval: self.duration("produce.interval", &raw.interval)?,
            rate: (rate > 0.0).then_some(rate),
            seed: self.whole("produce.seed", raw.seed, 0..=i64::MAX)? as u64,
            key_format: raw.key_format,
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
            &[("interval", Commit::Interval(interval)), ("each-batch", Commit::EachBatch)],
        )?;
        let workers = self.whole("analyze.workers", raw.workers, 0..=MAX_WORKERS)?;
        Ok(AnalyzeSettings {
            group: raw.group,
            high_temperature: raw.high_temperature,
            commit,
            max_poll_records: self.whole(
                "analyze.max_poll_records",
                raw.max_poll_records,
                1..=MAX_POLL_RECORDS,
            )? as usize,
            workers: (workers > 0).then_some(workers as usize),
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

    fn whole(&self, path: &str, value: i64, range: RangeInclusive<i64>) -> Result<i64, SettingsError> {
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = range.into_inner();
        Err(self.refusal(path, format!("it must be a whole number from {low} to {high}")))
    }

    fn duration(&self, path: &str, text: &str) -> Result<Duration, SettingsError> {
        duration::parse(text).map_err(|error| self.refusal(path, error.to_string()))
    }

    /// A duration that is not zero.
    fn some_time(&self, path: &str, text: &str) -> Result<Duration, SettingsError> {
        let time = self.duration(path, text)?;
        if time.is_zero() { Err(self.refusal(path, "it must be longer than zero")) } else { Ok(time) }
    }

    fn choice<T: Copy>(&self, path: &str, text: &str, choices: &[(&str, T)]) -> Result<T, SettingsError> {
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = nearest(text, names.iter().copied());
        let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        Err(self.refusal(path, format!("it must be one of {}{hint}", names.join(", "))))
    }

    fn refusal(&self, path: &str, wanted: impl Into<String>) -> SettingsError {
        let entry = self.entries.get(path).expect("only keys of the default file are checked");
        SettingsError::Value {
            origin: entry.origin.clone(),
            path: path.to_owned(),
            value: shown(&entry.value),
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
