//! Partitions that come and go: state is read back before the first record, and committed or thrown away before the last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Plan;
use kafka::{PartitionStart, TopicPartition};
use runtime::now_micros;
use tracing::{info, warn};

use super::held::Held;
use super::{Own, thread_name};
use crate::Error;
use crate::driver::recovery::Committed;
use crate::driver::{Beginning, Lane, Spot, read_metadata};
use crate::inputs::is_passing;
use crate::process::Shared;
use crate::restore::{Restorer, Wanted};
use crate::writer::WriteError;

/// How long the pause is before something is tried again that the brokers could not do.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// So much state is written down in one go when partitions are given up, in bytes.
pub(super) const LEAVE_BYTES: usize = 32 << 20;
/// Why a worker is not ready that reads state back.
const RESTORING: &str = "restoring state";

impl Own<'_> {
    /// Restores the state of partitions that come.
    pub(super) fn assigned(&mut self, starts: &[PartitionStart]) -> Result<(), WriteError> {
        // What is open would hide control records from ourselves.
        self.commit_now()?;
        self.is_joined = true;
        self.plan_version = self.shared.options.plan.version();
        let plan = self.shared.options.plan.current();
        let (mut fresh, mut wanted) = (Vec::new(), Vec::new());
        for start in starts {
            let spot = self.spot(&start.place);
            match (start.offset, read_metadata(&start.metadata)) {
                (Some(offset), Some(sequence)) => {
                    wanted.push(Wanted { spot, committed: Committed { offset, sequence } });
                }
                (offset, _) => fresh.push((spot, offset)),
            }
        }
        let restored = if wanted.is_empty() { Some(Vec::new()) } else { self.restored(&wanted, &plan)? };
        let begun = if fresh.is_empty() { Some(Vec::new()) } else { self.begun(&fresh, &plan)? };
        // The end was asked for: the partitions go to somebody else, untouched.
        let (Some(restored), Some(begun)) = (restored, begun) else { return Ok(()) };
        let now = now_micros();
        for mut lane in restored {
            lane.change_plan(&plan, now, &mut self.outbox);
            self.held.push(Held::new(lane));
        }
        for lane in &begun {
            self.consumer.start_at(lane.place(), lane.position());
        }
        self.held.extend(begun.into_iter().map(Held::new));
        if let Some(end) = &self.shared.end {
            end.hold(starts.iter().map(|start| &start.place));
        }
        self.counted.restoring = None;
        self.publish();
        for held in &self.held {
            if let (Some(end), false) = (&self.shared.end, held.lane.is_changed()) {
                end.pass(held.lane.place(), held.lane.position());
            }
        }
        self.commit_now()
    }

    fn spot(&self, place: &TopicPartition) -> Spot {
        Spot {
            place: place.clone(),
            internal_partitions: self.shared.names.internal_partitions,
            snapshot_interval: self.shared.options.snapshot_interval,
        }
    }

    /// Reads state back, again and again while the brokers cannot say.
    fn restored(&mut self, wanted: &[Wanted], plan: &Arc<Plan>) -> Result<Option<Vec<Lane>>, Error> {
        let shared = self.shared;
        shared.status.set_unready(&thread_name(self.number), RESTORING);
        let began = Instant::now();
        let restored = persist(shared, || restorer(shared, self.number).restore(wanted.to_vec(), plan));
        let records = shared.figures.of(self.number).restoring.take().map_or(0, |progress| progress.records);
        shared.meters.restored(began.elapsed(), records);
        restored
    }

    /// Lanes without state: at the positions given, or where `auto.offset.reset` says.
    fn begun(&mut self, fresh: &[(Spot, Option<i64>)], plan: &Arc<Plan>) -> Result<Option<Vec<Lane>>, Error> {
        let shared = self.shared;
        let consumer = &self.consumer;
        let Some(watermarks) = persist(shared, || Ok(Some(consumer.watermarks()?)))? else { return Ok(None) };
        let mut lanes = Vec::with_capacity(fresh.len());
        for (spot, offset) in fresh {
            let internal = spot.internal();
            let known = persist(shared, || restorer(shared, self.number).last_controls(internal))?;
            let Some(known) = known else { return Ok(None) };
            let found = watermarks.iter().find(|(place, ..)| *place == spot.place);
            let (low, high) = found.map_or((0, 0), |(_, low, high)| (*low, *high));
            let default = if shared.starts_at_end() { high } else { low };
            let at = Beginning {
                position: offset.unwrap_or(default),
                sequence: known.get(&spot.place).copied().unwrap_or(0),
            };
            info!(place = %spot.place, position = at.position, "beginning without state");
            lanes.push(Lane::begin(spot, plan, shared.seed, at, now_micros(), &mut self.outbox));
        }
        Ok(Some(lanes))
    }

    /// Commits before partitions go, with their state, so that whoever gets them has little to read.
    pub(super) fn revoked(&mut self, places: &[TopicPartition]) -> Result<(), WriteError> {
        let now = now_micros();
        for held in self.held.iter_mut().filter(|held| places.contains(held.lane.place())) {
            held.lane.save_all(now, LEAVE_BYTES, &mut self.outbox);
        }
        self.commit_now()?;
        self.drop_lanes(|place| places.contains(place));
        Ok(())
    }

    /// The group has gone on without this member: nothing of what is open can be committed any more.
    pub(super) fn lost(&mut self, places: &[TopicPartition]) -> Result<(), WriteError> {
        if self.held.iter().any(|held| places.contains(held.lane.place())) {
            return Err(WriteError::GoBack("the group has taken partitions away".into()));
        }
        Ok(())
    }

    /// Throws away all state and everything that is not committed; the next events bring the partitions back.
    pub(super) fn go_back(&mut self, reason: &str) -> Result<(), Error> {
        warn!(reason, "going back to what was committed");
        self.counted.aborts += 1;
        self.shared.meters.went_back();
        self.drop_lanes(|_| true);
        self.outbox.clear();
        self.pace.done(now_micros());
        self.oldest_ms = None;
        let (writer, consumer) = (&mut self.writer, &mut self.consumer);
        persist(self.shared, || Ok(Some(writer.go_back()?)))?;
        persist(self.shared, || Ok(Some(consumer.rewind()?)))?;
        Ok(())
    }

    pub(super) fn drop_lanes(&mut self, gone: impl Fn(&TopicPartition) -> bool) {
        self.count();
        let gone: Vec<Held> = self.held.extract_if(.., |held| gone(held.lane.place())).collect();
        for held in &gone {
            self.counted.settle(held);
        }
        if let Some(end) = &self.shared.end {
            end.release(gone.iter().map(|held| held.lane.place()));
        }
        let told: Vec<_> =
            self.counted.partitions.extract_if(.., |told| gone.iter().any(|held| held.is(told))).collect();
        self.shared.meters.forget(&told);
        self.publish();
    }
}

fn restorer(shared: &Shared, number: usize) -> RestorerFor<'_> {
    RestorerFor { shared, number }
}

/// A [`Restorer`] that tells the figures of one worker how far it is.
struct RestorerFor<'s> {
    shared: &'s Shared,
    number: usize,
}

impl RestorerFor<'_> {
    fn with<T>(&self, work: impl FnOnce(&Restorer<'_>) -> T) -> T {
        let shared = self.shared;
        work(&Restorer {
            options: &shared.options,
            names: &shared.names,
            settings: &shared.settings,
            shutdown: &shared.shutdown,
            standby: shared.standby.as_ref(),
            seed: shared.seed,
            progress: &|progress| shared.figures.of(self.number).restoring = Some(progress.clone()),
        })
    }

    fn restore(&self, wanted: Vec<Wanted>, plan: &Arc<Plan>) -> Result<Option<Vec<Lane>>, Error> {
        self.with(|restorer| restorer.restore(wanted, plan))
    }

    fn last_controls(
        &self,
        internal: i32,
    ) -> Result<Option<std::collections::BTreeMap<TopicPartition, u64>>, Error> {
        self.with(|restorer| restorer.last_controls(internal))
    }
}

/// Tries until it succeeds, fails for good, or the end is asked for (`None`).
fn persist<T>(
    shared: &Shared,
    mut work: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    loop {
        match work() {
            Err(error) if is_passing(&error) => {
                warn!(%error, "the brokers cannot do it yet, trying again");
                if shared.shutdown.wait(RETRY_PAUSE) {
                    return Ok(None);
                }
            }
            other => return other,
        }
    }
}
