//! Decodes any record as an event. The input is a record in a simple notation: lines `name: value`, one for each
//! header, an empty line, the value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Event;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let (headers, value) = split(input);
    let Ok(event) = Event::from_record(headers.iter().map(|&(name, value)| (name, Some(value))), Some(value))
    else {
        return;
    };
    let (written, data) = event.to_binary();
    let written = written.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice())));
    assert_eq!(Event::from_record(written, Some(data)).as_ref(), Ok(&event), "what is written reads back");
    if !headers.iter().any(|(name, _)| name.starts_with("ce_")) {
        let object: Value = serde_json::from_slice(value).expect("a structured event is JSON");
        assert_eq!((&object["id"], &object["source"]), (&event.id.into(), &event.source.into()));
    }
});

/// The headers and the value.
fn split(input: &[u8]) -> (Vec<(&str, &[u8])>, &[u8]) {
    let (mut headers, mut rest) = (Vec::new(), input);
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let Some(colon) = line.windows(2).position(|pair| pair == b": ") else { break };
        if let Ok(name) = str::from_utf8(&line[..colon]) {
            headers.push((name, &line[colon + 2..]));
        }
    }
    (headers, rest)
}
