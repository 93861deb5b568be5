//! Dead letters: how many by topic and reason, and the newest of them.
//!
//! Every worker that meets a record which it cannot use writes a dead letter of its own. Here they are one, with the stages
//! that refused it: what counts is the record.

use std::collections::{BTreeMap, HashSet, VecDeque};

use kafka::Record;
use model::headers::{ERROR_CLASS, ERROR_MESSAGE, ERROR_OFFSET, ERROR_PARTITION, ERROR_STAGE, ERROR_TOPIC};
use serde::Serialize;

use super::messages::Shown;

/// So many of the newest are kept.
const KEPT: usize = 200;
/// So many records are known again.
const KNOWN: usize = 50_000;

/// The topic, partition and offset of a record, as its dead letter says.
type Origin = (String, String, String);

/// One dead letter.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Letter {
    topic: String,
    partition: i32,
    offset: i64,
    time: Option<i64>,
    reason: String,
    message: String,
    stages: Vec<String>,
    origin: String,
    origin_partition: String,
    origin_offset: String,
    key: Option<Shown>,
    value: Option<Shown>,
}

/// The dead letters that were seen.
#[derive(Debug, Default)]
pub(super) struct Letters {
    pub(super) total: u64,
    pub(super) by_reason: BTreeMap<(String, String), u64>,
    newest: VecDeque<Letter>,
    known: HashSet<Origin>,
    known_in_order: VecDeque<Origin>,
}

impl Letters {
    /// Takes a dead letter; `false` if its record is known already.
    pub(super) fn update(&mut self, record: &Record<'_>) -> bool {
        let text = |name: &str| {
            record.header(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let mut origin: Origin = (text(ERROR_TOPIC), text(ERROR_PARTITION), text(ERROR_OFFSET));
        if origin.0.is_empty() {
            // Somebody else's, who does not say where it came from: it is known by its own place.
            origin = (record.topic.to_string(), record.partition.to_string(), record.offset.to_string());
        }
        if !self.known.insert(origin.clone()) {
            let same = |it: &&mut Letter| {
                (&it.origin, &it.origin_partition, &it.origin_offset) == (&origin.0, &origin.1, &origin.2)
            };
            if let Some(letter) = self.newest.iter_mut().find(same) {
                let stage = text(ERROR_STAGE);
                if !letter.stages.contains(&stage) {
                    letter.stages.push(stage);
                }
            }
            return false;
        }
        self.known_in_order.push_back(origin);
        if self.known_in_order.len() > KNOWN
            && let Some(oldest) = self.known_in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let letter = Letter {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            time: record.timestamp_ms(),
            reason: text(ERROR_CLASS),
            message: text(ERROR_MESSAGE),
            stages: vec![text(ERROR_STAGE)],
            origin: text(ERROR_TOPIC),
            origin_partition: text(ERROR_PARTITION),
            origin_offset: text(ERROR_OFFSET),
            key: record.key.map(Shown::of),
            value: record.value.map(Shown::of),
        };
        self.total += 1;
        *self.by_reason.entry((letter.origin.clone(), letter.reason.clone())).or_default() += 1;
        self.newest.push_front(letter);
        self.newest.truncate(KEPT);
        true
    }

    pub(super) fn newest(&self) -> impl Iterator<Item = &Letter> {
        self.newest.iter()
    }
}
