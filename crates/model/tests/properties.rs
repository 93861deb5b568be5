//! Decoding against `serde_json` as the judge, on generated readings and on spoiled ones.

#[path = "properties/judge.rs"]
mod judge;

use judge::{check_same, check_settled, check_verdict};
use model::{Scratch, decode};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Bytes that mean something to JSON, or are forbidden in it.
const TELLING: &[u8] = b"{}[],:\"\\ 0123456789.-+eE\n\tntfu\x00\x1f";

/// How to write a JSON value: the space around each token, and what to escape.
#[derive(Debug, Clone, Copy)]
enum Style {
    Compact,
    /// As Python's `json.dumps`: `", "`, `": "`, and everything beyond ASCII escaped.
    Python,
    Pretty,
    /// Every character escaped, white space everywhere.
    Adverse,
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![Just(Style::Compact), Just(Style::Python), Just(Style::Pretty), Just(Style::Adverse)]
}

fn write(value: &Value, style: Style) -> String {
    let (comma, colon, space) = match style {
        Style::Compact => (",", ":", ""),
        Style::Python => (", ", ": ", ""),
        Style::Pretty => return serde_json::to_string_pretty(value).expect("a value has a text"),
        Style::Adverse => (" ,\n", "\t:\r", " "),
    };
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| write(item, style)).collect();
            format!("[{space}{}{space}]", items.join(comma))
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                format!("{}{colon}{}", write_string(key, style), write(value, style))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{space}{{{space}{}{space}}}{space}", members.join(comma))
        }
        Value::String(text) => write_string(text, style),
        _ => value.to_string(),
    }
}

fn write_string(text: &str, style: Style) -> String {
    let plain = Value::from(text).to_string();
    let escape =
        |text: &str| text.encode_utf16().fold(String::new(), |all, unit| format!("{all}\\u{unit:04x}"));
    match style {
        Style::Compact | Style::Pretty => plain,
        Style::Python => {
            plain.chars().map(|c| if c.is_ascii() { c.to_string() } else { escape(&c.to_string()) }).collect()
        }
        Style::Adverse => format!("\"{}\"", escape(text)),
    }
}

/// Any JSON, nested within the depth that a reading's field may have.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        number(),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(".{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn number() -> impl Strategy<Value = Value> {
    let finite = any::<f64>().prop_filter("JSON has finite numbers", |value| value.is_finite());
    prop_oneof![finite, (-100_000_i32..100_000).prop_map(|cents| f64::from(cents) / 100.0)]
        .prop_map(Value::from)
}

fn optional(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![value.prop_map(Some), Just(None), Just(Some(Value::Null))]
}

/// An object in the shape of a reading, its members in any order.
fn reading_object() -> impl Strategy<Value = Value> {
    let timestamp = prop_oneof![
        (0_i64..4_000_000_000_000).prop_map(Value::from),
        (0_i64..4_000_000_000_000_000)
            .prop_map(|micros| Value::from(model::EventTime::from_micros(micros).to_string())),
    ];
    let location =
        (number(), number(), proptest::option::of(any_json())).prop_map(|(latitude, longitude, more)| {
            let mut location = json!({"latitude": latitude, "longitude": longitude});
            location
                .as_object_mut()
                .expect("it is an object")
                .extend(more.map(|more| ("altitude".to_owned(), more)));
            location
        });
    (
        (".{1,12}", timestamp, number()),
        (
            optional(number()),
            optional(number()),
            optional(location),
            optional(".{0,12}".prop_map(Value::from)),
        ),
        proptest::collection::hash_map(".{0,12}", any_json(), 0..24),
    )
        .prop_map(|((sensor_id, timestamp, temperature), (humidity, pressure, location, status), further)| {
            let mut members: Map<String, Value> = further.into_iter().collect();
            let optional =
                [("humidity", humidity), ("pressure", pressure), ("location", location), ("status", status)];
            members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
            members.insert("sensor_id".to_owned(), sensor_id.into());
            members.insert("timestamp".to_owned(), timestamp);
            members.insert("temperature".to_owned(), temperature);
            members
        })
        .prop_flat_map(|members| Just(members.into_iter().collect::<Vec<_>>()).prop_shuffle())
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Decodes bytes that may be anything, and holds the verdict against that of `serde_json`.
#[track_caller]
fn check_any(payload: &[u8]) {
    let mut scratch = Scratch::new();
    check_verdict(&decode(payload, &mut scratch), serde_json::from_slice(payload).ok().as_ref());
}

proptest! {
    #[test]
    fn every_object_of_the_shape_is_read_as_serde_json_reads_it(object in reading_object(), style in style()) {
        let payload = write(&object, style);
        prop_assert_eq!(&serde_json::from_str::<Value>(&payload).unwrap()["sensor_id"], &object["sensor_id"]);
        let mut scratch = Scratch::new();
        let reading = decode(payload.as_bytes(), &mut scratch).unwrap();
        check_same(&reading, &object);
    }

    #[test]
    fn decoding_and_encoding_settle_at_once(object in reading_object(), style in style()) {
        let payload = write(&object, style);
        let mut scratch = Scratch::new();
        check_settled(&decode(payload.as_bytes(), &mut scratch).unwrap());
    }

    #[test]
    fn spoiled_payloads_are_judged_as_serde_json_judges_them(
        object in reading_object(),
        style in style(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..4),
    ) {
        let mut payload = write(&object, style).into_bytes();
        for (index, edit, byte) in edits {
            let at = index.index(payload.len() + 1);
            // Bytes that matter to JSON are more likely to get past the first check.
            let byte = if byte < 128 { TELLING[usize::from(byte) % TELLING.len()] } else { byte };
            match edit {
                0 => payload.insert(at, byte),
                1 if at < payload.len() => payload[at] = byte,
                2 if at < payload.len() => drop(payload.remove(at)),
                _ => payload.truncate(at),
            }
        }
        check_any(&payload);
    }

    #[test]
    fn any_bytes_are_judged_as_serde_json_judges_them(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        check_any(&payload);
    }

    #[test]
    fn any_json_is_judged_as_serde_json_judges_it(value in any_json(), style in style()) {
        check_any(write(&value, style).as_bytes());
    }
}
