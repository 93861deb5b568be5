//! Events: one row each, with the attributes of `CloudEvents` 1.0.
//!
//! | column | |
//! |---|---|
//! | `type`, `source`, `id`, `subject` | text |
//! | `time` | when it happened, if the event says so |
//! | `datacontenttype` | text |
//! | `extensions` | the other attributes, by name |
//! | `data` | the data as text |
//! | `data_bytes` | the data, if it is not UTF-8 |

use arrow_array::ArrayRef;
use arrow_array::builder::{BinaryBuilder, MapBuilder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_schema::{DataType, Field};
use kafka::Record;
use model::Event;

use super::rows::{Columns, Row, Words, append_key, finished, names_and_values, utc};
use super::{Reject, map, text, time, words};

pub(super) fn fields() -> Vec<Field> {
    vec![
        words("type", false),
        words("source", false),
        Field::new("id", DataType::Utf8, false),
        text("subject"),
        time("time", true),
        words("datacontenttype", true),
        map("extensions", DataType::Utf8),
        text("data"),
        Field::new("data_bytes", DataType::Binary, true),
    ]
}

pub(super) struct Events {
    types: Words,
    sources: Words,
    ids: StringBuilder,
    subjects: StringBuilder,
    times: TimestampMicrosecondBuilder,
    media_types: Words,
    extensions: MapBuilder<StringBuilder, StringBuilder>,
    data: StringBuilder,
    data_bytes: BinaryBuilder,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            types: Words::new(),
            sources: Words::new(),
            ids: StringBuilder::new(),
            subjects: StringBuilder::new(),
            times: utc(),
            media_types: Words::new(),
            extensions: names_and_values(StringBuilder::new()),
            data: StringBuilder::new(),
            data_bytes: BinaryBuilder::new(),
        }
    }
}

impl Columns for Events {
    fn append(&mut self, record: &Record<'_>, payload: &[u8]) -> Result<Row, Reject> {
        let headers = record.headers();
        let event = Event::from_record(headers.iter().map(|(name, value)| (&**name, *value)), Some(payload))
            .map_err(|reject| Reject { class: reject.reason(), message: reject.to_string() })?;
        let time = event.time.map(model::EventTime::micros);
        let mut bytes = event.id.len() + event.subject.as_ref().map_or(0, String::len) + event.data.len();
        let key = append_key(&mut self.types, &event.type_);
        append_key(&mut self.sources, &event.source);
        self.ids.append_value(&event.id);
        self.subjects.append_option(event.subject.as_ref());
        self.times.append_option(time);
        self.media_types.append_option(event.datacontenttype.as_ref());
        for (name, value) in &event.extensions {
            self.extensions.keys().append_value(name);
            self.extensions.values().append_value(value);
            bytes += name.len() + value.len() + 8;
        }
        self.extensions.append(!event.extensions.is_empty()).expect("as many names as values");
        let data = Some(&*event.data).filter(|data| !data.is_empty());
        let as_text = data.and_then(|data| str::from_utf8(data).ok());
        self.data.append_option(as_text);
        self.data_bytes.append_option(data.filter(|_| as_text.is_none()));
        Ok(Row { key: Some(key), time, extra: None, bytes })
    }

    fn row_bytes(&self) -> usize {
        // Three keys of 4 bytes, a time of 8, the offsets of five texts and a map of 4.
        44
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            finished(&mut self.types),
            finished(&mut self.sources),
            finished(&mut self.ids),
            finished(&mut self.subjects),
            finished(&mut self.times),
            finished(&mut self.media_types),
            finished(&mut self.extensions),
            finished(&mut self.data),
            finished(&mut self.data_bytes),
        ]
    }
}
