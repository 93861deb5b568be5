//! The live table: gathers the workers' figures a few times per second, draws them, and listens to keys.
//!
//! Invariants: the terminal is put back as it was whatever ends the table, a panic in any thread included; the
//! workers are held up only while their figures are copied, and never for more than about a twentieth of the
//! time, however many sensors there are.

mod columns;
mod figures;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use std::io;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use runtime::StopReason;

use super::options::TableLook;
use super::{Error, Shared};

use figures::Figures;
use view::{Action, View};

/// The shortest time between two looks at the workers' figures.
const REFRESH: Duration = Duration::from_millis(250);
/// The figures are looked at again after so many times the time that it took the last time.
const PAUSE_FACTOR: u32 = 20;
/// How long one wait for a key lasts; so quickly the end that is asked for is seen.
const POLL: Duration = Duration::from_millis(100);
/// What Ctrl-C stands for; on a terminal that hands out each key it raises no signal.
const SIGINT: i32 = 2;

/// Shows the table until the end is asked for, by a key or otherwise.
pub(super) fn show(shared: &Shared, look: TableLook, partitions: usize, start: Instant) -> Result<(), Error> {
    let shown = ratatui::try_init().and_then(|mut terminal| {
        let Shared { options, table_options, .. } = shared;
        let mut figures = Figures::new(&options.topic, &options.group, *table_options, partitions, start);
        drive(&mut terminal, shared, &mut figures, &mut View::new(look))
    });
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(|source| Error::Terminal { source })
}

fn drive(
    terminal: &mut DefaultTerminal,
    shared: &Shared,
    figures: &mut Figures,
    view: &mut View,
) -> io::Result<()> {
    let mut next_look = Instant::now();
    let mut has_keys = true;
    while !shared.shutdown.is_requested() {
        let now = Instant::now();
        if now >= next_look {
            figures.gather(shared, now);
            next_look = now + REFRESH.max(now.elapsed() * PAUSE_FACTOR);
        }
        terminal.draw(|frame| screen::draw(frame, figures, view))?;
        let wait = next_look.saturating_duration_since(Instant::now()).min(POLL);
        if !has_keys {
            shared.shutdown.wait(wait);
            continue;
        }
        match take_keys(wait, figures, view) {
            Ok(Action::GoOn) => {}
            Ok(Action::Quit) => shared.shutdown.request(StopReason::Requested),
            Ok(Action::Interrupt) => shared.shutdown.request(StopReason::Signal(SIGINT)),
            Err(error) => {
                // A terminal to write on and none to read from, as in a container without -i: signals end it.
                tracing::debug!(%error, "no keys from this terminal");
                has_keys = false;
            }
        }
    }
    Ok(())
}

/// Waits for keys and takes all that are there.
fn take_keys(wait: Duration, figures: &Figures, view: &mut View) -> io::Result<Action> {
    let mut action = Action::GoOn;
    let mut left = wait;
    while action == Action::GoOn && event::poll(left)? {
        if let Event::Key(key) = event::read()? {
            action = view.take_key(key, figures);
        }
        left = Duration::ZERO;
    }
    Ok(action)
}
