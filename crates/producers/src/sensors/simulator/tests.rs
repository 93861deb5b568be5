use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::pacing::Speed;

/// 2024-11-07T10:15:30 UTC.
const START: EventTime = EventTime::from_micros(1_730_974_530_000_000);

#[derive(Debug, Clone, PartialEq)]
struct Sent {
    sensor: usize,
    payload: Vec<u8>,
    sequence: u64,
    fault: Option<Fault>,
    time: EventTime,
    due: Duration,
}

fn options(num_sensors: usize, count: u64) -> SimulatorOptions {
    SimulatorOptions {
        num_sensors,
        key_format: KeyFormat::default(),
        cadence: Cadence::Same,
        faults: FaultPlan::none(),
        seed: 1,
        timing: TimingFlags { start_time: Some(START), ..TimingFlags::default() },
        count: Some(count),
    }
}

/// Everything that a simulator sends.
fn all(options: &SimulatorOptions) -> (Vec<Sent>, SimulatorCounts) {
    let mut simulator = Simulator::new(options, START).expect("good options");
    let mut sent = Vec::new();
    while let Some(due) = simulator.next_due() {
        if let Some(record) = simulator.next_emission() {
            let &Emission { sensor, sequence, fault, time, .. } = &record;
            sent.push(Sent { sensor, payload: record.payload.to_vec(), sequence, fault, time, due });
        }
    }
    (sent, simulator.counts())
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let faulty = SimulatorOptions { faults: "all=0.02".parse().expect("a plan"), ..options(7, 3_000) };
    assert_eq!(all(&faulty), all(&faulty));
    assert_ne!(all(&faulty), all(&SimulatorOptions { seed: 2, ..faulty.clone() }));
}

#[test]
fn the_first_records_are_as_they_always_were() {
    let (sent, _) = all(&options(3, 4));
    let lines: Vec<String> =
        sent.iter().map(|record| String::from_utf8(record.payload.clone()).expect("JSON is UTF-8")).collect();
    assert_eq!(
        lines,
        [
            r#"{"sensor_id":"SENSOR_001","timestamp":"2024-11-07T10:15:30","temperature":29.65,"humidity":39.52,"pressure":1019.51,"location":{"latitude":52.3748,"longitude":4.8701},"status":"active"}"#,
            r#"{"sensor_id":"SENSOR_002","timestamp":"2024-11-07T10:15:30.333333","temperature":12.05,"humidity":49.82,"pressure":949.55,"location":{"latitude":40.4181,"longitude":-3.7212},"status":"active"}"#,
            r#"{"sensor_id":"SENSOR_003","timestamp":"2024-11-07T10:15:30.666666","temperature":23.14,"humidity":47.29,"pressure":1009.84,"location":{"latitude":52.5632,"longitude":13.3834},"status":"active"}"#,
            r#"{"sensor_id":"SENSOR_001","timestamp":"2024-11-07T10:15:31","temperature":29.61,"humidity":39.11,"pressure":1019.56,"location":{"latitude":52.3748,"longitude":4.8701},"status":"active"}"#,
        ]
    );
}

#[test]
fn readings_are_spread_evenly_over_the_interval() {
    let mut options = options(4, 9);
    options.timing.interval = Some(Duration::from_millis(100));
    let (sent, _) = all(&options);
    let dues: Vec<u128> = sent.iter().map(|record| record.due.as_millis()).collect();
    assert_eq!(dues, [0, 25, 50, 75, 100, 125, 150, 175, 200]);
    for record in &sent {
        assert_eq!(record.time.micros() - START.micros(), record.due.as_micros() as i64);
        assert_eq!(record.sequence, record.due.as_millis() as u64 / 100 + 1);
    }
}

#[test]
fn a_schedule_of_ten_years_is_exact() {
    let mut options = options(1, u64::MAX);
    options.timing.rate = Some(300_000.0);
    let mut simulator = Simulator::new(&options, START).expect("good options");
    let seconds = 10 * 365 * 86_400;
    simulator.cycle = seconds * 300_000;
    let due = simulator.next_due().expect("not at the end");
    assert!(due.abs_diff(Duration::from_secs(seconds)) < Duration::from_micros(1), "{due:?}");
}

#[test]
fn healthy_readings_are_the_same_with_and_without_faults() {
    let healthy: BTreeMap<_, _> = all(&options(5, 5_000))
        .0
        .into_iter()
        .map(|sent| ((sent.sensor, sent.sequence), sent.payload))
        .collect();
    let faulty = SimulatorOptions { faults: "all=0.01".parse().expect("a plan"), ..options(5, 4_000) };
    let (sent, counts) = all(&faulty);
    assert!(counts.labelled.iter().all(|count| *count > 0), "{counts:?}");
    for record in sent.iter().filter(|record| record.fault.is_none()) {
        assert_eq!(healthy[&(record.sensor, record.sequence)], record.payload);
    }
}

#[test]
fn readings_decode_to_what_was_meant() {
    let mut scratch = model::Scratch::default();
    for record in all(&options(12, 600)).0 {
        let reading = model::decode(&record.payload, &mut scratch).expect("a valid reading");
        assert_eq!(reading.sensor_id, format!("SENSOR_{:03}", record.sensor + 1));
        assert_eq!(reading.time, record.time);
        let temperature = reading.temperature.expect("a temperature");
        assert_eq!(reading.status, Some(if temperature > 30.0 { "warning" } else { "active" }));
        assert!(reading.implausible().is_none());
    }
}

#[test]
fn mixed_sensors_keep_their_cadence() {
    let mixed = SimulatorOptions { cadence: Cadence::Mixed, ..options(50, 5_000) };
    let (sent, _) = all(&mixed);
    let mut times: BTreeMap<usize, Vec<Duration>> = BTreeMap::new();
    for record in &sent {
        times.entry(record.sensor).or_default().push(record.due);
    }
    let mut steps = BTreeSet::new();
    for due in times.values() {
        let step = due[1].checked_sub(due[0]).unwrap();
        assert!(due.windows(2).all(|pair| pair[1].checked_sub(pair[0]).unwrap() == step));
        steps.insert(step.as_secs());
    }
    assert_eq!(steps.into_iter().collect::<Vec<_>>(), [1, 2, 5, 10]);
}

#[test]
fn live_readings_bear_the_time_that_was_set_and_never_run_backwards() {
    let mut options = options(2, 4);
    options.timing = TimingFlags { interval: Some(Duration::ZERO), ..TimingFlags::default() };
    let (mut simulator, timing) = Simulator::with_timing(&options, START).expect("good options");
    assert_eq!((timing.interval_seconds, timing.speed), (None, Speed::Max));
    let mut times = Vec::new();
    for now in [10, 10, 50, 40] {
        simulator.set_now(START.micros() + now);
        times.push(simulator.next_emission().expect("a record").time.micros() - START.micros());
    }
    assert_eq!(times, [10, 11, 50, 51]);
}

#[test]
fn sensors_that_slept_go_on_later() {
    let mut simulator = Simulator::new(&options(1, 3), START).expect("good options");
    simulator.next_emission().expect("a record");
    simulator.sleep(Duration::from_hours(1));
    let time = simulator.next_emission().expect("a record").time;
    assert_eq!(time.micros() - START.micros(), 3_601_000_000);
    assert_eq!(simulator.next_due(), Some(Duration::from_secs(2)));
}

#[test]
fn the_number_of_sensors_has_bounds() {
    for bad in [0, MAX_SENSORS + 1] {
        assert!(Simulator::new(&options(bad, 1), START).is_err());
    }
}

/// What every record of one sensor must obey, in the order sent.
fn check_sensor(records: &[&Sent]) -> Result<(), TestCaseError> {
    let mut scratch = model::Scratch::default();
    let mut seen = BTreeSet::new();
    let mut newest = 0;
    let mut expected = 1;
    for record in records {
        let decodes = model::decode(&record.payload, &mut scratch).is_ok();
        prop_assert_eq!(decodes, record.fault != Some(Fault::Malformed));
        prop_assert_eq!(seen.insert(record.sequence), record.fault != Some(Fault::Duplicate));
        if record.fault == Some(Fault::OutOfOrder) {
            prop_assert!(record.sequence < newest && newest - record.sequence <= 3);
        } else if record.fault != Some(Fault::Duplicate) {
            prop_assert!(record.sequence > newest, "{} after {newest}", record.sequence);
            newest = record.sequence;
        }
    }
    // In the order of their numbers: a gap lies only just before a reading that is labelled as a dropout.
    let mut by_number: Vec<_> = records.to_vec();
    by_number.sort_by_key(|record| record.sequence);
    for record in by_number {
        prop_assert_eq!(record.sequence > expected, record.fault == Some(Fault::Dropout));
        expected = record.sequence + 1;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn labels_tell_the_truth(
        seed: u64, num_sensors in 1usize..9, count in 1u64..3_000, probability in 0.0f64..0.1, mixed: bool,
    ) {
        let options = SimulatorOptions {
            seed,
            cadence: if mixed { Cadence::Mixed } else { Cadence::Same },
            faults: format!("all={probability}").parse().expect("a plan"),
            ..options(num_sensors, count)
        };
        let (sent, counts) = all(&options);
        prop_assert_eq!(sent.len() as u64, count);
        let mut by_sensor: BTreeMap<usize, Vec<&Sent>> = BTreeMap::new();
        for record in &sent {
            by_sensor.entry(record.sensor).or_default().push(record);
        }
        for records in by_sensor.values() {
            check_sensor(records)?;
        }
        for fault in Fault::ALL {
            let labelled = sent.iter().filter(|record| record.fault == Some(fault)).count();
            prop_assert_eq!(labelled as u64, counts.labelled[fault.index()]);
        }
    }
}
