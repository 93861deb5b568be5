//! `streamgauge dlq show`: dead letters in full, oldest first within a partition.
//!
//! With `-o json` one object a line: `{"topic", "partition", "offset", "timestamp" (ms), "origin": {"topic", "partition",
//! "offset"}, "stage", "reason", "message", "replays", "key", "value", "headers": [{"name", "value"}]}`. Bytes that are
//! UTF-8 are a string, other bytes `{"hex": "…"}`, none `null`.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::Args;
use kafka::dead_letters::{self, DeadLetter};
use model::headers::{ERROR_MESSAGE, ERROR_OFFSET, ERROR_PARTITION, ERROR_STAGE};
use serde_json::{Value, json};

use super::{UNKNOWN, letters_of};
use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::Ending;
use crate::output;

/// How much of a value a person is shown, in characters.
const SHOWN_CHARACTERS: usize = 400;

/// Show dead letters with their reason and bytes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge dlq show sensor-data
  streamgauge dlq show sensor-data --reason not-json --limit 3
  streamgauge dlq show sensor-data --limit 0 -o json | jq -r .message")]
pub(super) struct ShowArgs {
    /// The topic, or its dead-letter topic
    #[arg(value_name = "TOPIC", default_value = model::topics::SENSOR_DATA)]
    topic: String,
    /// Only records rejected for this reason
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u64,
}

pub(super) fn run(args: &ShowArgs, context: &Context) -> anyhow::Result<Ending> {
    let topic = letters_of(&args.topic);
    let write = match context.output {
        OutputFormat::Table => write_text,
        OutputFormat::Json => write_json,
    };
    let mut shown = 0;
    let read = output::print(|out| {
        let mut written = Ok(());
        let read = dead_letters::for_each(&context.settings.kafka, &topic, |letter| {
            if args.reason.as_deref().is_some_and(|reason| letter.class() != Some(reason)) {
                return true;
            }
            shown += 1;
            written = write(letter, out);
            written.is_ok() && shown != args.limit
        });
        written.map(|()| read)
    })?;
    read?;
    Ok(Ending::Done)
}

fn write_text(letter: &DeadLetter<'_>, out: &mut impl Write) -> io::Result<()> {
    let text = |name| letter.text(name).map_or_else(|| UNKNOWN.to_owned(), output::printable);
    let record = &letter.record;
    writeln!(
        out,
        "{}[{}] offset {}  {}  {}",
        record.topic,
        record.partition,
        record.offset,
        output::time(record.timestamp_ms()),
        letter.class().map_or_else(|| UNKNOWN.to_owned(), output::printable),
    )?;
    let origin = letter.origin().map_or_else(|| UNKNOWN.to_owned(), output::printable);
    writeln!(out, "  from     {origin}[{}] offset {}", text(ERROR_PARTITION), text(ERROR_OFFSET))?;
    writeln!(out, "  because  {}: {}", text(ERROR_STAGE), text(ERROR_MESSAGE))?;
    writeln!(out, "  key      {}", shown_bytes(record.key))?;
    for (name, value) in letter.original_headers() {
        writeln!(out, "  header   {} = {}", output::printable(name), shown_bytes(value))?;
    }
    writeln!(out, "  value    {}\n", shown_bytes(record.value))
}

fn write_json(letter: &DeadLetter<'_>, out: &mut impl Write) -> io::Result<()> {
    let number = |name| letter.text(name).and_then(|text| text.parse::<i64>().ok());
    let record = &letter.record;
    let headers = letter.original_headers().map(|(name, value)| json!({"name": name, "value": bytes(value)}));
    let object = json!({
        "topic": &**record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms(),
        "origin": {
            "topic": letter.origin(),
            "partition": number(ERROR_PARTITION),
            "offset": number(ERROR_OFFSET),
        },
        "stage": letter.text(ERROR_STAGE),
        "reason": letter.class(),
        "message": letter.text(ERROR_MESSAGE),
        "replays": letter.replays(),
        "key": bytes(record.key),
        "value": bytes(record.value),
        "headers": headers.collect::<Vec<_>>(),
    });
    writeln!(out, "{object}")
}

/// Bytes for a program: exact, as text where they are text.
fn bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => Value::Null,
        Some((Ok(text), _)) => json!(text),
        Some((Err(_), bytes)) => {
            let mut hex = String::with_capacity(bytes.len() * 2);
            for byte in bytes {
                let _ = write!(hex, "{byte:02x}");
            }
            json!({ "hex": hex })
        }
    }
}

/// Bytes for a person: on one line, cut, with what is no text escaped.
fn shown_bytes(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "none".to_owned() };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => output::printable(text),
        Err(_) => bytes.escape_ascii().to_string(),
    };
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text;
    }
    let start: String = text.chars().take(SHOWN_CHARACTERS).collect();
    format!("{start}… ({} bytes)", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_exact_for_programs() {
        assert_eq!(bytes(Some(b"{\"a\":1}")), json!("{\"a\":1}"));
        assert_eq!(bytes(Some(&[0xff, 0x00])), json!({"hex": "ff00"}));
        assert_eq!(bytes(None), Value::Null);
    }

    #[test]
    fn bytes_are_harmless_for_people() {
        assert_eq!(shown_bytes(Some(b"a\x1b[2J")), "a\\u{1b}[2J");
        assert_eq!(shown_bytes(Some(&[0xff, b'a'])), "\\xffa");
        assert_eq!(shown_bytes(None), "none");
        let long = shown_bytes(Some(&[b'x'; 1000]));
        assert!(long.ends_with("x… (1000 bytes)") && long.chars().count() < 420, "{long}");
    }
}
