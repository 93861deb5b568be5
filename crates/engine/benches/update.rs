//! How long one reading takes from its bytes to the updated statistics, and what it allocates.
//!
//! `cargo bench --profile release -p engine`. Readings have the seed's shape (about 200 bytes), lie one after the
//! other as in a fetched batch, and come from all sensors in turn in a shuffled order, which is the hardest on
//! memory caches. For each number of sensors the best of many short rounds is shown, since what disturbs a round
//! only makes it longer.

#[path = "../tests/support/counting.rs"]
mod counting;

use std::hint::black_box;
use std::time::Instant;

use engine::{SensorTable, TableOptions};
use model::{EventTime, Location, Reading, Scratch};

/// Enough readings for the clock's own cost not to matter, few enough for some rounds to go by undisturbed.
const READINGS_PER_ROUND: usize = 20_000;
const ROUNDS: usize = 150;

/// Payloads of one reading per sensor, the sensors in shuffled order, end to end in one buffer with their bounds.
struct Payloads {
    bytes: Vec<u8>,
    bounds: Vec<(usize, usize)>,
}

impl Payloads {
    fn new(sensors: usize) -> Self {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            // xorshift64: enough to shuffle and to vary digits.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut order: Vec<usize> = (0..sensors).collect();
        for place in (1..sensors).rev() {
            order.swap(place, (next() % (place as u64 + 1)) as usize);
        }
        let mut payloads = Self { bytes: Vec::new(), bounds: Vec::with_capacity(sensors) };
        for sensor in order {
            let id = format!("SENSOR_{sensor:07}");
            let mut reading = Reading::new(&id, EventTime::from_millis(1_730_974_530_000 + sensor as i64));
            let hundredths = |random: u64, from: f64, span: u64| from + (random % span) as f64 / 100.0;
            reading.temperature = Some(hundredths(next(), 15.0, 2_000));
            reading.humidity = Some(hundredths(next(), 30.0, 6_000));
            reading.pressure = Some(hundredths(next(), 990.0, 4_000));
            reading.location = Some(Location { latitude: 52.3676, longitude: 4.9041 });
            reading.status = Some(if next() % 50 == 0 { "warning" } else { "active" });
            let start = payloads.bytes.len();
            model::encode(&reading, &mut payloads.bytes);
            payloads.bounds.push((start, payloads.bytes.len()));
        }
        payloads
    }

    fn all(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.bounds.iter().map(|&(start, end)| &self.bytes[start..end])
    }
}

/// The nanoseconds per reading of the best round, and the allocations per reading of the worst.
fn measure(payloads: &Payloads, mut each: impl FnMut(&[u8])) -> (f64, f64) {
    let mut endless = payloads.all().cycle();
    let (mut best, mut most) = (f64::INFINITY, 0_f64);
    for _ in 0..ROUNDS {
        let allocations = counting::allocations();
        let start = Instant::now();
        endless.by_ref().take(READINGS_PER_ROUND).for_each(&mut each);
        best = best.min(start.elapsed().as_nanos() as f64 / READINGS_PER_ROUND as f64);
        let allocated = counting::allocations() - allocations;
        most = most.max(allocated as f64 / READINGS_PER_ROUND as f64);
    }
    (best, most)
}

fn main() {
    println!(
        "{:>10} {:>12} {:>12} {:>12} {:>14}",
        "sensors", "decode ns", "update ns", "both ns", "allocations"
    );
    for sensors in [100, 10_000, 1_000_000] {
        let payloads = Payloads::new(sensors);
        let mut scratch = Scratch::new();
        let mut table = SensorTable::new(TableOptions::default());
        let mut process = |payload: &[u8]| {
            let reading = model::decode(payload, &mut scratch).expect("encoded above");
            black_box(table.update(&reading).high_temperature);
        };
        payloads.all().for_each(&mut process);
        let (both, allocations) = measure(&payloads, &mut process);
        let mut scratch = Scratch::new();
        let (decode, _) = measure(&payloads, |payload| {
            black_box(model::decode(payload, &mut scratch).expect("encoded above").temperature);
        });
        println!("{sensors:>10} {decode:>12.1} {:>12.1} {both:>12.1} {allocations:>14.6}", both - decode);
    }
}
