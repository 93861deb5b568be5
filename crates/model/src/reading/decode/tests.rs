//! What is decoded to what, and what is rejected for which reason.

use super::*;
use crate::reading::encode;

/// A payload with what every reading needs, and `more` after it.
fn reading(more: &str) -> String {
    format!(r#"{{"sensor_id":"S","timestamp":"2024-11-07T10:15:30","temperature":23.5{more}}}"#)
}

/// Where `more` begins in [`reading`].
const MORE: usize = 69;

/// Decodes `payload`, which must be accepted, and gives what `encode` makes of it.
#[track_caller]
fn accept(payload: &str) -> String {
    let mut scratch = Scratch::new();
    let reading =
        decode(payload.as_bytes(), &mut scratch).unwrap_or_else(|reject| panic!("{payload}: {reject}"));
    let mut encoded = Vec::new();
    encode(&reading, &mut encoded);
    String::from_utf8(encoded).unwrap()
}

/// Checks that `payload` is rejected with this reason and message.
#[track_caller]
fn check(payload: impl AsRef<[u8]>, reason: &str, message: &str) {
    let mut scratch = Scratch::new();
    let reject = decode(payload.as_ref(), &mut scratch).expect_err("the payload must be rejected");
    assert_eq!((reject.reason(), reject.to_string().as_str()), (reason, message));
    assert!(Reject::REASONS.contains(&reason), "{reason} is not in the list of reasons");
}

#[test]
fn the_seed_shaped_reading_is_read_whole() {
    let payload =
        br#"{"sensor_id": "SENSOR_001", "timestamp": "2024-11-07T10:15:30.250000", "temperature": 23.5,
        "humidity": 65.2, "pressure": 1013.25, "location": {"latitude": 52.3676, "longitude": -4.9041},
        "status": "warning"}"#;
    let mut scratch = Scratch::new();
    let reading = decode(payload, &mut scratch).unwrap();
    assert_eq!(reading.sensor_id, "SENSOR_001");
    assert_eq!(reading.time.micros(), 1_730_974_530_250_000);
    assert_eq!(
        (reading.temperature, reading.humidity, reading.pressure),
        (Some(23.5), Some(65.2), Some(1013.25))
    );
    assert_eq!(reading.location, Some(Location { latitude: 52.3676, longitude: -4.9041 }));
    assert_eq!(reading.status, Some("warning"));
    assert!(reading.is_warning());
    assert_eq!(reading.further().count(), 0);
}

#[test]
fn what_is_encoded_is_decoded_to_the_same_bytes() {
    for payload in [
        r#"{"sensor_id":"SENSOR_001","timestamp":"2024-11-07T10:15:30","temperature":23.5,"humidity":65.2,"pressure":1013.25,"location":{"latitude":52.3676,"longitude":4.9041},"status":"active"}"#,
        r#"{"sensor_id":"a\"b","timestamp":"1969-12-31T23:59:59.000001","humidity":-0.0,"co2":1e300,"温度":0.1}"#,
        r#"{"sensor_id":"S","timestamp":"0001-01-01T00:00:00","pressure":1013.0}"#,
    ] {
        assert_eq!(accept(payload), payload);
    }
}

#[test]
fn order_space_and_escapes_do_not_matter() {
    let expected = r#"{"sensor_id":"S1","timestamp":"2024-11-07T10:15:30","temperature":23.5,"x":1.0,"location":{"latitude":1.0,"longitude":2.0},"status":"ok"}"#;
    for payload in [
        r#"{"status":"ok","x":1,"location":{"longitude":2,"latitude":1},"temperature":23.5,"timestamp":"2024-11-07T10:15:30","sensor_id":"S1"}"#,
        "\n{ \"sensor_id\" : \"S1\" ,\t\"timestamp\" :\r\n\"2024-11-07T10:15:30\",\"temperature\": 23.5 , \"x\" : 1.0, \"status\":\"ok\",\"location\" : { \"latitude\" : 1 , \"longitude\" : 2 } } ",
        r#"{"sensor\u005fid":"S\u0031","t\u0069mestamp":"2024-11-07\u005410:15:30","temperature":2.35e1,"\u0078":1,"status":"\u006fk","location":{"l\u0061titude":1,"longitude":2}}"#,
        r#"{"sensor_id":"S1","timestamp":1730974530000,"temperature":23.5,"x":1,"status":"ok","location":{"latitude":1,"longitude":2}}"#,
    ] {
        assert_eq!(accept(payload), expected, "{payload}");
    }
}

#[test]
fn what_is_unknown_is_skipped_and_null_is_absent() {
    let plain = reading("");
    for more in [
        r#","firmware":"1.2","online":true,"off":false,"tags":["a",{"b":[]}],"owner":{"name":"x","name":"x"},"spare":null"#,
        r#","humidity":null,"pressure":null,"location":null,"status":null"#,
        r#","location":{}"#,
        r#","location":{"latitude":null,"longitude":null}"#,
        r#","location":{"altitude":3,"name":"roof","floors":[1,2]}"#,
    ] {
        assert_eq!(accept(&reading(more)), plain, "{more}");
    }
}

#[test]
fn timestamps_are_text_or_milliseconds() {
    let with = |timestamp: &str| format!(r#"{{"sensor_id":"S","timestamp":{timestamp},"temperature":1}}"#);
    let mut scratch = Scratch::new();
    let mut micros =
        |timestamp: &str| decode(with(timestamp).as_bytes(), &mut scratch).unwrap().time.micros();
    assert_eq!(micros("1730974530250"), 1_730_974_530_250_000);
    assert_eq!(micros("-1"), -1_000);
    assert_eq!(micros("0"), 0);
    assert_eq!(micros("-0"), 0);
    assert_eq!(micros("253402300799999"), EventTime::MAX.micros() - 999);
    assert_eq!(micros(r#""2024-11-07T11:15:30.25+01:00""#), 1_730_974_530_250_000);
    for unreadable in
        ["253402300800000", "1.5", "1730974530e3", "99999999999999999999", r#""yesterday""#, r#""""#]
    {
        let found = unreadable.trim_matches('"');
        let rule = "is neither ISO 8601 nor integer milliseconds in years 0001 to 9999";
        check(with(unreadable), "unreadable-timestamp", &format!("timestamp {found} at byte 29 {rule}"));
    }
}

#[test]
fn names_in_messages_are_cut_and_escaped() {
    let long = "x".repeat(100);
    let cut = format!("{}…", "x".repeat(64));
    check(
        format!(r#"{{"sensor_id":"S","timestamp":"{long}"}}"#),
        "unreadable-timestamp",
        &format!(
            "timestamp {cut} at byte 29 is neither ISO 8601 nor integer milliseconds in years 0001 to 9999"
        ),
    );
    check(r#"{"a\n":1e999}"#, "non-finite-number", "a\\n has a number that is not finite at byte 7");
}

#[test]
fn what_is_no_json_is_not_json() {
    let broken = |payload: &str, flaw: &str, at: usize| {
        check(payload, "not-json", &format!("the payload is not JSON: {flaw} at byte {at}"));
    };
    broken("", "it ends too early", 0);
    broken("hello", "no value", 0);
    broken("\0", "no value", 0);
    broken("[1,2", "it ends too early", 4);
    broken("{\"sensor_id\"", "it ends too early", 12);
    broken(&reading(","), "unexpected character", MORE + 1);
    broken(&(reading("") + "x"), "something follows the value", MORE + 1);
    broken(&reading(",\"a\":01"), "malformed number", MORE + 5);
    broken(&reading(",\"a\":\"\\x\""), "invalid escape", MORE + 6);
    broken(&reading(",\"a\":\"\t\""), "control character in a string", MORE + 6);
    broken(&reading(",\"\\ud800\":1"), "half of a surrogate pair", MORE + 2);
}

#[test]
fn other_json_is_not_an_object() {
    check("[1,2]", "not-an-object", "the payload is an array, not an object");
    check(" null ", "not-an-object", "the payload is null, not an object");
    check("true", "not-an-object", "the payload is a boolean, not an object");
    check("\"reading\"", "not-an-object", "the payload is a string, not an object");
    check("-3", "not-an-object", "the payload is a number, not an object");
}

#[test]
fn bytes_must_be_utf8_and_not_too_many() {
    check(b"{\"a\":\"\xff\"}", "invalid-utf8", "the payload is not UTF-8: invalid byte sequence at byte 6");
    check(b"\xed\xa0\x80", "invalid-utf8", "the payload is not UTF-8: invalid byte sequence at byte 0");
    let padded = |bytes: usize| reading("") + &" ".repeat(bytes - reading("").len());
    assert_eq!(accept(&padded(MAX_PAYLOAD_BYTES)), reading(""));
    let message = "the payload has 1048577 bytes, more than the 1048576 allowed";
    check(padded(MAX_PAYLOAD_BYTES + 1), "too-large", message);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(accept(&reading(&format!(",\"a\":{}", nested(MAX_DEPTH - 1)))), reading(""));
    let message = |at: usize| format!("the payload is nested deeper than 32 levels at byte {at}");
    check(reading(&format!(",\"a\":{}", nested(MAX_DEPTH))), "too-deep", &message(MORE + 5 + MAX_DEPTH - 1));
    check(nested(MAX_DEPTH + 1), "too-deep", &message(MAX_DEPTH));
    check(nested(MAX_DEPTH), "not-an-object", "the payload is an array, not an object");
    check(format!("{{\"a\":{}", "{\"a\":".repeat(500_000 / 5)), "too-deep", &message(5 * MAX_DEPTH));
    let inside = |depth| reading(&format!(",\"location\":{{\"a\":{}}}", nested(depth)));
    assert_eq!(accept(&inside(MAX_DEPTH - 2)), reading(""));
    check(inside(MAX_DEPTH - 1), "too-deep", &message(MORE + 17 + MAX_DEPTH - 2));
}

#[test]
fn numbers_must_be_finite_wherever_they_are() {
    let message = |field: &str, at: usize| format!("{field} has a number that is not finite at byte {at}");
    for number in ["1e400", "-1e400", "NaN", "Infinity", "-Infinity"] {
        check(format!("{{\"temperature\":{number}}}"), "non-finite-number", &message("temperature", 15));
        check(format!("{{\"co2\":{number}}}"), "non-finite-number", &message("co2", 7));
        check(format!("{{\"a\":[{{\"b\":{number}}}]}}"), "non-finite-number", &message("a", 11));
        check(format!("{{\"timestamp\":{number}}}"), "non-finite-number", &message("timestamp", 13));
        check(format!("{{\"status\":{number}}}"), "non-finite-number", &message("status", 10));
        let location = format!("{{\"location\":{{\"latitude\":{number}}}}}");
        check(location, "non-finite-number", &message("location.latitude", 24));
        check(number, "non-finite-number", &message("the payload", 0));
    }
}

#[test]
fn known_fields_have_their_types() {
    let message = |field: &str, expected: &str, found: &str, at: usize| {
        format!("{field} must be {expected}, but is {found} at byte {at}")
    };
    let wrong = |payload: &str, message: String| check(payload, "wrong-type", &message);
    wrong(r#"{"sensor_id":7}"#, message("sensor_id", "a string", "a number", 13));
    wrong(r#"{"timestamp":true}"#, message("timestamp", "a string or an integer", "a boolean", 13));
    wrong(r#"{"temperature":"23.5"}"#, message("temperature", "a number", "a string", 15));
    wrong(r#"{"humidity":[65.2]}"#, message("humidity", "a number", "an array", 12));
    wrong(r#"{"pressure":{}}"#, message("pressure", "a number", "an object", 12));
    wrong(r#"{"location":"Delft"}"#, message("location", "an object", "a string", 12));
    wrong(r#"{"location":[1,2]}"#, message("location", "an object", "an array", 12));
    wrong(r#"{"location":{"latitude":"1"}}"#, message("location.latitude", "a number", "a string", 24));
    wrong(r#"{"status":1}"#, message("status", "a string", "a number", 10));
    check(r#"{"status":[1,}"#, "not-json", "the payload is not JSON: no value at byte 13");
}

#[test]
fn keys_occur_once() {
    let twice = |payload: &str, key: &str, at: usize| {
        check(payload, "duplicate-key", &format!("{key} occurs twice, again at byte {at}"));
    };
    twice(r#"{"sensor_id":"a","sensor_id":"a"}"#, "sensor_id", 17);
    twice(r#"{"status":null,"status":null}"#, "status", 15);
    twice(r#"{"status":"a","st\u0061tus":"a"}"#, "status", 14);
    twice(r#"{"a":1,"b":2,"a":3}"#, "a", 13);
    twice(r#"{"a":"x","\u0061":"x"}"#, "a", 9);
    twice(r#"{"\u0061":[],"a":1}"#, "a", 13);
    twice(r#"{"":1,"":2}"#, "", 6);
    twice(r#"{"location":{"latitude":1,"latitude":1}}"#, "location.latitude", 26);
    twice(r#"{"location":{"longitude":null,"l\u006fngitude":1}}"#, "location.longitude", 30);
    twice(r#"{"location":{"alt":1,"alt":1}}"#, "location.alt", 21);
    let separate = r#","latitude":1,"longitude":2,"location":{"temperature":7,"status":{"status":1}}"#;
    assert!(accept(&reading(separate)).contains(r#","latitude":1.0,"longitude":2.0}"#));
}

#[test]
fn many_fields_are_told_apart_up_to_a_bound() {
    let fields = |count: usize| (0..count).fold(String::new(), |all, at| all + &format!(",\"f{at}\":{at}"));
    let encoded = accept(&reading(&fields(MAX_FIELDS)));
    assert_eq!(encoded.matches("\"f").count(), MAX_FIELDS);
    for count in [1, 15, 16, 17, 500, MAX_FIELDS - 1] {
        for again in [0, count / 2, count - 1] {
            let payload = reading(&format!("{},\"f{again}\":null", fields(count)));
            let at = payload.rfind("\"f").unwrap();
            check(payload, "duplicate-key", &format!("f{again} occurs twice, again at byte {at}"));
        }
    }
    let payload = reading(&fields(MAX_FIELDS + 1));
    let at = payload.rfind("\"f").unwrap();
    check(payload, "too-many-fields", &format!("the payload has more than 1024 further fields at byte {at}"));
    let inside = |count: usize| reading(&format!(",\"location\":{{\"a\":1{}}}", fields(count)));
    assert_eq!(accept(&inside(MAX_FIELDS - 1)), reading(""));
    let at = inside(MAX_FIELDS).rfind("\"f").unwrap();
    check(
        inside(MAX_FIELDS),
        "too-many-fields",
        &format!("the payload has more than 1024 further fields at byte {at}"),
    );
}

#[test]
fn a_scratch_forgets_the_record_before() {
    let mut scratch = Scratch::new();
    let many = reading(&(0..100).fold(String::new(), |all, at| all + &format!(",\"f\\u0030{at}\":{at}")));
    for _ in 0..3 {
        assert_eq!(decode(many.as_bytes(), &mut scratch).unwrap().further().count(), 100);
        assert_eq!(decode(reading("").as_bytes(), &mut scratch).unwrap().further().count(), 0);
        assert!(decode(b"{\"f00\":1", &mut scratch).is_err());
    }
}

#[test]
fn a_location_has_both_coordinates_or_none() {
    let message = |missing: &str, at: usize| format!("location has no {missing} at byte {at}");
    check(r#"{"location":{"latitude":1}}"#, "incomplete-location", &message("longitude", 12));
    check(r#"{"location":{"latitude":null,"longitude":1}}"#, "incomplete-location", &message("latitude", 12));
}

#[test]
fn what_is_missing_is_named_in_order() {
    check("{}", "missing-sensor-id", "sensor_id is missing");
    check(r#"{"sensor_id":null}"#, "missing-sensor-id", "sensor_id is missing");
    check(r#"{"sensor_id":""}"#, "empty-sensor-id", "sensor_id is empty at byte 13");
    check(r#"{"sensor_id":"S"}"#, "missing-timestamp", "timestamp is missing");
    check(r#"{"sensor_id":"S","timestamp":null,"co2":1}"#, "missing-timestamp", "timestamp is missing");
    let without = r#"{"sensor_id":"S","timestamp":0,"temperature":null,"a":"1","location":{"latitude":1,"longitude":1}}"#;
    check(without, "no-measurement", "the payload has no measurement");
    assert!(accept(r#"{"sensor_id":"S","timestamp":0,"co2":1}"#).contains("co2"));
}

#[test]
fn the_first_problem_from_the_left_wins() {
    check(
        r#"{"temperature":"x","humidity":1e999"#,
        "wrong-type",
        "temperature must be a number, but is a string at byte 15",
    );
    check(
        r#"{"humidity":1e999,"temperature":"x""#,
        "non-finite-number",
        "humidity has a number that is not finite at byte 12",
    );
    check(r#"{"sensor_id":"","temperature":"x""#, "empty-sensor-id", "sensor_id is empty at byte 13");
    check(
        b"{\"temperature\":\"x\",\"\xff\"",
        "invalid-utf8",
        "the payload is not UTF-8: invalid byte sequence at byte 20",
    );
}
