//! What a person has chosen to see: the order, the measurement, the page; and the keys that change it.

use engine::{Measurement, Sensor, SensorTable};
use model::reading::TEMPERATURE;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::figures::Figures;
use crate::analyze::options::{SortColumn, SortOrder, TableLook};

/// What a key leads to beside a change of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    GoOn,
    Quit,
    Interrupt,
}

/// The choices.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) sort: SortOrder,
    pub(super) color: bool,
    /// The name of the measurement on show.
    pub(super) measurement: String,
    /// The first sensor on the page, counted from 0.
    pub(super) first: usize,
    /// How many sensors fit a page, as it was drawn last.
    pub(super) page: usize,
    /// Whether the explanations cover the sensors.
    pub(super) help: bool,
}

impl View {
    pub(super) fn new(look: TableLook) -> Self {
        Self {
            sort: look.sort,
            color: look.color,
            measurement: TEMPERATURE.to_owned(),
            first: 0,
            page: 1,
            help: false,
        }
    }

    /// Follows a key.
    pub(super) fn take_key(&mut self, key: KeyEvent, figures: &Figures) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::GoOn;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Action::Interrupt,
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?') => self.help = !self.help,
            KeyCode::Esc => self.help = false,
            KeyCode::Left | KeyCode::Char('h' | '<') => self.step_column(-1),
            KeyCode::Right | KeyCode::Char('l' | '>') => self.step_column(1),
            KeyCode::Char('r') => self.sort.descending = !self.sort.descending,
            KeyCode::Tab => self.step_measurement(figures, 1),
            KeyCode::BackTab => self.step_measurement(figures, -1),
            KeyCode::Up | KeyCode::Char('k') => self.first = self.first.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.first += 1,
            KeyCode::PageUp | KeyCode::Char('b') => self.first = self.first.saturating_sub(self.page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.first += self.page,
            KeyCode::Home | KeyCode::Char('g') => self.first = 0,
            KeyCode::End | KeyCode::Char('G') => self.first = usize::MAX,
            _ => {}
        }
        self.keep_within(figures.table.len());
        Action::GoOn
    }

    fn step_column(&mut self, step: isize) {
        let at = SortColumn::ALL.iter().position(|column| *column == self.sort.column).unwrap_or(0);
        self.sort = SortColumn::ALL[wrapped(at, step, SortColumn::ALL.len())].natural_order();
    }

    fn step_measurement(&mut self, figures: &Figures, step: isize) {
        let names = figures.measurements();
        // One that has gone with its partition counts as the first.
        let at = names.iter().position(|name| *name == self.measurement).unwrap_or(0);
        names[wrapped(at, step, names.len())].clone_into(&mut self.measurement);
    }

    /// Moves the page back to where there are sensors.
    fn keep_within(&mut self, sensors: usize) {
        self.first = self.first.min(sensors.saturating_sub(self.page));
    }

    /// The sensors on a page of `page` rows, in order. Takes time in proportion to all sensors, and to those up to
    /// the page's end times their logarithm.
    pub(super) fn page<'t>(&mut self, table: &'t SensorTable, page: usize) -> Vec<&'t Sensor> {
        self.page = page.max(1);
        self.keep_within(table.len());
        let mut sensors: Vec<&Sensor> = table.sensors().iter().collect();
        let end = (self.first + page).min(sensors.len());
        let compare = |left: &&Sensor, right: &&Sensor| self.compare(table, left, right);
        if end < sensors.len() {
            sensors.select_nth_unstable_by(end, compare);
            sensors.truncate(end);
        }
        sensors.sort_unstable_by(compare);
        sensors.split_off(self.first.min(end))
    }

    fn compare(&self, table: &SensorTable, left: &Sensor, right: &Sensor) -> std::cmp::Ordering {
        use std::cmp::Ordering;
        let turn = |ordering: Ordering| if self.sort.descending { ordering.reverse() } else { ordering };
        let by_id = || left.id().cmp(right.id());
        if self.sort.column == SortColumn::Sensor {
            return turn(by_id());
        }
        let figures =
            (self.figure(self.sort.column, left, table), self.figure(self.sort.column, right, table));
        let by_figure = match figures {
            (Some(left), Some(right)) => turn(left.total_cmp(&right)),
            // Sensors without the figure come last in either order.
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        by_figure.then_with(by_id)
    }

    /// The number in a column of a sensor's row; `None` where there is none (and for the id, which is no number).
    pub(super) fn figure(&self, column: SortColumn, sensor: &Sensor, table: &SensorTable) -> Option<f64> {
        let measurement = || self.measured(sensor, table);
        match column {
            SortColumn::Sensor => None,
            SortColumn::Readings => Some(sensor.readings() as f64),
            SortColumn::Rate => sensor.rate(),
            SortColumn::Last => measurement()?.last(),
            SortColumn::Mean => measurement()?.running().mean(),
            SortColumn::Min => measurement()?.running().min(),
            SortColumn::Max => measurement()?.running().max(),
            SortColumn::Stddev => measurement()?.running().stddev(),
            SortColumn::Warnings => Some(sensor.warnings() as f64),
            SortColumn::Alerts => Some(sensor.alerts() as f64),
            SortColumn::Faults => Some(sensor.faults() as f64),
            SortColumn::Seen => Some(sensor.newest().micros() as f64),
        }
    }

    fn measured<'t>(&self, sensor: &'t Sensor, table: &'t SensorTable) -> Option<&'t Measurement> {
        sensor.measurement(&self.measurement, table.names())
    }
}

/// One step from `at` in a ring of `len`.
fn wrapped(at: usize, step: isize, len: usize) -> usize {
    (at as isize + step).rem_euclid(len as isize) as usize
}
