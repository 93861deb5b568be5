//! Counts allocations: the reading of a known sensor must cause none, from its bytes to the updated statistics.
//!
//! In a binary of its own, because it replaces the allocator of the whole process.

#[path = "support/counting.rs"]
mod counting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::plan::{Limits, RuleSpec, TimeSpec, WindowInput, WindowShape, WindowSpec};
use engine::{
    Arrival, Partition, Plan, PlanSpec, SensorTable, Source, Suppressed, TableOptions, Tick, Verdict,
};
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

/// A window of an hour and rules of every cheap kind.
fn partition() -> Partition {
    let rule = |name: &str, when: &str| RuleSpec {
        name: name.into(),
        when: when.into(),
        clear: None,
        hold: Duration::ZERO,
        clear_hold: Duration::ZERO,
        severity: model::Severity::Warning,
        escalate_after: None,
        select: Vec::new(),
        max_per_hour: 1,
    };
    let hour = Duration::from_hours(1);
    let window = WindowSpec {
        name: "1h".into(),
        over: WindowInput::Readings,
        shape: WindowShape::Tumbling { size: hour },
        grace: hour,
        select: Vec::new(),
        metrics: Vec::new(),
        quantiles: false,
        early: None,
    };
    let spec = PlanSpec {
        time: TimeSpec { disorder: hour, idle_timeout: hour, max_future: hour, forget_after: hour * 24 },
        windows: vec![window],
        rules: vec![
            rule("hot", "temperature > 1000"),
            rule("sum", "temperature + humidity > 1000 or status == \"broken\""),
            rule(
                "learned",
                "deviation(temperature) > 1000 or mean(light, 1m) > 1000 or robust(voltage) > 1000",
            ),
        ],
        groups: BTreeMap::new(),
        limits: Limits { max_sensors: 100_000, max_id_bytes: 64, max_metrics: 8, max_windows: 8 },
    };
    let source = Source { topic: "sensor-data".into(), partition: 0 };
    Partition::new(Arc::new(Plan::compile(spec).expect("a plan")), source, 1)
}

#[test]
fn a_reading_that_closes_nothing_costs_the_partition_no_allocation() {
    let mut partition = partition();
    let mut scratch = Scratch::new();
    let time = EventTime::from_millis(0);
    partition.tick(Tick { sequence: 1, after: -1, time }, &mut Suppressed);
    let mut offset = 0;
    let mut feed = |payloads: &[Vec<u8>]| {
        for payload in payloads {
            let reading = model::decode(payload, &mut scratch).expect("encoded above");
            let verdict = partition.observe(&reading, Arrival { offset, sequence: None }, &mut Suppressed);
            assert_eq!(verdict, Verdict::Taken);
            offset += 1;
        }
    };
    feed(&payloads(0));
    let later: Vec<Vec<Vec<u8>>> = (1..5).map(payloads).collect();
    let before = counting::allocations();
    for payloads in &later {
        feed(payloads);
    }
    assert_eq!(counting::allocations() - before, 0);
}
