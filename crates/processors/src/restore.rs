//! Reads what a recovery needs: snapshots, control records, input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Plan;
use kafka::{Batch, KafkaSettings, PartitionReader, ReadAt, Record, TopicPartition};
use model::Scratch;
use runtime::{Shutdown, now_micros};
use tracing::{debug, info, warn};

use crate::driver::control::{Control, read_key};
use crate::driver::recovery::{Candidates, Committed, Notice, Replay};
use crate::driver::snapshots::{Collector, Found, Plans};
use crate::driver::{Lane, Spot};
use crate::inputs::{Kind, Names};
use crate::intake;
use crate::standby::Standby;
use crate::watch::RestoreProgress;
use crate::{Error, Guarantee, ProcessOptions};

/// How long control records that were committed may stay hidden behind a transaction of somebody else, beyond that
/// transaction's own timeout.
const HIDDEN_MARGIN: Duration = Duration::from_secs(5);
/// How long the pause is before it is looked again whether they are visible.
const HIDDEN_PAUSE: Duration = Duration::from_millis(20);
/// How often the log says how far a long recovery is.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Reads state back for one worker.
pub(crate) struct Restorer<'a> {
    pub(crate) options: &'a ProcessOptions,
    pub(crate) names: &'a Names,
    pub(crate) settings: &'a KafkaSettings,
    pub(crate) shutdown: &'a Shutdown,
    /// Keeps snapshots at hand, if that is wanted.
    pub(crate) standby: Option<&'a Standby>,
    pub(crate) seed: u64,
    /// Is told how far it is.
    pub(crate) progress: &'a dyn Fn(&RestoreProgress),
}

/// A partition that something was committed for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) spot: Spot,
    pub(crate) committed: Committed,
}

/// The snapshots of some partitions.
struct Snapshots {
    found: BTreeMap<TopicPartition, Found>,
    plans: Plans,
    unreadable: u64,
    /// How many records were read for them.
    records: u64,
}

impl Snapshots {
    /// A copy of what is at hand.
    fn of(collector: &Collector, places: &[&TopicPartition], records: u64) -> Self {
        let found =
            |place: &&TopicPartition| ((*place).clone(), collector.found(&place.topic, place.partition));
        Self {
            found: places.iter().map(found).collect(),
            plans: collector.plans().clone(),
            unreadable: collector.unreadable(),
            records,
        }
    }
}

type Controls = BTreeMap<TopicPartition, Vec<Control>>;

impl Restorer<'_> {
    /// The lanes as they were when their positions were committed; `None` if the end was asked for meanwhile.
    pub(crate) fn restore(&self, wanted: Vec<Wanted>, plan: &Arc<Plan>) -> Result<Option<Vec<Lane>>, Error> {
        let began = Instant::now();
        let mut progress = RestoreProgress { partitions: wanted.len() as u64, ..RestoreProgress::default() };
        (self.progress)(&progress);
        let Some(Snapshots { mut found, plans, unreadable, records }) = self.snapshots(&wanted)? else {
            return Ok(None);
        };
        progress.records = records;
        if unreadable > 0 {
            let topic = &self.names.snapshots;
            warn!(topic, records = unreadable, "snapshots of another version, passed over");
        }
        let exact = self.options.guarantee == Guarantee::ExactlyOnce;
        let mut replays = Vec::with_capacity(wanted.len());
        for Wanted { spot, committed } in wanted {
            let found = found.remove(&spot.place).unwrap_or_default();
            let candidates = Candidates::new(found, committed.clone(), exact);
            let Some(replay) = self.prepare(&spot, &committed, candidates, &plans, plan)? else {
                return Ok(None);
            };
            replays.push(replay);
        }
        progress.total = replays.iter().map(Replay::span).map(|(from, to)| (to - from) as u64).sum();
        let read = self.replay(&mut replays, &mut progress, began)?;
        if !read {
            return Ok(None);
        }
        info!(
            partitions = replays.len(),
            replayed = progress.total,
            records = progress.records,
            seconds = began.elapsed().as_secs_f64(),
            "state restored"
        );
        let now = now_micros();
        Ok(Some(replays.into_iter().map(|replay| replay.finish(now)).collect()))
    }

    /// All snapshots of these partitions: those at hand, or read now.
    fn snapshots(&self, wanted: &[Wanted]) -> Result<Option<Snapshots>, Error> {
        let places: Vec<&TopicPartition> = wanted.iter().map(|wanted| &wanted.spot.place).collect();
        if let Some(standby) = self.standby {
            let Some((warm, records)) = standby.catch_up(self.shutdown)? else { return Ok(None) };
            if places.iter().all(|place| warm.collector().knows(&place.topic, place.partition)) {
                return Ok(Some(Snapshots::of(warm.collector(), &places, records)));
            }
        }
        let mut collector = Collector::new(places.iter().map(|place| (&*place.topic, place.partition)));
        let internal: BTreeSet<i32> = wanted.iter().map(|wanted| wanted.spot.internal()).collect();
        let parts: Vec<_> = internal
            .into_iter()
            .map(|partition| (self.names.snapshots(partition), ReadAt::Beginning, None))
            .collect();
        let mut records = 0;
        let done = self.read(&parts, |batch| {
            records += batch.len() as u64;
            batch.iter().for_each(|record| collector.add(record.key.unwrap_or_default(), record.value));
        })?;
        let found: BTreeMap<_, _> = places
            .into_iter()
            .map(|place| (place.clone(), collector.take(&place.topic, place.partition)))
            .collect();
        let (plans, unreadable) = (collector.plans().clone(), collector.unreadable());
        Ok(done.then_some(Snapshots { found, plans, unreadable, records }))
    }

    /// Reads the control records of one partition and gets its replay ready.
    fn prepare(
        &self,
        spot: &Spot,
        committed: &Committed,
        mut candidates: Candidates,
        plans: &Plans,
        plan: &Arc<Plan>,
    ) -> Result<Option<Replay>, Error> {
        loop {
            let needs = candidates.needs();
            let at = needs.control_from_ms.map_or(ReadAt::Beginning, ReadAt::Time);
            let mut controls = Vec::new();
            if needs.from_sequence <= committed.sequence {
                let Some(read) = self.controls(spot, at, committed.sequence)? else { return Ok(None) };
                controls = read;
            }
            match Replay::new(spot.clone(), candidates, controls, plans, plan, self.seed) {
                Ok(mut replay) => {
                    replay.assume_clock(now_micros());
                    for notice in replay.notices() {
                        tell(spot, notice);
                    }
                    return Ok(Some(replay));
                }
                Err((fewer, unusable)) => {
                    let (place, shard, problem) = (&spot.place, unusable.shard, unusable.problem);
                    warn!(%place, shard, problem, "a snapshot cannot be used, going back to the one before it");
                    candidates = fewer;
                }
            }
        }
    }

    /// The control records of one partition up to a number that is known to be committed. They may be hidden for a moment
    /// behind the open transaction of a worker that writes to the same partition of the topic.
    fn controls(&self, spot: &Spot, mut at: ReadAt, last: u64) -> Result<Option<Vec<Control>>, Error> {
        let deadline = Instant::now() + self.options.transaction_timeout + HIDDEN_MARGIN;
        let mut found = Controls::new();
        loop {
            let part = (self.names.control(spot.internal()), at, None);
            let (done, next) = self.read_controls(&part, &mut found)?;
            if !done {
                return Ok(None);
            }
            at = ReadAt::Offset(next);
            let own = found.get(&spot.place).map_or(&[][..], Vec::as_slice);
            if own.iter().any(|control| control.sequence >= last) || Instant::now() >= deadline {
                return Ok(Some(found.remove(&spot.place).unwrap_or_default()));
            }
            debug!(place = %spot.place, last, "control records are not visible yet");
            if self.shutdown.wait(HIDDEN_PAUSE) {
                return Ok(None);
            }
        }
    }

    /// The number of the last control record that is there of each partition of this internal one.
    pub(crate) fn last_controls(
        &self,
        internal: i32,
    ) -> Result<Option<BTreeMap<TopicPartition, u64>>, Error> {
        let mut found = Controls::new();
        let (done, _) =
            self.read_controls(&(self.names.control(internal), ReadAt::Beginning, None), &mut found)?;
        let last = |controls: Vec<Control>| controls.iter().map(|control| control.sequence).max();
        let last = found.into_iter().filter_map(|(place, controls)| Some((place, last(controls)?)));
        Ok(done.then(|| last.collect()))
    }

    /// Adds the control records of a part of the topic. Whether it was read to its end, and where that is.
    fn read_controls(
        &self,
        part: &(TopicPartition, ReadAt, Option<i64>),
        found: &mut Controls,
    ) -> Result<(bool, i64), Error> {
        let mut reader = PartitionReader::open(self.settings, std::slice::from_ref(part))?;
        let end = reader.spans().first().map_or(0, |span| span.to);
        while let Some(batch) = reader.next_batch()? {
            for record in batch.iter() {
                let Some((topic, partition)) = record.key.and_then(read_key) else { continue };
                match Control::decode(record.value.unwrap_or_default()) {
                    Ok(control) => {
                        let place = TopicPartition { topic: topic.into(), partition };
                        found.entry(place).or_default().push(control);
                    }
                    Err(error) => {
                        warn!(topic = %record.topic, offset = record.offset, %error, "control record passed over");
                    }
                }
            }
            if self.shutdown.is_requested() {
                return Ok((false, end));
            }
        }
        Ok((true, end))
    }

    /// Reads the input again. `false` if the end was asked for.
    fn replay(
        &self,
        replays: &mut [Replay],
        progress: &mut RestoreProgress,
        began: Instant,
    ) -> Result<bool, Error> {
        let parts: Vec<_> = replays
            .iter()
            .filter(|replay| replay.span().0 < replay.span().1)
            .map(|replay| (replay.place().clone(), ReadAt::Offset(replay.span().0), Some(replay.span().1)))
            .collect();
        if parts.is_empty() {
            return Ok(true);
        }
        let mut scratch = Scratch::new();
        let mut last_log = Instant::now();
        self.read(&parts, |batch| {
            for record in batch.iter() {
                let of = |replay: &&mut Replay| {
                    replay.place().partition == record.partition && replay.place().topic == *record.topic
                };
                if let Some(replay) = replays.iter_mut().find(of) {
                    take(replay, &record, self.names.kind(record.topic), &mut scratch);
                }
            }
            progress.records += batch.len() as u64;
            progress.seconds = began.elapsed().as_secs_f64();
            (self.progress)(progress);
            if last_log.elapsed() >= LOG_EVERY {
                last_log = Instant::now();
                info!(records = progress.records, of = progress.total, "restoring");
            }
        })
    }

    /// Reads parts to their ends. `false` if the end was asked for.
    fn read(
        &self,
        parts: &[(TopicPartition, ReadAt, Option<i64>)],
        mut each: impl FnMut(&Batch),
    ) -> Result<bool, Error> {
        let mut reader = PartitionReader::open(self.settings, parts)?;
        for ((_, at, _), span) in parts.iter().zip(reader.spans()) {
            if let ReadAt::Offset(offset) = at
                && span.from > *offset
            {
                warn!(place = %span.place, wanted = offset, oldest = span.from, "a part of the input is gone already");
            }
        }
        while let Some(batch) = reader.next_batch()? {
            each(&batch);
            if self.shutdown.is_requested() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Gives a record to a replay; what cannot be read is a dead letter already.
#[inline]
fn take(replay: &mut Replay, record: &Record<'_>, kind: Kind, scratch: &mut Scratch) {
    match kind {
        Kind::Readings => {
            let Some(value) = record.value else { return };
            if let Ok(reading) = model::decode(value, scratch) {
                replay.reading(&reading, intake::arrival(record, replay.wants_sequence()));
            }
        }
        Kind::Events => {
            if let Ok((event, time)) = intake::event(record) {
                replay.event((&event.type_, &event.source), time, intake::arrival(record, false));
            }
        }
    }
}

fn tell(spot: &Spot, notice: &Notice) {
    let place = &spot.place;
    if matches!(notice, Notice::WithoutSnapshot { .. }) {
        info!(%place, "{notice}");
    } else {
        warn!(%place, "{notice}");
    }
}
