//! What a verdict of `decode` must agree with, `serde_json` being the judge. Shared with the fuzz target
//! `decode_reading`.

use model::{EventTime, Reading, Reject, Scratch, decode, encode};
use serde_json::Value;

/// The keys that are no further measurements.
const KNOWN: [&str; 7] =
    ["sensor_id", "timestamp", "temperature", "humidity", "pressure", "location", "status"];

/// Holds the verdict on `payload`, which may be anything, against that of `serde_json`, which is `theirs`.
#[track_caller]
pub(crate) fn check_verdict(verdict: &Result<Reading<'_>, Reject>, theirs: Option<&Value>) {
    let object = theirs.and_then(Value::as_object);
    match verdict {
        Ok(_) => assert!(object.is_some(), "accepted what is no JSON object"),
        Err(Reject::NotJson { .. } | Reject::InvalidUtf8 { .. } | Reject::NonFiniteNumber { .. }) => {
            assert!(theirs.is_none(), "said to be no JSON, but it is");
        }
        Err(Reject::NotAnObject { .. }) => {
            assert!(theirs.is_some() && object.is_none(), "said to be JSON but no object");
        }
        Err(Reject::MissingSensorId) => {
            assert!(object.is_some_and(|object| is_absent(object.get("sensor_id"))));
        }
        Err(Reject::MissingTimestamp) => {
            assert!(object.is_some_and(|object| is_absent(object.get("timestamp"))));
        }
        Err(Reject::NoMeasurement) => {
            assert!(object.is_some_and(
                |object| !object.values().any(Value::is_number) || object["timestamp"].is_number()
            ));
        }
        // These may come from a payload that goes wrong in another way further on.
        Err(_) => {}
    }
}

/// Holds a reading against the object that it was read from. Numbers must be the same to the last bit.
#[track_caller]
pub(crate) fn check_same(reading: &Reading<'_>, object: &Value) {
    assert_eq!(object["sensor_id"], reading.sensor_id);
    match &object["timestamp"] {
        Value::String(text) => assert_eq!(EventTime::parse(text.as_bytes()), Some(reading.time)),
        millis => assert_eq!(
            millis.as_i64().or(millis.as_f64().map(|zero| zero as i64)),
            Some(reading.time.millis())
        ),
    }
    let location = object.get("location").and_then(Value::as_object);
    assert!(is_same(reading.temperature, object.get("temperature")));
    assert!(is_same(reading.humidity, object.get("humidity")));
    assert!(is_same(reading.pressure, object.get("pressure")));
    assert!(is_same(
        reading.location.map(|place| place.latitude),
        location.and_then(|location| location.get("latitude")),
    ));
    assert!(is_same(
        reading.location.map(|place| place.longitude),
        location.and_then(|location| location.get("longitude")),
    ));
    assert_eq!(reading.status, object.get("status").and_then(Value::as_str));
    let members = object.as_object().expect("a reading is an object");
    let numbers = members.iter().filter(|(name, value)| !KNOWN.contains(&name.as_str()) && value.is_number());
    let expected: Vec<_> =
        numbers.map(|(name, value)| (name.as_str(), value.as_f64().map(f64::to_bits))).collect();
    let further: Vec<_> = reading.further().map(|(name, value)| (name, Some(value.to_bits()))).collect();
    assert_eq!(further, expected);
}

/// Encodes a reading, decodes that again and so on: the reading and its bytes must stay the same.
#[track_caller]
pub(crate) fn check_settled(reading: &Reading<'_>) {
    let (mut scratch, mut encoded, mut twice) = (Scratch::new(), Vec::new(), Vec::new());
    encode(reading, &mut encoded);
    let again = decode(&encoded, &mut scratch).expect("what is encoded can be decoded");
    assert_eq!(again, *reading);
    encode(&again, &mut twice);
    assert_eq!(twice, encoded);
}

fn is_absent(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_null)
}

/// Whether two numbers are the same, to the sign of a zero.
fn is_same(ours: Option<f64>, theirs: Option<&Value>) -> bool {
    ours.map(f64::to_bits) == theirs.and_then(Value::as_f64).map(f64::to_bits)
}
