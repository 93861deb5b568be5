//! Structured mode: the whole event as one JSON object (the `CloudEvents` JSON format).
//!
//! Data of a JSON media type keeps its bytes as they stand in the object; a string of any other type gives its
//! characters; `data_base64` gives its bytes. An attribute that is `null` is absent; an extension that is a boolean or a
//! number gives its JSON text.
//!
//! Invariant: the whole object, data included, is JSON by the crate's one measure (see [`crate::json`]), so whoever reads
//! the data later finds no half surrogate and no number beyond `f64` in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Attributes, Event, EventReject, base64, invalid};
use crate::json::FlawAt;
use crate::json::cursor::Cursor;
use crate::quoted::quoted;

/// How deep the object may nest, itself being the first level; as deep as `serde_json` parses.
const MAX_DEPTH: usize = 127;
/// The attributes that the specification types as strings.
const STRINGS: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];
const DATA: &str = "data";
const DATA_BASE64: &str = "data_base64";

/// Reads the object in `value`.
pub(super) fn read(value: &[u8]) -> Result<Event<'_>, EventReject> {
    let text = str::from_utf8(value).map_err(|error| not_json(&error))?;
    check_json(text)?;
    let Members { mut members, duplicate } = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    if let Some(name) = duplicate {
        return Err(EventReject::DuplicateAttribute { name });
    }
    let data = members.remove(DATA);
    let data_base64 = members.remove(DATA_BASE64);
    let mut attributes = Attributes::default();
    for (name, raw) in members {
        if let Some(text) = attribute(&name, raw)? {
            attributes.insert(&name, text)?;
        }
    }
    let is_json = attributes.0.get("datacontenttype").is_none_or(|media_type| is_json(media_type));
    let data = match (data, data_base64) {
        (None, None) => Cow::Borrowed(&[][..]),
        (Some(raw), None) => inline_data(raw, is_json)?,
        (None, Some(raw)) => Cow::Owned(decode_base64(raw)?),
        (Some(_), Some(_)) => return Err(EventReject::DuplicateAttribute { name: DATA.to_owned() }),
    };
    attributes.into_event(data)
}

/// Checks what `serde_json` leaves unchecked in members that it does not parse.
fn check_json(text: &str) -> Result<(), EventReject> {
    let mut json = Cursor::new(text);
    let checked = json.skip_value(MAX_DEPTH, &mut String::new()).and_then(|()| json.end());
    checked.map_err(|FlawAt { flaw, at }| EventReject::NotJson { detail: format!("{flaw} at byte {at}") })
}

/// The members of an object, unparsed.
struct Members<'a> {
    members: BTreeMap<String, &'a RawValue>,
    duplicate: Option<String>,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members { members: BTreeMap::new(), duplicate: None };
        while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
            if members.members.contains_key(&name) {
                members.duplicate.get_or_insert_with(|| quoted(&name));
            }
            members.members.insert(name, raw);
        }
        Ok(members)
    }
}

/// The text of an attribute; `None` for `null`.
fn attribute(name: &str, raw: &RawValue) -> Result<Option<String>, EventReject> {
    match serde_json::from_str(raw.get()).map_err(|error| not_json(&error))? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ if STRINGS.contains(&name) => Err(invalid(name, "it is not a string")),
        Value::Bool(_) | Value::Number(_) => Ok(Some(raw.get().to_owned())),
        Value::Array(_) | Value::Object(_) => Err(invalid(name, "it is an array or an object")),
    }
}

fn inline_data(raw: &RawValue, is_json: bool) -> Result<Cow<'_, [u8]>, EventReject> {
    let text = raw.get();
    if is_json || !text.starts_with('"') {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let text: String = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    Ok(Cow::Owned(text.into_bytes()))
}

fn decode_base64(raw: &RawValue) -> Result<Vec<u8>, EventReject> {
    let text: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_| EventReject::InvalidBase64)?;
    base64::decode(text.as_bytes()).ok_or(EventReject::InvalidBase64)
}

/// Whether a media type is JSON: a subtype `json` or one that ends in `+json`.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn not_json(error: &impl ToString) -> EventReject {
    EventReject::NotJson { detail: error.to_string() }
}
