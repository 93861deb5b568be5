//! What decoding and encoding a reading costs: `cargo bench --profile release -p model`.
//!
//! Each row is the fastest of many rounds over a thousand different readings, so that neither the branch predictor's
//! memory of one payload nor a neighbour on the machine decides. Beside ours stands `serde_json` into a struct that
//! borrows its strings, with the same timestamp parser and neither duplicate nor unknown fields refused.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::reading::{Tail, encode_with_tail};
use model::{EventTime, Location, Reading, Scratch, decode, encode};
use serde::Deserialize;

const READINGS: usize = 1_024;
const ROUNDS: usize = 400;

/// Counts allocations on their way to the system's allocator.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts and forwards")]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let samples = samples();
    let payload_sets = [
        ("compact", samples.iter().map(Sample::compact).collect::<Vec<_>>()),
        ("python", samples.iter().map(Sample::python).collect()),
    ];
    println!("{:<34} {:>10} {:>12} {:>8}", "", "ns/reading", "allocations", "bytes");
    for (name, payloads) in &payload_sets {
        let bytes = payloads.iter().map(Vec::len).sum::<usize>() / payloads.len();
        let ours = measure(|| payloads.iter().map(|payload| with_model(payload)).sum());
        ours.print(&format!("decode, {name}"), bytes, None);
        let serde = measure(|| payloads.iter().map(|payload| with_serde_json(payload)).sum());
        serde.print(&format!("  serde_json, {name}"), bytes, Some(&ours));
    }
    bench_encode(&samples);
}

fn bench_encode(samples: &[Sample]) {
    let readings: Vec<Reading<'_>> = samples.iter().map(Sample::reading).collect();
    let tails: Vec<Tail> =
        readings.iter().map(|reading| Tail::new(reading.location, reading.status)).collect();
    let mut out = Vec::with_capacity(1 << 10);
    let mut total = |write: &mut dyn FnMut(usize, &mut Vec<u8>)| {
        let mut bytes = 0;
        for at in 0..READINGS {
            out.clear();
            write(at, &mut out);
            bytes += black_box(&out).len();
        }
        bytes as f64
    };
    let bytes = total(&mut |at, out| encode(&readings[at], out)) as usize / READINGS;
    let whole = measure(|| total(&mut |at, out| encode(black_box(&readings[at]), out)));
    whole.print("encode", bytes, None);
    measure(|| total(&mut |at, out| encode_with_tail(black_box(&readings[at]), &tails[at], out))).print(
        "encode, location and status kept",
        bytes,
        None,
    );
    measure(|| total(&mut |at, out| serde_json_encode(black_box(&readings[at]), out))).print(
        "  serde_json",
        bytes,
        Some(&whole),
    );
}

thread_local! {
    static SCRATCH: std::cell::RefCell<Scratch> = std::cell::RefCell::new(Scratch::new());
}

/// Decodes and looks at every field, so that nothing can be optimised away.
fn with_model(payload: &[u8]) -> f64 {
    SCRATCH.with_borrow_mut(|scratch| {
        let reading = decode(black_box(payload), scratch).expect("the samples are readings");
        black_box(&reading);
        reading.temperature.unwrap_or_default()
    })
}

#[derive(Deserialize)]
struct SerdeReading<'a> {
    sensor_id: &'a str,
    timestamp: &'a str,
    temperature: Option<f64>,
    humidity: Option<f64>,
    pressure: Option<f64>,
    location: Option<SerdeLocation>,
    status: Option<&'a str>,
}

#[derive(Deserialize, serde::Serialize)]
struct SerdeLocation {
    latitude: f64,
    longitude: f64,
}

fn with_serde_json(payload: &[u8]) -> f64 {
    let reading: SerdeReading<'_> =
        serde_json::from_slice(black_box(payload)).expect("the samples are readings");
    let time = EventTime::parse(reading.timestamp.as_bytes());
    let location = reading.location.as_ref().map(|location| (location.latitude, location.longitude));
    black_box((reading.sensor_id, time, reading.humidity, reading.pressure, location, reading.status));
    reading.temperature.unwrap_or_default()
}

#[derive(serde::Serialize)]
struct SerdeOut<'a> {
    sensor_id: &'a str,
    timestamp: String,
    temperature: Option<f64>,
    humidity: Option<f64>,
    pressure: Option<f64>,
    location: Option<SerdeLocation>,
    status: Option<&'a str>,
}

fn serde_json_encode(reading: &Reading<'_>, out: &mut Vec<u8>) {
    let location = reading
        .location
        .map(|location| SerdeLocation { latitude: location.latitude, longitude: location.longitude });
    let shape = SerdeOut {
        sensor_id: reading.sensor_id,
        timestamp: reading.time.to_string(),
        temperature: reading.temperature,
        humidity: reading.humidity,
        pressure: reading.pressure,
        location,
        status: reading.status,
    };
    serde_json::to_writer(out, &shape).expect("a vector takes any bytes");
}

struct Measured {
    fastest: Duration,
    allocations: u64,
}

impl Measured {
    fn ns(&self) -> f64 {
        self.fastest.as_nanos() as f64 / READINGS as f64
    }

    fn print(&self, name: &str, bytes: usize, beside: Option<&Self>) {
        let allocations = self.allocations as f64 / READINGS as f64;
        print!("{name:<34} {:>10.1} {allocations:>12.2} {bytes:>8}", self.ns());
        match beside {
            Some(ours) => println!("   {:.2} times ours", self.ns() / ours.ns()),
            None => println!(),
        }
    }
}

/// Runs `round` many times; the first, which fills caches and scratch memory, does not count.
fn measure(mut round: impl FnMut() -> f64) -> Measured {
    black_box(round());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    black_box(round());
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(round());
        fastest = fastest.min(start.elapsed());
    }
    Measured { fastest, allocations }
}

/// The values of a reading as the seed makes them.
struct Sample {
    sensor_id: String,
    time: EventTime,
    temperature: f64,
    humidity: f64,
    pressure: f64,
    location: Location,
    status: &'static str,
}

fn samples() -> Vec<Sample> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut uniform = move |low: f64, high: f64, decimals: i32| {
        // Knuth's linear congruential generator; the upper bits are good enough for sample values.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let scale = 10_f64.powi(decimals);
        ((low + (high - low) * (state >> 11) as f64 / (1_u64 << 53) as f64) * scale).round() / scale
    };
    (0..READINGS)
        .map(|index| Sample {
            sensor_id: format!("SENSOR_{:03}", index % 100),
            time: EventTime::from_micros(1_730_974_530_000_000 + uniform(0.0, 1e12, 0) as i64),
            temperature: uniform(-5.0, 40.0, 2),
            humidity: uniform(5.0, 100.0, 2),
            pressure: uniform(980.0, 1_040.0, 2),
            location: Location { latitude: uniform(-90.0, 90.0, 4), longitude: uniform(-180.0, 180.0, 4) },
            status: if index % 20 == 0 { "warning" } else { "active" },
        })
        .collect()
}

impl Sample {
    fn reading(&self) -> Reading<'_> {
        let mut reading = Reading::new(&self.sensor_id, self.time);
        reading.temperature = Some(self.temperature);
        reading.humidity = Some(self.humidity);
        reading.pressure = Some(self.pressure);
        reading.location = Some(self.location);
        reading.status = Some(self.status);
        reading
    }

    fn compact(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        encode(&self.reading(), &mut payload);
        payload
    }

    /// With the separators of Python's `json.dumps`.
    fn python(&self) -> Vec<u8> {
        let compact = String::from_utf8(self.compact()).expect("what is encoded is UTF-8");
        compact.replace(",\"", ", \"").replace("\":", "\": ").into_bytes()
    }
}
