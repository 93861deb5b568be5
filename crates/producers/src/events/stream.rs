//! The stream of events: a population of entities, to one of which something happens at each turn.
//!
//! Like the simulator of sensors it does no I/O, knows no clock, and is a function of its options. It is a time-lapse:
//! what takes days in life follows here as soon as it is the entity's turn again. An entity whose life is over is
//! replaced by a new one, with a new id.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use model::{Event, EventTime};

use super::data::{Traits, data};
use super::lifecycle::{Kind, Life};
use super::{EventsError, Rate};
use crate::noise::{Noise, Purpose};

/// The most entities one stream drives.
pub const MAX_ENTITIES: usize = 1_000_000;

/// Events a second of simulated time, where the stream runs as fast as possible from a given start.
const USUAL_RATE: f64 = 10.0;

/// What the stream is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamOptions {
    /// How many entities live at the same time, 1 to [`MAX_ENTITIES`].
    pub entities: usize,
    /// Events a second.
    pub rate: Rate,
    /// The time of the first event; now, if not given.
    pub start_time: Option<EventTime>,
    /// The seed of everything random.
    pub seed: u64,
    /// The number of events after which the stream ends.
    pub count: Option<u64>,
}

/// One event and what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The entity's id: the record's key.
    pub entity: String,
    /// The number of the event among those of the entity, counted from 1.
    pub sequence: u64,
    /// The event.
    pub event: Event<'static>,
}

/// A stream of events; see the module's text.
#[derive(Debug, Clone)]
pub struct EventStream {
    entities: Vec<Entity>,
    noise: Noise,
    seed: u64,
    /// How many entities there have been of each kind.
    born: BTreeMap<Kind, u64>,
    made: u64,
    count: Option<u64>,
    clock: Clock,
}

#[derive(Debug, Clone)]
struct Entity {
    id: String,
    kind: Kind,
    traits: Traits,
    /// The event that comes next.
    life: Life,
    sequence: u64,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    start_micros: i64,
    /// `None`: events bear the time that the caller sets.
    step_seconds: Option<f64>,
    now_micros: i64,
}

impl EventStream {
    /// A stream whose first event is at `options.start_time`, or else at `now`.
    pub fn new(options: &StreamOptions, now: EventTime) -> Result<Self, EventsError> {
        let &StreamOptions { entities, rate, start_time, seed, count } = options;
        if !(1..=MAX_ENTITIES).contains(&entities) {
            return Err(EventsError::Entities(entities));
        }
        let step_seconds = match (rate, start_time) {
            (Rate::PerSecond(rate), _) => Some(1.0 / rate),
            (Rate::Max, Some(_)) => Some(1.0 / USUAL_RATE),
            (Rate::Max, None) => None,
        };
        let start_micros = start_time.unwrap_or(now).micros();
        let mut stream = Self {
            entities: Vec::with_capacity(entities),
            noise: Noise::new(seed, Purpose::Happening, 0),
            seed,
            born: BTreeMap::new(),
            made: 0,
            count,
            clock: Clock { start_micros, step_seconds, now_micros: start_micros },
        };
        for index in 0..entities {
            let entity = stream.bear(kind_of(index));
            stream.entities.push(entity);
        }
        Ok(stream)
    }

    /// Simulated time from the start until the next event; `None` at the end.
    pub fn next_due(&self) -> Option<Duration> {
        if self.count.is_some_and(|count| self.made >= count) {
            return None;
        }
        let seconds = self.made as f64 * self.clock.step_seconds.unwrap_or(0.0);
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// The next event; `None` at the end.
    pub fn next_happening(&mut self) -> Option<Happening> {
        let due = self.next_due()?;
        let time = self.clock.time(due);
        self.made += 1;
        let last = self.entities.len() as u32 - 1;
        let index = self.noise.whole(0, last) as usize;
        let entity = &mut self.entities[index];
        entity.sequence += 1;
        let happening = Happening {
            entity: entity.id.clone(),
            sequence: entity.sequence,
            event: describe(entity, time, &mut self.noise),
        };
        match entity.life.next(&mut self.noise) {
            Some(next) => entity.life = next,
            None => self.entities[index] = self.bear(kind_of(index)),
        }
        Some(happening)
    }

    /// Sets the time of the events of a stream that follows the wall clock, microseconds since the epoch.
    pub fn set_now(&mut self, micros: i64) {
        self.clock.now_micros = micros;
    }

    /// Moves the time of all further events on.
    pub fn sleep(&mut self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.clock.start_micros = self.clock.start_micros.saturating_add(micros);
    }

    /// True if events bear the time that the caller sets.
    pub(super) fn is_live(&self) -> bool {
        self.clock.step_seconds.is_none()
    }

    fn bear(&mut self, kind: Kind) -> Entity {
        let number = self.born.entry(kind).or_default();
        *number += 1;
        let mut traits = Noise::new(self.seed, Purpose::Entity, (*number << 2) + kind as u64);
        Entity {
            id: format!("{}-{:06}", kind.name(), number),
            kind,
            traits: Traits::draw(&mut traits),
            life: Life::begin(kind),
            sequence: 0,
        }
    }
}

impl Clock {
    fn time(&mut self, due: Duration) -> EventTime {
        if self.step_seconds.is_none() {
            self.start_micros = self.now_micros.max(self.start_micros + 1);
            return EventTime::from_micros(self.start_micros);
        }
        let offset = i64::try_from(due.as_micros()).unwrap_or(i64::MAX);
        EventTime::from_micros(self.start_micros.saturating_add(offset))
    }
}

/// The kind of the entities at this index: by the shares, mixed so that a small population has every kind.
fn kind_of(index: usize) -> Kind {
    // 37 has no factor in common with 100, so a hundred indices in a row go through every percentage once.
    let mut percent = (index as u64 * 37 % 100) as u32;
    for (kind, share) in Kind::SHARES {
        if percent < share {
            return kind;
        }
        percent -= share;
    }
    Kind::Order
}

fn describe(entity: &Entity, time: EventTime, noise: &mut Noise) -> Event<'static> {
    let name = entity.life.event();
    let kind = entity.kind.name();
    let mut event = Event::new(
        format!("{}-{}", entity.id, entity.sequence),
        entity.kind.source(),
        format!("io.streamgauge.{kind}.{name}"),
    );
    event.subject = Some(entity.id.clone());
    event.time = Some(time);
    event.datacontenttype = Some("application/json".to_owned());
    let data = data(entity.kind, name, &entity.id, &entity.traits, noise);
    event.data = Cow::Owned(data.to_string().into_bytes());
    event
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const START: EventTime = EventTime::from_micros(1_730_974_530_000_000);

    fn stream(count: u64, seed: u64) -> Vec<Happening> {
        let options = StreamOptions {
            entities: 200,
            rate: Rate::PerSecond(4.0),
            start_time: Some(START),
            seed,
            count: Some(count),
        };
        let mut stream = EventStream::new(&options, START).expect("good options");
        std::iter::from_fn(|| stream.next_happening()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_events() {
        assert_eq!(stream(2_000, 1), stream(2_000, 1));
        assert_ne!(stream(2_000, 1), stream(2_000, 2));
        assert_eq!(stream(2_000, 1).len(), 2_000);
    }

    #[test]
    fn the_events_of_an_entity_are_numbered_and_in_order_of_time() {
        let mut last: BTreeMap<String, (u64, EventTime)> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        for happening in stream(20_000, 1) {
            let time = happening.event.time.expect("a time");
            assert_eq!(happening.event.subject.as_deref(), Some(happening.entity.as_str()));
            assert!(ids.insert(happening.event.id.clone()), "{} twice", happening.event.id);
            kinds.insert(happening.entity.split('-').next().expect("a kind").to_owned());
            let before = last.insert(happening.entity, (happening.sequence, time));
            assert_eq!(happening.sequence, before.map_or(0, |(sequence, _)| sequence) + 1);
            assert!(before.is_none_or(|(_, earlier)| earlier < time));
        }
        assert_eq!(kinds.len(), 4);
    }

    #[test]
    fn events_go_through_a_record_unharmed() {
        for happening in stream(500, 3) {
            let (headers, value) = happening.event.to_binary();
            let headers = headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice())));
            let read = Event::from_record(headers, Some(value)).expect("an event");
            assert_eq!(read, happening.event);
            let data: serde_json::Value = serde_json::from_slice(value).expect("JSON");
            assert!(data.is_object());
        }
    }

    #[test]
    fn events_are_paced_by_the_rate() {
        let times: Vec<i64> = stream(5, 1)
            .iter()
            .filter_map(|happening| Some(happening.event.time?.micros() - START.micros()))
            .collect();
        assert_eq!(times, [0, 250_000, 500_000, 750_000, 1_000_000]);
    }
}
