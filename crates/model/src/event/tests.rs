//! Both modes of events, and why a record is none.

use proptest::prelude::*;

use super::*;

type Headers = Vec<(&'static str, Option<&'static [u8]>)>;

const REQUIRED: [(&str, Option<&[u8]>); 4] = [
    ("ce_specversion", Some(b"1.0")),
    ("ce_id", Some(b"order-7")),
    ("ce_source", Some(b"/shop")),
    ("ce_type", Some(b"org.example.order.placed")),
];

fn with(more: &[(&'static str, Option<&'static [u8]>)]) -> Headers {
    REQUIRED.iter().chain(more).copied().collect()
}

fn read_structured(value: &str) -> Result<Event<'_>, EventReject> {
    let content_type: &[u8] = b"application/cloudevents+json; charset=UTF-8";
    Event::from_record([("content-type", Some(content_type))], Some(value.as_bytes()))
}

fn structured(more: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"order-7","source":"/shop","type":"org.example.order.placed"{more}}}"#
    )
}

/// Checks why a record is no event.
#[track_caller]
fn check(read: Result<Event<'_>, EventReject>, reason: &str, message: &str) {
    let reject = read.expect_err("the record must be rejected");
    assert_eq!((reject.reason(), reject.to_string().as_str()), (reason, message));
    assert!(EventReject::REASONS.contains(&reason), "{reason} is not in the list of reasons");
}

#[test]
fn binary_mode_is_written_in_one_order() {
    let mut event = Event::new("order-7", "/shop", "org.example.order.placed");
    event.subject = Some("customer-3".to_owned());
    event.time = EventTime::parse(b"2024-11-07T10:15:30.25");
    event.datacontenttype = Some("application/json".to_owned());
    event.extensions.insert("sequence".to_owned(), "12".to_owned());
    event.extensions.insert("dataschema".to_owned(), "urn:order".to_owned());
    event.data = Cow::Borrowed(b"{}");
    let (headers, value) = event.to_binary();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap())).collect();
    assert_eq!(
        headers,
        [
            ("ce_specversion", "1.0"),
            ("ce_id", "order-7"),
            ("ce_source", "/shop"),
            ("ce_type", "org.example.order.placed"),
            ("ce_subject", "customer-3"),
            ("ce_time", "2024-11-07T10:15:30.250000Z"),
            ("ce_dataschema", "urn:order"),
            ("ce_sequence", "12"),
            ("content-type", "application/json"),
        ]
    );
    assert_eq!(value, b"{}");
}

#[test]
fn binary_mode_is_read() {
    let headers = with(&[
        ("traceparent", Some(b"00-ab")),
        ("content-type", Some(b"text/plain")),
        ("ce_subject", None),
        ("ce_partitionkey", Some(b"7")),
    ]);
    let event = Event::from_record(headers, Some(b"hello")).unwrap();
    assert_eq!((event.id.as_str(), event.subject.as_deref()), ("order-7", None));
    assert_eq!(event.datacontenttype.as_deref(), Some("text/plain"));
    assert_eq!(event.extensions, BTreeMap::from([("partitionkey".to_owned(), "7".to_owned())]));
    assert!(matches!(event.data, Cow::Borrowed(b"hello")));
    assert_eq!(Event::from_record(with(&[]), None).unwrap().data.as_ref(), b"");
}

#[test]
fn structured_mode_is_read() {
    let value = structured(
        r#","subject":null,"time":"2024-11-07T11:15:30+01:00","count":3,"urgent":true,"data":{ "a" : 1.10 }"#,
    );
    let event = read_structured(&value).unwrap();
    assert_eq!(event.subject, None);
    assert_eq!(event.time.unwrap().to_string(), "2024-11-07T10:15:30");
    assert_eq!(event.extensions["count"], "3");
    assert_eq!(event.extensions["urgent"], "true");
    assert_eq!(event.data.as_ref(), br#"{ "a" : 1.10 }"#, "JSON data keeps its bytes");
}

#[test]
fn structured_data_follows_its_media_type() {
    let data = |more: &str| read_structured(&structured(more)).unwrap().data.into_owned();
    assert_eq!(data(r#","data":"x""#), br#""x""#);
    assert_eq!(data(r#","datacontenttype":"application/problem+JSON; a=b","data":"x""#), br#""x""#);
    assert_eq!(data(r#","datacontenttype":"text/plain","data":"x\n""#), b"x\n");
    assert_eq!(data(r#","datacontenttype":"text/plain","data":[1]"#), b"[1]");
    assert_eq!(data(r#","data_base64":"AP8=""#), [0, 255]);
    assert_eq!(data(""), b"");
}

#[test]
fn what_is_no_event_has_a_reason() {
    let message = "the record is no event: no ce_ header and no content-type application/cloudevents+json";
    check(Event::from_record([], Some(b"{}")), "not-an-event", message);
    check(
        Event::from_record([("content-type", Some(&b"application/json"[..]))], None),
        "not-an-event",
        message,
    );
    let mut headers = with(&[]);
    headers[0].1 = Some(b"0.3");
    check(
        Event::from_record(headers, None),
        "unsupported-version",
        "specversion is 0.3, only 1.0 is understood",
    );
    for (index, name) in ["specversion", "id", "source", "type"].into_iter().enumerate() {
        let mut headers = with(&[]);
        headers[index].1 = None;
        check(
            Event::from_record(headers, None),
            "missing-attribute",
            &format!("attribute {name} is missing"),
        );
    }
}

#[test]
fn attributes_obey_their_rules() {
    let read = |more: &[(&'static str, Option<&'static [u8]>)]| Event::from_record(with(more), None);
    let invalid = |name: &str, problem: &str| format!("attribute {name} is invalid: {problem}");
    let name_rule = "the name is not of lower-case letters and digits";
    check(read(&[("ce_subject", Some(b""))]), "invalid-attribute", &invalid("subject", "it is empty"));
    check(read(&[("ce_x", Some(b"\xff"))]), "invalid-attribute", &invalid("x", "it is not UTF-8"));
    check(read(&[("ce_X", Some(b"1"))]), "invalid-attribute", &invalid("X", name_rule));
    check(read(&[("ce_", Some(b"1"))]), "invalid-attribute", &invalid("", name_rule));
    check(
        read(&[("ce_time", Some(b"noon"))]),
        "invalid-attribute",
        &invalid("time", "it is not a time in RFC 3339"),
    );
    check(read(&[("ce_id", Some(b"8"))]), "duplicate-attribute", "attribute id occurs twice");
    let twice: [(&str, Option<&[u8]>); 2] = [("content-type", Some(b"a/b")), ("Content-Type", Some(b"a/b"))];
    check(read(&twice), "duplicate-attribute", "attribute content-type occurs twice");
}

#[test]
fn structured_events_obey_theirs() {
    check(
        read_structured("[]"),
        "not-json",
        "the structured event is not a JSON object: invalid type: sequence, expected an object at line 1 column 0",
    );
    let not_json = |value: &str, flaw: &str| {
        check(
            read_structured(value),
            "not-json",
            &format!("the structured event is not a JSON object: {flaw}"),
        );
    };
    not_json("", "it ends too early at byte 0");
    not_json("{} x", "something follows the value at byte 3");
    not_json(r#"{"data":"\ud800"}"#, "half of a surrogate pair at byte 9");
    not_json(r#"{"data":[1e400]}"#, "number that is not finite at byte 9");
    not_json(&"[".repeat(1_000), "nested too deep at byte 127");
    let read =
        |more: &str, reason: &str, message: &str| check(read_structured(&structured(more)), reason, message);
    read(r#","id":"8""#, "duplicate-attribute", "attribute id occurs twice");
    read(r#","data":1,"data":1"#, "duplicate-attribute", "attribute data occurs twice");
    read(r#","data":1,"data_base64":"""#, "duplicate-attribute", "attribute data occurs twice");
    read(r#","data_base64":"A""#, "invalid-base64", "data_base64 is not base64 (RFC 4648, padded)");
    read(r#","data_base64":7"#, "invalid-base64", "data_base64 is not base64 (RFC 4648, padded)");
    read(r#","x":{}"#, "invalid-attribute", "attribute x is invalid: it is an array or an object");
    read(r#","subject":7"#, "invalid-attribute", "attribute subject is invalid: it is not a string");
    let name_rule = "the name is not of lower-case letters and digits";
    read(r#","x_y":1"#, "invalid-attribute", &format!("attribute x_y is invalid: {name_rule}"));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        (id, source, type_) in (".+", ".+", ".+"),
        (subject, datacontenttype) in (proptest::option::of(".+"), proptest::option::of("text/[a-z]+")),
        micros in proptest::option::of(EventTime::MIN.micros()..=EventTime::MAX.micros()),
        extensions in proptest::collection::btree_map("x[a-z0-9]{0,8}", ".*", 0..4),
        data in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut event = Event::new(id, source, type_);
        event.subject = subject;
        event.datacontenttype = datacontenttype;
        event.time = micros.map(EventTime::from_micros);
        event.extensions = extensions;
        event.data = Cow::Owned(data);
        let (headers, value) = event.to_binary();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice())));
        let read = Event::from_record(headers, Some(value));
        prop_assert_eq!(read.as_ref(), Ok(&event));
    }

    #[test]
    fn no_record_panics(
        headers in proptest::collection::vec(
            ("(ce_[a-z]{0,3}|content-type|ce_(id|source|type|specversion))", proptest::option::of("1.0|application/cloudevents[+]json|.*")),
            0..6,
        ),
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
    ) {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_ref().map(String::as_bytes)));
        let _ = Event::from_record(headers, value.as_deref());
    }
}
