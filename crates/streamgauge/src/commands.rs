//! The commands, one a file: its flags, its wiring, its output. The work itself is in the libraries.

pub(crate) mod completions;
pub(crate) mod config;
