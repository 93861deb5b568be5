//! Any bytes are a shard's snapshot or are refused; what was read can go on, and is written as it was read.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use engine::plan::{Limits, RuleSpec, TimeSpec, WindowInput, WindowShape, WindowSpec};
use engine::{Arrival, Collected, Partition, Plan, PlanSpec, Source, Tick};
use libfuzzer_sys::fuzz_target;
use model::{EventTime, Reading, Severity};

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
    let second = Duration::from_secs(1);
    let window = |name: &str, shape| WindowSpec {
        name: name.into(),
        over: WindowInput::Readings,
        shape,
        grace: second * 5,
        select: Vec::new(),
        metrics: Vec::new(),
        quantiles: name == "t",
        early: (name == "t").then_some(second),
    };
    let rule = |name: &str, when: &str| RuleSpec {
        name: name.into(),
        when: when.into(),
        clear: None,
        hold: second,
        clear_hold: second,
        severity: Severity::Info,
        escalate_after: Some(second * 9),
        select: Vec::new(),
        max_per_hour: 3,
    };
    let spec = PlanSpec {
        time: TimeSpec {
            disorder: second,
            idle_timeout: second * 60,
            max_future: second * 60,
            forget_after: second * 600,
        },
        windows: vec![
            window("t", WindowShape::Tumbling { size: second * 10 }),
            window("h", WindowShape::Hopping { size: second * 10, hop: second * 3 }),
            window("s", WindowShape::Session { gap: second * 4, max: second * 100 }),
        ],
        rules: vec![rule("hot", "temperature > 3"), rule("mean", "mean(temperature, 9s) > 2 or silence > 3")],
        groups: BTreeMap::new(),
        limits: Limits { max_sensors: 6_400, max_id_bytes: 64, max_metrics: 4, max_windows: 40 },
    };
    Arc::new(Plan::compile(spec).expect("a plan"))
});

fn partition() -> Partition {
    Partition::new(Arc::clone(&PLAN), Source { topic: "t".into(), partition: 0 }, 0)
}

/// Snapshots of shards that have seen some readings, so that bytes changed here and there are still read far.
static WRITTEN: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (mut partition, mut out) = (partition(), Collected::default());
    partition.tick(Tick { sequence: 1, after: -1, time: EventTime::from_millis(0) }, &mut out);
    for offset in 0..400_i64 {
        let id = format!("S{}", offset % 40);
        let mut reading = Reading::new(&id, EventTime::from_millis(offset * 113));
        reading.temperature = Some((offset % 9) as f64);
        let _ = partition.observe(&reading, Arrival { offset, sequence: None }, &mut out);
    }
    let write = |shard| {
        let mut bytes = Vec::new();
        partition.snapshot(shard, &mut bytes);
        bytes
    };
    (0..engine::partition::SHARDS).map(write).collect()
});

fuzz_target!(|data: &[u8]| {
    let [shard, mode, rest @ ..] = data else { return };
    let shard = usize::from(*shard) % engine::partition::SHARDS;
    let bytes = if mode % 2 == 0 {
        rest.to_vec()
    } else {
        // Pairs of a place and what is added to the byte there.
        let mut bytes = WRITTEN[shard].clone();
        for change in rest.chunks_exact(3) {
            let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
            bytes[place] = bytes[place].wrapping_add(change[2]);
        }
        bytes
    };
    let mut partition = partition();
    if partition.restore(shard, &bytes).is_err() {
        assert_eq!(partition.sensors(), 0);
        return;
    }
    let mut again = Vec::new();
    partition.snapshot(shard, &mut again);
    let mut out = Collected::default();
    let sequence = partition.shard_state(shard).last_sequence.saturating_add(1);
    for (turn, seconds) in [(0, 60), (1, 7_000)] {
        let time = EventTime::from_millis(seconds * 1_000);
        partition.tick(Tick { sequence: sequence.saturating_add(turn), after: 0, time }, &mut out);
        for id in 0..40_i64 {
            let name = format!("S{id}");
            let mut reading = Reading::new(&name, EventTime::from_millis(seconds * 1_000 - id));
            reading.temperature = Some(id as f64);
            let _ = partition.observe(
                &reading,
                Arrival { offset: i64::MAX - 100 + id, sequence: None },
                &mut out,
            );
        }
    }
});
