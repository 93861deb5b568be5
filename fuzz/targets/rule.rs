//! Any text is a rule or is refused with a place in it; a rule never panics on readings.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::plan::{Limits, RuleSpec, TimeSpec};
use engine::{Arrival, Collected, Partition, Plan, PlanSpec, Source, Tick};
use libfuzzer_sys::fuzz_target;
use model::{EventTime, Reading, Severity};

fuzz_target!(|text: &str| {
    let rule = RuleSpec {
        name: "fuzzed".into(),
        when: text.into(),
        clear: None,
        hold: Duration::ZERO,
        clear_hold: Duration::ZERO,
        severity: Severity::Info,
        escalate_after: None,
        select: Vec::new(),
        max_per_hour: 1,
    };
    let hour = Duration::from_secs(3_600);
    let spec = PlanSpec {
        time: TimeSpec {
            disorder: Duration::ZERO,
            idle_timeout: hour,
            max_future: hour,
            forget_after: hour * 24,
        },
        windows: Vec::new(),
        rules: vec![rule],
        groups: BTreeMap::new(),
        limits: Limits { max_sensors: 64, max_id_bytes: 64, max_metrics: 4, max_windows: 4 },
    };
    let plan = match Plan::compile(spec) {
        Ok(plan) => plan,
        Err(mistakes) => {
            for mistake in mistakes {
                let at = mistake.at.expect("a mistake in a condition has its place");
                assert!(text.get(at).is_some());
            }
            return;
        }
    };
    let source = Source { topic: "t".into(), partition: 0 };
    let mut partition = Partition::new(Arc::new(plan), source, 0);
    let mut out = Collected::default();
    for offset in 0..40_i64 {
        let time = EventTime::from_millis(offset * 1_700);
        partition.tick(Tick { sequence: offset as u64 + 1, after: offset - 1, time }, &mut out);
        let mut reading = Reading::new("S", time).with_further(&[("a", 1e100), ("b", -3.5)]);
        reading.temperature = Some(20.0 + (offset * offset % 7) as f64);
        reading.humidity = (offset % 3 > 0).then_some(offset as f64 * 4.0);
        reading.status = Some("warning");
        let _ = partition.observe(&reading, Arrival { offset, sequence: Some(offset as u64 / 2) }, &mut out);
    }
});
