//! Follows the topics that the page shows: readings, alarms, dead letters.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::{Admin, Batch, CONNECT_TIMEOUT, Record, Tail, TopicPartition};
use model::alert::decode_alert;
use model::{Scratch, is_dead_letter_topic};
use runtime::now_micros;
use tracing::warn;

use super::overview::overview;
use super::state::State;

/// So many of the newest readings are read at the start, so that the page is not empty; of dead letters and alarms so many.
const READINGS: i64 = 50_000;
const LETTERS: i64 = 1_000;
const ALARMS: i64 = 200_000;
/// Of more alarms than this those that are over are forgotten.
const MOST_ALARMS: usize = 20_000;
/// How often the browsers are told at most; in between what came is gathered.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// How often it is looked whether there are new topics or partitions.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The pause before Kafka is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What a topic holds for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Readings,
    Alarms,
    Letters,
}

/// The next offset of every partition, and where what is live begins.
type Positions = HashMap<TopicPartition, (i64, i64)>;

/// Follows until the end; begins again where it was when Kafka was away.
pub(super) fn collect(state: &State) {
    let (mut positions, mut scratch) = (Positions::new(), Scratch::new());
    while !state.shutdown.is_requested() {
        if let Err(error) = follow(state, &mut positions, &mut scratch) {
            warn!(%error, "the page cannot follow topics, trying again");
            state.set_problem("topics", Some(error.to_string()));
            tell(state);
            state.shutdown.wait(PAUSE);
        }
    }
}

fn kind_of(state: &State, topic: &str) -> Option<Kind> {
    if topic == state.readings {
        Some(Kind::Readings)
    } else if topic == state.alerts {
        Some(Kind::Alarms)
    } else {
        is_dead_letter_topic(topic).then_some(Kind::Letters)
    }
}

/// Where to read on in all partitions that matter; where to begin in those that are new.
fn look(state: &State, admin: &Admin, positions: &mut Positions) -> Result<bool, kafka::Error> {
    let cluster = admin.cluster()?;
    let mut there = Vec::new();
    let mut changed = false;
    for topic in &cluster.topics {
        let Some(kind) = kind_of(state, &topic.name) else { continue };
        let name: Arc<str> = topic.name.as_str().into();
        for info in &topic.partitions {
            let place = TopicPartition { topic: Arc::clone(&name), partition: info.partition };
            there.push(place.clone());
            let (low, high) = admin.watermarks(&place)?;
            let known = positions.get(&place).is_some_and(|(next, _)| *next <= high);
            if !known {
                let share = topic.partitions.len().max(1) as i64;
                let most = match kind {
                    Kind::Readings => READINGS / share,
                    Kind::Alarms => ALARMS / share,
                    Kind::Letters => LETTERS / share,
                };
                positions.insert(place, ((high - most).max(low), high));
                changed = true;
            }
        }
    }
    let before = positions.len();
    positions.retain(|place, _| there.contains(place));
    Ok(changed || positions.len() != before)
}

fn follow(state: &State, positions: &mut Positions, scratch: &mut Scratch) -> Result<(), kafka::Error> {
    let admin = Admin::connect(&state.settings, CONNECT_TIMEOUT)?;
    look(state, &admin, positions)?;
    let parts: Vec<_> = positions.iter().map(|(place, (next, _))| (place.clone(), *next)).collect();
    let mut tail = Tail::open(&state.settings, &parts)?;
    let (mut told, mut looked) = (Instant::now(), Instant::now());
    while !state.shutdown.is_requested() {
        let batch = tail.next_batch(TELL_EVERY)?;
        take(state, &batch, positions, scratch);
        if told.elapsed() >= TELL_EVERY {
            state.set_problem("topics", tail.broker_problem());
            tell(state);
            told = Instant::now();
        }
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            if tail.broker_problem().is_none() && look(state, &admin, positions)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn take(state: &State, batch: &Batch, positions: &mut Positions, scratch: &mut Scratch) {
    let now = now_micros() / 1_000;
    let (mut fleet, mut pulse) = (state.fleet(), state.pulse());
    for record in batch.iter() {
        let place = TopicPartition { topic: record.topic.clone(), partition: record.partition };
        let Some((next, live_from)) = positions.get_mut(&place) else { continue };
        *next = record.offset + 1;
        let is_live = record.offset >= *live_from;
        match kind_of(state, record.topic) {
            Some(Kind::Readings) => {
                let Some(reading) = record.value.and_then(|value| model::decode(value, scratch).ok()) else {
                    continue;
                };
                if is_live {
                    pulse.readings.add(now / 1_000, 1.0);
                    pulse.delay((now - reading.time.millis()).max(0));
                }
                let seen = if is_live { now } else { record.timestamp_ms().unwrap_or(now).min(now) };
                fleet.update(&reading, seen);
            }
            Some(Kind::Alarms) => alarm(state, &record),
            Some(Kind::Letters) => {
                let is_new = state.letters().update(&record);
                if is_new && is_live {
                    pulse.letters.add(now / 1_000, 1.0);
                }
            }
            None => {}
        }
    }
}

fn alarm(state: &State, record: &Record<'_>) {
    if let Some(Ok(alert)) = record.value.map(decode_alert) {
        let mut alarms = state.alarms();
        alarms.apply(alert);
        if alarms.len() > MOST_ALARMS {
            alarms.shrink(MOST_ALARMS / 2);
        }
    }
}

/// Makes the newest overview known.
fn tell(state: &State) {
    let text: Arc<str> = overview(state).to_string().into();
    state.live.send_replace(text);
}
