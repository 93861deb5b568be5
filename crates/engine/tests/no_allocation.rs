//! Counts allocations: the reading of a known sensor must cause none, from its bytes to the updated statistics.
//!
//! In a binary of its own, because it replaces the allocator of the whole process.

#[path = "support/counting.rs"]
mod counting;

use engine::{SensorTable, TableOptions};
use model::{EventTime, Location, Reading, Scratch};

const SENSORS: i64 = 1_000;

fn payloads(second: i64) -> Vec<Vec<u8>> {
    let of_sensor = |sensor: i64| {
        let id = format!("SENSOR_{sensor:03}");
        let wobble = (sensor % 17) as f64 * 0.25 + second as f64;
        let mut reading = Reading::new(&id, EventTime::from_millis(second * 1_000));
        reading.temperature = Some(20.0 + wobble);
        reading.humidity = Some(60.0 - wobble);
        reading.pressure = Some(1_013.25);
        reading.location = Some(Location { latitude: 52.3676, longitude: 4.9041 });
        reading.status = Some(if sensor % 50 == 0 { "warning" } else { "active" });
        let mut bytes = Vec::new();
        model::encode(&reading.with_further(&[("voltage", 3.1), ("light", 44.0)]), &mut bytes);
        bytes
    };
    (0..SENSORS).map(of_sensor).collect()
}

fn feed(table: &mut SensorTable, scratch: &mut Scratch, payloads: &[Vec<u8>]) {
    for payload in payloads {
        let reading = model::decode(payload, scratch).expect("encoded above");
        table.update(&reading);
    }
}

#[test]
fn a_known_sensor_costs_no_allocation() {
    let mut table = SensorTable::new(TableOptions::default());
    let mut scratch = Scratch::new();
    feed(&mut table, &mut scratch, &payloads(0));
    let later: Vec<Vec<Vec<u8>>> = (1..5).map(payloads).collect();
    let before = counting::allocations();
    for payloads in &later {
        feed(&mut table, &mut scratch, payloads);
    }
    let after = counting::allocations();
    assert_eq!(after - before, 0);
    assert!(before > 0, "the counter counts");
    assert_eq!(table.totals().readings, 5 * SENSORS as u64);
}
