//! The partition against what a naive model says that keeps every reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::partition::SHARDS;
use engine::plan::{Limits, RuleSpec, TimeSpec, WindowInput, WindowShape, WindowSpec};
use engine::{Arrival, Collected, Partition, Plan, PlanSpec, Source, Tick, Verdict};
use model::{EventTime, Reading, Severity};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;

fn window(name: &str, shape: WindowShape, grace: u64) -> WindowSpec {
    WindowSpec {
        name: name.into(),
        over: WindowInput::Readings,
        shape,
        grace: Duration::from_secs(grace),
        select: Vec::new(),
        metrics: Vec::new(),
        quantiles: false,
        early: None,
    }
}

fn rule(name: &str, when: &str) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        when: when.into(),
        clear: None,
        hold: Duration::ZERO,
        clear_hold: Duration::ZERO,
        severity: Severity::Warning,
        escalate_after: None,
        select: Vec::new(),
        max_per_hour: 1_000,
    }
}

fn spec(windows: Vec<WindowSpec>, rules: Vec<RuleSpec>) -> PlanSpec {
    PlanSpec {
        time: TimeSpec {
            disorder: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(60),
            max_future: Duration::from_secs(3_600),
            forget_after: Duration::from_secs(86_400),
        },
        windows,
        rules,
        groups: BTreeMap::new(),
        limits: Limits { max_sensors: 100_000, max_id_bytes: 64, max_metrics: 8, max_windows: 512 },
    }
}

fn plan(windows: Vec<WindowSpec>, rules: Vec<RuleSpec>) -> Arc<Plan> {
    Arc::new(Plan::compile(spec(windows, rules)).expect("a plan"))
}

fn tumbling(size: u64) -> WindowShape {
    WindowShape::Tumbling { size: Duration::from_secs(size) }
}

fn session(gap: u64) -> WindowShape {
    WindowShape::Session { gap: Duration::from_secs(gap), max: Duration::from_secs(86_400) }
}

fn hopping(size: u64, hop: u64) -> WindowShape {
    WindowShape::Hopping { size: Duration::from_secs(size), hop: Duration::from_secs(hop) }
}

/// A partition with its clock, and all that it said.
struct Stage {
    partition: Partition,
    out: Collected,
    offset: i64,
    sequence: u64,
    after: i64,
}

fn source() -> Source {
    Source { topic: "sensor-data".into(), partition: 1 }
}

impl Stage {
    fn new(plan: Arc<Plan>, seed: u64) -> Self {
        let partition = Partition::new(plan, source(), seed);
        let mut stage = Self { partition, out: Collected::default(), offset: 0, sequence: 0, after: -1 };
        stage.tick(0);
        stage
    }

    fn tick(&mut self, seconds: i64) {
        self.sequence += 1;
        let time = EventTime::from_micros(seconds * SECOND);
        self.partition.tick(Tick { sequence: self.sequence, after: self.after, time }, &mut self.out);
    }

    fn see(&mut self, sensor: &str, micros: i64, value: f64) -> Verdict {
        let mut reading = Reading::new(sensor, EventTime::from_micros(micros));
        reading.temperature = Some(value);
        reading.status = (value > 40.0).then_some("warning");
        let arrival = Arrival { offset: self.offset, sequence: None };
        (self.after, self.offset) = (self.offset, self.offset + 1);
        self.partition.observe(&reading, arrival, &mut self.out)
    }

    /// Writes every shard down and reads it back into a partition with another seed.
    fn save_and_load(&mut self, seed: u64) {
        let mut other = Partition::new(Arc::clone(self.partition.plan()), source(), seed);
        for shard in 0..SHARDS {
            let mut bytes = Vec::new();
            self.partition.snapshot(shard, &mut bytes);
            other.restore(shard, &bytes).expect("what was written");
            let mut again = Vec::new();
            other.snapshot(shard, &mut again);
            assert_eq!(again.len(), bytes.len());
        }
        self.partition = other;
    }
}

/// Count, mean, least, most, standard deviation, first, last, warnings.
type Told = (u64, f64, f64, f64, f64, f64, f64, u64);
/// By the name of the window, the sensor, and the start.
type Windows = BTreeMap<(String, String, i64), Told>;

/// The last that was told of each window.
fn last_told(out: &Collected) -> Windows {
    let mut told = BTreeMap::new();
    for summary in &out.summaries {
        let key = (summary.window.to_string(), summary.sensor_id.to_string(), summary.start.micros());
        if summary.count == 0 {
            told.remove(&key);
            continue;
        }
        let f = summary.figures;
        told.insert(key, (summary.count, f.mean, f.min, f.max, f.stddev, f.first, f.last, summary.warnings));
    }
    told
}

/// What the readings of a window come to, kept and sorted.
fn figures(mut readings: Vec<(i64, f64)>) -> Told {
    readings.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    let count = readings.len() as f64;
    let values = || readings.iter().map(|(_, value)| *value);
    // Values are whole quarters: their sums are exact.
    let mean = values().sum::<f64>() / count;
    let spread = (values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt();
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let warnings = values().filter(|value| *value > 40.0).count() as u64;
    (
        readings.len() as u64,
        mean,
        least,
        most,
        spread,
        readings[0].1,
        readings[readings.len() - 1].1,
        warnings,
    )
}

#[track_caller]
fn assert_same(got: &Windows, expected: &Windows) {
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, expected) in expected {
        let got = got[key];
        let same = got.0 == expected.0
            && (got.1 - expected.1).abs() < 1e-9
            && (got.4 - expected.4).abs() < 1e-6
            && (got.2, got.3, got.5, got.6, got.7)
                == (expected.2, expected.3, expected.5, expected.6, expected.7);
        assert!(same, "{key:?}: {got:?} is not {expected:?}");
    }
}

/// Arrivals of three sensors: which, a step of event time in seconds (some of them backwards), a value in quarters.
fn arrivals(backwards: i64) -> impl Strategy<Value = Vec<(usize, i64, f64)>> {
    prop::collection::vec((0..3_usize, -backwards..20_i64, -200..200_i32), 1..200).prop_map(|all| {
        all.into_iter().map(|(sensor, step, quarters)| (sensor, step, f64::from(quarters) / 4.0)).collect()
    })
}

const NAMES: [&str; 3] = ["A", "B", "C"];

/// Shows arrivals to a stage, and says what each sensor sent with its verdict.
fn show(stage: &mut Stage, arrivals: &[(usize, i64, f64)]) -> Vec<Vec<(i64, f64, Verdict)>> {
    let mut newest = [1_000_i64; 3];
    let mut sent = vec![Vec::new(); 3];
    for (sensor, step, value) in arrivals {
        let time = newest[*sensor] + step;
        newest[*sensor] = newest[*sensor].max(time);
        let verdict = stage.see(NAMES[*sensor], time * SECOND, *value);
        sent[*sensor].push((time, *value, verdict));
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn aligned_windows_are_those_of_the_model(arrivals in arrivals(30), size in 5..15_i64, overlap in 1..4_i64, grace in 0..15_i64) {
        let hop = (size / overlap).max(1);
        let shape = if overlap == 1 { tumbling(size as u64) } else { hopping(size as u64, hop as u64) };
        let hop = if overlap == 1 { size } else { hop };
        let mut stage = Stage::new(plan(vec![window("w", shape, grace as u64)], vec![]), 1);
        stage.tick(1_000_000);
        let sent = show(&mut stage, &arrivals);
        stage.tick(1_000_060);
        let mut expected = BTreeMap::new();
        for (sensor, readings) in sent.iter().enumerate() {
            let mut windows: BTreeMap<i64, Vec<(i64, f64)>> = BTreeMap::new();
            let mut newest = i64::MIN;
            for (time, value, verdict) in readings {
                newest = newest.max(*time);
                let watermark = newest - 2;
                let mut taken = false;
                for start in (time - size - hop..=*time).filter(|start| start.rem_euclid(hop) == 0) {
                    if start <= *time && *time < start + size && start + size + grace > watermark {
                        windows.entry(start).or_default().push((*time, *value));
                        taken = true;
                    }
                }
                prop_assert_eq!(*verdict, if taken { Verdict::Taken } else { Verdict::Late });
            }
            for (start, readings) in windows {
                expected.insert(("w".to_owned(), NAMES[sensor].to_owned(), start * SECOND), figures(readings));
            }
        }
        assert_same(&last_told(&stage.out), &expected);
    }

    #[test]
    fn sessions_are_those_of_the_model(arrivals in arrivals(6), gap in 3..12_i64) {
        // A grace longer than all: nothing is late.
        let mut stage = Stage::new(plan(vec![window("s", session(gap as u64), 1_000_000)], vec![]), 1);
        stage.tick(1_000_000);
        let sent = show(&mut stage, &arrivals);
        stage.tick(1_000_060);
        let mut expected = BTreeMap::new();
        for (sensor, readings) in sent.iter().enumerate() {
            let mut readings: Vec<(i64, f64)> = readings.iter().map(|(time, value, _)| (*time, *value)).collect();
            readings.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
            for session in readings.chunk_by(|a, b| b.0 - a.0 < gap) {
                let key = ("s".to_owned(), NAMES[sensor].to_owned(), session[0].0 * SECOND);
                expected.insert(key, figures(session.to_vec()));
            }
        }
        assert_same(&last_told(&stage.out), &expected);
    }

    #[test]
    fn the_order_within_the_grace_is_not_seen(
        values in prop::collection::vec((0..60_i64, -20_000_000..20_000_000_i32, 0..1_000_u32), 1..100), places in 0..6_i32,
    ) {
        let shapes = || vec![
            window("t", tumbling(10), 1_000), window("h", hopping(20, 5), 1_000), window("s", session(7), 1_000),
        ];
        let run = |values: &[(i64, i32, u32)]| {
            let mut stage = Stage::new(plan(shapes(), vec![]), 3);
            for (seconds, digits, _) in values {
                let verdict = stage.see("A", seconds * SECOND, f64::from(*digits) / 10_f64.powi(places));
                assert_eq!(verdict, Verdict::Taken);
            }
            stage.tick(100);
            last_told(&stage.out)
        };
        let mut other = values.clone();
        other.sort_by_key(|(_, _, order)| *order);
        prop_assert_eq!(run(&values), run(&other));
    }

    #[test]
    fn a_snapshot_anywhere_changes_nothing(
        arrivals in arrivals(20), at in prop::collection::vec(0..200_usize, 0..4), ticks in prop::collection::vec(0..200_usize, 0..20),
    ) {
        let mut quantiles = window("q", tumbling(7), 5);
        (quantiles.quantiles, quantiles.early) = (true, Some(Duration::from_secs(2)));
        let windows = vec![quantiles, window("h", hopping(12, 4), 3), window("s", session(9), 20)];
        let mut held = rule("held", "temperature > 10");
        (held.hold, held.clear_hold, held.clear) = (Duration::from_secs(9), Duration::from_secs(4), Some(2.0));
        held.escalate_after = Some(Duration::from_secs(20));
        let rules = vec![
            held, rule("mean", "mean(temperature, 30s) > 5 or rate(temperature) > 3"), rule("silent", "silence > 3"),
            rule("far", "robust(temperature) > 3 or deviation(temperature) > 2 or hourly(temperature) > 3"),
            rule("stuck", "stuck(temperature, 5s) and not status == \"warning\""),
        ];
        let plan = plan(windows, rules);
        let run = |saves: &[usize]| {
            let mut stage = Stage::new(Arc::clone(&plan), 5);
            let mut newest = [1_000_i64; 3];
            let mut clock = 1_000;
            for (place, (sensor, step, value)) in arrivals.iter().enumerate() {
                if saves.contains(&place) {
                    stage.save_and_load(place as u64);
                }
                if ticks.contains(&place) {
                    clock += 25;
                    stage.tick(clock);
                }
                let time = newest[*sensor] + step;
                newest[*sensor] = newest[*sensor].max(time);
                let _ = stage.see(NAMES[*sensor], time * SECOND, *value);
            }
            stage.tick(clock + 61);
            stage.tick(clock + 90_000);
            assert_eq!(stage.partition.sensors(), 0, "all are forgotten");
            stage.out
        };
        let (saved, plain) = (run(&at), run(&[]));
        prop_assert_eq!(&saved.alarms, &plain.alarms);
        prop_assert_eq!(saved, plain);
    }

    #[test]
    fn a_snapshot_changes_nothing_where_only_windows_look_at_the_clock(
        steps in prop::collection::vec((0..2_usize, 0..4_u8, -90..20_i64), 1..60), at in prop::collection::vec(0..60_usize, 0..4),
    ) {
        let plan = plan(vec![window("t", tumbling(60), 1_000)], vec![rule("hot", "temperature > 10")]);
        let run = |saves: &[usize]| {
            let mut stage = Stage::new(Arc::clone(&plan), 5);
            let (mut clock, mut newest) = (1_000, [1_000_i64; 2]);
            for (place, (sensor, ticks, step)) in steps.iter().enumerate() {
                if saves.contains(&place) {
                    stage.save_and_load(place as u64);
                }
                // Seconds, of which a sensor may be silent for longer than the idle timeout.
                for _ in 0..usize::from(*ticks) * 11 {
                    clock += 1;
                    stage.tick(clock);
                }
                let time = newest[*sensor] + step;
                newest[*sensor] = newest[*sensor].max(time);
                let _ = stage.see(NAMES[*sensor], time * SECOND, *step as f64);
            }
            stage.tick(clock + 30);
            (stage.out, stage.partition.sensors())
        };
        prop_assert_eq!(run(&at), run(&[]));
    }

    #[test]
    fn sensors_do_not_see_each_other(arrivals in arrivals(20)) {
        let plan = plan(vec![window("t", tumbling(10), 5), window("s", session(9), 5)], vec![rule("hot", "temperature > 10")]);
        let mut together = Stage::new(Arc::clone(&plan), 1);
        show(&mut together, &arrivals);
        for (name, sensor) in NAMES.iter().enumerate() {
            let mut alone = Stage::new(Arc::clone(&plan), 1);
            let own: Vec<_> = arrivals.iter().copied().filter(|(of, ..)| *of == name).collect();
            show(&mut alone, &own);
            let of: Vec<_> = together.out.summaries.iter().filter(|told| told.sensor_id == *sensor).cloned().collect();
            prop_assert_eq!(&alone.out.summaries, &of);
        }
    }

    #[test]
    fn an_alarm_fires_clears_and_fires_again(arrivals in arrivals(5)) {
        let mut held = rule("held", "temperature > 5");
        (held.hold, held.clear_hold, held.clear, held.max_per_hour) = (Duration::from_secs(5), Duration::from_secs(3), Some(1.0), 3);
        let mut stage = Stage::new(plan(vec![], vec![held, rule("silent", "silence_seconds > 10")]), 1);
        show(&mut stage, &arrivals);
        stage.tick(100_000);
        let mut open: BTreeMap<(String, String), String> = BTreeMap::new();
        for alarm in &stage.out.alarms {
            let key = (alarm.sensor_id.clone(), alarm.rule.clone());
            match alarm.state {
                model::alert::AlertState::Firing => prop_assert_eq!(open.insert(key, alarm.id.clone()), None),
                model::alert::AlertState::Escalated => prop_assert_eq!(open.get(&key), Some(&alarm.id)),
                model::alert::AlertState::Cleared => prop_assert_eq!(open.remove(&key), Some(alarm.id.clone())),
            }
        }
        prop_assert!(open.is_empty(), "a forgotten sensor has no alarm: {:?}", open);
    }

    #[test]
    fn damaged_snapshots_are_refused_or_read(arrivals in arrivals(5), flips in prop::collection::vec((0..100_000_usize, 0..255_u8), 0..4), cut in 0..100_000_usize) {
        let mut quantiles = window("q", tumbling(7), 5);
        quantiles.quantiles = true;
        let plan = plan(vec![quantiles], vec![rule("mean", "mean(temperature, 30s) > 5"), rule("hot", "temperature > 5")]);
        let mut stage = Stage::new(Arc::clone(&plan), 1);
        show(&mut stage, &arrivals);
        for shard in 0..SHARDS {
            let mut bytes = Vec::new();
            stage.partition.snapshot(shard, &mut bytes);
            for (at, value) in &flips {
                let at = at % bytes.len();
                bytes[at] = bytes[at].wrapping_add(*value);
            }
            if cut % 3 == 0 {
                bytes.truncate(cut % (bytes.len() + 1));
            }
            let mut other = Partition::new(Arc::clone(&plan), source(), 1);
            if other.restore(shard, &bytes).is_err() {
                prop_assert_eq!(other.sensors(), 0);
            }
        }
    }
}

#[test]
fn a_sensor_that_uploads_late_is_not_late_and_delays_nobody() {
    let mut stage = Stage::new(plan(vec![window("t", tumbling(60), 5)], vec![]), 1);
    stage.tick(10_000);
    for second in 0..600 {
        assert_eq!(stage.see("LIVE", (9_000 + second) * SECOND, 1.0), Verdict::Taken);
    }
    // An hour of buffered readings, in order.
    for second in 0..3_600 {
        assert_eq!(stage.see("LATE", (5_000 + second) * SECOND, 1.0), Verdict::Taken);
    }
    let live = stage.out.summaries.iter().filter(|told| told.sensor_id == "LIVE").count();
    assert_eq!(live, 9, "its windows closed by its own time");
}

#[test]
fn the_future_is_refused_and_raises_one_alarm() {
    let mut stage = Stage::new(plan(vec![window("t", tumbling(60), 5)], vec![]), 1);
    stage.tick(1_000);
    assert!(stage.partition.wants_tick(EventTime::from_micros(4_601 * SECOND)));
    assert_eq!(stage.see("A", 4_601 * SECOND, 1.0), Verdict::Future);
    assert_eq!(stage.see("A", 999_999 * SECOND, 1.0), Verdict::Future);
    assert_eq!(stage.see("A", 4_600 * SECOND, 1.0), Verdict::Taken);
    let states: Vec<_> = stage.out.alarms.iter().map(|alarm| (alarm.rule.as_str(), alarm.state)).collect();
    let (firing, cleared) = (model::alert::AlertState::Firing, model::alert::AlertState::Cleared);
    assert_eq!(states, [("clock-skew", firing), ("clock-skew", cleared)]);
    assert_eq!(stage.out.alarms[0].evidence.value, Some(3_601.0));
    assert_eq!(stage.out.alarms[0].id, stage.out.alarms[1].id);
}

#[test]
fn a_silent_sensor_is_closed_by_the_clock_and_can_still_be_corrected() {
    let mut stage = Stage::new(plan(vec![window("t", tumbling(60), 5)], vec![]), 1);
    stage.tick(1_000);
    assert_eq!(stage.see("A", 1_000 * SECOND, 1.0), Verdict::Taken);
    assert!(!stage.partition.due(EventTime::from_micros(1_059 * SECOND)));
    assert!(stage.partition.due(EventTime::from_micros(1_060 * SECOND)));
    stage.tick(1_060);
    assert!(!stage.partition.due(EventTime::from_micros(1_061 * SECOND)), "once is enough");
    assert_eq!(stage.out.summaries.len(), 1);
    assert_eq!(stage.see("A", 1_001 * SECOND, 3.0), Verdict::Taken);
    stage.tick(1_121);
    let told: Vec<_> = stage.out.summaries.iter().map(|told| (told.count, told.revision)).collect();
    assert_eq!(told, [(1, 1), (2, 2)]);
}

#[test]
fn a_sensor_that_is_only_ever_ahead_of_its_time_is_forgotten() {
    let mut stage = Stage::new(plan(vec![], vec![]), 1);
    stage.tick(1_000);
    assert_eq!(stage.see("A", 999_999 * SECOND, 1.0), Verdict::Future);
    assert!(stage.partition.due(EventTime::from_micros((1_000 + 86_400) * SECOND)));
    stage.tick(1_000 + 86_400);
    assert_eq!((stage.partition.sensors(), stage.out.alarms.len()), (0, 2), "its alarm is cleared");
}

#[test]
fn limits_refuse() {
    let mut small = spec(vec![window("t", tumbling(1), 1_000)], vec![]);
    small.limits = Limits { max_sensors: 64, max_id_bytes: 8, max_metrics: 1, max_windows: 3 };
    let mut stage = Stage::new(Arc::new(Plan::compile(small).expect("a plan")), 1);
    let refused = |refusal| Verdict::Refused(refusal);
    assert_eq!(stage.see("123456789", 0, 1.0), refused(engine::Refusal::IdTooLong));
    for second in 0..3 {
        assert_eq!(stage.see("A", second * SECOND, 1.0), Verdict::Taken);
    }
    assert_eq!(stage.see("A", 3 * SECOND, 1.0), refused(engine::Refusal::TooManyWindows));
    let many = (0..1_000).filter(|number| stage.see(&format!("S{number}"), 0, 1.0) == Verdict::Taken).count();
    assert!((32..=64).contains(&many), "{many}");
    assert_eq!(stage.partition.counters().refused(engine::Refusal::TooManySensors), 1_000 - many as u64);
}

#[test]
fn a_changed_plan_keeps_what_it_can() {
    let old = plan(
        vec![window("t", tumbling(60), 5), window("gone", tumbling(30), 5)],
        vec![rule("hot", "temperature > 5")],
    );
    let mut stage = Stage::new(old, 1);
    assert_eq!(stage.see("A", 0, 10.0), Verdict::Taken);
    let new = plan(
        vec![window("new", tumbling(10), 5), window("t", tumbling(60), 5)],
        vec![rule("hot", "temperature > 6")],
    );
    stage.sequence += 1;
    stage.partition.change_plan(new, stage.sequence, &mut stage.out);
    let told: Vec<_> = stage.out.summaries.iter().map(|told| (told.window.to_string(), told.count)).collect();
    assert_eq!(told, [("gone".to_owned(), 1)], "what has no place any more is told as it is");
    assert_eq!(stage.out.alarms.len(), 2, "the changed rule's alarm is cleared");
    assert_eq!(stage.out.alarms[1].evidence.note.as_deref(), Some("the rule was changed or removed"));
    assert_eq!(stage.see("A", SECOND, 10.0), Verdict::Taken);
    stage.tick(100);
    let told: Vec<_> =
        stage.out.summaries[1..].iter().map(|told| (told.window.to_string(), told.count)).collect();
    assert_eq!(told, [("t".to_owned(), 2), ("new".to_owned(), 1)]);
}

#[test]
fn events_are_counted_by_type_and_source() {
    let mut counted = window("e", tumbling(10), 5);
    counted.over = WindowInput::Events;
    let mut partition = Partition::new(plan(vec![counted], vec![]), source(), 1);
    let mut out = Collected::default();
    partition.tick(Tick { sequence: 1, after: -1, time: EventTime::from_micros(0) }, &mut out);
    for offset in 0..20 {
        let kind = if offset % 4 == 0 { "created" } else { "paid" };
        let time = EventTime::from_micros(offset * SECOND);
        let verdict =
            partition.observe_event(kind, "/shop", time, Arrival { offset, sequence: None }, &mut out);
        assert_eq!(verdict, Verdict::Taken);
    }
    let told: Vec<_> = out
        .event_counts
        .iter()
        .map(|told| (told.event_type.to_string(), told.count, told.partition))
        .collect();
    assert_eq!(told, [("created".to_owned(), 3, 1), ("paid".to_owned(), 7, 1)]);
    assert!((out.event_counts[1].rate - 0.7).abs() < 1e-12);
}
