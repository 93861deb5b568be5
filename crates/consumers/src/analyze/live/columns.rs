//! The columns of the live table: which of them fit the terminal, and what stands in them.

use engine::{Sensor, SensorTable};
use model::reading::{HUMIDITY, TEMPERATURE};

use super::view::View;
use crate::analyze::options::SortColumn;
use crate::analyze::summary::grouped;

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A figure that the table can be sorted by.
    Sortable(SortColumn),
    /// The mean of the humidity; of the temperature, if humidity is the measurement on show.
    OtherMean,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) content: Content,
    title: &'static str,
    /// In characters.
    pub(super) width: u16,
    /// The lower, the sooner it is shown where not all columns fit.
    rank: u8,
}

/// Empty characters between two columns.
pub(super) const GAP: u16 = 1;

const fn column(sort: SortColumn, title: &'static str, width: u16, rank: u8) -> Column {
    Column { content: Content::Sortable(sort), title, width, rank }
}

/// In the order of the screen.
const COLUMNS: [Column; 13] = [
    column(SortColumn::Sensor, "SENSOR", 16, 0),
    column(SortColumn::Readings, "READINGS", 10, 1),
    column(SortColumn::Rate, "RATE/S", 8, 9),
    column(SortColumn::Last, "LAST", 9, 4),
    column(SortColumn::Mean, "MEAN", 9, 0),
    column(SortColumn::Min, "MIN", 9, 7),
    column(SortColumn::Max, "MAX", 9, 6),
    column(SortColumn::Stddev, "STDDEV", 8, 8),
    Column { content: Content::OtherMean, title: "", width: 9, rank: 3 },
    column(SortColumn::Warnings, "WARN", 6, 5),
    column(SortColumn::Alerts, "ALERTS", 7, 2),
    column(SortColumn::Faults, "FAULTS", 7, 10),
    column(SortColumn::Seen, "SEEN (UTC)", 19, 11),
];

/// The columns that fit into `width` characters, the one sorted by before all others.
pub(super) fn fitting(width: u16, sorted_by: SortColumn) -> Vec<Column> {
    let rank = |column: &Column| match column.content {
        Content::Sortable(sort) if sort == sorted_by => 0,
        _ => column.rank,
    };
    let mut by_rank: Vec<&Column> = COLUMNS.iter().collect();
    by_rank.sort_by_key(|column| rank(column));
    let mut left = width + GAP;
    let mut chosen = Vec::with_capacity(COLUMNS.len());
    for column in by_rank {
        let needed = column.width + GAP;
        // The first is the sensor's name; it is shown cut rather than not at all.
        if needed > left && !chosen.is_empty() {
            break;
        }
        left = left.saturating_sub(needed);
        chosen.push(column.content);
    }
    COLUMNS.into_iter().filter(|column| chosen.contains(&column.content)).collect()
}

impl Column {
    /// The title, with the direction of the order in the column sorted by.
    pub(super) fn title(&self, view: &View) -> String {
        match self.content {
            Content::Sortable(sort) if sort == view.sort.column => {
                format!("{}{}", if view.sort.descending { '▼' } else { '▲' }, self.title)
            }
            Content::Sortable(_) => self.title.to_owned(),
            Content::OtherMean if view.measurement == HUMIDITY => "TEMP MEAN".to_owned(),
            Content::OtherMean => "HUM MEAN".to_owned(),
        }
    }

    /// Whether the text stands at the left of the column; figures stand at the right.
    pub(super) fn is_left(&self) -> bool {
        self.content == Content::Sortable(SortColumn::Sensor)
    }

    /// What stands in a sensor's row; empty where there is nothing to show.
    pub(super) fn text(&self, sensor: &Sensor, table: &SensorTable, view: &View) -> String {
        let sort = match self.content {
            Content::Sortable(sort) => sort,
            Content::OtherMean => {
                let other = if view.measurement == HUMIDITY { TEMPERATURE } else { HUMIDITY };
                let measurement = sensor.measurement(other, table.names());
                return measurement.and_then(|of| of.running().mean()).map_or_else(String::new, decimal);
            }
        };
        match sort {
            SortColumn::Sensor => sensor.id().to_owned(),
            SortColumn::Readings => grouped(sensor.readings()),
            SortColumn::Warnings => grouped(sensor.warnings()),
            SortColumn::Alerts => grouped(sensor.alerts()),
            SortColumn::Faults => grouped(sensor.faults()),
            SortColumn::Seen => format!("{:.19}", sensor.newest()),
            SortColumn::Rate
            | SortColumn::Last
            | SortColumn::Mean
            | SortColumn::Min
            | SortColumn::Max
            | SortColumn::Stddev => view.figure(sort, sensor, table).map_or_else(String::new, decimal),
        }
    }
}

/// A figure in at most nine characters.
pub(super) fn decimal(value: f64) -> String {
    match value.abs() {
        0.0 => "0.00".to_owned(),
        ..0.01 => format!("{value:.1e}"),
        ..100_000.0 => format!("{value:.2}"),
        ..1_000_000.0 => format!("{value:.1}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: u16, sorted_by: SortColumn, expected: &str) {
        let titles: Vec<&str> = fitting(width, sorted_by).iter().map(|column| column.title).collect();
        assert_eq!(titles.join(" "), expected);
        let used: u16 = fitting(width, sorted_by).iter().map(|column| column.width + GAP).sum();
        assert!(used <= width + GAP || titles.len() == 1, "{used} characters in {width}");
    }

    #[test]
    fn what_matters_most_is_shown_where_not_all_fits() {
        check(5, SortColumn::Sensor, "SENSOR");
        check(30, SortColumn::Sensor, "SENSOR MEAN");
        check(80, SortColumn::Sensor, "SENSOR READINGS LAST MEAN  WARN ALERTS");
        check(80, SortColumn::Seen, "SENSOR READINGS MEAN  ALERTS SEEN (UTC)");
        check(120, SortColumn::Sensor, "SENSOR READINGS RATE/S LAST MEAN MIN MAX STDDEV  WARN ALERTS FAULTS");
        check(
            160,
            SortColumn::Mean,
            "SENSOR READINGS RATE/S LAST MEAN MIN MAX STDDEV  WARN ALERTS FAULTS SEEN (UTC)",
        );
    }

    #[test]
    fn a_figure_is_short() {
        for (value, expected) in [
            (0.0, "0.00"),
            (-12.345, "-12.35"),
            (0.001_234, "1.2e-3"),
            (99_999.994, "99999.99"),
            (-123_456.78, "-123456.8"),
            (1.5e300, "1.50e300"),
            (-1_234_567.0, "-1.23e6"),
        ] {
            assert_eq!(decimal(value), expected);
            assert!(decimal(value).len() <= 9);
        }
    }
}
