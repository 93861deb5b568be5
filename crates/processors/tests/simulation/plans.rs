//! The plans of the simulation.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::PlanSpec;
use engine::plan::{Limits, RuleSpec, TimeSpec, WindowInput, WindowShape, WindowSpec};

/// The plan that no clock decides anything in.
pub(crate) const TIMELESS: u64 = 3;

/// One of four plans.
pub(crate) fn spec(variant: u64) -> PlanSpec {
    let window = |name: &str, shape| WindowSpec {
        name: name.into(),
        over: WindowInput::Readings,
        shape,
        grace: Duration::from_secs(3),
        select: Vec::new(),
        metrics: Vec::new(),
        quantiles: variant == 1,
        early: None,
    };
    let seconds = Duration::from_secs;
    let mut windows = vec![window("5s", WindowShape::Tumbling { size: seconds(5) })];
    match variant {
        0 | TIMELESS => {
            windows.push(window("session", WindowShape::Session { gap: seconds(2), max: seconds(20) }));
        }
        1 => windows.insert(0, window("hop", WindowShape::Hopping { size: seconds(4), hop: seconds(2) })),
        _ => {}
    }
    let rule = |name: &str, when: &str, hold| RuleSpec {
        name: name.into(),
        when: when.into(),
        clear: None,
        hold,
        clear_hold: Duration::ZERO,
        severity: model::Severity::Warning,
        escalate_after: (variant == 2).then(|| seconds(4)),
        select: Vec::new(),
        max_per_hour: 1_000,
    };
    let mut rules = vec![rule("hot", "temperature > 31", Duration::ZERO)];
    let hold = if variant == TIMELESS { Duration::ZERO } else { seconds(1) };
    rules.push(rule("warm", "mean(temperature, 10s) > 27", hold));
    if [0, 2].contains(&variant) {
        rules.push(rule("silent", "silence_seconds > 6", Duration::ZERO));
    }
    PlanSpec {
        time: TimeSpec {
            disorder: seconds(1),
            idle_timeout: if variant == TIMELESS { seconds(3_600) } else { seconds(4) },
            max_future: seconds(60),
            forget_after: if variant == TIMELESS { seconds(7_200) } else { seconds(90) },
        },
        windows,
        rules,
        groups: BTreeMap::new(),
        limits: Limits { max_sensors: 1_000, max_id_bytes: 64, max_metrics: 8, max_windows: 64 },
    }
}
