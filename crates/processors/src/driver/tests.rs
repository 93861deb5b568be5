//! A lane that is thrown away at any moment and made again says what an undisturbed one says.

use std::sync::Arc;
use std::time::Duration;

use engine::plan::{Limits, RuleSpec, TimeSpec, WindowInput, WindowShape, WindowSpec};
use engine::{Plan, PlanSpec};

/// A plan with a window and a rule.
pub(crate) fn spec() -> PlanSpec {
    PlanSpec {
        time: TimeSpec {
            disorder: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(5),
            max_future: Duration::from_mins(1),
            forget_after: Duration::from_hours(1),
        },
        windows: vec![WindowSpec {
            name: "10s".into(),
            over: WindowInput::Readings,
            shape: WindowShape::Tumbling { size: Duration::from_secs(10) },
            grace: Duration::from_secs(5),
            select: Vec::new(),
            metrics: Vec::new(),
            quantiles: false,
            early: None,
        }],
        rules: vec![RuleSpec {
            name: "hot".into(),
            when: "temperature > 30".into(),
            clear: Some(29.0),
            hold: Duration::ZERO,
            clear_hold: Duration::ZERO,
            severity: model::Severity::Warning,
            escalate_after: None,
            select: Vec::new(),
            max_per_hour: 100,
        }],
        groups: std::collections::BTreeMap::new(),
        limits: Limits { max_sensors: 1_000, max_id_bytes: 64, max_metrics: 8, max_windows: 64 },
    }
}

#[test]
fn the_plan_of_these_tests_is_right() {
    assert!(Plan::compile(spec()).map(Arc::new).is_ok());
}
