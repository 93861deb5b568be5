//! Settings: flag over environment over file over the embedded default file.
//!
//! Each source becomes a [`Layer`] of values that know where they came from; the layers are laid over each other, and
//! the result is turned into validated types once, here. After that nobody asks a file, the environment or a flag
//! again.
//!
//! Invariants: `config/default.toml` is the only source of defaults and defines which settings there are and of which
//! kind; whatever is refused is named with its key and its place; secrets are never part of a message.

mod broker;
mod duration;
mod environment;
mod error;
mod file;
mod fit;
mod item;
mod layer;
mod nearest;
mod place;
mod plan;
mod process;
mod raw;
mod schema;
mod store;
mod topics;
mod validate;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kafka::{CommitMode, KafkaSettings};
use producers::events::Rate;
use producers::sensors::{Cadence, KeyFormat};
use runtime::LogFormat;

pub(crate) use broker::{BrokerSettings, DataDirectory};
pub(crate) use duration::{NotADuration, parse as parse_duration};
pub(crate) use error::SettingsError;
pub(crate) use item::{Field, Item, group_name, is_list};
pub(crate) use layer::{Entry, Layer, Origin, Value, kafka_property};
pub(crate) use plan::PlanMistake;
pub(crate) use process::{Guarantee, ProcessSettings};
pub(crate) use schema::DEFAULT_FILE;
pub(crate) use store::StoreSettings;

use schema::Schema;

/// All settings, validated.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// librdkafka's properties.
    pub(crate) kafka: KafkaSettings,
    /// How the catalogue's topics are made.
    pub(crate) topics: TopicSettings,
    /// The producers'.
    pub(crate) produce: ProduceSettings,
    /// The analytics consumer's.
    pub(crate) analyze: AnalyzeSettings,
    /// The stream processor's, windows and rules included.
    pub(crate) process: ProcessSettings,
    /// What becomes of topics in files and databases.
    pub(crate) store: StoreSettings,
    /// The embedded broker's, but for its users, whose file only a broker reads.
    pub(crate) broker: BrokerSettings,
    /// Whether Kafka's address was set by anybody, so that it is to be used.
    pub(crate) names_brokers: bool,
    /// What is logged.
    pub(crate) log: LogSettings,
    /// Where the live page is served.
    pub(crate) page_listen: String,
    /// Whether nobody chose that address.
    pub(crate) page_is_default: bool,
    /// Where the metrics endpoint listens, if anywhere.
    pub(crate) metrics_listen: Option<String>,
    /// How long a command may take to end once it is asked to.
    pub(crate) shutdown_deadline: Duration,
}

/// How topics are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicSettings {
    /// Copies of each partition; `None` leaves it to the brokers.
    pub(crate) replication_factor: Option<i16>,
    /// In-sync replicas that an acknowledgement needs; `None` leaves it to the brokers.
    pub(crate) min_insync_replicas: Option<i16>,
    /// `sensor-data`.
    pub(crate) sensor_data: TopicShape,
    /// `events`.
    pub(crate) events: TopicShape,
    /// `alerts`.
    pub(crate) alerts: TopicShape,
    /// `analytics`.
    pub(crate) analytics: TopicShape,
    /// Every `<topic>.dlq`.
    pub(crate) dead_letters: TopicShape,
}

/// What may differ from topic to topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicShape {
    /// At least 1.
    pub(crate) partitions: i32,
    /// How long records are kept.
    pub(crate) retention: Duration,
}

/// The producers' settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProduceSettings {
    /// The seed of all randomness.
    pub(crate) seed: u64,
    /// At least 1.
    pub(crate) num_sensors: usize,
    /// Every sensor reports once per interval, zero being as fast as possible; `None` if the rate decides.
    pub(crate) interval: Option<Duration>,
    /// Readings a second over all sensors, positive; `None` if the interval decides.
    pub(crate) rate: Option<f64>,
    /// Whether all sensors report equally often.
    pub(crate) cadence: Cadence,
    /// How a sensor's id is made of its number.
    pub(crate) key_format: KeyFormat,
    /// Orders, users and devices that live at the same time, at least 1.
    pub(crate) event_entities: usize,
    /// Events a second.
    pub(crate) event_rate: Rate,
}

/// The analytics consumer's settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AnalyzeSettings {
    /// The consumer group, not empty.
    pub(crate) group: String,
    /// In degrees Celsius.
    pub(crate) high_temperature: f64,
    /// When offsets are committed.
    pub(crate) commit: CommitMode,
    /// Records that a poll hands out at most.
    pub(crate) max_poll_records: NonZeroUsize,
    /// Worker threads; `None` means one per processor.
    pub(crate) workers: Option<NonZeroUsize>,
    /// How long no progress is tolerated.
    pub(crate) stall_timeout: Duration,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// A level, or directives.
    pub(crate) filter: String,
    /// Text or JSON.
    pub(crate) format: LogFormat,
}

/// Where settings are looked for, besides the embedded file.
#[derive(Debug, Default)]
pub(crate) struct Sources<'a> {
    /// The file asked for with `-c`.
    pub(crate) file: Option<&'a Path>,
    /// The directory of the user's own settings (`$XDG_CONFIG_HOME` or `~/.config`).
    pub(crate) user_directory: Option<PathBuf>,
    /// The environment.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// What flags set.
    pub(crate) flags: Layer,
}

impl<'a> Sources<'a> {
    /// The process's own environment with these flags.
    pub(crate) fn of_process(file: Option<&'a Path>, flags: Layer) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user_directory =
            variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        Self { file, user_directory, variables: std::env::vars_os().collect(), flags }
    }
}

/// Whether the value of a setting is for nobody's eyes.
pub(crate) fn is_secret(path: &str) -> bool {
    kafka::is_secret(path) || path == "store.postgres.url"
}

/// The settings in force, with their story.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The validated settings.
    pub(crate) settings: Settings,
    /// Every value with its origin.
    pub(crate) entries: Layer,
    /// The file that was read, if any.
    pub(crate) file: Option<PathBuf>,
}

/// Reads, lays and validates all sources.
pub(crate) fn load(sources: Sources<'_>) -> Result<Loaded, SettingsError> {
    let schema = Schema::embedded();
    let mut entries = schema.defaults().clone();
    let file = file::find(sources.file, sources.user_directory.as_deref());
    if let Some(path) = &file {
        entries.lay(file::read(path, &schema)?);
    }
    entries.lay(environment::read(sources.variables, &schema)?);
    entries.lay(sources.flags);
    let settings = validate::validate(&entries)?;
    fit::check(&entries)?;
    Ok(Loaded { settings, entries, file })
}
