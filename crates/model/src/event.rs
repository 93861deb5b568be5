//! Application events: `CloudEvents` 1.0 in the Kafka protocol binding (topic `events`).
//!
//! # Wire format
//! Written in *binary mode*: the record's value is the data, its headers are the attributes, `ce_specversion` (`1.0`),
//! `ce_id`, `ce_source`, `ce_type`, then where present `ce_subject`, `ce_time`, the extensions in the order of their
//! names, and `content-type` for the data's media type. The order is fixed, so equal events have equal bytes.
//!
//! Read in binary mode and in *structured mode*, a value of type `application/cloudevents+json`. Headers that do not
//! begin with `ce_` are not the event's and are ignored. Each attribute may occur once. Times are RFC 3339 in what we
//! write; what [`EventTime`] reads beyond that is accepted.
//!
//! Invariant: an event that was read has a non-empty id, source and type, and extension names of lower-case letters
//! and digits, so it can be written again.

mod base64;
mod reject;
mod structured;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use reject::EventReject;

use crate::quoted::quoted;
use crate::time::EventTime;

/// The version of the specification.
const SPEC_VERSION: &str = "1.0";
const ATTRIBUTE_PREFIX: &str = "ce_";
/// In binary mode the header that carries [`Event::datacontenttype`], in structured mode that of the whole.
const CONTENT_TYPE: &str = "content-type";
const STRUCTURED: &str = "application/cloudevents+json";

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// Unique among the events of the source.
    pub id: String,
    /// Where it happened, a URI reference.
    pub source: String,
    /// What happened, in reverse-DNS form.
    pub type_: String,
    /// What it happened to, within the source.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<EventTime>,
    /// The media type of the data; none means JSON.
    pub datacontenttype: Option<String>,
    /// Attributes without a field of their own, `dataschema` among them. Names are lower-case letters and digits.
    pub extensions: BTreeMap<String, String>,
    /// The data; empty for none.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Event<'a> {
    /// An event without optional attributes and data.
    pub fn new(id: impl Into<String>, source: impl Into<String>, type_: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            type_: type_.into(),
            subject: None,
            time: None,
            datacontenttype: None,
            extensions: BTreeMap::new(),
            data: Cow::Borrowed(&[]),
        }
    }

    /// The headers and the value of the record, in binary mode.
    pub fn to_binary(&self) -> (Vec<(String, Vec<u8>)>, &[u8]) {
        let mut headers = Vec::with_capacity(7 + self.extensions.len());
        let mut put = |name: &str, value: &str| {
            headers.push((format!("{ATTRIBUTE_PREFIX}{name}"), value.as_bytes().to_vec()));
        };
        put("specversion", SPEC_VERSION);
        put("id", &self.id);
        put("source", &self.source);
        put("type", &self.type_);
        if let Some(subject) = &self.subject {
            put("subject", subject);
        }
        if let Some(time) = self.time {
            put("time", &format!("{time}Z"));
        }
        for (name, value) in &self.extensions {
            put(name, value);
        }
        if let Some(media_type) = &self.datacontenttype {
            headers.push((CONTENT_TYPE.to_owned(), media_type.as_bytes().to_vec()));
        }
        (headers, &self.data)
    }

    /// Reads a record in either mode. A header without a value is the same as no header.
    pub fn from_record<'h>(
        headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        value: Option<&'a [u8]>,
    ) -> Result<Self, EventReject> {
        let mut attributes = Attributes::default();
        let mut content_type = None;
        for (name, value) in headers {
            let Some(value) = value else { continue };
            if name.eq_ignore_ascii_case(CONTENT_TYPE) {
                if content_type.replace(utf8(CONTENT_TYPE, value)?).is_some() {
                    return Err(EventReject::DuplicateAttribute { name: CONTENT_TYPE.to_owned() });
                }
            } else if let Some(name) = name.strip_prefix(ATTRIBUTE_PREFIX) {
                attributes.insert(name, utf8(name, value)?)?;
            }
        }
        let value = value.unwrap_or_default();
        if content_type.is_some_and(is_structured) {
            return structured::read(value);
        }
        if attributes.0.is_empty() {
            return Err(EventReject::NotAnEvent);
        }
        if let Some(media_type) = content_type {
            attributes.insert("datacontenttype", media_type)?;
        }
        attributes.into_event(Cow::Borrowed(value))
    }
}

/// Attributes by name, as either mode gives them.
#[derive(Default)]
struct Attributes(BTreeMap<String, String>);

impl Attributes {
    fn insert(&mut self, name: &str, value: impl Into<String>) -> Result<(), EventReject> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Err(invalid(name, "the name is not of lower-case letters and digits"));
        }
        match self.0.insert(name.to_owned(), value.into()) {
            None => Ok(()),
            Some(_) => Err(EventReject::DuplicateAttribute { name: quoted(name) }),
        }
    }

    fn into_event(mut self, data: Cow<'_, [u8]>) -> Result<Event<'_>, EventReject> {
        let version = self.required("specversion")?;
        if version != SPEC_VERSION {
            return Err(EventReject::UnsupportedVersion { found: quoted(&version) });
        }
        let time = self.optional("time")?;
        Ok(Event {
            id: self.required("id")?,
            source: self.required("source")?,
            type_: self.required("type")?,
            subject: self.optional("subject")?,
            time: time.map(|time| read_time(&time)).transpose()?,
            datacontenttype: self.optional("datacontenttype")?,
            extensions: self.0,
            data,
        })
    }

    fn required(&mut self, name: &'static str) -> Result<String, EventReject> {
        self.optional(name)?.ok_or(EventReject::MissingAttribute { name })
    }

    fn optional(&mut self, name: &'static str) -> Result<Option<String>, EventReject> {
        match self.0.remove(name) {
            Some(value) if value.is_empty() => Err(invalid(name, "it is empty")),
            value => Ok(value),
        }
    }
}

/// Whether a content type says structured mode; parameters such as a charset may follow.
fn is_structured(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(STRUCTURED)
}

fn read_time(text: &str) -> Result<EventTime, EventReject> {
    EventTime::parse(text.as_bytes()).ok_or_else(|| invalid("time", "it is not a time in RFC 3339"))
}

fn utf8<'h>(name: &str, value: &'h [u8]) -> Result<&'h str, EventReject> {
    str::from_utf8(value).map_err(|_| invalid(name, "it is not UTF-8"))
}

fn invalid(name: &str, problem: &'static str) -> EventReject {
    EventReject::InvalidAttribute { name: quoted(name), problem }
}

#[cfg(test)]
mod tests;
