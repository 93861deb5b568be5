//! `streamgauge config`: which settings are in force, where each came from, and whether they are good.
//!
//! `show` prints TOML that is itself a valid settings file once secrets are put back. With `-o json` it prints
//! `{"file": PATH or null, "settings": [{"key", "value", "origin"}, …]}`; secrets read `***`; the
//! values of `windows` and `rules` are arrays of objects.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::exit::Ending;
use crate::output;
use crate::settings::{
    DEFAULT_FILE, Entry, Field, Item, Loaded, Origin, Value, group_name, is_list, is_secret, kafka_property,
};

/// Origins stand in a column behind the settings, unless a setting is longer than this.
const WIDEST_COLUMN: usize = 80;

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
    let mut sections: Vec<(String, Line)> = Vec::new();
    let mut tables = Vec::new();
    for (path, entry) in loaded.entries.iter() {
        if let (Value::Items(items), true) = (&entry.value, is_list(path)) {
            for item in items.iter() {
                tables.push((format!("\n[[{path}]]"), fields(item)));
            }
            if !items.is_empty() {
                continue;
            }
        }
        let (section, key) = match kafka_property(path) {
            Some((section, property)) => (section, format!("{property:?}")),
            None => match (group_name(path), path.rsplit_once('.')) {
                (Some(name), _) => ("groups", format!("{name:?}")),
                (None, Some((section, key))) => (section, key.to_owned()),
                (None, None) => ("", path.to_owned()),
            },
        };
        sections.push((section.to_owned(), Line::new(&key, &visible(path, entry), &entry.origin)));
    }
    // The properties of [kafka.consumer] sort among those of [kafka]; a section has to be in one piece.
    sections.sort_by(|(one, _), (other, _)| one.cmp(other));
    let all = sections.iter().map(|(_, line)| line).chain(tables.iter().flat_map(|(_, lines)| lines));
    let width = all.map(|line| line.text.chars().count()).max().unwrap_or(0).min(WIDEST_COLUMN);
    let mut current = "";
    for (section, line) in &sections {
        if *section != current {
            writeln!(out, "\n[{section}]")?;
            current = section;
        }
        line.write(out, width)?;
    }
    for (heading, lines) in &tables {
        writeln!(out, "{heading}")?;
        lines.iter().try_for_each(|line| line.write(out, width))?;
    }
    Ok(())
}

/// A setting as it would stand in a file, and where it came from.
struct Line {
    text: String,
    origin: String,
}

impl Line {
    fn new(key: &str, value: &Value, origin: &Origin) -> Self {
        Self { text: format!("{key} = {}", written(value)), origin: origin.to_string() }
    }

    fn write(&self, out: &mut impl Write, width: usize) -> io::Result<()> {
        writeln!(out, "{:width$}  # {}", self.text, self.origin)
    }
}

/// The lines of one table of a list.
fn fields(item: &Item) -> Vec<Line> {
    let line = |field: &Field| {
        // What settings have no kind for was refused before.
        field.value.as_ref().ok().map(|value| Line::new(&field.key, value, &field.origin))
    };
    item.fields.iter().filter_map(line).collect()
}

fn show_json(loaded: &Loaded, out: &mut impl Write) -> io::Result<()> {
    let settings: Vec<_> = loaded
        .entries
        .iter()
        .map(|(path, entry)| {
            json!({"key": path, "value": as_json(&visible(path, entry)), "origin": entry.origin.to_string()})
        })
        .collect();
    writeln!(out, "{:#}", json!({"file": loaded.file, "settings": settings}))
}

fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => json!(text),
        Value::Whole(number) => json!(number),
        Value::Number(number) => json!(number),
        Value::Switch(on) => json!(on),
        Value::Texts(texts) => json!(texts),
        Value::Items(items) => items
            .iter()
            .map(|item| {
                let fields = item.fields.iter();
                let pairs =
                    fields.filter_map(|field| Some((field.key.clone(), as_json(field.value.as_ref().ok()?))));
                serde_json::Value::Object(pairs.collect())
            })
            .collect(),
    }
}

/// The value as TOML.
fn written(value: &Value) -> String {
    match value {
        Value::Text(text) => toml::Value::String(text.clone()).to_string(),
        Value::Number(number) => toml::Value::Float(*number).to_string(),
        Value::Texts(texts) => {
            toml::Value::Array(texts.iter().cloned().map(toml::Value::String).collect()).to_string()
        }
        Value::Items(_) => "[]".to_owned(),
        Value::Whole(_) | Value::Switch(_) => value.to_string(),
    }
}

fn visible(path: &str, entry: &Entry) -> Value {
    let is_set = !matches!(&entry.value, Value::Text(text) if text.is_empty());
    if is_set && is_secret(path) { Value::Text("***".to_owned()) } else { entry.value.clone() }
}
