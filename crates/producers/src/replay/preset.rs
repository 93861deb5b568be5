//! What is known about public data sets, so that each replays with one command and no mapping.

use std::str::FromStr;
use std::time::Duration;

use model::reading::TEMPERATURE;

use super::mapping::{MapItem, Mapping};

/// A data set that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A series of the Numenta Anomaly Benchmark: `timestamp,value`, one sensor a file. It is a temperature if the file's
    /// name says so, otherwise a measurement named `value`. The values stay as they are, in °F.
    Nab,
    /// The labelled wireless sensor network of Suthaharan et al.: motes that read humidity and temperature every five
    /// seconds, numbered instead of timed, with a label where an anomaly was introduced.
    Wsn,
}

/// The text names no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown preset {0:?}; the presets are nab and wsn")]
pub struct PresetError(String);

impl FromStr for Preset {
    type Err = PresetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nab" => Ok(Self::Nab),
            "wsn" => Ok(Self::Wsn),
            _ => Err(PresetError(text.to_owned())),
        }
    }
}

/// Seconds between the readings of a mote.
const WSN_STEP: Duration = Duration::from_secs(5);

impl Preset {
    /// The preset whose files have exactly these columns.
    pub(super) fn of_columns(names: &[String]) -> Option<Self> {
        [Self::Nab, Self::Wsn].into_iter().find(|preset| preset.columns() == names)
    }

    /// The columns of its files.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Nab => &["timestamp", "value"],
            Self::Wsn => &["reading", "mote_id", "indoor", "humidity", "temperature", "label"],
        }
    }

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nab => "nab",
            Self::Wsn => "wsn",
        }
    }

    /// The mapping for a file of this name; what the flags say goes before.
    pub(super) fn mapping(self, flags: &Mapping, stem: Option<&str>) -> Mapping {
        let mut mapping = flags.clone();
        match self {
            Self::Nab => {
                let is_temperature = stem.is_some_and(|stem| stem.contains(TEMPERATURE));
                let name = if is_temperature { TEMPERATURE } else { "value" };
                mapping.measurement.get_or_insert(name.to_owned());
            }
            Self::Wsn => {
                let item =
                    |(field, column): (&str, &str)| MapItem { field: field.into(), column: column.into() };
                mapping.items.extend([("index", "reading"), ("fault", "label")].map(item));
                mapping.sensor_id = mapping.sensor_id.or_else(|| "mote-{mote_id}".parse().ok());
            }
        }
        mapping
    }

    /// The time between readings, for files without timestamps.
    pub(super) fn step(self) -> Option<Duration> {
        match self {
            Self::Nab => None,
            Self::Wsn => Some(WSN_STEP),
        }
    }
}
