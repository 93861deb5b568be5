//! A condition as it is worked: flat, for a small stack, without allocation.
//!
//! What is not known (a measurement that this reading does not have, a detector that has not learned enough) is NaN, in
//! truths too: `and` is false if one side is, `or` is true if one side is, and otherwise both are unknown if a side is. A
//! condition that is unknown changes nothing about an alarm.

use std::ops::Range;
use std::time::Duration;

use model::reading::{HUMIDITY, PRESSURE, TEMPERATURE};
use model::{Implausible, Reading};

use super::detectors::{self, Detector, FUNCTIONS};
use super::language::{Arithmetic, Comparison, Kind, Node, Wrong, wrong};
use crate::running::Running;

/// A compiled condition.
#[derive(Debug)]
pub(super) struct Program {
    operations: Vec<Operation>,
    /// The condition, if it only compares a measurement with a number.
    pub(super) simple: Option<(Metric, Comparison)>,
    pub(super) detectors: Vec<Use>,
    /// Numbers that the detectors remember of a sensor.
    pub(super) words: usize,
    /// The silences that it asks for: from these on it may hold without a reading.
    pub(super) silences: Vec<(Silence, f64)>,
    /// The number that the whole condition compares with, and how the other side is compared with it.
    pub(super) bound: Option<(Comparison, f64)>,
    /// The measurements that it looks at.
    pub(super) metrics: Vec<Metric>,
}

/// A detector and what it looks at.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) detector: Box<dyn Detector>,
    pub(super) metric: Option<Metric>,
    /// The call as it is written, without spaces: equal calls remember the same.
    pub(super) text: String,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Temperature,
    Humidity,
    Pressure,
    Further(Box<str>),
}

impl Metric {
    fn named(name: &str) -> Self {
        match name {
            TEMPERATURE => Self::Temperature,
            HUMIDITY => Self::Humidity,
            PRESSURE => Self::Pressure,
            further => Self::Further(further.into()),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Temperature => TEMPERATURE,
            Self::Humidity => HUMIDITY,
            Self::Pressure => PRESSURE,
            Self::Further(name) => name,
        }
    }

    /// Its value, unless the reading does not have it or `faulty` readings have one that cannot be true.
    #[inline]
    pub(super) fn of(&self, reading: &Reading<'_>, faulty: bool) -> Option<f64> {
        let value = match self {
            Self::Temperature => reading.temperature,
            Self::Humidity => reading.humidity,
            Self::Pressure => reading.pressure,
            Self::Further(name) => {
                reading.further().find(|(further, _)| **further == **name).map(|(_, value)| value)
            }
        }?;
        let wrong = faulty && (!Running::accepts(value) || Implausible::check(self.name(), value).is_some());
        (!wrong).then_some(value)
    }
}

/// A pause between readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// In usual intervals of the sensor.
    Intervals,
    Seconds,
}

#[derive(Clone, Debug)]
enum Operation {
    Number(f64),
    Bound,
    Metric(Metric),
    Detector(usize),
    Silence(Silence),
    Status { text: Box<str>, equal: bool },
    Implausible,
    Negate,
    Absolute,
    Arithmetic(Arithmetic),
    Compare(Comparison),
    Not,
    And,
    Or,
}

/// What a condition is asked about.
pub(super) struct Asked<'a> {
    /// The reading; `None` at a tick.
    pub(super) reading: Option<&'a Reading<'a>>,
    pub(super) faulty: bool,
    /// The pause since the reading before, in usual intervals and in seconds; NaN if not known.
    pub(super) silence: (f64, f64),
    /// What the detectors say; NaN if not known.
    pub(super) figures: &'a [f64],
    /// What stands for the number of [`Program::bound`].
    pub(super) bound: f64,
}

/// What a condition says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// `None` if it is not known.
    pub(super) holds: Option<bool>,
    /// The two sides of the first comparison.
    pub(super) sides: Option<(f64, f64)>,
}

/// Deep enough for the deepest condition that the parser lets through.
const STACK: usize = 80;
/// Detectors in one condition.
pub(super) const MAX_DETECTORS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Number,
    Truth,
}

impl Program {
    pub(super) fn compile(node: &Node, text: &str) -> Result<Self, Wrong> {
        let mut compiler = Compiler {
            text,
            operations: Vec::new(),
            detectors: Vec::new(),
            silences: Vec::new(),
            metrics: Vec::new(),
        };
        let bound = bound_of(node);
        let kind = compiler.top(node, bound.is_some())?;
        if kind != Type::Truth {
            return wrong(node.at.clone(), "this is a number, not a condition: compare it, as in > 30");
        }
        contradiction(node, text)?;
        let Compiler { operations, detectors, silences, metrics, .. } = compiler;
        let simple = match (&operations[..], bound) {
            ([Operation::Metric(metric), Operation::Bound, Operation::Compare(comparison)], Some(_)) => {
                Some((metric.clone(), *comparison))
            }
            _ => None,
        };
        let words = detectors.iter().map(|used: &Use| used.detector.words()).sum();
        Ok(Self { operations, simple, detectors, words, silences, bound, metrics })
    }

    /// What the condition says.
    pub(super) fn ask(&self, asked: &Asked<'_>) -> Answer {
        let mut stack = [0.0; STACK];
        let (mut top, mut sides) = (0, None);
        for operation in &self.operations {
            let (taken, value) = match operation {
                Operation::Number(value) => (0, *value),
                Operation::Bound => (0, asked.bound),
                Operation::Metric(metric) => {
                    let value = asked.reading.and_then(|reading| metric.of(reading, asked.faulty));
                    (0, value.unwrap_or(f64::NAN))
                }
                Operation::Detector(at) => (0, asked.figures.get(*at).copied().unwrap_or(f64::NAN)),
                Operation::Silence(Silence::Intervals) => (0, asked.silence.0),
                Operation::Silence(Silence::Seconds) => (0, asked.silence.1),
                Operation::Status { text, equal } => {
                    let holds = |reading: &Reading<'_>| (reading.status == Some(&**text)) == *equal;
                    (0, asked.reading.map_or(f64::NAN, |reading| truth(holds(reading))))
                }
                Operation::Implausible => (0, asked.reading.map_or(f64::NAN, |_| truth(asked.faulty))),
                Operation::Negate => (1, -stack[top - 1]),
                Operation::Absolute => (1, stack[top - 1].abs()),
                Operation::Not => (1, 1.0 - stack[top - 1]),
                Operation::Arithmetic(operation) => {
                    let (left, right) = (stack[top - 2], stack[top - 1]);
                    let value = match operation {
                        Arithmetic::Add => left + right,
                        Arithmetic::Subtract => left - right,
                        Arithmetic::Multiply => left * right,
                        Arithmetic::Divide => left / right,
                    };
                    (2, value)
                }
                Operation::Compare(comparison) => {
                    let (left, right) = (stack[top - 2], stack[top - 1]);
                    sides = sides.or(Some((left, right)));
                    let known = !left.is_nan() && !right.is_nan();
                    (2, if known { truth(comparison.holds(left, right)) } else { f64::NAN })
                }
                Operation::And => (2, both(stack[top - 2], stack[top - 1], 0.0)),
                Operation::Or => (2, both(stack[top - 2], stack[top - 1], 1.0)),
            };
            top -= taken;
            stack[top] = value;
            top += 1;
        }
        let holds = if stack[0].is_nan() { None } else { Some(stack[0] != 0.0) };
        Answer { holds, sides: sides.filter(|(left, right)| left.is_finite() && right.is_finite()) }
    }

    /// Whether it looks at sequence numbers.
    pub(super) fn needs_sequence(&self) -> bool {
        self.detectors.iter().any(|used| used.detector.needs_sequence())
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// `and` with `decided` 0, `or` with `decided` 1.
fn both(left: f64, right: f64, decided: f64) -> f64 {
    if left == decided || right == decided {
        decided
    } else if left.is_nan() || right.is_nan() {
        f64::NAN
    } else {
        1.0 - decided
    }
}

/// The number that a whole condition compares with.
fn bound_of(node: &Node) -> Option<(Comparison, f64)> {
    let Kind::Compare(comparison, left, right) = &node.kind else { return None };
    match (&left.kind, &right.kind) {
        (Kind::Number(_), Kind::Number(_)) => None,
        (_, Kind::Number(value)) => Some((*comparison, *value)),
        (Kind::Number(value), _) => Some((comparison.turned(), *value)),
        _ => None,
    }
}

struct Compiler<'a> {
    text: &'a str,
    operations: Vec<Operation>,
    detectors: Vec<Use>,
    silences: Vec<(Silence, f64)>,
    metrics: Vec<Metric>,
}

impl Compiler<'_> {
    /// The whole condition; its number, if it has one, is worked as the bound, which clearing may change.
    fn top(&mut self, node: &Node, bound: bool) -> Result<Type, Wrong> {
        let Kind::Compare(comparison, left, right) = &node.kind else { return self.node(node) };
        if !bound {
            return self.node(node);
        }
        let (other, comparison) = if matches!(right.kind, Kind::Number(_)) {
            (left, *comparison)
        } else {
            (right, comparison.turned())
        };
        if let Some(silence) = silence(other) {
            self.silence(silence, comparison, bound_of(node), &node.at)?;
        } else {
            self.number(other)?;
        }
        self.operations.extend([Operation::Bound, Operation::Compare(comparison)]);
        Ok(Type::Truth)
    }

    fn silence(
        &mut self,
        silence: Silence,
        comparison: Comparison,
        bound: Option<(Comparison, f64)>,
        at: &Range<usize>,
    ) -> Result<(), Wrong> {
        match bound {
            Some((_, length))
                if matches!(comparison, Comparison::Above | Comparison::AtLeast) && length > 0.0 =>
            {
                self.silences.push((silence, length));
                self.operations.push(Operation::Silence(silence));
                Ok(())
            }
            _ => wrong(at.clone(), "a silence is compared with a number above 0, by > or >=: silence > 5"),
        }
    }

    fn number(&mut self, node: &Node) -> Result<(), Wrong> {
        match self.node(node)? {
            Type::Number => Ok(()),
            Type::Truth => wrong(node.at.clone(), "this is a condition, where a number is needed"),
        }
    }

    fn truth(&mut self, node: &Node) -> Result<(), Wrong> {
        match self.node(node)? {
            Type::Truth => Ok(()),
            Type::Number => wrong(
                node.at.clone(),
                "this is a number, where a condition is needed: compare it, as in > 30",
            ),
        }
    }

    fn node(&mut self, node: &Node) -> Result<Type, Wrong> {
        let (operation, kind) = match &node.kind {
            Kind::Number(value) => (Operation::Number(*value), Type::Number),
            Kind::Text(_) => {
                return wrong(node.at.clone(), "a text is only compared with status: status == \"warning\"");
            }
            Kind::Duration(_) => {
                return wrong(node.at.clone(), "a time stands only in a function: mean(temperature, 1m)");
            }
            Kind::Name(name) => match name.as_str() {
                "implausible" => (Operation::Implausible, Type::Truth),
                "status" => {
                    return wrong(node.at.clone(), "status is compared with a text: status == \"warning\"");
                }
                "silence" | "silence_seconds" => {
                    return wrong(node.at.clone(), "a silence is compared with a number: silence > 5");
                }
                name if FUNCTIONS.iter().any(|(function, _)| *function == name) => {
                    let (_, takes) =
                        FUNCTIONS.iter().find(|(function, _)| *function == name).unwrap_or(&("", ""));
                    return wrong(node.at.clone(), format!("{name} is a function: {name}{takes}"));
                }
                name => (Operation::Metric(self.metric(name)), Type::Number),
            },
            Kind::Call { function, arguments } => return self.call(function, arguments, node),
            Kind::Negate(inner) => {
                self.number(inner)?;
                (Operation::Negate, Type::Number)
            }
            Kind::Arithmetic(operation, left, right) => {
                self.number(left)?;
                self.number(right)?;
                (Operation::Arithmetic(*operation), Type::Number)
            }
            Kind::Compare(comparison, left, right) => return self.compare(*comparison, left, right, node),
            Kind::Not(inner) => {
                self.truth(inner)?;
                (Operation::Not, Type::Truth)
            }
            Kind::And(left, right) => {
                self.truth(left)?;
                self.truth(right)?;
                (Operation::And, Type::Truth)
            }
            Kind::Or(left, right) => {
                self.truth(left)?;
                self.truth(right)?;
                (Operation::Or, Type::Truth)
            }
        };
        self.operations.push(operation);
        Ok(kind)
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: &Node,
        right: &Node,
        node: &Node,
    ) -> Result<Type, Wrong> {
        for (one, other) in [(left, right), (right, left)] {
            if let (Kind::Name(name), Kind::Text(text)) = (&one.kind, &other.kind) {
                let equal = match comparison {
                    Comparison::Equal => true,
                    Comparison::Unequal => false,
                    _ => return wrong(node.at.clone(), "a status is compared by == or !="),
                };
                if name != "status" {
                    return wrong(one.at.clone(), "only status is compared with a text");
                }
                self.operations.push(Operation::Status { text: text.as_str().into(), equal });
                return Ok(Type::Truth);
            }
        }
        for (one, comparison) in [(left, comparison), (right, comparison.turned())] {
            if let Some(silence) = silence(one) {
                let bound = bound_of(node);
                self.silence(silence, comparison, bound, &node.at)?;
                let length = bound.map_or(f64::NAN, |(_, length)| length);
                self.operations.extend([Operation::Number(length), Operation::Compare(comparison)]);
                return Ok(Type::Truth);
            }
        }
        self.number(left)?;
        self.number(right)?;
        self.operations.push(Operation::Compare(comparison));
        Ok(Type::Truth)
    }

    fn metric(&mut self, name: &str) -> Metric {
        let metric = Metric::named(name);
        if !self.metrics.contains(&metric) {
            self.metrics.push(metric.clone());
        }
        metric
    }

    fn call(&mut self, function: &str, arguments: &[Node], node: &Node) -> Result<Type, Wrong> {
        let Some((_, takes)) = FUNCTIONS.iter().find(|(name, _)| *name == function) else {
            let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            let at = node.at.start..node.at.start + function.len();
            return wrong(at, format!("there is no function {function:?}; there are {}", names.join(", ")));
        };
        let mistake = || wrong(node.at.clone(), format!("it is {function}{takes}"));
        match (function, arguments) {
            ("abs", [argument]) => {
                self.number(argument)?;
                self.operations.push(Operation::Absolute);
                Ok(Type::Number)
            }
            ("value", [Node { kind: Kind::Text(name), .. }]) => {
                let metric = self.metric(name);
                self.operations.push(Operation::Metric(metric));
                Ok(Type::Number)
            }
            ("abs" | "value", _) => mistake(),
            (_, arguments) => {
                let (metric, time) = match arguments {
                    [] if function == "gaps" => (None, None),
                    [metric] => (Some(metric), None),
                    [metric, Node { kind: Kind::Duration(time), .. }] => (Some(metric), Some(*time)),
                    _ => return mistake(),
                };
                self.detector(function, metric, time, node, takes)
            }
        }
    }

    fn detector(
        &mut self,
        function: &str,
        metric: Option<&Node>,
        time: Option<Duration>,
        node: &Node,
        takes: &str,
    ) -> Result<Type, Wrong> {
        let metric = match metric.map(|node| &node.kind) {
            None => None,
            Some(Kind::Name(name)) => Some(self.metric(name)),
            Some(Kind::Call { function, arguments }) if function == "value" => match &arguments[..] {
                [Node { kind: Kind::Text(name), .. }] => Some(self.metric(name)),
                _ => return wrong(node.at.clone(), "it is value(\"measurement\")"),
            },
            Some(_) => {
                return wrong(
                    node.at.clone(),
                    format!("{function} looks at one measurement: {function}{takes}"),
                );
            }
        };
        let detector = detectors::of(function, time).filter(|_| (function == "gaps") == metric.is_none());
        let Some(detector) = detector else {
            return wrong(node.at.clone(), format!("it is {function}{takes}"));
        };
        if detector.window().is_some_and(|window| window.is_zero()) {
            return wrong(node.at.clone(), "the time must be longer than nothing");
        }
        let text: String = self.text[node.at.clone()].chars().filter(|c| !c.is_whitespace()).collect();
        let known = self.detectors.iter().position(|used| used.text == text);
        let at = match known {
            Some(at) => at,
            None if self.detectors.len() >= MAX_DETECTORS => {
                return wrong(
                    node.at.clone(),
                    format!("a condition has at most {MAX_DETECTORS} of these functions"),
                );
            }
            None => {
                self.detectors.push(Use { detector, metric, text });
                self.detectors.len() - 1
            }
        };
        self.operations.push(Operation::Detector(at));
        // Whether a value is stuck is a truth by itself.
        Ok(if function == "stuck" { Type::Truth } else { Type::Number })
    }
}

fn silence(node: &Node) -> Option<Silence> {
    match &node.kind {
        Kind::Name(name) if name == "silence" => Some(Silence::Intervals),
        Kind::Name(name) if name == "silence_seconds" => Some(Silence::Seconds),
        _ => None,
    }
}

/// Finds comparisons with numbers that cannot hold together, among those that all have to.
fn contradiction(node: &Node, text: &str) -> Result<(), Wrong> {
    let mut all = Vec::new();
    conjuncts(node, &mut all);
    let ranges: Vec<(String, &Node, f64, f64)> = all
        .into_iter()
        .filter_map(|node| {
            let (comparison, value) = bound_of(node)?;
            let Kind::Compare(_, left, right) = &node.kind else { return None };
            let other = if matches!(right.kind, Kind::Number(_)) { left } else { right };
            let written: String = text[other.at.clone()].split_whitespace().collect();
            let (from, until) = match comparison {
                Comparison::Above | Comparison::AtLeast => (value, f64::INFINITY),
                Comparison::Below | Comparison::AtMost => (f64::NEG_INFINITY, value),
                Comparison::Equal => (value, value),
                Comparison::Unequal => return None,
            };
            Some((written, node, from, until))
        })
        .collect();
    for (at, (written, _, from, until)) in ranges.iter().enumerate() {
        for (other, node, other_from, other_until) in &ranges[at + 1..] {
            if written == other && from.max(*other_from) > until.min(*other_until) {
                return wrong(
                    node.at.clone(),
                    format!("this never holds together with the other bound of {written}"),
                );
            }
        }
    }
    Ok(())
}

fn conjuncts<'a>(node: &'a Node, all: &mut Vec<&'a Node>) {
    match &node.kind {
        Kind::And(left, right) => {
            conjuncts(left, all);
            conjuncts(right, all);
        }
        _ => all.push(node),
    }
}

#[cfg(test)]
mod tests {
    use model::EventTime;

    use super::super::language::parse;
    use super::*;

    fn compile(text: &str) -> Result<Program, Wrong> {
        Program::compile(&parse(text)?, text)
    }

    fn ask(text: &str, reading: &Reading<'_>) -> Option<bool> {
        let program = compile(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        let bound = program.bound.map_or(f64::NAN, |(_, bound)| bound);
        let asked = Asked {
            reading: Some(reading),
            faulty: reading.implausible().is_some(),
            silence: (3.0, 30.0),
            figures: &[],
            bound,
        };
        program.ask(&asked).holds
    }

    #[test]
    fn conditions_over_a_reading() {
        let mut reading = Reading::new("S", EventTime::from_millis(0))
            .with_further(&[("dewpoint", 21.0), ("my-name", 5.0)]);
        (reading.temperature, reading.humidity, reading.status) = (Some(22.5), Some(130.0), Some("warning"));
        for (text, expected) in [
            ("temperature > 22", Some(true)),
            ("22 > temperature", Some(false)),
            ("temperature - dewpoint < 2", Some(true)),
            ("temperature * 2 + 5 == 50 and not dewpoint < 0", Some(true)),
            ("abs(0 - temperature) >= 22.5", Some(true)),
            ("value(\"my-name\") == 5", Some(true)),
            ("status == \"warning\"", Some(true)),
            ("status != \"warning\"", Some(false)),
            ("implausible", Some(true)),
            ("pressure > 1000", None),
            ("pressure > 1000 or temperature > 0", Some(true)),
            ("pressure > 1000 and temperature > 0", None),
            ("pressure > 1000 and temperature < 0", Some(false)),
            ("humidity > 100", None),
            ("silence > 2 and temperature > 0", Some(true)),
            ("silence_seconds >= 31", Some(false)),
        ] {
            assert_eq!(ask(text, &reading), expected, "{text}");
        }
    }

    #[track_caller]
    fn check_wrong(text: &str, part: &str, problem: &str) {
        let wrong = compile(text).expect_err("wrong");
        assert_eq!((&text[wrong.at.clone()], wrong.problem.contains(problem)), (part, true), "{wrong:?}");
    }

    #[test]
    fn mistakes_have_their_place() {
        check_wrong("maen(temperature, 1m) > 3", "maen", "there is no function");
        check_wrong("mean(temperature) > 3", "mean(temperature)", "it is mean(measurement, time)");
        check_wrong("mean > 3", "mean", "is a function");
        check_wrong("temperature", "temperature", "not a condition");
        check_wrong("temperature and humidity > 3", "temperature", "where a condition is needed");
        check_wrong("temperature > 5 and temperature < 3", "temperature < 3", "never holds");
        check_wrong("status > \"on\"", "status > \"on\"", "== or !=");
        check_wrong("status", "status", "compared with a text");
        check_wrong("silence < 3", "silence < 3", "by > or >=");
        check_wrong("silence + 1 > 3", "silence", "compared with a number");
        check_wrong("5m > 3", "5m", "only in a function");
        check_wrong("mean(temperature, 0s) > 3", "mean(temperature, 0s)", "longer than nothing");
    }
}
