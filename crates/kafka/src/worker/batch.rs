//! Records of one poll, lent out without copying.

use std::borrow::Cow;
use std::sync::Arc;

use crate::native::message::{NativeBatch, NativeMessage};

/// Topic names by the address that the client gives a topic: few of them, and the same ones batch after batch.
#[derive(Clone, Default)]
pub(crate) struct TopicNames(Arc<[(usize, Arc<str>)]>);

impl TopicNames {
    /// Notes the topics of these messages that were not met before.
    pub(crate) fn learn(&mut self, messages: &[NativeMessage]) {
        for message in messages {
            let address = message.topic_address();
            if self.find(address).is_none() {
                let named = (address, message.topic_name());
                self.0 = self.0.iter().cloned().chain([named]).collect();
            }
        }
    }

    #[inline]
    pub(crate) fn find(&self, address: usize) -> Option<&Arc<str>> {
        self.0.iter().find(|(known, _)| *known == address).map(|(_, name)| name)
    }
}

/// Records fetched together, in order within each partition.
pub struct Batch {
    native: NativeBatch,
    topics: TopicNames,
}

impl Batch {
    /// Takes fetched records over, whose topics were [learned](TopicNames::learn).
    pub(crate) fn new(native: NativeBatch, topics: &TopicNames) -> Self {
        Self { native, topics: topics.clone() }
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.native.messages().len()
    }

    /// Whether there are none; a batch handed out by a worker has at least one.
    pub fn is_empty(&self) -> bool {
        self.native.messages().is_empty()
    }

    /// The records.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.native.messages().iter().map(|message| Record {
            topic: self.topic_of(message),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key(),
            value: message.value(),
            message,
        })
    }

    #[inline]
    fn topic_of(&self, message: &NativeMessage) -> &Arc<str> {
        self.topics.find(message.topic_address()).expect("every topic of the batch was learned")
    }
}

/// One record, borrowed from its batch.
#[derive(Clone)]
pub struct Record<'a> {
    /// The topic's name.
    pub topic: &'a Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// Its position in the partition.
    pub offset: i64,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The payload's bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    message: &'a NativeMessage,
}

impl<'a> Record<'a> {
    /// Milliseconds since the Unix epoch, if the record has a timestamp.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.message.timestamp_ms()
    }

    /// The value of the last header of this name; `None` if there is none or its value is null. Costs nothing for a record
    /// without headers.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.message.header(name)
    }

    /// The headers, in order. Reads them out of the record: not for the way of every reading.
    pub fn headers(&self) -> Vec<(Cow<'a, str>, Option<&'a [u8]>)> {
        self.message.headers()
    }
}
