//! A plan's windows as the partitions work by them: durations in microseconds, selections compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Item, Mistake, PlanSpec, WindowInput, WindowShape, WindowSpec};
use crate::select::Select;

/// A window as the partitions work by it. Times are in microseconds.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) shape: Shape,
    pub(crate) grace: i64,
    pub(crate) early: Option<i64>,
    pub(crate) over: WindowInput,
    pub(crate) select: Select,
    pub(crate) metrics: Vec<String>,
    pub(crate) quantiles: bool,
}

/// The shape of a window; lengths in microseconds, none of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A window of this length begins at every multiple of the hop; a tumbling window's hop is its length.
    Aligned { size: i64, hop: i64 },
    /// As long as readings follow each other within the gap, and not longer than this.
    Session { gap: i64, max: i64 },
}

/// Windows overlap at most so often.
const MAX_OVERLAP: i64 = 64;
/// A longer time is a mistake; it also keeps sums of times far from the ends of their type.
pub(crate) const LONGEST: Duration = Duration::from_secs(3_660 * 86_400);

impl Window {
    fn compile(
        at: usize,
        spec: &WindowSpec,
        groups: &BTreeMap<String, Vec<String>>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Self> {
        let item = Item::Window(at);
        let before = mistakes.len();
        let mut wrong =
            |field, problem: &str| mistakes.push(Mistake { item, field, at: None, problem: problem.into() });
        if spec.name.trim().is_empty() {
            wrong("name", "a window needs a name, which its summaries carry");
        }
        let shape = match spec.shape {
            WindowShape::Tumbling { size } => Shape::Aligned { size: micros(size), hop: micros(size) },
            WindowShape::Hopping { size, hop } => Shape::Aligned { size: micros(size), hop: micros(hop) },
            WindowShape::Session { gap, max } => Shape::Session { gap: micros(gap), max: micros(max) },
        };
        match shape {
            Shape::Aligned { size: 0, .. } => wrong("size", "it must be longer than nothing"),
            Shape::Aligned { hop: 0, .. } => wrong("hop", "it must be longer than nothing"),
            Shape::Aligned { size, hop } if hop > size => {
                wrong("hop", "it must not be longer than the size, or readings would fall between windows");
            }
            Shape::Aligned { size, hop } if size / hop > MAX_OVERLAP => {
                wrong(
                    "hop",
                    "it must be at least a 64th of the size: every reading is in size / hop windows",
                );
            }
            Shape::Session { gap: 0, .. } => wrong("gap", "it must be longer than nothing"),
            Shape::Session { gap, max } if max < gap => {
                wrong("max_length", "a session must be allowed to last as long as its gap");
            }
            _ => {}
        }
        let lengths = match spec.shape {
            WindowShape::Tumbling { size } => [size, size],
            WindowShape::Hopping { size, hop } => [size, hop],
            WindowShape::Session { gap, max } => [gap, max],
        };
        if lengths.into_iter().chain([spec.grace]).chain(spec.early).any(|length| length > LONGEST) {
            wrong("size", "no time of a window may be longer than ten years");
        }
        if spec.early.is_some_and(|early| early.is_zero()) {
            wrong("early", "it must be longer than nothing");
        }
        if spec.over == WindowInput::Events {
            if !spec.metrics.is_empty() {
                wrong("metrics", "events have no measurements; a window over events counts");
            }
            if spec.quantiles {
                wrong("quantiles", "events have no measurements; a window over events counts");
            }
        }
        let select = match Select::compile(&spec.select, groups, item) {
            Ok(select) => Some(select),
            Err(more) => {
                mistakes.extend(more);
                None
            }
        };
        (mistakes.len() == before).then_some(())?;
        Some(Self {
            shape,
            grace: micros(spec.grace),
            early: spec.early.map(micros),
            over: spec.over,
            select: select?,
            metrics: spec.metrics.clone(),
            quantiles: spec.quantiles,
        })
    }

    /// Whether this measurement is summed up.
    pub(crate) fn takes(&self, metric: &str) -> bool {
        self.metrics.is_empty() || self.metrics.iter().any(|wanted| wanted == metric)
    }

    /// How many windows a reading can open at most.
    pub(crate) fn most_new(&self) -> usize {
        match self.shape {
            Shape::Aligned { size, hop } => ((size + hop - 1) / hop) as usize,
            Shape::Session { .. } => 1,
        }
    }
}

/// Compiles all windows of a plan.
pub(super) fn windows(spec: &PlanSpec, mistakes: &mut Vec<Mistake>) -> Vec<Window> {
    let mut names = BTreeSet::new();
    for (at, window) in spec.windows.iter().enumerate() {
        if !names.insert(&window.name) {
            let problem =
                format!("there are two windows {:?}: their summaries could not be told apart", window.name);
            mistakes.push(Mistake { item: Item::Window(at), field: "name", at: None, problem });
        }
    }
    if spec.windows.len() > usize::from(u16::MAX) {
        let problem = "there are more than 65,535 windows".to_owned();
        mistakes.push(Mistake { item: Item::Plan, field: "windows", at: None, problem });
        return Vec::new();
    }
    let compile = |(at, window)| Window::compile(at, window, &spec.groups, mistakes);
    spec.windows.iter().enumerate().filter_map(compile).collect()
}

/// A duration in microseconds, at most that of [`LONGEST`].
pub(crate) fn micros(duration: Duration) -> i64 {
    duration.min(LONGEST).as_micros() as i64
}
