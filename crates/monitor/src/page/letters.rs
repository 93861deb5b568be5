//! Dead letters: how many by topic and reason, and the newest of them.

use std::collections::{BTreeMap, VecDeque};

use kafka::Record;
use model::headers::{ERROR_CLASS, ERROR_MESSAGE, ERROR_OFFSET, ERROR_PARTITION, ERROR_STAGE, ERROR_TOPIC};
use serde::Serialize;

use super::messages::Shown;

/// So many of the newest are kept.
const KEPT: usize = 200;

/// One dead letter.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Letter {
    topic: String,
    partition: i32,
    offset: i64,
    time: Option<i64>,
    reason: String,
    message: String,
    stage: String,
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
}

impl Letters {
    pub(super) fn update(&mut self, record: &Record<'_>) {
        let text = |name: &str| {
            record.header(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let letter = Letter {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            time: record.timestamp_ms(),
            reason: text(ERROR_CLASS),
            message: text(ERROR_MESSAGE),
            stage: text(ERROR_STAGE),
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
    }

    pub(super) fn newest(&self) -> impl Iterator<Item = &Letter> {
        self.newest.iter()
    }
}
