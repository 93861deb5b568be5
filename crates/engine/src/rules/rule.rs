//! One rule, compiled, and what it says with an alarm.

use std::collections::BTreeMap;
use std::time::Duration;

use model::alert::{AlertSource, AlertState, Evidence, EvidenceWindow};
use model::{Alert, EventTime, Severity};

use super::language::{self, Comparison};
use super::program::{self, Answer, Program};
use super::sample::{Quiet, Sample, SourceRef};
use super::state::Life;
use super::{CLOCK_SKEW_PER_HOUR, CLOCK_SKEW_RULE, life};
use crate::hash::{fnv1a, fnv1a_from};
use crate::plan::{Item, Mistake, RuleSpec, micros};
use crate::select::Select;

/// A compiled rule. Times are in microseconds.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) spec: RuleSpec,
    pub(super) version: String,
    pub(super) select: Select,
    pub(super) program: Program,
    /// The number that stands for the bound while the alarm fires.
    pub(super) clear: f64,
    pub(super) hold: i64,
    pub(super) clear_hold: i64,
    pub(super) escalate_after: Option<i64>,
}

/// What is said with an alarm, as far as it depends on the moment.
pub(super) struct Happening<'a> {
    pub(super) sensor_id: &'a str,
    pub(super) at: i64,
    pub(super) offset: i64,
    pub(super) source: SourceRef<'a>,
    pub(super) value: Option<f64>,
    pub(super) bound: Option<f64>,
    pub(super) values: BTreeMap<String, f64>,
    pub(super) window: Option<EvidenceWindow>,
    pub(super) note: Option<String>,
}

impl Rule {
    pub(super) fn compile(
        at: usize,
        spec: &RuleSpec,
        groups: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, Vec<Mistake>> {
        let item = Item::Rule(at);
        let mut mistakes = Vec::new();
        let mut wrong = |field, at, problem: String| mistakes.push(Mistake { item, field, at, problem });
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if spec.name.is_empty() || !spec.name.chars().all(is_name) {
            wrong("name", None, "a rule's name is lower-case letters, digits and dashes".to_owned());
        } else if spec.name == CLOCK_SKEW_RULE {
            wrong(
                "name",
                None,
                "there is a built-in rule of this name: see process.time.max_future".to_owned(),
            );
        }
        if spec.max_per_hour == 0 {
            wrong("max_per_hour", None, "at least one alarm an hour, or leave the rule out".to_owned());
        }
        let program = language::parse(&spec.when).and_then(|node| Program::compile(&node, &spec.when));
        let program = program.map_err(|mistake| wrong("when", Some(mistake.at), mistake.problem)).ok();
        let mut clear =
            program.as_ref().and_then(|program| program.bound).map_or(f64::NAN, |(_, bound)| bound);
        if let (Some(program), Some(wanted)) = (&program, spec.clear) {
            match program.bound {
                Some((Comparison::Above | Comparison::AtLeast, bound)) if wanted > bound => {
                    wrong(
                        "clear",
                        None,
                        format!("it must not be above {bound}, or the alarm would clear while it fires"),
                    );
                }
                Some((Comparison::Below | Comparison::AtMost, bound)) if wanted < bound => {
                    wrong(
                        "clear",
                        None,
                        format!("it must not be below {bound}, or the alarm would clear while it fires"),
                    );
                }
                Some((Comparison::Equal | Comparison::Unequal, _)) | None => {
                    let problem = "the condition compares nothing with one number by >, >=, < or <=, so there is no bound to clear at";
                    wrong("clear", None, problem.to_owned());
                }
                Some(_) if !wanted.is_finite() => wrong("clear", None, "it is not a number".to_owned()),
                Some(_) => clear = wanted,
            }
        }
        let select = Select::compile(&spec.select, groups, item).map_err(|more| mistakes.extend(more)).ok();
        let (Some(program), Some(select), true) = (program, select, mistakes.is_empty()) else {
            return Err(mistakes);
        };
        // What a group stands for is a part of the rule.
        let definition = serde_json::to_vec(&(spec, groups_of(spec, groups))).unwrap_or_default();
        let hash = fnv1a(&definition);
        Ok(Self {
            version: format!("{:08x}", (hash ^ (hash >> 32)) as u32),
            select,
            program,
            clear,
            hold: micros(spec.hold),
            clear_hold: micros(spec.clear_hold),
            escalate_after: spec.escalate_after.map(micros),
            spec: spec.clone(),
        })
    }

    /// The built-in rule. Its condition is only there to be read.
    pub(super) fn clock_skew() -> Result<Self, Vec<Mistake>> {
        let spec = RuleSpec {
            name: "built-in".to_owned(),
            when: "implausible".to_owned(),
            clear: None,
            hold: Duration::ZERO,
            clear_hold: Duration::ZERO,
            severity: Severity::Warning,
            escalate_after: None,
            select: Vec::new(),
            max_per_hour: CLOCK_SKEW_PER_HOUR,
        };
        let mut rule = Self::compile(0, &spec, &BTreeMap::new())?;
        CLOCK_SKEW_RULE.clone_into(&mut rule.spec.name);
        "time further ahead of the clock than process.time.max_future".clone_into(&mut rule.spec.when);
        Ok(rule)
    }

    /// The own part of the id of an alarm: the same for the same input, and another for another alarm.
    pub(super) fn id(&self, sensor_id: &str, since: i64, offset: i64) -> u64 {
        let hash = fnv1a_from(fnv1a(self.version.as_bytes()), sensor_id.as_bytes());
        fnv1a_from(fnv1a_from(hash, &since.to_le_bytes()), &offset.to_le_bytes())
    }

    pub(super) fn happening<'a>(
        &self,
        sample: &Sample<'a>,
        source: SourceRef<'a>,
        answer: &Answer,
        figures: &[f64],
        words: &[f64],
    ) -> Happening<'a> {
        let (at, program) = (sample.reading.time.micros(), &self.program);
        let faulty = sample.fault.is_some();
        let known =
            |metric: &program::Metric| Some((metric.name().to_owned(), metric.of(sample.reading, faulty)?));
        let mut values: BTreeMap<String, f64> = program.metrics.iter().filter_map(known).collect();
        let mut words = words;
        let mut window = None;
        for (used, figure) in program.detectors.iter().zip(figures) {
            if figure.is_finite() {
                values.insert(used.text.clone(), *figure);
            }
            let Some((own, rest)) = words.split_at_checked(used.detector.words()) else { break };
            words = rest;
            for (name, value) in used.detector.evidence(own, at as f64 / 1e6) {
                values.insert(format!("{}: {name}", used.text), value);
            }
            window = window.or(used.detector.window());
        }
        let (mut value, mut bound) = answer.sides.unzip();
        let mut note = None;
        if let Some(fault) = sample.fault {
            values.insert(fault.metric.to_owned(), fault.value);
            note = Some(format!("{} is {}, but must be {}", fault.metric, fault.value, fault.bound));
            value = value.or(Some(fault.value));
            bound = bound.or(Some(match fault.bound {
                model::reading::Bound::AtLeast(bound)
                | model::reading::Bound::Above(bound)
                | model::reading::Bound::AtMost(bound) => bound,
            }));
        }
        Happening {
            sensor_id: sample.reading.sensor_id,
            at,
            offset: sample.offset,
            source,
            value,
            bound,
            values,
            window: window.map(|window| EvidenceWindow {
                start: EventTime::from_micros(at.saturating_sub(micros(window))),
                end: EventTime::from_micros(at),
            }),
            note,
        }
    }

    pub(super) fn alert(&self, life: &Life, state: AlertState, happening: Happening<'_>) -> Alert {
        Alert {
            id: format!("{}-{:016x}", self.spec.name, life.id),
            sensor_id: happening.sensor_id.to_owned(),
            rule: self.spec.name.clone(),
            rule_version: self.version.clone(),
            severity: life::severity(self.spec.severity, life.escalated),
            state,
            since: EventTime::from_micros(life.since),
            at: EventTime::from_micros(happening.at),
            evidence: Evidence {
                when: self.spec.when.clone(),
                value: happening.value,
                bound: happening.bound,
                values: happening.values,
                window: happening.window,
                note: happening.note,
            },
            source: AlertSource {
                topic: happening.source.topic.to_owned(),
                partition: happening.source.partition,
                offset: happening.offset,
            },
        }
    }
}

impl<'a> Happening<'a> {
    pub(super) fn quiet(quiet: &Quiet<'a>, source: SourceRef<'a>, at: i64, note: &str) -> Self {
        Self {
            sensor_id: quiet.sensor_id,
            at,
            offset: quiet.offset,
            source,
            value: None,
            bound: None,
            values: BTreeMap::new(),
            window: None,
            note: Some(note.to_owned()),
        }
    }
}

/// The groups that a rule names, with what they stand for.
fn groups_of<'a>(
    spec: &RuleSpec,
    groups: &'a BTreeMap<String, Vec<String>>,
) -> BTreeMap<&'a String, &'a Vec<String>> {
    groups
        .iter()
        .filter(|(name, _)| spec.select.iter().any(|select| select.strip_prefix('@') == Some(name)))
        .collect()
}
