//! The calls that make a producer transactional, and what librdkafka says when one fails.

use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

use super::client::{Client, error_code, lossy, millis};
use super::consumer::GroupMetadata;
use super::list::PartitionList;

/// Why a transactional call failed, with what librdkafka wants done about it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) text: String,
    /// The same call may be made again, and then goes on where it was.
    pub(crate) is_retriable: bool,
    /// The transaction can only be aborted.
    pub(crate) wants_abort: bool,
}

/// SAFETY: null or owned by the caller, who gives it away.
unsafe fn take_refusal(pointer: *mut rd::rd_kafka_error_t) -> Result<(), Refusal> {
    if pointer.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so valid; the text is copied before the error is destroyed, once.
    unsafe {
        let refusal = Refusal {
            code: error_code(rd::rd_kafka_error_code(pointer)),
            text: lossy(rd::rd_kafka_error_string(pointer)),
            is_retriable: rd::rd_kafka_error_is_retriable(pointer) != 0,
            wants_abort: rd::rd_kafka_error_txn_requires_abort(pointer) != 0,
        };
        rd::rd_kafka_error_destroy(pointer);
        Err(refusal)
    }
}

impl Client {
    /// Registers the transactional id; ends what an earlier owner of it left open, and fences that owner.
    pub(crate) fn init_transactions(&self, timeout: Duration) -> Result<(), Refusal> {
        // SAFETY: the handle is valid.
        unsafe { take_refusal(rd::rd_kafka_init_transactions(self.handle(), millis(timeout))) }
    }

    pub(crate) fn begin_transaction(&self) -> Result<(), Refusal> {
        // SAFETY: the handle is valid.
        unsafe { take_refusal(rd::rd_kafka_begin_transaction(self.handle())) }
    }

    pub(crate) fn send_offsets_to_transaction(
        &self,
        offsets: &PartitionList,
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        // SAFETY: handle, list and metadata are valid; list and metadata are copied.
        unsafe {
            take_refusal(rd::rd_kafka_send_offsets_to_transaction(
                self.handle(),
                offsets.as_ptr(),
                group.as_ptr(),
                millis(timeout),
            ))
        }
    }

    /// Waits for what is under way, serving deliveries on this thread, and commits.
    pub(crate) fn commit_transaction(&self, timeout: Duration) -> Result<(), Refusal> {
        // SAFETY: the handle is valid.
        unsafe { take_refusal(rd::rd_kafka_commit_transaction(self.handle(), millis(timeout))) }
    }

    /// Throws away what was not sent yet, serving deliveries on this thread, and aborts.
    pub(crate) fn abort_transaction(&self, timeout: Duration) -> Result<(), Refusal> {
        // SAFETY: the handle is valid.
        unsafe { take_refusal(rd::rd_kafka_abort_transaction(self.handle(), millis(timeout))) }
    }
}
