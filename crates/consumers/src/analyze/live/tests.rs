//! The live table without a terminal and without Kafka: figures made by hand, drawn into a buffer.

use std::time::{Duration, Instant};

use engine::{SensorTable, TableOptions};
use model::{EventTime, Reading};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::figures::Figures;
use super::view::{Action, View};
use super::{columns, screen};
use crate::analyze::options::{SortColumn, TableLook};
use crate::analyze::tally::Alert;

fn at(second: i64) -> EventTime {
    EventTime::from_millis(1_730_974_530_000 + second * 1_000)
}

/// This many sensors with two readings each; temperatures rise with the number, humidity falls, every third sensor
/// has a voltage.
fn figures(sensors: u32) -> Figures {
    let mut figures =
        Figures::new("sensor-data", "analytics-group", TableOptions::default(), 3, Instant::now());
    for number in 0..sensors {
        let id = format!("SENSOR_{number:03}");
        let voltage = [("voltage", 3.0 + f64::from(number))];
        for second in 0..2 {
            let mut reading = Reading::new(&id, at(second + i64::from(number)));
            reading.temperature = Some(15.0 + f64::from(number) + second as f64);
            reading.humidity = Some(90.0 - f64::from(number));
            if number.is_multiple_of(3) {
                reading = reading.with_further(&voltage);
            }
            reading.status = number.is_multiple_of(7).then_some("warning");
            figures.table.update(&reading);
        }
    }
    figures.totals = *figures.table.totals();
    figures.joined = true;
    figures.rate = 1_234.4;
    figures.uptime = Duration::from_secs(3_723);
    figures.lag = [(0, Some(1_200)), (1, Some(0)), (2, None)].into();
    figures.dead_letters = [("not-json", 3), ("missing-sensor-id", 1)].into();
    let alert = |number: u32| Alert {
        sensor_id: format!("SENSOR_{number:03}"),
        time: at(i64::from(number)),
        temperature: 15.0 + f64::from(number),
        arrived: 0,
    };
    figures.alerts = (17..24).rev().map(alert).collect();
    figures
}

fn view(order: &str) -> View {
    View::new(TableLook { sort: order.parse().expect("an order"), color: true })
}

fn draw(width: u16, height: u16, figures: &Figures, view: &mut View) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
    terminal.draw(|frame| screen::draw(frame, figures, view)).expect("a buffer cannot fail");
    terminal.backend().to_string()
}

fn press(view: &mut View, figures: &Figures, code: KeyCode) -> Action {
    view.take_key(KeyEvent::new(code, KeyModifiers::NONE), figures)
}

fn ids(view: &mut View, table: &SensorTable, page: usize) -> Vec<String> {
    view.page(table, page).iter().map(|sensor| sensor.id().to_owned()).collect()
}

#[test]
fn a_wide_terminal_shows_everything() {
    insta::assert_snapshot!(draw(140, 24, &figures(24), &mut view("mean")));
}

#[test]
fn an_ordinary_terminal_shows_what_matters_most() {
    insta::assert_snapshot!(draw(80, 24, &figures(24), &mut view("sensor")));
}

#[test]
fn a_small_terminal_still_shows_sensors() {
    insta::assert_snapshot!(draw(40, 8, &figures(24), &mut view("alerts")));
}

#[test]
fn help_covers_the_sensors() {
    let figures = figures(24);
    let mut view = view("sensor");
    press(&mut view, &figures, KeyCode::Char('?'));
    insta::assert_snapshot!(draw(100, 24, &figures, &mut view));
    press(&mut view, &figures, KeyCode::Esc);
    assert!(draw(100, 24, &figures, &mut view).contains("SENSOR_000"));
}

#[test]
fn an_id_cannot_steer_the_terminal() {
    let mut figures = figures(0);
    figures.table.update(&Reading::new("\u{1b}[2J\u{9b}31mX", at(0)));
    let screen = draw(80, 12, &figures, &mut view("sensor"));
    assert!(screen.contains("[2J31mX"), "{screen}");
    assert!(!screen.contains(|c: char| c.is_control() && c != '\n'), "{screen:?}");
}

#[test]
fn no_terminal_is_too_small() {
    for (width, height) in [(1, 1), (3, 2), (10, 4), (5, 40), (200, 3)] {
        draw(width, height, &figures(5), &mut view("sensor"));
    }
}

#[test]
fn a_problem_is_shown_while_nothing_comes() {
    let mut figures = figures(0);
    figures.problem = Some("no broker is up: localhost:9092: Connection refused".to_owned());
    insta::assert_snapshot!(draw(100, 10, &figures, &mut view("sensor")));
}

#[test]
fn the_page_is_the_same_as_of_a_full_sort() {
    let figures = figures(60);
    for order in SortColumn::ALL
        .into_iter()
        .flat_map(|column| ["+", "-"].map(|sign| format!("{sign}{}", column.name())))
    {
        let all = ids(&mut view(&order), &figures.table, 60);
        let mut paged = Vec::new();
        let mut view = view(&order);
        for first in (0..60).step_by(12) {
            view.first = first;
            paged.extend(ids(&mut view, &figures.table, 12));
        }
        assert_eq!(paged, all, "{order}");
    }
}

#[test]
fn sensors_without_the_figure_come_last_in_either_order() {
    let figures = figures(4);
    for order in ["+mean", "-mean"] {
        let mut view = view(order);
        view.measurement = "voltage".to_owned();
        let ids = ids(&mut view, &figures.table, 4);
        assert_eq!(ids[2..], ["SENSOR_001", "SENSOR_002"]);
    }
}

#[test]
fn keys_scroll_and_stay_within_the_sensors() {
    let figures = figures(30);
    let mut view = view("sensor");
    view.page(&figures.table, 10);
    let mut check = |code, expected| {
        assert_eq!(press(&mut view, &figures, code), Action::GoOn);
        assert_eq!(view.first, expected, "{code:?}");
    };
    check(KeyCode::Up, 0);
    check(KeyCode::Down, 1);
    check(KeyCode::PageDown, 11);
    check(KeyCode::PageDown, 20);
    check(KeyCode::PageUp, 10);
    check(KeyCode::End, 20);
    check(KeyCode::Home, 0);
}

#[test]
fn keys_choose_order_and_measurement() {
    let figures = figures(4);
    let mut view = view("sensor");
    press(&mut view, &figures, KeyCode::Right);
    assert_eq!(view.sort.to_string(), "-readings");
    press(&mut view, &figures, KeyCode::Char('r'));
    assert_eq!(view.sort.to_string(), "+readings");
    press(&mut view, &figures, KeyCode::Left);
    press(&mut view, &figures, KeyCode::Left);
    assert_eq!(view.sort.to_string(), "-seen");
    let mut seen = vec![view.measurement.clone()];
    for _ in 0..4 {
        press(&mut view, &figures, KeyCode::Tab);
        seen.push(view.measurement.clone());
    }
    assert_eq!(seen, ["temperature", "humidity", "pressure", "voltage", "temperature"]);
    press(&mut view, &figures, KeyCode::BackTab);
    assert_eq!(view.measurement, "voltage");
}

#[test]
fn keys_end_it() {
    let figures = figures(0);
    let mut view = view("sensor");
    assert_eq!(press(&mut view, &figures, KeyCode::Char('q')), Action::Quit);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.take_key(interrupt, &figures), Action::Interrupt);
    assert_eq!(press(&mut view, &figures, KeyCode::Char('c')), Action::GoOn);
}

#[test]
fn every_row_fits_its_columns() {
    let figures = figures(30);
    for column in SortColumn::ALL {
        let view = View::new(TableLook { sort: column.natural_order(), color: false });
        for column in columns::fitting(200, column) {
            for sensor in figures.table.sensors() {
                let text = column.text(sensor, &figures.table, &view);
                assert!(text.chars().count() <= usize::from(column.width), "{text:?} in {column:?}");
            }
        }
    }
}
