//! One input being read row by row, whatever its format, and what was found out about it when it was opened.

use std::collections::VecDeque;
use std::io;

use super::csv::Csv;
use super::jsonl::Jsonl;
use super::lines::{Input, Lines, Place};
use super::mapping::{Columns, Mapping, Sample};
use super::preset::Preset;
use super::row::{Kind, Row};
use super::{OnError, ReplayError, ReplayOptions};

/// How many rows are looked at for a good one, which tells what the columns are.
const MAX_READ_AHEAD: usize = 100;

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
    /// Rows of standard input that were read to find out about it and cannot be read again, the next one first.
    read_ahead: VecDeque<Taken>,
}

/// A row, or what is wrong with it.
struct Taken {
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
        let read_ahead = rows.read_ahead().map_err(unreadable)?;
        let sample = match read_ahead.back() {
            Some(Taken { row: Ok(row), .. }) => row.clone(),
            // Without a good row the columns cannot be known; what is wrong with the first is what matters.
            Some(_) if options.on_error == OnError::Stop || format == Format::JsonLines => {
                let Taken { line, row } = &read_ahead[0];
                let problem = row.as_ref().err().cloned().unwrap_or_default();
                return Err(ReplayError::Row { input: input.name(), line: *line, problem });
            }
            _ => rows.names(),
        };
        let (columns, step_micros) = find_columns(input, &sample, format, options).map_err(bad)?;
        let mut source = Self { rows, columns, step_micros, read_ahead: VecDeque::new() };
        match input {
            Input::Stdin => source.read_ahead = read_ahead,
            Input::File(_) | Input::Converted(..) => {
                let place = if place == Place::default() { source.rows.start() } else { place };
                source.rows = source.rows.at(Lines::open(input, place).map_err(unreadable)?);
            }
        }
        Ok(Some(source))
    }

    /// Moves to the next row and returns its line, counted from 1; `None` at the end.
    pub(super) fn next_line(&mut self) -> io::Result<Option<u64>> {
        if let Some(taken) = self.read_ahead.front() {
            return Ok(Some(taken.line));
        }
        let more = self.rows.lines_mut().skip_breaks()?;
        Ok(more.then(|| self.rows.lines().place().lines + 1))
    }

    /// Reads the row that [`Source::next_line`] found. `Err` is what is wrong with it.
    pub(super) fn read(&mut self, row: &mut Row) -> io::Result<Result<(), String>> {
        match self.read_ahead.pop_front() {
            Some(taken) => Ok(taken.row.map(|taken| *row = taken)),
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

    /// Reads up to the first good row, or as far as it is worth looking for one.
    fn read_ahead(&mut self) -> io::Result<VecDeque<Taken>> {
        let mut taken = VecDeque::new();
        let mut row = Row::default();
        while taken.len() < MAX_READ_AHEAD && self.lines_mut().skip_breaks()? {
            let line = self.lines().place().lines + 1;
            let read = self.read(&mut row)?;
            let good = read.is_ok();
            taken.push_back(Taken { line, row: read.map(|()| row.clone()) });
            if good {
                break;
            }
        }
        Ok(taken)
    }

    /// The columns' names, with empty cells, as far as they are known without a row.
    fn names(&self) -> Row {
        let mut row = Row::default();
        if let Self::Csv(csv) = self {
            for name in csv.header() {
                row.push(name, Kind::Text, "");
            }
        }
        row
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
