//! Messages fetched from a consumer, owned by a batch and lent out as plain slices.

use std::ffi::{CStr, c_char, c_void};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

use super::client::{Client, check};

/// One fetched message or notice; destroyed when dropped.
pub(crate) struct NativeMessage {
    pointer: *mut rd::rd_kafka_message_t,
}

impl NativeMessage {
    fn raw(&self) -> &rd::rd_kafka_message_t {
        // SAFETY: a message handed out by librdkafka is valid until destroyed, which only `drop` does.
        unsafe { &*self.pointer }
    }

    /// The notice in this message (an end of partition, a failure), if it is not a record.
    pub(crate) fn error(&self) -> Option<RDKafkaErrorCode> {
        check(self.raw().err).err()
    }

    /// What librdkafka says about the notice.
    pub(crate) fn error_text(&self) -> String {
        // SAFETY: the message is valid; the string belongs to it or is static, and is copied.
        unsafe {
            let text = rd::rd_kafka_message_errstr(self.pointer);
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        }
    }

    #[inline]
    pub(crate) fn partition(&self) -> i32 {
        self.raw().partition
    }

    #[inline]
    pub(crate) fn offset(&self) -> i64 {
        self.raw().offset
    }

    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        // SAFETY: librdkafka's pointer and length belong together and live as long as the message.
        unsafe { bytes(self.raw().key, self.raw().key_len) }
    }

    #[inline]
    pub(crate) fn value(&self) -> Option<&[u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.raw().payload, self.raw().len) }
    }

    /// An address that is the same for all messages of one topic of one consumer.
    #[inline]
    pub(crate) fn topic_address(&self) -> usize {
        self.raw().rkt as usize
    }

    /// The topic's name; empty for a notice about no topic.
    pub(crate) fn topic_name(&self) -> Arc<str> {
        if self.raw().rkt.is_null() {
            return "".into();
        }
        // SAFETY: the topic handle is valid while the message lives; the name is copied.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.raw().rkt)) }.to_string_lossy().into()
    }

    /// Milliseconds since the Unix epoch, if the record has a timestamp.
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid; the kind is written by the call.
        let timestamp = unsafe { rd::rd_kafka_message_timestamp(self.pointer, &raw mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0)
            .then_some(timestamp)
    }

    /// The value of the last header of this name; `None` if there is no such header or its value is null.
    pub(crate) fn header(&self, wanted: &str) -> Option<&[u8]> {
        let mut found = None;
        self.each_header(|name, value| {
            if name.to_bytes() == wanted.as_bytes() {
                found = value;
            }
        });
        found
    }

    /// The headers in order; names that are not UTF-8 are replaced by their closest text.
    pub(crate) fn headers(&self) -> Vec<(std::borrow::Cow<'_, str>, Option<&[u8]>)> {
        let mut found = Vec::new();
        self.each_header(|name, value| found.push((name.to_string_lossy(), value)));
        found
    }

    fn each_header<'a>(&'a self, mut each: impl FnMut(&'a CStr, Option<&'a [u8]>)) {
        let mut headers = std::ptr::null_mut();
        // SAFETY: headers, names and values belong to the message and live as long as it.
        unsafe {
            if check(rd::rd_kafka_message_headers(self.pointer, &raw mut headers)).is_err() {
                return;
            }
            let (mut name, mut value, mut size) = (std::ptr::null::<c_char>(), std::ptr::null::<c_void>(), 0);
            let mut index = 0;
            while check(rd::rd_kafka_header_get_all(
                headers,
                index,
                &raw mut name,
                &raw mut value,
                &raw mut size,
            ))
            .is_ok()
            {
                each(CStr::from_ptr(name), bytes(value, size));
                index += 1;
            }
        }
    }
}

/// A message that librdkafka lends for the time of a callback.
pub(super) struct BorrowedMessage(ManuallyDrop<NativeMessage>);

impl BorrowedMessage {
    /// SAFETY: the message must be valid for as long as the view is used.
    pub(super) unsafe fn new(message: *const rd::rd_kafka_message_t) -> Self {
        Self(ManuallyDrop::new(NativeMessage { pointer: message.cast_mut() }))
    }
}

impl Deref for BorrowedMessage {
    type Target = NativeMessage;

    fn deref(&self) -> &NativeMessage {
        &self.0
    }
}

impl Drop for NativeMessage {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { rd::rd_kafka_message_destroy(self.pointer) }
    }
}

/// SAFETY: null, or valid for `length` bytes for `'a`.
#[inline]
unsafe fn bytes<'a>(pointer: *const c_void, length: usize) -> Option<&'a [u8]> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: by contract.
    Some(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// Messages fetched together. Keeps the client alive until all are destroyed.
pub(crate) struct NativeBatch {
    messages: Vec<NativeMessage>,
    // Declared after the messages: dropped after them.
    _client: Arc<Client>,
}

impl NativeBatch {
    pub(super) fn new(client: Arc<Client>, capacity: usize) -> Self {
        Self { messages: Vec::with_capacity(capacity), _client: client }
    }

    /// Fetches into the spare capacity; returns how many came.
    pub(super) fn fill(
        &mut self,
        queue: *mut rd::rd_kafka_queue_t,
        timeout_ms: i32,
        at_most: usize,
    ) -> usize {
        let spare = at_most.min(self.messages.capacity() - self.messages.len());
        let length = self.messages.len();
        // SAFETY: `NativeMessage` is one pointer wide (asserted below); librdkafka writes at most `spare` pointers
        // into the spare capacity, and as many as it reports are then owned.
        unsafe {
            let place = self.messages.as_mut_ptr().add(length).cast::<*mut rd::rd_kafka_message_t>();
            let got = rd::rd_kafka_consume_batch_queue(queue, timeout_ms, place, spare);
            let got = usize::try_from(got).unwrap_or(0);
            self.messages.set_len(length + got);
            got
        }
    }

    pub(crate) fn messages(&self) -> &[NativeMessage] {
        &self.messages
    }

    /// Keeps the messages for which this holds.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&NativeMessage) -> bool) {
        self.messages.retain(keep);
    }

    /// Takes out the messages that are notices rather than records.
    pub(crate) fn take_notices(&mut self) -> Vec<NativeMessage> {
        if self.messages.iter().all(|message| message.error().is_none()) {
            return Vec::new();
        }
        self.messages.extract_if(.., |message| message.error().is_some()).collect()
    }
}

const _: () = assert!(size_of::<NativeMessage>() == size_of::<*mut rd::rd_kafka_message_t>());
