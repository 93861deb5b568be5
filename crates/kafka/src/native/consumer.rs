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
use crate::{Error, TopicPartition};

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

    /// Whether the partitions to be revoked are already lost to another member.
    pub(crate) fn assignment_lost(&self) -> bool {
        // SAFETY: the handle is valid.
        unsafe { rd::rd_kafka_assignment_lost(self.client.handle()) != 0 }
    }

    fn is_cooperative(&self) -> bool {
        // SAFETY: the handle is valid; the call returns null or a static C string.
        unsafe {
            let name = rd::rd_kafka_rebalance_protocol(self.client.handle());
            !name.is_null() && std::ffi::CStr::from_ptr(name).to_bytes() == b"COOPERATIVE"
        }
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

    /// The group's committed offsets.
    pub(crate) fn committed(
        &self,
        places: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<(TopicPartition, Option<i64>)>, RDKafkaErrorCode> {
        let list = PartitionList::new(places.iter().map(|place| (place, None)));
        // SAFETY: handle and list are valid; offsets are written into the list.
        check(unsafe { rd::rd_kafka_committed(self.client.handle(), list.as_ptr(), millis(timeout)) })?;
        Ok(list.entries())
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

    /// Stops fetching behind the worker's back, to play a client that stalls in silence.
    #[cfg(test)]
    pub(crate) fn stall(&self, places: &[TopicPartition]) {
        let list = PartitionList::new(places.iter().map(|place| (place, None)));
        // SAFETY: handle and list are valid.
        check(unsafe { rd::rd_kafka_pause_partitions(self.client.handle(), list.as_ptr()) }).unwrap();
    }

    /// Leaves the group. Offsets must have been committed before.
    pub(crate) fn close(&self) -> Result<(), RDKafkaErrorCode> {
        self.client.shared().closing.store(true, Ordering::Release);
        // A rebalance that was announced and not answered would keep the close waiting.
        if self.take_rebalance().is_some() {
            // SAFETY: the handle is valid; null unassigns all.
            check(unsafe { rd::rd_kafka_assign(self.client.handle(), std::ptr::null()) })?;
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
