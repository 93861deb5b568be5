//! Producing: topic handles, sending without waiting, deliveries.

use std::ffi::{CString, c_void};
use std::sync::{Arc, Mutex};

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

use super::client::{Client, check, error_code, lock, shared_of};
use super::message::BorrowedMessage;
use crate::TopicPartition;
use crate::producer::{Delivery, Outgoing, Returned, says_missing};

/// librdkafka's mark for "let the partitioner choose" (`RD_KAFKA_PARTITION_UA`).
const UNASSIGNED: i32 = -1;

/// What is done with each delivery, on the thread that polls.
pub(crate) type DeliveryHook = Mutex<Box<dyn FnMut(&Delivery) + Send>>;

/// A topic's handle, so that the name is looked up once and not per record.
pub(crate) struct NativeTopic {
    pointer: *mut rd::rd_kafka_topic_t,
    client: Arc<Client>,
}

// SAFETY: topic handles may be used from any thread at once.
unsafe impl Send for NativeTopic {}
// SAFETY: as above.
unsafe impl Sync for NativeTopic {}

impl NativeTopic {
    pub(crate) fn new(client: &Arc<Client>, name: &str) -> Result<Self, RDKafkaErrorCode> {
        let text = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: handle and name are valid; a null configuration means the client's defaults.
        let pointer = unsafe { rd::rd_kafka_topic_new(client.handle(), text.as_ptr(), std::ptr::null_mut()) };
        if pointer.is_null() {
            // SAFETY: reads the thread's last error, set by the failed call.
            return Err(error_code(unsafe { rd::rd_kafka_last_error() }));
        }
        Ok(Self { pointer, client: Arc::clone(client) })
    }

    pub(crate) fn is_of(&self, client: &Arc<Client>) -> bool {
        Arc::ptr_eq(&self.client, client)
    }

    /// Hands a record over; its bytes are copied. `QueueFull` means: not taken, try again later.
    pub(crate) fn send(&self, record: &Outgoing<'_>) -> Result<(), RDKafkaErrorCode> {
        let value = record.value.unwrap_or_default();
        let key = record.key.unwrap_or_default();
        let mut units = [unit(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT); 8];
        units[0].u.rkt = self.pointer;
        units[1] = memory(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, record.value.map(|_| value));
        units[2] = memory(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, record.key.map(|_| key));
        units[3] = unit(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS);
        units[3].u.i = rd::RD_KAFKA_MSG_F_COPY;
        units[4] = unit(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE);
        units[4].u.ptr = record.tag as usize as *mut c_void;
        units[5] = unit(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION);
        units[5].u.i32_ = record.partition.unwrap_or(UNASSIGNED);
        let mut count = 6;
        if let Some(timestamp) = record.timestamp_ms {
            units[count] = unit(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP);
            units[count].u.i64_ = timestamp;
            count += 1;
        }
        let headers = headers(record.headers);
        if let Some(headers) = headers {
            units[count] = unit(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS);
            units[count].u.headers = headers;
            count += 1;
        }
        // SAFETY: all pointers in the units are valid for the call; librdkafka copies value and key, and owns the
        // headers only if it takes the record.
        let result = unsafe {
            super::client::take_error(rd::rd_kafka_produceva(self.client.handle(), units.as_ptr(), count))
        };
        if let (Err(_), Some(headers)) = (&result, headers) {
            // SAFETY: not taken, so still ours.
            unsafe { rd::rd_kafka_headers_destroy(headers) };
        }
        result
    }
}

impl Drop for NativeTopic {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { rd::rd_kafka_topic_destroy(self.pointer) }
    }
}

fn unit(kind: rd::rd_kafka_vtype_t) -> rd::rd_kafka_vu_t {
    rd::rd_kafka_vu_t { vtype: kind, u: rd::rd_kafka_vu_s__bindgen_ty_1 { _pad: [0; 64] } }
}

/// Bytes, or a null for `None`; an empty slice is not a null, in Kafka they are different.
fn memory(kind: rd::rd_kafka_vtype_t, bytes: Option<&[u8]>) -> rd::rd_kafka_vu_t {
    let mut unit = unit(kind);
    unit.u.mem = rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
        ptr: bytes.map_or(std::ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut().cast()),
        size: bytes.map_or(0, <[u8]>::len),
    };
    unit
}

fn headers(headers: &[(&str, Option<&[u8]>)]) -> Option<*mut rd::rd_kafka_headers_t> {
    if headers.is_empty() {
        return None;
    }
    // SAFETY: names and values are copied by the call, with their true lengths (a null value is allowed).
    unsafe {
        let list = rd::rd_kafka_headers_new(headers.len());
        for (name, value) in headers {
            let (pointer, size) =
                value.map_or((std::ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len()));
            rd::rd_kafka_header_add(list, name.as_ptr().cast(), name.len() as isize, pointer, size as isize);
        }
        Some(list)
    }
}

/// Called by librdkafka, from within poll, for every record that was acknowledged or given up.
pub(super) unsafe extern "C" fn on_delivery(
    _: *mut rd::rd_kafka_t,
    message: *const rd::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: our opaque pointer, and a message that is valid during the callback.
    let (shared, delivery) = unsafe {
        let message_ref = &*message;
        let delivery = Delivery {
            tag: message_ref._private as usize as u64,
            partition: message_ref.partition,
            offset: message_ref.offset,
            error: check(message_ref.err).err(),
            latency_us: rd::rd_kafka_message_latency(message),
            bytes: (message_ref.len + message_ref.key_len) as u64,
        };
        (shared_of(opaque), delivery)
    };
    match delivery.error {
        None => shared.note_success(),
        Some(code) if says_missing(code) && !shared.is_transactional => {
            // SAFETY: the message is valid during the callback and its contents are copied.
            let record = unsafe { returned(message, delivery.clone()) };
            if shared.resend.keep(record) {
                return;
            }
        }
        Some(code) => {
            // SAFETY: the message is valid during the callback, its topic's name is copied.
            let topic = unsafe { BorrowedMessage::new(message) }.topic_name();
            *lock(&shared.failed_record) =
                Some((TopicPartition { topic, partition: delivery.partition }, code));
        }
    }
    shared.deliver(&delivery);
}

/// A copy of a record that came back. SAFETY: the message is valid during the call.
unsafe fn returned(message: *const rd::rd_kafka_message_t, delivery: Delivery) -> Returned {
    // SAFETY: by contract; a message that was never sent has a topic handle, and the view does not outlive the message.
    let view = unsafe { BorrowedMessage::new(message) };
    let owned = |bytes: &[u8]| bytes.to_vec();
    let headers = view.headers().into_iter();
    Returned {
        topic: view.topic_name(),
        key: view.key().map(owned),
        value: view.value().map(owned),
        headers: headers.map(|(name, value)| (name.into_owned(), value.map(owned))).collect(),
        timestamp_ms: view.timestamp_ms(),
        delivery,
    }
}
