//! What the stream processor's engine costs: nanoseconds and allocations a reading for each kind of window and rule, bytes
//! of state a sensor, and how long snapshots and restoring take.
//!
//! `cargo bench --profile release -p engine --bench partition`. Readings are already decoded (see the bench `update` for
//! that part) and come from all sensors in turn, a tenth of a second apart each, so that windows of 10 s close all the time.
//! The best of some rounds is shown, since what disturbs a round only makes it longer.

#[path = "../tests/support/counting.rs"]
mod counting;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::partition::SHARDS;
use engine::plan::{Limits, RuleSpec, TimeSpec, WindowInput, WindowShape, WindowSpec};
use engine::{Arrival, Output, Partition, Plan, PlanSpec, Source, Tick, Verdict};
use model::{Alert, EventCount, EventTime, Reading, Severity, Summary};

const ROUNDS: usize = 5;

/// Takes what is said and keeps nothing.
#[derive(Default)]
struct Counted {
    told: u64,
}

impl Output for Counted {
    fn summary(&mut self, summary: &Summary<'_>) {
        self.told += 1;
        black_box(summary);
    }
    fn event_count(&mut self, count: &EventCount<'_>) {
        black_box(count);
    }
    fn alarm(&mut self, alert: Alert) {
        black_box(alert);
    }
}

fn window(shape: WindowShape, quantiles: bool) -> WindowSpec {
    WindowSpec {
        name: "w".into(),
        over: WindowInput::Readings,
        shape,
        grace: Duration::from_secs(5),
        select: Vec::new(),
        metrics: Vec::new(),
        quantiles,
        early: None,
    }
}

fn rule(when: &str) -> RuleSpec {
    RuleSpec {
        name: format!("r-{:x}", when.len() * 31 + usize::from(when.as_bytes()[0])),
        when: when.into(),
        clear: None,
        hold: Duration::ZERO,
        clear_hold: Duration::ZERO,
        severity: Severity::Warning,
        escalate_after: None,
        select: Vec::new(),
        max_per_hour: 12,
    }
}

fn partition(windows: Vec<WindowSpec>, rules: Vec<RuleSpec>) -> Partition {
    let spec = PlanSpec {
        time: TimeSpec {
            disorder: Duration::from_secs(1),
            idle_timeout: Duration::from_mins(1),
            max_future: Duration::from_hours(1_000_000),
            forget_after: Duration::from_hours(24),
        },
        windows,
        rules,
        groups: BTreeMap::new(),
        limits: Limits { max_sensors: 10_000_000, max_id_bytes: 64, max_metrics: 8, max_windows: 512 },
    };
    let source = Source { topic: "sensor-data".into(), partition: 0 };
    let mut partition = Partition::new(Arc::new(Plan::compile(spec).expect("a plan")), source, 7);
    let time = EventTime::from_millis(1_730_000_000_000);
    partition.tick(Tick { sequence: 1, after: -1, time }, &mut Counted::default());
    partition
}

/// Shows readings of all sensors in turn.
struct Feed {
    ids: Vec<String>,
    next: usize,
    offset: i64,
    millis: i64,
    random: u64,
}

impl Feed {
    fn new(sensors: usize) -> Self {
        let ids = (0..sensors).map(|sensor| format!("SENSOR_{:07}", sensor * 7_919 % sensors)).collect();
        Self { ids, next: 0, offset: 0, millis: 1_730_000_000_000, random: 0x9e37_79b9_7f4a_7c15 }
    }

    fn show(&mut self, partition: &mut Partition, out: &mut Counted, readings: usize) {
        for _ in 0..readings {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let wobble = (self.random % 1_000) as f64 / 100.0;
            let mut reading = Reading::new(&self.ids[self.next], EventTime::from_millis(self.millis));
            reading.temperature = Some(15.0 + wobble);
            reading.humidity = Some(60.0 - wobble);
            reading.pressure = Some(1_013.25 + wobble);
            reading.status = Some("active");
            let verdict = partition.observe(&reading, Arrival { offset: self.offset, sequence: None }, out);
            assert_eq!(verdict, Verdict::Taken);
            self.offset += 1;
            self.next += 1;
            if self.next == self.ids.len() {
                (self.next, self.millis) = (0, self.millis + 100);
            }
        }
    }
}

fn report(name: &str, sensors: usize, mut partition: Partition) {
    let mut feed = Feed::new(sensors);
    let mut out = Counted::default();
    // Long enough for windows to close, so that what they leave is used again.
    feed.show(&mut partition, &mut out, sensors * if sensors > 100_000 { 3 } else { 400 });
    let readings = sensors.max(200_000);
    let (mut best, mut least) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let allocations = counting::allocations();
        let start = Instant::now();
        feed.show(&mut partition, &mut out, readings);
        best = best.min(start.elapsed().as_nanos() as f64 / readings as f64);
        least = least.min((counting::allocations() - allocations) as f64 / readings as f64);
    }
    let bytes = partition.state_bytes() as f64 / partition.sensors() as f64;
    println!("{name:<42} {sensors:>9} {best:>9.1} {least:>12.4} {bytes:>9.0}");
}

fn snapshots(sensors: usize) {
    let shape = WindowShape::Tumbling { size: Duration::from_secs(10) };
    let windows = || vec![window(shape, false)];
    let rules = || vec![rule("temperature > 30"), rule("humidity > 90"), rule("pressure < 900")];
    let mut partition_full = partition(windows(), rules());
    Feed::new(sensors).show(&mut partition_full, &mut Counted::default(), sensors);
    let mut shards = vec![Vec::new(); SHARDS];
    let (start, mut longest) = (Instant::now(), Duration::ZERO);
    for (shard, bytes) in shards.iter_mut().enumerate() {
        let start = Instant::now();
        partition_full.snapshot(shard, bytes);
        longest = longest.max(start.elapsed());
    }
    let written = start.elapsed();
    let mut restored = partition(windows(), rules());
    let start = Instant::now();
    for (shard, bytes) in shards.iter().enumerate() {
        restored.restore(shard, bytes).expect("what was written");
    }
    let read = start.elapsed();
    assert_eq!(restored.sensors(), sensors);
    let bytes: usize = shards.iter().map(Vec::len).sum();
    println!(
        "\n{sensors} sensors: {} bytes a sensor in snapshots, written in {written:.2?} (a shard in {longest:.2?}), read in {read:.2?}; {} bytes of memory a sensor",
        bytes / sensors,
        partition_full.state_bytes() / sensors,
    );
}

fn main() {
    let tumbling = WindowShape::Tumbling { size: Duration::from_secs(10) };
    let hopping = WindowShape::Hopping { size: Duration::from_secs(10), hop: Duration::from_secs(2) };
    let session = WindowShape::Session { gap: Duration::from_secs(10), max: Duration::from_mins(1) };
    println!("{:<42} {:>9} {:>9} {:>12} {:>9}", "plan", "sensors", "ns", "allocations", "bytes");
    let threshold = || rule("temperature > 30");
    report("nothing", 1_000, partition(vec![], vec![]));
    report("tumbling 10 s", 1_000, partition(vec![window(tumbling, false)], vec![]));
    report("hopping 10 s by 2 s", 1_000, partition(vec![window(hopping, false)], vec![]));
    report("session 10 s", 1_000, partition(vec![window(session, false)], vec![]));
    report("tumbling 10 s, quantiles", 1_000, partition(vec![window(tumbling, true)], vec![]));
    for when in [
        "temperature > 30",
        "temperature - humidity > 100",
        "status == \"warning\" and temperature > 30",
        "mean(temperature, 1m) > 28",
        "rate(temperature, 10s) > 5",
        "stuck(temperature, 10m)",
        "deviation(temperature) > 9",
        "robust(temperature) > 90",
        "hourly(temperature) > 9",
        "silence > 50",
        "implausible",
    ] {
        report(when, 1_000, partition(vec![], vec![rule(when)]));
    }
    for sensors in [1_000, 10_000, 100_000, 1_000_000] {
        report(
            "tumbling 10 s and a threshold",
            sensors,
            partition(vec![window(tumbling, false)], vec![threshold()]),
        );
    }
    snapshots(1_000_000);
}
