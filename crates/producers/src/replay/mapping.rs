//! Which column becomes which field of a reading.
//!
//! Without `--map`, columns that are named like a field of a reading become that field, and every other column of
//! numbers becomes a measurement. With `--map FIELD=COLUMN,…` the columns named there become those fields; other columns
//! are only used if they are named like a field. A field that is none of those below is a measurement.
//!
//! | field | |
//! |---|---|
//! | `sensor_id` | the sensor; or `--sensor-id` with text and `{column}`s, or else the file's name |
//! | `timestamp` | the time; or else from `--start-time` and `--step` |
//! | `index` | the row's number, for the time of inputs without timestamps; or else rows are counted |
//! | `latitude`, `longitude`, `status` | as in a reading |
//! | `fault` | a label: what is not empty, `0`, `false` or `normal` goes to the header `sg-fault`; `1` and `true` as `anomaly` |

use std::str::FromStr;

use model::reading::{HUMIDITY, PRESSURE, TEMPERATURE};

use super::row::{Cell, Kind, Row};

/// One `FIELD=COLUMN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapItem {
    /// The field of the reading.
    pub field: String,
    /// The column of the input.
    pub column: String,
}

/// The text of a sensor id, in which `{column}` stands for the cell of that column and `{file}` for the file's name
/// without directory and extension. `{{` and `}}` stand for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorId {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

/// A mapping or sensor id that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {problem}")]
pub struct MappingError {
    text: String,
    problem: &'static str,
}

impl FromStr for MapItem {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=').map(|(field, column)| (field.trim(), column.trim())) {
            Some((field, column)) if !field.is_empty() && !column.is_empty() => {
                Ok(Self { field: field.to_owned(), column: column.to_owned() })
            }
            _ => Err(MappingError {
                text: text.to_owned(),
                problem: "write FIELD=COLUMN, for instance temperature=value",
            }),
        }
    }
}

impl FromStr for SensorId {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |problem| Err(MappingError { text: text.to_owned(), problem });
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if let Some(tail) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                plain.push(next);
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix('{') {
                let Some((column, tail)) = tail.split_once('}') else { return refuse("a { has no }") };
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Column(column.to_owned()));
                rest = tail;
            } else if next == '}' {
                return refuse("a } has no {");
            } else {
                plain.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        if parts.is_empty() { refuse("a sensor id must not be empty") } else { Ok(Self { parts }) }
    }
}

impl SensorId {
    fn column(column: &str) -> Self {
        Self { parts: vec![Part::Column(column.to_owned())] }
    }

    /// Writes the id of a row; `Err` is what is wrong with it.
    pub(super) fn write(&self, row: &Row, id: &mut String) -> Result<(), String> {
        id.clear();
        for part in &self.parts {
            match part {
                Part::Text(text) => id.push_str(text),
                Part::Column(column) => {
                    let cell = row.get(column).and_then(Cell::present);
                    id.push_str(
                        cell.ok_or_else(|| format!("{column} is empty, so the row has no sensor id"))?,
                    );
                }
            }
        }
        Ok(())
    }
}

/// What the flags say about columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// `--map`.
    pub items: Vec<MapItem>,
    /// `--sensor-id`.
    pub sensor_id: Option<SensorId>,
    /// `--measurement`: the measurement that the column `value` is.
    pub measurement: Option<String>,
}

/// The columns of one input, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) sensor_id: SensorId,
    pub(super) timestamp: Option<String>,
    pub(super) index: Option<String>,
    pub(super) latitude: String,
    pub(super) longitude: String,
    pub(super) status: String,
    pub(super) fault: String,
    /// Measurements and their columns.
    pub(super) measurements: Vec<(String, String)>,
    /// Every number that is nothing else is a measurement too.
    pub(super) every_number: bool,
}

/// What is known of an input before it is replayed.
pub(super) struct Sample<'a> {
    /// The name without directory and extension, unless it is standard input.
    pub(super) stem: Option<String>,
    /// The first row, or of an input without rows at least its names.
    pub(super) row: &'a Row,
    /// Whether every row has the same columns.
    pub(super) has_header: bool,
}

impl Mapping {
    /// Finds the columns. `Err` is what is wrong, with the fix.
    pub(super) fn resolve(&self, sample: &Sample<'_>) -> Result<Columns, String> {
        let names = sample.row.names();
        let known = |column: &str| !sample.has_header || names.iter().any(|name| name == column);
        let listed = || names.join(", ");
        for item in &self.items {
            if !known(&item.column) {
                return Err(format!("there is no column {:?}; the columns are {}", item.column, listed()));
            }
        }
        let field = |field: &str, columns: &[&str]| {
            let given = self.items.iter().find(|item| item.field == field).map(|item| item.column.clone());
            given.or_else(|| {
                let like = |column: &&&str| !self.uses(column) && names.iter().any(|name| name == **column);
                columns.iter().find(like).map(|column| (*column).to_owned())
            })
        };
        let mut columns = Columns {
            sensor_id: self.sensor_id(sample, field("sensor_id", &["sensor_id"]))?,
            timestamp: field("timestamp", &["timestamp"]),
            index: field("index", &[]),
            latitude: field("latitude", &["latitude", "location.latitude"]).unwrap_or_default(),
            longitude: field("longitude", &["longitude", "location.longitude"]).unwrap_or_default(),
            status: field("status", &["status"]).unwrap_or_default(),
            fault: field("fault", &[]).unwrap_or_default(),
            measurements: Vec::new(),
            every_number: false,
        };
        if !sample.has_header {
            // Later rows may have what the first has not.
            columns.assume_names(|column| self.uses(column));
        }
        self.find_measurements(sample, &mut columns)?;
        if columns.measurements.is_empty() && !columns.every_number {
            let example = names.iter().find(|name| !columns.takes(name)).map_or("COLUMN", String::as_str);
            return Err(format!(
                "no column is a measurement; the columns are {}; add for instance --map temperature={example}",
                listed(),
            ));
        }
        Ok(columns)
    }

    /// Whether `--map` says what this column is.
    fn uses(&self, column: &str) -> bool {
        self.items.iter().any(|item| item.column == column)
    }

    fn sensor_id(&self, sample: &Sample<'_>, column: Option<String>) -> Result<SensorId, String> {
        let Some(mut id) = self.sensor_id.clone() else {
            return match (column, &sample.stem) {
                (Some(column), _) => Ok(SensorId::column(&column)),
                (None, Some(stem)) => Ok(SensorId { parts: vec![Part::Text(stem.clone())] }),
                (None, None) => {
                    Err("it has no column sensor_id and no file name; add --sensor-id NAME".to_owned())
                }
            };
        };
        for part in &mut id.parts {
            let Part::Column(column) = part else { continue };
            match &sample.stem {
                Some(stem) if column == "file" => *part = Part::Text(stem.clone()),
                _ if sample.has_header && !sample.row.names().contains(column) => {
                    let names = sample.row.names().join(", ");
                    return Err(format!("--sensor-id names the column {column:?}; the columns are {names}"));
                }
                _ => {}
            }
        }
        Ok(id)
    }

    fn find_measurements(&self, sample: &Sample<'_>, columns: &mut Columns) -> Result<(), String> {
        const OTHER_FIELDS: [&str; 7] =
            ["sensor_id", "timestamp", "index", "latitude", "longitude", "status", "fault"];
        for item in self.items.iter().filter(|item| !OTHER_FIELDS.contains(&item.field.as_str())) {
            columns.measurements.push((item.field.clone(), item.column.clone()));
        }
        for name in [TEMPERATURE, HUMIDITY, PRESSURE] {
            let there = !sample.has_header || sample.row.names().iter().any(|known| known == name);
            if there && !self.uses(name) && !columns.measures(name) {
                columns.measurements.push((name.to_owned(), name.to_owned()));
            }
        }
        if let Some(name) = &self.measurement {
            if sample.has_header && !sample.row.names().iter().any(|known| known == "value") {
                let names = sample.row.names().join(", ");
                return Err(format!("--measurement is for a column named value; the columns are {names}"));
            }
            columns.measurements.push((name.clone(), "value".to_owned()));
        }
        if self.items.is_empty() {
            columns.every_number = !sample.has_header;
            if sample.has_header {
                find_columns_of_numbers(sample, columns);
            }
        }
        let mut names: Vec<&str> = columns.measurements.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("two columns would become the measurement {:?}", pair[0])),
            None => Ok(()),
        }
    }
}

impl Columns {
    /// Whether the column is something else than a measurement.
    pub(super) fn takes(&self, column: &str) -> bool {
        let optional = [self.timestamp.as_deref(), self.index.as_deref()];
        optional.contains(&Some(column))
            || [&self.latitude, &self.longitude, &self.status, &self.fault]
                .iter()
                .any(|taken| *taken == column)
            || self.sensor_id.parts.iter().any(|part| matches!(part, Part::Column(name) if name == column))
    }

    /// Whether a column is listed as this measurement.
    pub(super) fn measures(&self, name: &str) -> bool {
        self.measurements.iter().any(|(measurement, _)| measurement == name)
    }

    /// Every number of the row that is a measurement only because it is a number.
    pub(super) fn other_numbers<'r>(&self, row: &'r Row) -> impl Iterator<Item = (&'r str, &'r str)> {
        let numbers = row.iter().filter(|(_, cell)| self.every_number && cell.kind == Kind::Number);
        numbers
            .filter(|(name, _)| {
                !self.takes(name) && !self.measurements.iter().any(|(_, column)| column == name)
            })
            .map(|(name, cell)| (name, cell.text))
    }

    /// For fields that the first row does not have, the usual names.
    fn assume_names(&mut self, used: impl Fn(&str) -> bool) {
        let fields = [
            (&mut self.latitude, "location.latitude"),
            (&mut self.longitude, "location.longitude"),
            (&mut self.status, "status"),
        ];
        for (field, usual) in fields {
            if field.is_empty() && !used(usual) {
                usual.clone_into(field);
            }
        }
    }
}

/// A column is one of numbers if it has a number, or nothing, in the first row.
fn find_columns_of_numbers(sample: &Sample<'_>, columns: &mut Columns) {
    for (name, cell) in sample.row.iter() {
        let taken = columns.takes(name) || columns.measurements.iter().any(|(_, column)| column == name);
        if !taken && !name.is_empty() && cell.number().is_ok() {
            columns.measurements.push((name.to_owned(), name.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(map: &[&str], sensor_id: Option<&str>, measurement: Option<&str>) -> Mapping {
        Mapping {
            items: map.iter().map(|item| item.parse().expect("an item")).collect(),
            sensor_id: sensor_id.map(|id| id.parse().expect("an id")),
            measurement: measurement.map(str::to_owned),
        }
    }

    /// The measurements as `name=column`, of a CSV whose first row is given.
    fn measurements(mapping: &Mapping, cells: &[(&str, &str)]) -> Result<String, String> {
        let mut row = Row::default();
        for (name, text) in cells {
            row.push(name, Kind::Text, text);
        }
        let sample = Sample { stem: Some("file".into()), row: &row, has_header: true };
        let columns = mapping.resolve(&sample)?;
        Ok(columns
            .measurements
            .iter()
            .map(|(name, column)| format!("{name}={column}"))
            .collect::<Vec<_>>()
            .join(" "))
    }

    const PLAIN: &[(&str, &str)] = &[
        ("sensor_id", "a"),
        ("timestamp", "2024-01-01"),
        ("temperature", ""),
        ("voltage", "3.1"),
        ("site", "north"),
        ("status", "active"),
    ];

    #[test]
    fn without_a_map_numbers_are_measurements() {
        let got = measurements(&mapping(&[], None, None), PLAIN);
        assert_eq!(got.as_deref(), Ok("temperature=temperature voltage=voltage"));
        let nab = [("timestamp", "2014-04-01 00:00:00"), ("value", "20.0")];
        assert_eq!(measurements(&mapping(&[], None, None), &nab).as_deref(), Ok("value=value"));
        assert_eq!(measurements(&mapping(&[], None, Some("load")), &nab).as_deref(), Ok("load=value"));
    }

    #[test]
    fn with_a_map_only_what_is_named_is_used() {
        let got = measurements(&mapping(&["u=voltage"], None, None), PLAIN);
        assert_eq!(got.as_deref(), Ok("u=voltage temperature=temperature"));
        let got = measurements(&mapping(&["humidity=temperature"], None, None), PLAIN);
        assert_eq!(got.as_deref(), Ok("humidity=temperature"));
    }

    #[test]
    fn what_cannot_be_mapped_is_said_with_the_fix() {
        let problem = |mapping: &Mapping, cells| measurements(mapping, cells).expect_err("a problem");
        assert_eq!(
            problem(&mapping(&["temperature=valeu"], None, None), &[("timestamp", ""), ("value", "1")]),
            "there is no column \"valeu\"; the columns are timestamp, value"
        );
        assert_eq!(
            problem(&mapping(&[], None, None), &[("timestamp", ""), ("value", "x")]),
            "no column is a measurement; the columns are timestamp, value; add for instance --map temperature=value"
        );
        assert!(
            problem(&mapping(&["a=voltage", "a=temperature"], None, None), PLAIN).contains("two columns")
        );
        assert!(problem(&mapping(&[], Some("{mote}"), None), PLAIN).contains("--sensor-id names the column"));
        assert!("x".parse::<MapItem>().is_err() && "=x".parse::<MapItem>().is_err());
        for bad in ["", "{a", "a}"] {
            assert!(bad.parse::<SensorId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sensor_ids_are_made_of_text_columns_and_the_file() {
        let mut row = Row::default();
        row.push("mote", Kind::Text, " 7 ");
        row.push("value", Kind::Text, "1");
        let sample = Sample { stem: Some("room".into()), row: &row, has_header: true };
        for (template, expected) in [
            (Some("{file}-{mote}"), "room-7"),
            (Some("{{x}}"), "{x}"),
            (Some("fixed"), "fixed"),
            (None, "room"),
        ] {
            let columns = mapping(&[], template, None).resolve(&sample).expect("columns");
            let mut id = String::new();
            columns.sensor_id.write(&row, &mut id).expect("an id");
            assert_eq!(id, expected);
        }
        let from_stdin = Sample { stem: None, row: &row, has_header: true };
        assert!(mapping(&[], None, None).resolve(&from_stdin).expect_err("no id").contains("--sensor-id"));
    }
}
