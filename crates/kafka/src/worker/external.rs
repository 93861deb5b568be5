//! Workers whose owner commits: membership for the owner's transactions, going back after an abort, pausing.
//!
//! # Going back
//! After an abort the owner's state and the consumer's position are ahead of what the group has committed. [`Worker::rewind`]
//! brings both back: the owner is told of all partitions as lost, so that it drops their state, and then as assigned with
//! their committed offsets, as if it had just started. The membership stays: leaving and joining again would cost the group
//! two rebalances, and a seek throws away what was fetched ahead just as well.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{Answer, COMMIT_TIMEOUT, COMMITTED_TIMEOUT, DEAD_LETTER_TIMEOUT, Event, Worker, list};
use crate::native::list::PartitionList;
use crate::settings::KafkaSettings;
use crate::{Error, ErrorCode, GroupMetadata, OffsetCommit, TopicPartition};

/// How long partitions may take to be read from another offset.
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the pause before a seek is tried again is.
const SEEK_PAUSE: Duration = Duration::from_millis(10);

/// What a consumer is made with whose owner commits in transactions.
pub(super) fn apply(settings: &mut KafkaSettings) {
    // Offsets inside an open transaction are waited for, and records of aborted ones are never seen.
    settings.consumer.insert("isolation.level".into(), "read_committed".into());
    settings.common.remove("isolation.level");
    let key = "partition.assignment.strategy";
    if !settings.common.contains_key(key) {
        settings.consumer.entry(key.into()).or_insert_with(|| "cooperative-sticky".into());
    }
}

impl Worker {
    /// This member and the group's generation, for [`Transactional::send_offsets`](crate::Transactional::send_offsets).
    /// To be taken anew for each transaction: rebalances change it.
    pub fn group_metadata(&self) -> GroupMetadata {
        self.consumer.group_metadata()
    }

    /// The next offset to be handed out of each partition, if known: what an owner commits when it has processed
    /// everything. It passes over transaction markers where the end of a partition was reached.
    pub fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Option<i64>)> {
        self.positions.handed_out()
    }

    /// Commits positions of the owner's choice outside a transaction, each with its text, and waits for the answer. What was
    /// written before it is seen at least once. `false`: the group has gone on without this member, or the coordinator did
    /// not answer in time, so that it is not known what is committed; [`Worker::rewind`] is the way on.
    pub fn commit_offsets(&mut self, offsets: &[OffsetCommit]) -> Result<bool, Error> {
        if offsets.is_empty() {
            return Ok(true);
        }
        let list = PartitionList::with_metadata(
            offsets.iter().map(|commit| (&commit.place, commit.offset, &*commit.metadata)),
        );
        match self.consumer.commit_list(&list, COMMIT_TIMEOUT) {
            Ok(()) => Ok(true),
            Err(code) => self.commit_refused(code).map(|()| false),
        }
    }

    /// Waits until every dead letter handed over so far is acknowledged: to be called before the owner commits what is
    /// behind them.
    pub fn settle_dead_letters(&mut self) -> Result<(), Error> {
        self.dead_letters.settle(DEAD_LETTER_TIMEOUT)
    }

    /// Begins an assigned partition at an offset of the owner's choice rather than at the group's, for owners that keep
    /// positions with their output. To be called between [`Event::Assigned`] and the next call of [`Worker::next`].
    ///
    /// # Panics
    /// If the partition is not one of those just assigned.
    pub fn start_at(&mut self, place: &TopicPartition, offset: i64) {
        let Some(Answer::Assign(starts)) = &mut self.answer else {
            panic!("{place} has not just been assigned");
        };
        let start = starts.iter_mut().find(|start| start.place == *place);
        start.unwrap_or_else(|| panic!("{place} has not just been assigned")).offset = Some(offset);
    }

    /// Goes back to the committed offsets in all partitions, after an abort: the next events are [`Event::Lost`] and
    /// [`Event::Assigned`] for all of them, and then the same records again. A partition without a committed offset
    /// goes back to the first record that was handed out.
    ///
    /// If the brokers do not answer in time, nothing has changed and it can be called again.
    pub fn rewind(&mut self) -> Result<(), Error> {
        self.positions.finish();
        match self.answer.take() {
            Some(Answer::Assign(starts)) => self.accept(&starts)?,
            Some(Answer::GiveUp { places, .. }) => self.give_up(&places, false)?,
            None => {}
        }
        let places: Vec<_> = self.assignment().cloned().collect();
        if places.is_empty() {
            return Ok(());
        }
        let mut starts = self
            .consumer
            .committed(&places, COMMITTED_TIMEOUT)
            .map_err(|code| self.group_error("cannot read committed offsets", code))?;
        for start in &mut starts {
            start.offset = start.offset.or_else(|| self.positions.first(&start.place));
        }
        let offsets: Vec<_> =
            starts.iter().filter_map(|start| Some((start.place.clone(), start.offset?))).collect();
        self.seek(&offsets)?;
        info!(group = self.options.group, partitions = list(&places), "going back to the committed offsets");
        self.positions.rewind(&offsets);
        self.waiting.clear();
        self.waiting.extend([Event::Lost(places), Event::Assigned(starts)]);
        self.last_progress = Instant::now();
        Ok(())
    }

    fn seek(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), Error> {
        let deadline = Instant::now() + SEEK_TIMEOUT;
        while !offsets.is_empty() {
            let Err((place, code)) = self.consumer.seek(offsets, SEEK_TIMEOUT) else { break };
            // A partition that was just assigned, or is just being taken away, cannot be moved for a moment.
            let is_passing = matches!(code, ErrorCode::State | ErrorCode::PreviousInProgress);
            if !is_passing || Instant::now() >= deadline {
                let what = place.map_or_else(String::new, |place| format!(" of {place}"));
                return Err(self.group_error(&format!("cannot go back to the committed offset{what}"), code));
            }
            warn!(group = self.options.group, %code, "going back is not possible yet");
            // The pace of trying again: there is nothing to wait for.
            std::thread::sleep(SEEK_PAUSE);
        }
        Ok(())
    }

    /// Stops handing out records of these partitions, for instance while a database is away. The membership goes on as
    /// long as [`Worker::next`] is called. What is already handed out stays so.
    pub fn pause(&mut self, places: &[TopicPartition]) -> Result<(), Error> {
        self.consumer.pause(places).map_err(|code| self.group_error("cannot pause", code))?;
        self.paused
            .extend(places.iter().filter(|place| !self.paused.contains(place)).cloned().collect::<Vec<_>>());
        Ok(())
    }

    /// Hands out records of these partitions again, from where they were paused.
    pub fn resume(&mut self, places: &[TopicPartition]) -> Result<(), Error> {
        self.consumer.resume(places).map_err(|code| self.group_error("cannot resume", code))?;
        self.paused.retain(|paused| !places.contains(paused));
        self.last_progress = Instant::now();
        Ok(())
    }

    /// Partitions that go are not paused when they come back.
    pub(super) fn forget_pauses(&mut self, places: &[TopicPartition]) -> Result<(), Error> {
        let gone: Vec<_> = self.paused.iter().filter(|paused| places.contains(paused)).cloned().collect();
        if gone.is_empty() { Ok(()) } else { self.resume(&gone) }
    }
}
