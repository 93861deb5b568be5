//! What the processor is to do, as its settings say: event time, windows, rules, bounds. Plain data; [`Plan::compile`] makes
//! of it what a `Partition` works by.
//!
//! A [`PlanSpec`] is also a record: the processor writes it down where the plan changes, so that a replay works by the plan
//! that was in force. Its serde form is therefore a stored format: fields are only added, with a default.

mod compiled;

use std::collections::BTreeMap;
use std::time::Duration;

use model::Severity;
use serde::{Deserialize, Serialize};

use crate::rules::RuleBook;
pub(crate) use compiled::{LONGEST, Shape, micros};

/// Everything that decides what becomes of a reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanSpec {
    /// Event time and the clock.
    pub time: TimeSpec,
    /// The windows, by name.
    pub windows: Vec<WindowSpec>,
    /// The rules, by name.
    pub rules: Vec<RuleSpec>,
    /// Names for sets of sensors: patterns, of which one has to match.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Bounds on what is kept.
    pub limits: Limits,
}

/// Event time and the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSpec {
    /// How much older than the sensor's newest a reading may be before it can be late: a sensor's watermark is its newest
    /// event time less this.
    pub disorder: Duration,
    /// After so long without a reading, by the clock, a sensor's windows are closed.
    pub idle_timeout: Duration,
    /// A reading further ahead of the clock than this is refused.
    pub max_future: Duration,
    /// After so long without a reading, by the clock, a sensor is forgotten.
    pub forget_after: Duration,
}

/// One kind of window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowSpec {
    /// Its name, which its summaries carry; unique.
    pub name: String,
    /// What is summed up.
    pub over: WindowInput,
    /// Its shape.
    pub shape: WindowShape,
    /// How long after its end, by the watermark, a window still takes late readings.
    pub grace: Duration,
    /// Patterns of sensor ids, or `@` and the name of a group, of which one has to match; for events, patterns of types.
    /// Empty: all.
    #[serde(default)]
    pub select: Vec<String>,
    /// The measurements; empty: all. Of no meaning for events.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Whether summaries have quantiles.
    #[serde(default)]
    pub quantiles: bool,
    /// How often, in event time, a window is told before it closes; `None`: never.
    #[serde(default)]
    pub early: Option<Duration>,
}

/// What a window sums up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowInput {
    /// Each measurement of each sensor.
    Readings,
    /// Events of each type and source.
    Events,
}

/// The shape of a window. Tumbling and hopping windows begin at multiples of their size or hop since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowShape {
    /// One after the other.
    Tumbling {
        /// The length.
        size: Duration,
    },
    /// Overlapping.
    Hopping {
        /// The length.
        size: Duration,
        /// From one beginning to the next; at most the size, at least a 64th of it.
        hop: Duration,
    },
    /// As long as readings follow each other.
    Session {
        /// A pause of this length, or longer, ends it.
        gap: Duration,
        /// It is closed and another begins when it has become this long.
        max: Duration,
    },
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleSpec {
    /// Its name: lower-case letters, digits and dashes; unique.
    pub name: String,
    /// The condition, in the language of [`rules`](crate::rules).
    pub when: String,
    /// The bound for clearing, where it is another than that for firing.
    #[serde(default)]
    pub clear: Option<f64>,
    /// How long, in event time, the condition has to hold before the alarm fires.
    #[serde(default)]
    pub hold: Duration,
    /// How long, in event time, it must not hold before the alarm clears.
    #[serde(default)]
    pub clear_hold: Duration,
    /// How bad an alarm is.
    #[serde(default)]
    pub severity: Severity,
    /// After firing so long without clearing, the severity goes up by one; `None`: never.
    #[serde(default)]
    pub escalate_after: Option<Duration>,
    /// Patterns of sensor ids, or `@` and the name of a group, of which one has to match; empty: all.
    #[serde(default)]
    pub select: Vec<String>,
    /// The most alarms of one sensor in an hour of event time; further ones are held back and counted.
    pub max_per_hour: u32,
}

/// Bounds on what one partition keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sensors of one partition; readings of further ones are dead letters.
    pub max_sensors: u32,
    /// The longest sensor id in bytes; readings with a longer one are dead letters.
    pub max_id_bytes: u32,
    /// Further measurements of one sensor; the rest stays out of windows, counted.
    pub max_metrics: u32,
    /// Open windows of one sensor; a reading that would open one more is a dead letter.
    pub max_windows: u32,
}

/// A compiled plan. Cheap to share between partitions by an `Arc`.
#[derive(Debug)]
pub struct Plan {
    /// What it was made of.
    pub spec: PlanSpec,
    /// The rules, compiled.
    pub rules: RuleBook,
    pub(crate) windows: Vec<compiled::Window>,
    pub(crate) time: Times,
    fingerprint: u64,
}

/// The times of [`TimeSpec`] in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) disorder: i64,
    pub(crate) idle_timeout: i64,
    pub(crate) max_future: i64,
    pub(crate) forget_after: i64,
}

impl Plan {
    /// Checks a plan and compiles it.
    pub fn compile(spec: PlanSpec) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let windows = compiled::windows(&spec, &mut mistakes);
        let rules = RuleBook::compile(&spec.rules, &spec.groups).map_err(|more| mistakes.extend(more));
        let (Ok(rules), true) = (rules, mistakes.is_empty()) else { return Err(mistakes) };
        let time = Times {
            disorder: micros(spec.time.disorder),
            idle_timeout: micros(spec.time.idle_timeout),
            max_future: micros(spec.time.max_future),
            forget_after: micros(spec.time.forget_after),
        };
        let fingerprint = fingerprint(&spec);
        Ok(Self { spec, rules, windows, time, fingerprint })
    }

    /// Whether a rule looks at the sequence numbers of readings, so that they have to be read from the records.
    pub fn needs_sequence(&self) -> bool {
        self.rules.needs_sequence()
    }

    /// Tells plans apart: equal specifications have equal fingerprints, on every machine.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// FNV-1a over the record's form of the specification, which is what is stored of it too.
fn fingerprint(spec: &PlanSpec) -> u64 {
    // Numbers, texts, lists and maps with texts for keys: there is always a JSON form.
    let bytes = serde_json::to_vec(spec).unwrap_or_default();
    crate::hash::fnv1a(&bytes)
}

/// What is wrong with a plan, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The window or rule.
    pub item: Item,
    /// The field of it.
    pub field: &'static str,
    /// The bytes of the field's text that are wrong, where only a part is.
    pub at: Option<std::ops::Range<usize>>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A part of a plan, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The plan as a whole.
    Plan,
    /// A window.
    Window(usize),
    /// A rule.
    Rule(usize),
}
