//! What is stored of each topic: its columns, and how a record becomes a row.
//!
//! Every table has the columns of its kind, then `extra` (the fields that have no column, as the text of a JSON object;
//! null if there are none, so no field of a record is ever dropped), then where the row came from: `topic`, `partition`,
//! `offset`, and `append_time`, the record's timestamp. Times are microseconds, UTC. The columns of each table are listed
//! in its module and in the storage guide.
//!
//! # Evolution
//! Columns are only ever added, and may be null. A new field of a record is in `further` or `extra` until it gets a column,
//! so neither a new field nor a new version changes what readers of older rows see.

mod alerts;
mod analytics;
mod events;
mod extra;
mod readings;
mod rows;

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use model::topics::{ALERTS, ANALYTICS, EVENTS, SENSOR_DATA};
use serde::{Deserialize, Serialize};

pub(crate) use rows::{Finished, Rows, words_of};

/// A table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Sensor readings.
    Readings,
    /// Application events.
    Events,
    /// Alarms and what people did about them.
    Alerts,
    /// Window summaries and counts of events.
    Analytics,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 4] = [Self::Readings, Self::Events, Self::Alerts, Self::Analytics];

    /// Its name, which is also that of its directory and of its table in a database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Readings => "readings",
            Self::Events => "events",
            Self::Alerts => "alerts",
            Self::Analytics => "analytics",
        }
    }

    /// The table of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The table of a topic of the catalogue.
    pub fn of_topic(topic: &str) -> Option<Self> {
        match topic {
            SENSOR_DATA => Some(Self::Readings),
            EVENTS => Some(Self::Events),
            ALERTS => Some(Self::Alerts),
            ANALYTICS => Some(Self::Analytics),
            _ => None,
        }
    }

    /// Its columns in order. Rows are sorted by the first, then by [`Table::time_column`].
    pub(crate) fn schema(self) -> SchemaRef {
        let own = match self {
            Self::Readings => readings::fields(),
            Self::Events => events::fields(),
            Self::Alerts => alerts::fields(),
            Self::Analytics => analytics::fields(),
        };
        let place = [
            Field::new(EXTRA, DataType::Utf8, true),
            words(TOPIC, false),
            Field::new(PARTITION, DataType::Int32, false),
            Field::new(OFFSET, DataType::Int64, false),
            time(APPEND_TIME, true),
        ];
        Arc::new(Schema::new(own.into_iter().chain(place).collect::<Vec<_>>()))
    }

    /// The column of the event time.
    pub(crate) fn time_column(self) -> &'static str {
        match self {
            Self::Readings | Self::Events => "time",
            Self::Alerts => "at",
            Self::Analytics => "start",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The column of what has no column.
pub(crate) const EXTRA: &str = "extra";
/// The column of the topic.
pub(crate) const TOPIC: &str = "topic";
/// The column of the partition's number.
pub(crate) const PARTITION: &str = "partition";
/// The column of the record's offset.
pub(crate) const OFFSET: &str = "offset";

/// The column of the record's timestamp.
pub(crate) const APPEND_TIME: &str = "append_time";

/// A column of few different texts.
fn words(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8)), nullable)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn whole(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn time(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable)
}

/// A column of values by name.
fn map(name: &str, value: DataType) -> Field {
    let key = Field::new("key", DataType::Utf8, false);
    let entries = Field::new_struct("key_value", vec![key, Field::new("value", value, true)], false);
    Field::new(name, DataType::Map(Arc::new(entries), false), true)
}

/// Why a record is no row: for counters (a label) and for people (a sentence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) class: &'static str,
    pub(crate) message: String,
}
