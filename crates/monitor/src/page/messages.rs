//! Looking into topics: a bounded number of records, the newest first.

use std::fmt::Write as _;

use kafka::{KafkaSettings, PartitionReader, ReadAt, Record, TopicPartition};
use model::Scratch;
use serde::Serialize;

/// The most records that one request looks at.
pub(super) const MAX_SCANNED: u64 = 300_000;
/// The most records that one request brings.
pub(super) const MAX_MESSAGES: usize = 500;
/// So much of a key or value is shown.
const MAX_SHOWN: usize = 16_384;

/// Bytes for a browser: text, or hexadecimal digits where they are no text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    text: String,
    is_hex: bool,
    bytes: usize,
    cut: bool,
}

impl Shown {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let shown = &bytes[..bytes.len().min(MAX_SHOWN)];
        let cut = shown.len() < bytes.len();
        let text = match str::from_utf8(shown) {
            Ok(text) => Some(text),
            // Cut in the middle of a character.
            Err(error) if cut && error.error_len().is_none() => {
                str::from_utf8(&shown[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        let (text, is_hex) = match text {
            Some(text) => (text.to_owned(), false),
            None => (hex(shown), true),
        };
        Self { text, is_hex, bytes: bytes.len(), cut }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory takes everything");
        text
    })
}

/// A record of a topic.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    partition: i32,
    offset: i64,
    time: Option<i64>,
    key: Option<Shown>,
    value: Option<Shown>,
    headers: Vec<(String, Option<Shown>)>,
}

impl Message {
    fn of(record: &Record<'_>) -> Self {
        let headers = record.headers();
        Self {
            partition: record.partition,
            offset: record.offset,
            time: record.timestamp_ms(),
            key: record.key.map(Shown::of),
            value: record.value.map(Shown::of),
            headers: headers.iter().map(|(name, value)| (name.to_string(), value.map(Shown::of))).collect(),
        }
    }
}

/// From where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Newest,
    Oldest,
    Offset(i64),
    /// In milliseconds since 1970.
    Time(i64),
}

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) partitions: Vec<(TopicPartition, i64, i64)>,
    pub(super) from: From,
    /// Bytes that key or value has to hold; empty for any.
    pub(super) text: String,
    pub(super) limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Found {
    messages: Vec<Message>,
    scanned: u64,
    /// Whether there was more to look at than one request may.
    stopped: bool,
}

/// Looks at records, at most [`MAX_SCANNED`] of them.
pub(super) fn search(settings: &KafkaSettings, search: &Search) -> Result<Found, kafka::Error> {
    let share = if search.text.is_empty() {
        search.limit as u64
    } else {
        MAX_SCANNED / search.partitions.len().max(1) as u64
    };
    let share = i64::try_from(share).unwrap_or(i64::MAX).max(1);
    let parts: Vec<_> = search
        .partitions
        .iter()
        .map(|(place, low, high)| {
            let (at, to) = match search.from {
                From::Newest => (ReadAt::Offset((high - share).max(*low)), None),
                From::Oldest => (ReadAt::Beginning, Some(low + share)),
                From::Offset(offset) => {
                    (ReadAt::Offset(offset), Some(offset.max(*low).saturating_add(share)))
                }
                From::Time(time) => (ReadAt::Time(time), None),
            };
            (place.clone(), at, to)
        })
        .collect();
    let mut reader = PartitionReader::open(settings, &parts)?;
    let mut found = Found::default();
    'all: while let Some(batch) = reader.next_batch()? {
        for record in batch.iter() {
            found.scanned += 1;
            let holds =
                |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| contains(bytes, search.text.as_bytes()));
            if search.text.is_empty() || holds(record.key) || holds(record.value) {
                found.messages.push(Message::of(&record));
            }
            let enough = search.from != From::Newest && found.messages.len() >= search.limit;
            if found.scanned >= MAX_SCANNED || enough {
                found.stopped = true;
                break 'all;
            }
        }
        if found.messages.len() > 4 * search.limit && search.from == From::Newest {
            newest_first(&mut found.messages, search.limit);
        }
    }
    if search.from == From::Newest {
        newest_first(&mut found.messages, search.limit);
    }
    Ok(found)
}

fn newest_first(messages: &mut Vec<Message>, limit: usize) {
    messages.sort_by_key(|message| std::cmp::Reverse((message.time, message.offset)));
    messages.truncate(limit);
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

/// A point of a sensor's chart.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Point {
    time: i64,
    partition: i32,
    offset: i64,
    values: Vec<(String, f64)>,
}

/// The newest readings of a sensor, oldest first.
pub(super) fn readings(
    settings: &KafkaSettings,
    partitions: &[(TopicPartition, i64, i64)],
    sensor: &str,
    limit: usize,
) -> Result<Vec<Point>, kafka::Error> {
    let share = (MAX_SCANNED / partitions.len().max(1) as u64) as i64;
    let parts: Vec<_> = partitions
        .iter()
        .map(|(place, low, high)| (place.clone(), ReadAt::Offset((high - share).max(*low)), None))
        .collect();
    let mut reader = PartitionReader::open(settings, &parts)?;
    let (mut points, mut scratch): (Vec<Point>, _) = (Vec::new(), Scratch::new());
    while let Some(batch) = reader.next_batch()? {
        for record in batch.iter().filter(|record| record.key.is_none_or(|key| key == sensor.as_bytes())) {
            let Some(reading) = record.value.and_then(|value| model::decode(value, &mut scratch).ok()) else {
                continue;
            };
            if reading.sensor_id == sensor {
                let values = reading.measurements().map(|(name, value)| (name.to_owned(), value)).collect();
                let (partition, offset) = (record.partition, record.offset);
                points.push(Point { time: reading.time.millis(), partition, offset, values });
            }
        }
        if points.len() > 4 * limit {
            newest_points(&mut points, limit);
        }
    }
    newest_points(&mut points, limit);
    Ok(points)
}

fn newest_points(points: &mut Vec<Point>, limit: usize) {
    points.sort_by_key(|point| point.time);
    points.drain(..points.len().saturating_sub(limit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_or_digits() {
        assert_eq!(Shown::of("<b>é".as_bytes()).text, "<b>é");
        let odd = Shown::of(b"\xff\x00a");
        assert_eq!((odd.text.as_str(), odd.is_hex, odd.bytes), ("ff0061", true, 3));
        let long = "é".repeat(MAX_SHOWN);
        let cut = Shown::of(&long.as_bytes()[..=MAX_SHOWN]);
        assert_eq!((cut.is_hex, cut.cut, cut.text.len()), (false, true, MAX_SHOWN));
    }

    #[test]
    fn text_is_found_anywhere() {
        assert!(
            contains(b"abc", b"bc")
                && contains(b"abc", b"")
                && !contains(b"abc", b"abcd")
                && !contains(b"", b"a")
        );
    }
}
