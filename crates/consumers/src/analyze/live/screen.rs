//! Draws the live table: totals above, sensors in the middle, the latest alerts and the keys below, as much of it
//! as fits.

use std::time::Duration;

use engine::Sensor;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Clear, Paragraph, Row, Table};

use super::columns::{self, Column, Content, GAP};
use super::figures::Figures;
use super::view::View;
use crate::analyze::options::SortColumn;
use crate::analyze::summary::{by_reason, grouped};

/// Lines of totals at the top.
const TOTALS_HEIGHT: u16 = 3;
/// The latest alerts, with their title.
const ALERTS_HEIGHT: u16 = 6;
/// From this height on, alerts are shown; below, the lines go to sensors.
const MIN_HEIGHT_FOR_ALERTS: u16 = 20;
/// The longest sensor id that the first column grows for.
const MAX_ID_WIDTH: usize = 40;

const KEYS: &str = "q quit  ? help  ←→ sort by  r reverse  Tab measurement  ↑↓ PgUp PgDn scroll";

const HELP: &str = "\
q, Ctrl-C            stop: commit what was processed, leave the group, show the summary
← →, h l             sort by the column to the left or right; r turns the order round
Tab, Shift-Tab       the next or previous measurement: LAST to STDDEV are its figures
↑ ↓, j k             one sensor up or down
PgUp PgDn, b Space   one page up or down; Home End, g G: to the first or last
? or Esc             back to the sensors

READINGS, RATE/S     readings of the sensor, and how many per second of event time
LAST                 the value with the newest event time
STDDEV               population standard deviation
HUM MEAN             mean humidity (mean temperature, while humidity is on show)
WARN                 readings with the status \"warning\"
ALERTS               readings with a temperature above the bound
FAULTS               readings with a value that cannot be true, which is in no average
SEEN (UTC)           the newest event time";

/// Draws everything. The view learns how many sensors fit a page.
pub(super) fn draw(frame: &mut Frame<'_>, figures: &Figures, view: &mut View) {
    let has_alerts = frame.area().height >= MIN_HEIGHT_FOR_ALERTS && !view.help;
    let alerts_height = if has_alerts { ALERTS_HEIGHT } else { 0 };
    let [totals, title, sensors, alerts, keys] = Layout::vertical([
        Constraint::Length(TOTALS_HEIGHT),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(alerts_height),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_totals(frame, totals, figures, view);
    draw_sensors(frame, title, sensors, figures, view);
    if view.help {
        frame.render_widget(Clear, sensors);
        frame.render_widget(Paragraph::new(HELP), sensors);
    }
    draw_alerts(frame, alerts, figures, view);
    frame.render_widget(Paragraph::new(KEYS).style(Style::new().add_modifier(Modifier::DIM)), keys);
}

fn draw_totals(frame: &mut Frame<'_>, area: Rect, figures: &Figures, view: &View) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let Figures { topic, group, totals, .. } = figures;
    let mut head = vec![Span::styled(format!("{topic} as {group}  up {}", clock(figures.uptime)), bold)];
    if let Some(problem) = &figures.problem {
        head.push(Span::styled(format!("  {problem}"), colored(view, bold, Color::Red)));
    } else if !figures.joined {
        head.push(Span::styled("  waiting for the consumer group", colored(view, bold, Color::Yellow)));
    }
    let counts = format!(
        "readings {} ({}/s)  sensors {}  warnings {}  alerts {}  faults {}",
        grouped(totals.readings),
        grouped(figures.rate.round() as u64),
        grouped(figures.table.len() as u64),
        grouped(totals.warnings),
        grouped(totals.alerts),
        grouped(totals.faults),
    );
    let rest = format!(
        "lag {}  partitions {} of {}  dead letters {}",
        lag(figures),
        figures.lag.len(),
        figures.partitions,
        dead_letters(figures),
    );
    let text = Text::from(vec![Line::from(head), Line::from(counts), Line::from(rest)]);
    frame.render_widget(Paragraph::new(text), area);
}

/// `4 (not-json 3, missing-sensor-id 1)`.
fn dead_letters(figures: &Figures) -> String {
    let total = grouped(figures.dead_letters.values().sum());
    let reasons = by_reason(&figures.dead_letters);
    if reasons.is_empty() { total } else { format!("{total} ({reasons})") }
}

/// `1,234 (0: 1,000, 2: 234)`: the sum, and each partition that is behind.
fn lag(figures: &Figures) -> String {
    let behind: Vec<String> = figures
        .lag
        .iter()
        .filter_map(|(partition, lag)| Some((partition, (*lag)?)))
        .filter(|(_, lag)| *lag > 0)
        .map(|(partition, lag)| format!("{partition}: {}", grouped(lag)))
        .collect();
    let total = grouped(figures.total_lag());
    if behind.is_empty() { total } else { format!("{total} ({})", behind.join(", ")) }
}

fn draw_sensors(frame: &mut Frame<'_>, title_area: Rect, area: Rect, figures: &Figures, view: &mut View) {
    let rows = usize::from(area.height.saturating_sub(1));
    let sensors = view.page(&figures.table, rows);
    let mut columns = columns::fitting(area.width, view.sort.column);
    widen_ids(&mut columns, area.width, &sensors);
    let header = columns.iter().map(|column| cell(column, column.title(view), Style::new()));
    let body = sensors.iter().map(|sensor| {
        Row::new(columns.iter().map(|column| {
            cell(column, column.text(sensor, &figures.table, view), style(column, sensor, figures, view))
        }))
    });
    let widths = columns.iter().map(|column| Constraint::Length(column.width));
    let table = Table::new(body, widths)
        .column_spacing(GAP)
        .header(Row::new(header).style(Style::new().add_modifier(Modifier::BOLD)));
    frame.render_widget(table, area);

    let range = if sensors.is_empty() {
        "no sensors yet".to_owned()
    } else {
        let (first, last) = (view.first as u64 + 1, (view.first + sensors.len()) as u64);
        format!("{}–{} of {} sensors", grouped(first), grouped(last), grouped(figures.table.len() as u64))
    };
    let title = format!("── {} ── {range} ", view.measurement);
    let line = format!("{title}{}", "─".repeat(usize::from(area.width)));
    frame.render_widget(Paragraph::new(line), title_area);
}

/// Gives the first column what is left of the width, as far as ids on the page need it.
fn widen_ids(columns: &mut [Column], width: u16, sensors: &[&Sensor]) {
    let used: u16 = columns.iter().map(|column| column.width + GAP).sum();
    let longest = sensors.iter().map(|sensor| sensor.id().chars().count()).max().unwrap_or(0);
    let wanted = u16::try_from(longest.min(MAX_ID_WIDTH)).unwrap_or(u16::MAX);
    if let Some(ids) = columns.first_mut() {
        let most = ids.width + (width + GAP).saturating_sub(used);
        ids.width = ids.width.max(wanted).min(most);
    }
}

fn cell(column: &Column, text: String, style: Style) -> Cell<'static> {
    let line = Line::from(text);
    Cell::from(if column.is_left() { line } else { line.right_aligned() }).style(style)
}

fn style(column: &Column, sensor: &Sensor, figures: &Figures, view: &View) -> Style {
    let Content::Sortable(sort) = column.content else { return Style::new() };
    let hot = || sensor.temperature().last().is_some_and(|celsius| celsius > figures.bound);
    match sort {
        SortColumn::Sensor if hot() => colored(view, Style::new().add_modifier(Modifier::BOLD), Color::Red),
        SortColumn::Alerts if sensor.alerts() > 0 => colored(view, Style::new(), Color::Red),
        SortColumn::Warnings if sensor.warnings() > 0 => colored(view, Style::new(), Color::Yellow),
        SortColumn::Faults if sensor.faults() > 0 => colored(view, Style::new(), Color::Magenta),
        _ => Style::new(),
    }
}

fn draw_alerts(frame: &mut Frame<'_>, area: Rect, figures: &Figures, view: &View) {
    if area.is_empty() {
        return;
    }
    let title =
        format!("── latest alerts: temperature above {} {}", figures.bound, "─".repeat(area.width.into()));
    let alerts = figures.alerts.iter().take(usize::from(area.height) - 1).map(|alert| {
        let text =
            format!("{:.19}  {:>9}  {}", alert.time, columns::decimal(alert.temperature), alert.sensor_id);
        Line::styled(text, colored(view, Style::new(), Color::Red))
    });
    let lines: Vec<Line<'_>> = std::iter::once(Line::from(title)).chain(alerts).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn colored(view: &View, style: Style, color: Color) -> Style {
    if view.color { style.fg(color) } else { style }
}

/// `1:02:03`, hours without end.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
