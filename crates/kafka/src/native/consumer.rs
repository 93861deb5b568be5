//! A consumer of a group: batches, rebalances, commits, ends of partitions. Used by one thread.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

use super::client::{Client, CommitResult, Rebalance, Shared, check, lock, millis, take_error};
use super::list::PartitionList;
use super::message::NativeBatch;
use crate::settings::{KafkaSettings, Role};
use crate::{Error, PartitionStart, TopicPartition};

/// A member of a consumer group.
pub(crate) struct Consumer {
    queue: *mut rd::rd_kafka_queue_t,
    client: Arc<Client>,
}

// SAFETY: queue and client may be used from any thread; this type has no interior state of its own.
unsafe impl Send for Consumer {}

impl Consumer {
    /// Joins nothing yet; `settings` must hold a `group.id` for consumers.
    pub(crate) fn new(settings: &KafkaSettings) -> Result<Self, Error> {
        let client = Client::new(settings, Role::Consumer, Shared::default())?;
        // SAFETY: the handle is a valid consumer; the queue's reference is given back on drop.
        let queue = unsafe {
            rd::rd_kafka_poll_set_consumer(client.handle());
            rd::rd_kafka_queue_get_consumer(client.handle())
        };
        assert!(!queue.is_null(), "a consumer with a group id has a consumer queue");
        Ok(Self { queue, client })
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Asks to join the group for these topics.
    pub(crate) fn subscribe(&self, topics: &[String]) -> Result<(), RDKafkaErrorCode> {
        let places: Vec<_> = topics
            .iter()
            .map(|topic| TopicPartition { topic: topic.as_str().into(), partition: -1 })
            .collect();
        let list = PartitionList::new(places.iter().map(|place| (place, None)));
        // SAFETY: handle and list are valid; the list is copied.
        check(unsafe { rd::rd_kafka_subscribe(self.client.handle(), list.as_ptr()) })
    }

    /// Fetches up to `at_most` messages, waiting up to `timeout` for the first.
    ///
    /// librdkafka's batch call waits until the batch is full or the time is over, so the wait is for one message
    /// and the rest is what lies ready: a reading is handed on as soon as it is there.
    pub(crate) fn fetch(&self, at_most: usize, timeout: Duration) -> NativeBatch {
        let mut batch = NativeBatch::new(Arc::clone(&self.client), at_most);
        let mut got = batch.fill(self.queue, 0, at_most);
        if got == 0 && !timeout.is_zero() && !self.rebalance_waits() {
            got = batch.fill(self.queue, millis(timeout), 1);
            if got > 0 && at_most > 1 {
                batch.fill(self.queue, 0, at_most - 1);
            }
        }
        batch
    }

    fn rebalance_waits(&self) -> bool {
        lock(&self.client.shared().rebalance).is_some()
    }

    /// The rebalance that the group has asked for since the last call.
    pub(crate) fn take_rebalance(&self) -> Option<Rebalance> {
        lock(&self.client.shared().rebalance).take()
    }

    /// Has [`Consumer::take_rebalance`] give this out again: it could not be answered yet.
    pub(crate) fn put_back(&self, rebalance: Rebalance) {
        lock(&self.client.shared().rebalance).get_or_insert(rebalance);
    }

    /// Whether the partitions to be revoked are already lost to another member.
    pub(crate) fn assignment_lost(&self) -> bool {
        // SAFETY: the handle is valid.
        unsafe { rd::rd_kafka_assignment_lost(self.client.handle()) != 0 }
    }

    fn is_cooperative(&self) -> bool {
        // SAFETY: the handle is valid.
        unsafe { is_cooperative(self.client.handle()) }
    }

    /// Accepts an assignment, starting at the offsets given (`None`: the group's, else `auto.offset.reset`).
    pub(crate) fn assign(&self, places: &[(TopicPartition, Option<i64>)]) -> Result<(), RDKafkaErrorCode> {
        let list = PartitionList::new(places.iter().map(|(place, offset)| (place, *offset)));
        // SAFETY: handle and list are valid; the list is copied.
        unsafe {
            if self.is_cooperative() {
                take_error(rd::rd_kafka_incremental_assign(self.client.handle(), list.as_ptr()))
            } else {
                check(rd::rd_kafka_assign(self.client.handle(), list.as_ptr()))
            }
        }
    }

    /// Gives partitions back.
    pub(crate) fn unassign(&self, places: &[TopicPartition]) -> Result<(), RDKafkaErrorCode> {
        let list = PartitionList::new(places.iter().map(|place| (place, None)));
        // SAFETY: handle and list are valid; the list is copied.
        unsafe {
            if self.is_cooperative() {
                take_error(rd::rd_kafka_incremental_unassign(self.client.handle(), list.as_ptr()))
            } else {
                check(rd::rd_kafka_assign(self.client.handle(), std::ptr::null()))
            }
        }
    }

    /// The group's committed offsets, each with the metadata beside it. With `isolation.level=read_committed` an
    /// offset inside an open transaction is waited for.
    pub(crate) fn committed(
        &self,
        places: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<PartitionStart>, RDKafkaErrorCode> {
        let list = PartitionList::new(places.iter().map(|place| (place, None)));
        // SAFETY: handle and list are valid; offsets are written into the list.
        check(unsafe { rd::rd_kafka_committed(self.client.handle(), list.as_ptr(), millis(timeout)) })?;
        // An offset inside a transaction that does not end comes as an error of its partition, without an offset: taken
        // for "nothing committed", the partition would be read from its beginning. Where the topic is unknown or not to be
        // read, there is nothing to begin.
        let is_harmless = |code: &RDKafkaErrorCode| {
            use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopicOrPartition};
            matches!(code, TopicAuthorizationFailed | UnknownTopicOrPartition)
        };
        match list.errors().into_iter().find(|(_, code)| !is_harmless(code)) {
            Some((_, code)) => Err(code),
            None => Ok(list.committed()),
        }
    }

    /// The membership as it is now, for the transaction that commits this member's offsets.
    pub(crate) fn group_metadata(&self) -> GroupMetadata {
        // SAFETY: the handle is a valid consumer with a group id, so that the call returns an object of its own.
        let pointer = unsafe { rd::rd_kafka_consumer_group_metadata(self.client.handle()) };
        assert!(!pointer.is_null(), "a consumer with a group id has group metadata");
        GroupMetadata { pointer }
    }

    /// Reads on from other offsets; what was fetched ahead is thrown away.
    pub(crate) fn seek(
        &self,
        places: &[(TopicPartition, i64)],
        timeout: Duration,
    ) -> Result<(), (Option<TopicPartition>, RDKafkaErrorCode)> {
        let list = PartitionList::new(places.iter().map(|(place, offset)| (place, Some(*offset))));
        // SAFETY: handle and list are valid; the result for each partition is written into the list.
        unsafe {
            take_error(rd::rd_kafka_seek_partitions(self.client.handle(), list.as_ptr(), millis(timeout)))
                .map_err(|code| (None, code))?;
        }
        let refused = list.errors().into_iter().next();
        refused.map_or(Ok(()), |(place, code)| Err((Some(place), code)))
    }

    /// Stops handing out records of partitions; the membership goes on.
    pub(crate) fn pause(&self, places: &[TopicPartition]) -> Result<(), RDKafkaErrorCode> {
        let list = PartitionList::new(places.iter().map(|place| (place, None)));
        // SAFETY: handle and list are valid.
        check(unsafe { rd::rd_kafka_pause_partitions(self.client.handle(), list.as_ptr()) })?;
        list.errors().first().map_or(Ok(()), |(_, code)| Err(*code))
    }

    /// Hands out records of paused partitions again.
    pub(crate) fn resume(&self, places: &[TopicPartition]) -> Result<(), RDKafkaErrorCode> {
        let list = PartitionList::new(places.iter().map(|place| (place, None)));
        // SAFETY: handle and list are valid.
        check(unsafe { rd::rd_kafka_resume_partitions(self.client.handle(), list.as_ptr()) })?;
        list.errors().first().map_or(Ok(()), |(_, code)| Err(*code))
    }

    /// Commits without waiting; the result comes through [`Consumer::take_commits`].
    pub(crate) fn commit_async(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), RDKafkaErrorCode> {
        let list = PartitionList::new(offsets.iter().map(|(place, offset)| (place, Some(*offset))));
        // SAFETY: handle and list are valid; the list is copied.
        check(unsafe { rd::rd_kafka_commit(self.client.handle(), list.as_ptr(), 1) })
    }

    /// Commits and waits for the coordinator's answer, at most `timeout`.
    pub(crate) fn commit_sync(
        &self,
        offsets: &[(TopicPartition, i64)],
        timeout: Duration,
    ) -> Result<(), RDKafkaErrorCode> {
        let list = PartitionList::new(offsets.iter().map(|(place, offset)| (place, Some(*offset))));
        self.commit_list(&list, timeout)
    }

    /// The same for offsets with texts beside them.
    pub(crate) fn commit_list(
        &self,
        list: &PartitionList,
        timeout: Duration,
    ) -> Result<(), RDKafkaErrorCode> {
        let handle = self.client.handle();
        // SAFETY: the queue is made and destroyed here; the event is read before it is destroyed; a reply that
        // comes after the time is over goes to a queue without readers and is freed with it.
        unsafe {
            let queue = rd::rd_kafka_queue_new(handle);
            let sent =
                check(rd::rd_kafka_commit_queue(handle, list.as_ptr(), queue, None, std::ptr::null_mut()));
            let result = sent.and_then(|()| {
                let event = rd::rd_kafka_queue_poll(queue, millis(timeout));
                if event.is_null() {
                    return Err(RDKafkaErrorCode::OperationTimedOut);
                }
                let code = check(rd::rd_kafka_event_error(event));
                rd::rd_kafka_event_destroy(event);
                code
            });
            rd::rd_kafka_queue_destroy(queue);
            result
        }
    }

    /// Results of asynchronous commits since the last call.
    pub(crate) fn take_commits(&self) -> Vec<CommitResult> {
        std::mem::take(&mut lock(&self.client.shared().commits))
    }

    /// First and next offset of a partition as the last fetch told them; `None` before the first.
    pub(crate) fn cached_watermarks(&self, place: &TopicPartition) -> Option<(i64, i64)> {
        let topic = std::ffi::CString::new(&*place.topic).ok()?;
        let (mut low, mut high) = (0, 0);
        // SAFETY: the handle is valid; the offsets are written by the call.
        let code = unsafe {
            rd::rd_kafka_get_watermark_offsets(
                self.client.handle(),
                topic.as_ptr(),
                place.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (check(code).is_ok() && high >= 0).then_some((low.max(0), high))
    }

    /// First and next offset of a partition, asked of its leader.
    pub(crate) fn watermarks(
        &self,
        place: &TopicPartition,
        timeout: Duration,
    ) -> Result<(i64, i64), RDKafkaErrorCode> {
        let topic = std::ffi::CString::new(&*place.topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        let (mut low, mut high) = (0, 0);
        // SAFETY: as above.
        check(unsafe {
            rd::rd_kafka_query_watermark_offsets(
                self.client.handle(),
                topic.as_ptr(),
                place.partition,
                &raw mut low,
                &raw mut high,
                millis(timeout) as c_int,
            )
        })?;
        Ok((low, high))
    }

    /// The offset of the first record at or after a time in milliseconds; `None` if there is none.
    pub(crate) fn offset_for_time(
        &self,
        place: &TopicPartition,
        millis_since_epoch: i64,
        timeout: Duration,
    ) -> Result<Option<i64>, RDKafkaErrorCode> {
        let list = PartitionList::new([(place, Some(millis_since_epoch))]);
        // SAFETY: handle and list are valid; the time in the list is replaced by the offset.
        check(unsafe {
            rd::rd_kafka_offsets_for_times(self.client.handle(), list.as_ptr(), millis(timeout))
        })?;
        Ok(list.entries().into_iter().find_map(|(_, offset)| offset))
    }

    /// Leaves the group. Offsets must have been committed before.
    pub(crate) fn close(&self) -> Result<(), RDKafkaErrorCode> {
        self.client.shared().closing.store(true, Ordering::Release);
        // A rebalance that was announced and not answered would keep the close waiting.
        match self.take_rebalance() {
            Some(Rebalance::Revoke(places)) => self.unassign(&places)?,
            Some(Rebalance::Assign(_)) if self.is_cooperative() => self.assign(&[])?,
            Some(Rebalance::Assign(_)) => self.unassign(&[])?,
            None => {}
        }
        // SAFETY: the handle is valid.
        check(unsafe { rd::rd_kafka_consumer_close(self.client.handle()) })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // SAFETY: the reference taken in `new`.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

/// Whether the group gives and takes partitions one by one rather than all at once. SAFETY: the handle is valid.
pub(super) unsafe fn is_cooperative(handle: *mut rd::rd_kafka_t) -> bool {
    // SAFETY: by contract; the call returns null or a static C string.
    unsafe {
        let name = rd::rd_kafka_rebalance_protocol(handle);
        !name.is_null() && std::ffi::CStr::from_ptr(name).to_bytes() == b"COOPERATIVE"
    }
}

/// A consumer's membership in its group at one moment: member and generation. A transaction that commits offsets shows
/// it, so that a member that the group has gone on without cannot commit (KIP-447).
pub struct GroupMetadata {
    pointer: *mut rd::rd_kafka_consumer_group_metadata_t,
}

// SAFETY: the object is never changed after it was made.
unsafe impl Send for GroupMetadata {}
// SAFETY: as above.
unsafe impl Sync for GroupMetadata {}

impl GroupMetadata {
    pub(super) fn as_ptr(&self) -> *const rd::rd_kafka_consumer_group_metadata_t {
        self.pointer
    }

    /// The generation of the group that the member belongs to; negative before it has joined.
    pub fn generation(&self) -> i32 {
        // SAFETY: owned and valid.
        unsafe { rd::rd_kafka_consumer_group_metadata_generation_id(self.pointer) }
    }
}

impl std::fmt::Debug for GroupMetadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupMetadata").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { rd::rd_kafka_consumer_group_metadata_destroy(self.pointer) }
    }
}
