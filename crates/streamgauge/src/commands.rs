//! The commands, one a file: its flags, its wiring, its output. The work itself is in the libraries.

pub(crate) mod alerts;
pub(crate) mod analyze;
pub(crate) mod broker;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dlq;
pub(crate) mod doctor;
pub(crate) mod followed;
pub(crate) mod groups;
pub(crate) mod monitor;
pub(crate) mod process;
pub(crate) mod produce;
pub(crate) mod rules;
pub(crate) mod status_line;
pub(crate) mod store;
pub(crate) mod topics;
pub(crate) mod up;

use crate::cli::OutputFormat;
use crate::settings::Settings;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The settings in force.
    pub(crate) settings: Settings,
    /// How results are printed.
    pub(crate) output: OutputFormat,
    /// Whether less is wanted on the terminal.
    pub(crate) quiet: bool,
}
