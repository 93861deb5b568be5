//! The stream of a replay: inputs one after the other, each row a record, in the order of the rows.
//!
//! It reads files and nothing else: no Kafka, no clock. What it holds in memory is one row.
//!
//! **Pace.** A row comes as long after the row before it as their times lie apart. A row that is earlier than the one
//! before it, and the first row of each input, come at once. So a file in which one sensor's series follows another's
//! plays them one after the other.
//!
//! **Time.** With a start time, all times are shifted so that the first row is at it. Each further pass of a repeated
//! replay is shifted so that it begins one step after the end of the pass before it; so time never repeats.

use std::time::Duration;

use model::{EventTime, Location, Reading, Scratch};
use serde::{Deserialize, Serialize};

use super::lines::{Input, Place};
use super::mapping::Columns;
use super::row::{Cell, Row};
use super::source::Source;
use super::timestamps::TimeFormat;
use super::{OnError, ReplayError, ReplayOptions};
use crate::summary::InputSummary;

/// How many malformed rows are named in the summary and the log; all are counted.
const NAMED_ROWS: usize = 10;

/// The distance between two passes over rows that all have the same time.
const USUAL_STEP_MICROS: i64 = 1_000_000;

/// Labels that say that nothing is wrong, and those that only say that something is.
const HEALTHY_LABELS: [&str; 3] = ["0", "false", "normal"];
const BARE_LABELS: [&str; 2] = ["1", "true"];
const BARE_LABEL_NAME: &str = "anomaly";

/// A place between two rows, from which a replay can go on exactly as it would have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// The index of the input.
    pub(super) input: usize,
    /// Where in it.
    pub(super) place: Place,
    /// Rows of the input before it.
    rows: u64,
    /// The number of the pass, counted from 1.
    pass: u64,
    /// The rows of the present pass so far: in all inputs.
    rows_of_pass: u64,
    /// What is added to the times of the input; unknown before the first row.
    shift_micros: Option<i64>,
    /// The time of the row before in the same input, without the shift.
    before_micros: Option<i64>,
    /// The earliest and the latest time of the input so far, without the shift.
    span_micros: Option<(i64, i64)>,
    /// The last distance between two rows that was not zero.
    step_micros: Option<i64>,
}

/// A record, borrowed from the stream until the next one is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Record<'a> {
    /// The sensor's id.
    pub(super) key: &'a str,
    pub(super) payload: &'a [u8],
    /// The label of the row.
    pub(super) fault: Option<&'a str>,
    /// How long after the record before it.
    pub(super) gap: Duration,
    /// The position behind it.
    pub(super) position: Position,
}

/// The rows of all inputs; see the module's text.
pub(super) struct Replay<'o> {
    options: &'o ReplayOptions,
    position: Position,
    source: Option<Source>,
    /// The next row begins a further pass.
    new_pass: bool,
    row: Row,
    sensor_id: String,
    fault: String,
    payload: Vec<u8>,
    scratch: Scratch,
    counts: InputSummary,
}

/// What a row turned out to be.
enum Outcome {
    /// Its time, without the shift; the record is in the stream's buffers.
    Record(i64),
    /// It has no measurement.
    Nothing,
}

impl<'o> Replay<'o> {
    /// A replay from the beginning, or from a position of an earlier one.
    pub(super) fn new(options: &'o ReplayOptions, position: Option<Position>) -> Self {
        let position = position.unwrap_or(Position { pass: 1, ..Position::default() });
        Self {
            options,
            position,
            source: None,
            new_pass: false,
            row: Row::default(),
            sensor_id: String::new(),
            fault: String::new(),
            payload: Vec::new(),
            scratch: Scratch::new(),
            counts: InputSummary { passes: position.pass, ..InputSummary::default() },
        }
    }

    /// The next record; `None` at the end.
    pub(super) fn next_record(&mut self) -> Result<Option<Record<'_>>, ReplayError> {
        loop {
            let Some(line) = self.next_line()? else {
                if self.next_input() {
                    continue;
                }
                return Ok(None);
            };
            match self.read_row()? {
                Ok(Outcome::Record(micros)) => return Ok(Some(self.finish(micros))),
                Ok(Outcome::Nothing) => self.counts.rows_without_values += 1,
                Err(problem) => self.malformed(line, problem)?,
            }
        }
    }

    /// The position behind the last row that was read, also if it gave no record.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// What was read so far.
    pub(super) fn counts(&self) -> &InputSummary {
        &self.counts
    }

    /// The line of the next row of the present input.
    fn next_line(&mut self) -> Result<Option<u64>, ReplayError> {
        let input = &self.options.inputs[self.position.input];
        if self.source.is_none() {
            self.source = Source::open(input, self.position.place, self.options)?;
        }
        let Some(source) = &mut self.source else { return Ok(None) };
        source.next_line().map_err(|source| ReplayError::Read { input: input.name(), source })
    }

    /// Goes to the next input, or the next pass; false at the end, where the position stays at the last input's end.
    fn next_input(&mut self) -> bool {
        let name = self.options.inputs[self.position.input].name();
        if self.position.rows == 0 && self.position.pass == 1 {
            tracing::warn!(input = name, "an input without rows");
            self.counts.empty_inputs.push(name);
        }
        let last = self.position.input + 1 == self.options.inputs.len();
        // A pass without a row would be followed by passes without a row for ever.
        if last && (!self.options.repeat || self.position.rows_of_pass == 0) {
            return false;
        }
        self.source = None;
        self.position.before_micros = None;
        self.position.place = Place::default();
        self.position.rows = 0;
        self.position.input += 1;
        if last {
            self.begin_pass();
        }
        true
    }

    fn begin_pass(&mut self) {
        let step = self.step_between_passes();
        let position = &mut self.position;
        let length = position.span_micros.map_or(0, |(earliest, latest)| latest.saturating_sub(earliest));
        position.shift_micros =
            position.shift_micros.map(|shift| shift.saturating_add(length).saturating_add(step));
        position.input = 0;
        position.pass += 1;
        position.rows_of_pass = 0;
        self.counts.passes += 1;
        self.new_pass = true;
    }

    fn step_between_passes(&self) -> i64 {
        self.position.step_micros.unwrap_or(USUAL_STEP_MICROS)
    }

    /// Reads the row that waits and encodes it. The inner `Err` is what is wrong with it.
    fn read_row(&mut self) -> Result<Result<Outcome, String>, ReplayError> {
        let input = &self.options.inputs[self.position.input];
        let Some(source) = &mut self.source else { return Ok(Ok(Outcome::Nothing)) };
        let read =
            source.read(&mut self.row).map_err(|source| ReplayError::Read { input: input.name(), source })?;
        self.position.place = source.place();
        self.position.rows += 1;
        self.position.rows_of_pass += 1;
        Ok(read.and_then(|()| self.encode()))
    }

    /// Makes a payload of the present row.
    fn encode(&mut self) -> Result<Outcome, String> {
        let Some(source) = &self.source else { return Ok(Outcome::Nothing) };
        let columns = &source.columns;
        let micros = match source.step_micros {
            None => time_of(&self.row, columns, &self.options.time_format)?,
            Some(step) => number_of(&self.row, columns, self.position.rows)?.saturating_mul(step),
        };
        let start = self.options.start_time.map(EventTime::micros);
        let untimed = source.step_micros.is_some();
        let shift = *self.position.shift_micros.get_or_insert_with(|| match start {
            Some(start) => start.saturating_sub(micros),
            None if untimed => self.options.now.micros().saturating_sub(micros),
            None => 0,
        });
        let shifted = micros.saturating_add(shift);
        let time =
            EventTime::checked_from_micros(shifted).ok_or("the time lies outside the years 1 to 9999")?;
        columns.sensor_id.write(&self.row, &mut self.sensor_id)?;
        self.fault.clear();
        self.fault.push_str(label_of(&self.row, columns));
        let mut reading = Reading::new(&self.sensor_id, time);
        let mut further = Vec::new();
        if !measure(&self.row, columns, &mut reading, &mut further)? {
            return Ok(Outcome::Nothing);
        }
        reading.location = location_of(&self.row, columns)?;
        reading.status = self.row.get(&columns.status).and_then(Cell::present);
        self.payload.clear();
        model::encode(&reading.with_further(&further), &mut self.payload);
        // What no consumer would accept must not be produced.
        match model::decode(&self.payload, &mut self.scratch) {
            Ok(_) => Ok(Outcome::Record(micros)),
            Err(reject) => Err(reject.to_string()),
        }
    }

    /// Brings the position up to date for a record at this time of the input.
    fn finish(&mut self, micros: i64) -> Record<'_> {
        let (earliest, latest) = self.position.span_micros.unwrap_or((micros, micros));
        self.position.span_micros = Some((earliest.min(micros), latest.max(micros)));
        let before = self.position.before_micros.replace(micros).unwrap_or(micros);
        let mut gap = micros.saturating_sub(before).max(0);
        if gap > 0 {
            self.position.step_micros = Some(gap);
        }
        if std::mem::take(&mut self.new_pass) {
            gap = self.step_between_passes();
        }
        Record {
            key: &self.sensor_id,
            payload: &self.payload,
            fault: (!self.fault.is_empty()).then_some(self.fault.as_str()),
            gap: Duration::from_micros(gap as u64),
            position: self.position,
        }
    }

    fn malformed(&mut self, line: u64, problem: String) -> Result<(), ReplayError> {
        let input = self.options.inputs[self.position.input].name();
        if self.options.on_error == OnError::Stop {
            return Err(ReplayError::Row { input, line, problem });
        }
        self.counts.skipped_rows += 1;
        if self.counts.first_skipped.len() < NAMED_ROWS {
            tracing::warn!(input, line, problem, "skipped a row");
            self.counts.first_skipped.push(format!("{input}:{line}: {problem}"));
        }
        Ok(())
    }
}

/// The time that a row states.
fn time_of(row: &Row, columns: &Columns, format: &TimeFormat) -> Result<i64, String> {
    let column = columns.timestamp.as_deref().unwrap_or_default();
    let text = row.get(column).and_then(Cell::present);
    let text = text.ok_or_else(|| format!("{column} is empty, so the row has no time"))?;
    format.read(text).map(EventTime::micros).map_err(|problem| format!("{column}: {problem}"))
}

/// The number of a row in inputs without times.
fn number_of(row: &Row, columns: &Columns, counted: u64) -> Result<i64, String> {
    let Some(column) = &columns.index else { return Ok(counted as i64) };
    let cell = row.get(column).and_then(Cell::present);
    let text = cell.ok_or_else(|| format!("{column} is empty, so the row has no number"))?;
    text.parse().map_err(|_| format!("{column}: {text:?} is not a whole number"))
}

/// Fills in the measurements; false if there is none.
fn measure<'r>(
    row: &'r Row,
    columns: &'r Columns,
    reading: &mut Reading<'_>,
    further: &mut Vec<(&'r str, f64)>,
) -> Result<bool, String> {
    let mut any = false;
    for (name, column) in &columns.measurements {
        let Some(cell) = row.get(column) else { continue };
        let value = cell.number().map_err(|problem| format!("{column}: {problem}"))?;
        any |= value.is_some();
        match (name.as_str(), value) {
            (model::reading::TEMPERATURE, _) => reading.temperature = value,
            (model::reading::HUMIDITY, _) => reading.humidity = value,
            (model::reading::PRESSURE, _) => reading.pressure = value,
            (name, Some(value)) => further.push((name, value)),
            (_, None) => {}
        }
    }
    for (name, text) in columns.other_numbers(row) {
        let value = text.parse().map_err(|_| format!("{name}: {text:?} is not a number"))?;
        further.push((name, value));
        any = true;
    }
    Ok(any)
}

fn location_of(row: &Row, columns: &Columns) -> Result<Option<Location>, String> {
    let coordinate = |column: &str| match row.get(column) {
        Some(cell) => cell.number().map_err(|problem| format!("{column}: {problem}")),
        None => Ok(None),
    };
    match (coordinate(&columns.latitude)?, coordinate(&columns.longitude)?) {
        (Some(latitude), Some(longitude)) => Ok(Some(Location { latitude, longitude })),
        (None, None) => Ok(None),
        _ => Err("a place needs both latitude and longitude".to_owned()),
    }
}

/// The row's label as a fault; empty if it is healthy.
fn label_of<'r>(row: &'r Row, columns: &Columns) -> &'r str {
    let label = row.get(&columns.fault).and_then(Cell::present).unwrap_or_default();
    let is_one_of = |list: &[&str]| list.iter().any(|known| label.eq_ignore_ascii_case(known));
    if is_one_of(&HEALTHY_LABELS) {
        ""
    } else if is_one_of(&BARE_LABELS) {
        BARE_LABEL_NAME
    } else {
        label
    }
}

/// The names of all inputs, for messages.
pub(super) fn names(inputs: &[Input]) -> String {
    inputs.iter().map(Input::name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
