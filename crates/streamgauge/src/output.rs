//! What commands print on standard output: aligned tables for people, JSON for programs.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anyhow::Context as _;
use model::EventTime;
use serde_json::Value;

/// Writes to standard output and flushes it; a failure names it.
pub(crate) fn print<T>(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<T>,
) -> anyhow::Result<T> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)
        .and_then(|written| out.flush().map(|()| written))
        .context("cannot write to standard output")
}

/// Whether a line on standard error can be written over itself: it is a terminal, and not one that only types on.
pub(crate) fn can_redraw_stderr() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints one indented JSON document.
pub(crate) fn print_json(value: &Value) -> anyhow::Result<()> {
    print(|out| writeln!(out, "{value:#}"))
}

/// Rows under headings, padded so that columns line up. Columns of numbers are aligned to the right.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has a cell for every heading. An empty cell is shown as `-`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.headings.len(), "a row has a cell for every heading");
        let shown =
            cells.into_iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { printable(&cell) });
        self.rows.push(shown.collect());
    }

    /// Writes the headings and rows.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let columns = 0..self.headings.len();
        let widths: Vec<usize> = columns.clone().map(|column| self.width(column)).collect();
        let right: Vec<bool> = columns.map(|column| self.is_numeric(column)).collect();
        let headings: Vec<&str> = self.headings.clone();
        write_row(out, &headings, &widths, &right)?;
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            write_row(out, &cells, &widths, &right)?;
        }
        Ok(())
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(self.headings[column].chars().count())
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells =
            self.rows.iter().map(|row| row[column].as_str()).filter(|cell| *cell != "-").peekable();
        cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
    }
}

fn write_row(out: &mut impl Write, cells: &[&str], widths: &[usize], right: &[bool]) -> io::Result<()> {
    let mut line = String::new();
    for ((cell, width), right) in cells.iter().zip(widths).zip(right) {
        let padding = " ".repeat(width - cell.chars().count());
        let (before, after) = if *right { (padding.as_str(), "") } else { ("", padding.as_str()) };
        line.extend([before, cell, after, "  "]);
    }
    writeln!(out, "{}", line.trim_end())
}

/// The text on one line and without control characters, which could play tricks on a terminal.
pub(crate) fn printable(text: &str) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

/// A wall-clock time in milliseconds since the epoch as ISO 8601 in UTC; empty if there is none.
pub(crate) fn time(millis: Option<i64>) -> String {
    millis.and_then(EventTime::checked_from_millis).map(|time| format!("{time}Z")).unwrap_or_default()
}

/// Milliseconds as a duration in its largest whole unit; Kafka's -1 is for ever.
pub(crate) fn span(millis: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match millis {
        ..0 => "for ever".to_owned(),
        0 => "0s".to_owned(),
        _ => {
            let unit = UNITS.into_iter().find(|(size, _)| millis % size == 0);
            unit.map_or_else(|| format!("{millis}ms"), |(size, unit)| format!("{}{unit}", millis / size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&["TOPIC", "RECORDS", "NOTE"]);
        table.row(["sensor-data".into(), "7".into(), String::new()]);
        table.row(["é".into(), "1234567890".into(), "a\u{1b}[31m\nb".into()]);
        let mut out = Vec::new();
        table.write(&mut out).expect("memory takes everything");
        let expected = "TOPIC           RECORDS  NOTE
sensor-data           7  -
é            1234567890  a\\u{1b}[31m\\nb
";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn times_and_spans_are_readable() {
        assert_eq!(time(Some(1_730_974_530_250)), "2024-11-07T10:15:30.250000Z");
        assert_eq!(time(None), "");
        for (millis, expected) in
            [(604_800_000, "7d"), (5_400_000, "90m"), (1_500, "1500ms"), (-1, "for ever"), (0, "0s")]
        {
            assert_eq!(span(millis), expected);
        }
    }
}
