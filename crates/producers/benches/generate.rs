//! What a simulated reading costs, encoding included: nanoseconds of processor time and heap allocations, no I/O.
//!
//! `cargo bench --profile release -p producers`. Plain timing instead of a framework: the figures are printed, and the
//! run fails if a reading takes more than [`TARGET_NANOS`] or allocates in steady state.

#![expect(
    unsafe_code,
    reason = "an allocator can only be wrapped with unsafe functions; this one only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::EventTime;
use producers::sensors::{Cadence, FaultPlan, KeyFormat, Simulator, SimulatorOptions, TimingFlags};

/// A reading must cost less than this.
const TARGET_NANOS: f64 = 300.0;
/// Readings before the measurement: every buffer has its size by then.
const WARM_UP: u64 = 500_000;
const READINGS: u64 = 500_000;
/// The best of so many rounds counts; the machine has other things to do as well.
const ROUNDS: u32 = 20;
/// 2024-11-07T10:15:30 UTC.
const START: EventTime = EventTime::from_micros(1_730_974_530_000_000);

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc`, which got it from the system.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A simulator whose sensors report once a second of simulated time, or live.
fn simulator(num_sensors: usize, faults: &str, live: bool) -> Simulator {
    let timing = if live {
        TimingFlags { interval: Some(Duration::ZERO), ..TimingFlags::default() }
    } else {
        TimingFlags { start_time: Some(START), ..TimingFlags::default() }
    };
    let options = SimulatorOptions {
        num_sensors,
        key_format: KeyFormat::default(),
        cadence: Cadence::Same,
        faults: faults.parse::<FaultPlan>().expect("a plan"),
        seed: 1,
        timing,
        count: None,
    };
    Simulator::new(&options, START).expect("good options")
}

/// Bytes of payload of so many turns.
fn turns(simulator: &mut Simulator, count: u64) -> u64 {
    let mut bytes = 0;
    for _ in 0..count {
        black_box(simulator.next_due());
        if let Some(emission) = simulator.next_emission() {
            bytes += black_box(emission).payload.len() as u64;
        }
    }
    bytes
}

/// Processor time of this thread, so that a busy machine does not count. It is the first number of Linux's schedstat.
fn processor_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("schedstat begins with nanoseconds")
}

/// Measures and prints one line; whether it met the target.
fn measure(name: &str, mut simulator: Simulator, allocations_allowed: f64) -> bool {
    turns(&mut simulator, WARM_UP);
    let mut best = f64::MAX;
    let mut bytes = 0;
    let mut allocations = 0;
    for _ in 0..ROUNDS {
        let started = processor_nanos();
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        bytes = turns(&mut simulator, READINGS);
        allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
        best = best.min((processor_nanos() - started) as f64 / READINGS as f64);
    }
    let allocations = allocations as f64 / (READINGS * u64::from(ROUNDS)) as f64;
    let good = best <= TARGET_NANOS && allocations <= allocations_allowed;
    println!(
        "{name:<40} {best:>7.1} ns a reading   {allocations:>9.6} allocations a reading   {:>5.1} bytes{}",
        bytes as f64 / READINGS as f64,
        if good { "" } else { "   MISSED" },
    );
    good
}

fn main() -> ExitCode {
    let results = [
        measure("100 sensors", simulator(100, "", false), 0.0),
        measure("100 sensors, live time", simulator(100, "", true), 0.0),
        measure("10,000 sensors", simulator(10_000, "", false), 0.0),
        // The buffers of outages grow to the largest outage of each: rare, bounded, but not nothing.
        measure("100 sensors, every fault", simulator(100, "all", false), 0.001),
    ];
    if results.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
