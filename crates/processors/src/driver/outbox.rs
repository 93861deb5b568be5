//! What lanes have to say, encoded, until it is written down. The buffers are used again and again.

use engine::Output;
use model::alert::alert_key;
use model::summary::{encode_event_count, encode_summary};
use model::{Alert, EventCount, Summary};

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The topic of window summaries.
    Analytics,
    /// The topic of alarms.
    Alerts,
    /// This partition of the topic of control records.
    Control(i32),
    /// This partition of the topic of snapshots.
    Snapshots(i32),
}

/// Records to be written, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    alarms: u64,
    summaries: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    target: Target,
    key: usize,
    /// Where key and value end; `None`: a tombstone.
    value: Option<usize>,
    timestamp_ms: Option<i64>,
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About how much memory what waits takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many alarms were put in since it was made.
    pub fn alarms(&self) -> u64 {
        self.alarms
    }

    /// How many summaries were put in since it was made.
    pub fn summaries(&self) -> u64 {
        self.summaries
    }

    /// Puts a record in; `key` and `value` append its bytes.
    pub fn put(
        &mut self,
        target: Target,
        timestamp_ms: Option<i64>,
        key: impl FnOnce(&mut Vec<u8>),
        value: Option<impl FnOnce(&mut Vec<u8>)>,
    ) {
        key(&mut self.bytes);
        let key = self.bytes.len();
        let value = value.map(|value| {
            value(&mut self.bytes);
            self.bytes.len()
        });
        self.entries.push(Entry { target, key, value, timestamp_ms });
    }

    /// Hands out every record, in order, and is empty then: target, key, value and timestamp in milliseconds. Ends at the
    /// first error, with the rest thrown away: the transaction they belong to is lost.
    pub fn drain<E>(
        &mut self,
        mut write: impl FnMut(Target, &[u8], Option<&[u8]>, Option<i64>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        let mut done = Ok(());
        for Entry { target, key, value, timestamp_ms } in self.entries.drain(..) {
            let end = value.unwrap_or(key);
            done =
                write(target, &self.bytes[start..key], value.map(|end| &self.bytes[key..end]), timestamp_ms);
            if done.is_err() {
                break;
            }
            start = end;
        }
        self.bytes.clear();
        done
    }

    /// Throws away what waits.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }
}

impl Output for Outbox {
    fn summary(&mut self, summary: &Summary<'_>) {
        self.summaries += 1;
        let key = |out: &mut Vec<u8>| out.extend_from_slice(summary.sensor_id.as_bytes());
        self.put(Target::Analytics, None, key, Some(|out: &mut Vec<u8>| encode_summary(summary, out)));
    }

    fn event_count(&mut self, count: &EventCount<'_>) {
        self.summaries += 1;
        let key = |out: &mut Vec<u8>| {
            out.extend_from_slice(count.event_type.as_bytes());
            out.push(b'/');
            out.extend_from_slice(count.source.as_bytes());
        };
        self.put(Target::Analytics, None, key, Some(|out: &mut Vec<u8>| encode_event_count(count, out)));
    }

    fn alarm(&mut self, alert: Alert) {
        self.alarms += 1;
        let key = |out: &mut Vec<u8>| {
            out.extend_from_slice(alert_key(&alert.rule, &alert.sensor_id).as_bytes());
        };
        let value = |out: &mut Vec<u8>| {
            // Into memory, and numbers that are not finite become null: it cannot fail.
            serde_json::to_writer(out, &alert).expect("plain data has a JSON form");
        };
        self.put(Target::Alerts, None, key, Some(value));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_was_put_in_comes_out_in_order_once() {
        let mut outbox = Outbox::new();
        let text = |text: &'static str| move |out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
        outbox.put(Target::Control(2), Some(5), text("key"), Some(text("value")));
        outbox.put(Target::Snapshots(0), None, text("gone"), None::<fn(&mut Vec<u8>)>);
        outbox.put(Target::Analytics, None, text(""), Some(text("")));
        let mut seen = Vec::new();
        let mut take = |outbox: &mut Outbox| {
            outbox
                .drain(|target, key, value, time| {
                    let value = value.map(|value| String::from_utf8_lossy(value).into_owned());
                    seen.push((target, String::from_utf8_lossy(key).into_owned(), value, time));
                    Ok::<(), Infallible>(())
                })
                .expect("nothing fails");
        };
        take(&mut outbox);
        assert!(outbox.is_empty());
        take(&mut outbox);
        let expected = [
            (Target::Control(2), "key".to_owned(), Some("value".to_owned()), Some(5)),
            (Target::Snapshots(0), "gone".to_owned(), None, None),
            (Target::Analytics, String::new(), Some(String::new()), None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_error_ends_it_and_throws_the_rest_away() {
        let mut outbox = Outbox::new();
        for _ in 0..3 {
            outbox.put(Target::Alerts, None, |_: &mut Vec<u8>| (), None::<fn(&mut Vec<u8>)>);
        }
        let mut calls = 0;
        let failed = outbox.drain(|_, _, _, _| {
            calls += 1;
            Err("lost")
        });
        assert_eq!((failed, calls, outbox.is_empty()), (Err("lost"), 1, true));
    }
}
