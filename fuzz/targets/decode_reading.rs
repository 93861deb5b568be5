//! Decodes any bytes as a reading, and holds the verdict against that of `serde_json`.
#![no_main]

#[path = "../../crates/model/tests/properties/judge.rs"]
mod judge;

use libfuzzer_sys::fuzz_target;
use model::{Scratch, decode};
use serde_json::Value;

fuzz_target!(|payload: &[u8]| {
    let mut scratch = Scratch::new();
    let verdict = decode(payload, &mut scratch);
    let theirs: Option<Value> = serde_json::from_slice(payload).ok();
    judge::check_verdict(&verdict, theirs.as_ref());
    if let (Ok(reading), Some(object)) = (&verdict, &theirs) {
        judge::check_same(reading, object);
        judge::check_settled(reading);
    }
});
