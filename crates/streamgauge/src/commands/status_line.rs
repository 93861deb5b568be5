//! The line of figures of a command that runs on: on a terminal written over itself, elsewhere logged now and then.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::Context;
use crate::output;

/// How often the line is written on a terminal, and logged elsewhere.
const REFRESH: Duration = Duration::from_millis(500);
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The line on standard error.
pub(crate) struct StatusLine {
    on_terminal: bool,
    quiet: bool,
    next: Instant,
    started: Instant,
    text: String,
}

/// How the figures are told this time.
pub(crate) enum Look {
    /// By a line of the log.
    Logged,
    /// By [`StatusLine::show`].
    Shown {
        /// Seconds since the line began.
        elapsed: u64,
    },
}

impl StatusLine {
    pub(crate) fn new(context: &Context) -> Self {
        let now = Instant::now();
        let on_terminal = output::can_redraw_stderr();
        Self { on_terminal, quiet: context.quiet, next: now, started: now, text: String::new() }
    }

    /// Whether it is time to tell the figures, and how.
    pub(crate) fn due(&mut self) -> Option<Look> {
        let now = Instant::now();
        if self.quiet || now < self.next {
            return None;
        }
        self.next = now + if self.on_terminal { REFRESH } else { LOG_EVERY };
        Some(if self.on_terminal {
            Look::Shown { elapsed: (now - self.started).as_secs() }
        } else {
            Look::Logged
        })
    }

    /// Writes the line over itself.
    pub(crate) fn show(&mut self, figures: &str) {
        self.text.clear();
        // Without wrapping, a terminal that is too narrow cuts the line instead of scrolling.
        let written = write!(self.text, "\r\x1b[2K\x1b[?7l{figures}\x1b[?7h");
        written.expect("writing to memory does not fail");
        self.put();
    }

    /// Takes the line away.
    pub(crate) fn wipe(&mut self) {
        if self.on_terminal && !self.quiet {
            self.text.clear();
            self.text.push_str("\r\x1b[2K");
            self.put();
        }
    }

    fn put(&self) {
        // A terminal that has gone away is no reason to stop; the totals go elsewhere.
        drop(io::stderr().lock().write_all(self.text.as_bytes()));
    }
}
