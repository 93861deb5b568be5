//! One input being read row by row, whatever its format, and what was found out about it when it was opened.

use std::io;

use super::csv::Csv;
use super::jsonl::Jsonl;
use super::lines::{Input, Lines, Place};
use super::mapping::{Columns, Mapping, Sample};
use super::preset::Preset;
use super::row::Row;
use super::{ReplayError, ReplayOptions};

/// How an input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, or another separator, with a header line.
    Csv,
    /// A JSON object a line.
    JsonLines,
}

/// An input at a place.
pub(super) struct Source {
    rows: Rows,
    pub(super) columns: Columns,
    /// Time between rows, for inputs without timestamps.
    pub(super) step_micros: Option<i64>,
    /// The first row of standard input, which was read to find out about it and cannot be read again.
    first: Option<First>,
}

struct First {
    line: u64,
    row: Result<Row, String>,
}

enum Rows {
    Csv(Box<Csv>),
    Jsonl(Jsonl),
}

impl Source {
    /// Opens an input. `Ok(None)` if there is nothing in it.
    pub(super) fn open(
        input: &Input,
        place: Place,
        options: &ReplayOptions,
    ) -> Result<Option<Self>, ReplayError> {
        let unreadable = |source| ReplayError::Open { input: input.name(), source };
        let bad = |problem| ReplayError::Input { input: input.name(), problem };
        let mut lines = Lines::open(input, Place::default()).map_err(unreadable)?;
        if !lines.skip_breaks().map_err(unreadable)? {
            return Ok(None);
        }
        let format = match options.format {
            Some(format) => format,
            None => guess_format(lines.look().map_err(unreadable)?).map_err(bad)?,
        };
        let mut rows = match format {
            Format::Csv => {
                Rows::Csv(Box::new(Csv::open(lines, options.delimiter).map_err(unreadable)?.map_err(bad)?))
            }
            Format::JsonLines => Rows::Jsonl(Jsonl::open(lines)),
        };
        // The first row tells what the columns are. A malformed one is reported when it is its turn.
        let mut sample = Row::default();
        let mut first = None;
        if rows.lines_mut().skip_breaks().map_err(unreadable)? {
            let line = rows.lines().place().lines + 1;
            let read = rows.read(&mut sample).map_err(unreadable)?;
            first = Some(First { line, row: read.map(|()| sample.clone()) });
        }
        if !matches!(first, Some(First { row: Ok(_), .. })) {
            rows.fill_names(&mut sample);
        }
        let (columns, step_micros) = find_columns(input, &sample, format, options).map_err(bad)?;
        let mut source = Self { rows, columns, step_micros, first: None };
        match input {
            Input::Stdin => source.first = first,
            Input::File(_) => {
                let place = if place == Place::default() { source.rows.start() } else { place };
                source.rows = source.rows.at(Lines::open(input, place).map_err(unreadable)?);
            }
        }
        Ok(Some(source))
    }

    /// Moves to the next row and returns its line, counted from 1; `None` at the end.
    pub(super) fn next_line(&mut self) -> io::Result<Option<u64>> {
        if let Some(first) = &self.first {
            return Ok(Some(first.line));
        }
        let more = self.rows.lines_mut().skip_breaks()?;
        Ok(more.then(|| self.rows.lines().place().lines + 1))
    }

    /// Reads the row that [`Source::next_line`] found. `Err` is what is wrong with it.
    pub(super) fn read(&mut self, row: &mut Row) -> io::Result<Result<(), String>> {
        match self.first.take() {
            Some(first) => Ok(first.row.map(|first| *row = first)),
            None => self.rows.read(row),
        }
    }

    /// The place behind the last row that was read.
    pub(super) fn place(&self) -> Place {
        self.rows.lines().place()
    }
}

impl Rows {
    fn read(&mut self, row: &mut Row) -> io::Result<Result<(), String>> {
        match self {
            Self::Csv(csv) => csv.read(row),
            Self::Jsonl(jsonl) => jsonl.read(row),
        }
    }

    fn lines(&self) -> &Lines {
        match self {
            Self::Csv(csv) => csv.lines(),
            Self::Jsonl(jsonl) => jsonl.lines(),
        }
    }

    fn lines_mut(&mut self) -> &mut Lines {
        match self {
            Self::Csv(csv) => csv.lines_mut(),
            Self::Jsonl(jsonl) => jsonl.lines_mut(),
        }
    }

    fn at(self, lines: Lines) -> Self {
        match self {
            Self::Csv(csv) => Self::Csv(Box::new(csv.at(lines))),
            Self::Jsonl(_) => Self::Jsonl(Jsonl::open(lines)),
        }
    }

    /// Where the first row is.
    fn start(&self) -> Place {
        match self {
            Self::Csv(csv) => csv.start(),
            Self::Jsonl(_) => Place::default(),
        }
    }

    /// The columns' names, with empty cells, as far as they are known without a row.
    fn fill_names(&self, row: &mut Row) {
        row.clear();
        if let Self::Csv(csv) = self {
            csv.header().iter().for_each(|name| row.push(name, super::row::Kind::Text, ""));
        }
    }
}

/// The columns, and the time between rows if they have none.
fn find_columns(
    input: &Input,
    sample: &Row,
    format: Format,
    options: &ReplayOptions,
) -> Result<(Columns, Option<i64>), String> {
    let file = input.stem();
    let untouched = options.mapping.items.is_empty() && options.mapping.measurement.is_none();
    let preset = options.preset.or_else(|| Preset::of_columns(sample.names()).filter(|_| untouched));
    let mapping = match preset {
        Some(preset) => preset.mapping(&options.mapping, file.as_deref()),
        None => Mapping::clone(&options.mapping),
    };
    let columns = mapping.resolve(&Sample { stem: file, row: sample, has_header: format == Format::Csv })?;
    if let Some(preset) = preset.filter(|_| options.preset.is_none()) {
        tracing::info!(input = input.name(), preset = preset.name(), "recognised a data set by its columns");
    }
    if columns.timestamp.is_some() {
        return Ok((columns, None));
    }
    let step = options.step.or(preset.and_then(Preset::step)).ok_or_else(|| {
        format!(
            "it has no column timestamp; the columns are {}; add --map timestamp=COLUMN, or --step SECONDS to time the \
             rows by their number",
            sample.names().join(", "),
        )
    })?;
    Ok((columns, Some(i64::try_from(step.as_micros()).unwrap_or(i64::MAX))))
}

fn guess_format(bytes: &[u8]) -> Result<Format, String> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Ok(Format::JsonLines),
        Some(b'[') => Err("it looks like one JSON list, not JSON Lines; convert it, for instance with \
                           jq -c '.[]'"
            .to_owned()),
        _ => Ok(Format::Csv),
    }
}
