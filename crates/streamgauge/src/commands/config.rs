//! `streamgauge config`: which settings are in force, where each came from, and whether they are good.
//!
//! `show` prints TOML that is itself a valid settings file once secrets are put back. With `-o json` it prints
//! `{"file": PATH or null, "settings": [{"key", "value", "origin"}, …]}`; secrets read `***`.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::exit::Ending;
use crate::output;
use crate::settings::{DEFAULT_FILE, Entry, Loaded, Value, kafka_property};

/// The settings in force: show or check them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge config show
  streamgauge config check -c streamgauge.toml")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting in force and where it came from; secrets are hidden
    #[command(after_help = "Examples:
  streamgauge config show
  streamgauge config show -o json | jq -r '.settings[] | select(.origin != \"default\") | .key'
  streamgauge config show --default > streamgauge.toml    # a file to start from")]
    Show {
        /// Print the built-in default file instead, with its comments
        #[arg(long)]
        default: bool,
    },
    /// Check the settings and say which file was read
    #[command(after_help = "Examples:
  streamgauge config check
  streamgauge config check -c config/seed.toml && echo good")]
    Check,
}

/// Prints or checks. Whatever is wrong with the settings was refused before this is called.
pub(crate) fn run(args: &ConfigArgs, loaded: &Loaded, format: OutputFormat) -> anyhow::Result<Ending> {
    output::print(|out| match (&args.command, format) {
        (ConfigCommand::Show { default: true }, _) => out.write_all(DEFAULT_FILE.as_bytes()),
        (ConfigCommand::Show { .. }, OutputFormat::Table) => show(loaded, out),
        (ConfigCommand::Show { .. }, OutputFormat::Json) => show_json(loaded, out),
        (ConfigCommand::Check, OutputFormat::Table) => {
            writeln!(out, "the settings are good; {}", read_from(loaded))
        }
        (ConfigCommand::Check, OutputFormat::Json) => {
            writeln!(out, "{:#}", json!({"ok": true, "file": loaded.file}))
        }
    })?;
    Ok(Ending::Done)
}

/// Which file was read, in words.
pub(crate) fn read_from(loaded: &Loaded) -> String {
    match &loaded.file {
        Some(file) => format!("read {}", file.display()),
        None => "no settings file was found, so the built-in defaults apply".to_owned(),
    }
}

fn show(loaded: &Loaded, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "# {}", read_from(loaded))?;
    let mut lines: Vec<(&str, String, String)> = Vec::new();
    for (path, entry) in loaded.entries.iter() {
        let (section, key) = match kafka_property(path) {
            Some((section, property)) => (section, format!("{property:?}")),
            None => path
                .rsplit_once('.')
                .map_or(("", path.to_owned()), |(section, key)| (section, key.to_owned())),
        };
        lines.push((section, format!("{key} = {}", written(path, entry)), entry.origin.to_string()));
    }
    // The properties of [kafka.consumer] sort among those of [kafka]; a section has to be in one piece.
    lines.sort_by_key(|(section, _, _)| *section);
    let width = lines.iter().map(|(_, line, _)| line.chars().count()).max().unwrap_or(0);
    let mut current = "";
    for (section, line, origin) in &lines {
        if *section != current {
            writeln!(out, "\n[{section}]")?;
            current = section;
        }
        writeln!(out, "{line:width$}  # {origin}")?;
    }
    Ok(())
}

fn show_json(loaded: &Loaded, out: &mut impl Write) -> io::Result<()> {
    let settings: Vec<_> = loaded
        .entries
        .iter()
        .map(|(path, entry)| {
            let value = match visible(path, entry) {
                Value::Text(text) => json!(text),
                Value::Whole(number) => json!(number),
                Value::Number(number) => json!(number),
                Value::Switch(on) => json!(on),
            };
            json!({"key": path, "value": value, "origin": entry.origin.to_string()})
        })
        .collect();
    writeln!(out, "{:#}", json!({"file": loaded.file, "settings": settings}))
}

/// The value as TOML.
fn written(path: &str, entry: &Entry) -> String {
    match visible(path, entry) {
        Value::Text(text) => toml::Value::String(text).to_string(),
        Value::Number(number) => toml::Value::Float(number).to_string(),
        other => other.to_string(),
    }
}

fn visible(path: &str, entry: &Entry) -> Value {
    if kafka::is_secret(path) { Value::Text("***".to_owned()) } else { entry.value.clone() }
}
