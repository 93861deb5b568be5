//! Decoding and encoding allocate nothing once the scratch and the buffer have grown. In a binary of its own, because
//! it replaces the allocator of the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use model::{Scratch, decode, encode};

/// Counts each thread's allocations on their way to the system's allocator.
struct Counting;

thread_local! {
    /// Of this thread only: the test harness allocates on its own threads whenever it likes.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts and forwards")]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_steady_state_allocates_nothing() {
    let many = (0..200).fold(String::new(), |all, at| all + &format!(",\"f{at}\":{at}.5,\"s{at}\":\"x\""));
    let payloads = [
        r#"{"sensor_id": "SENSOR_001", "timestamp": "2024-11-07T10:15:30", "temperature": 23.5, "humidity": 65.2, "pressure": 1013.25, "location": {"latitude": 52.3676, "longitude": 4.9041}, "status": "active"}"#.to_owned(),
        r#"{"sensor\u005fid":"Zo\u00eb \ud83c\udf21","timestamp":1730974530250,"co2":0.1234567890123456789,"note":{"a\n":["b\t"]},"location":{"altitude":3},"status":"\u006fk"}"#.to_owned(),
        format!(r#"{{"sensor_id":"S","timestamp":"2024-11-07T10:15:30.123456+01:00","pressure":1.7976931348623157e308{many}}}"#),
    ];
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    let mut round = || {
        for payload in &payloads {
            let reading = decode(payload.as_bytes(), &mut scratch).expect("each payload is a reading");
            assert!(reading.measurements().all(|(_, value)| value.is_finite()));
            out.clear();
            encode(&reading, &mut out);
        }
        ALLOCATIONS.get()
    };
    let warm = round();
    for _ in 0..100 {
        assert_eq!(round(), warm, "a record allocated");
    }
}
