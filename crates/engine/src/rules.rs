//! Rules: conditions over a sensor's readings, and the alarms that they raise.

mod sample;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::alert::{AlertSource, AlertState, Evidence};
use model::{Alert, EventTime, Reading};

use crate::output::Output;
use crate::plan::{Item, Mistake, RuleSpec};
pub use sample::{Fault, Previous, Quiet, RuleCounters, Sample, SourceRef};
use state::Life;
pub use state::{BadState, RuleState};

/// Compiled rules, and the classes of sensors that they make. A clone shares the rules and has classes of its own: each
/// partition keeps one, so that nothing is locked.
#[derive(Clone, Debug)]
pub struct RuleBook {
    rules: Arc<[Threshold]>,
    classes: Vec<Vec<u16>>,
}

#[derive(Clone, Debug)]
struct Threshold {
    spec: RuleSpec,
    metric: String,
    above: bool,
    bound: f64,
}

/// Which rules look at a sensor: a number of the [`RuleBook`] that gave it.
pub type Class = u16;

impl RuleBook {
    /// Checks rules and compiles them.
    pub fn compile(
        rules: &[RuleSpec],
        _groups: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, Vec<Mistake>> {
        let compiled: Result<Vec<Threshold>, Mistake> =
            rules.iter().enumerate().map(|(at, spec)| threshold(at, spec)).collect();
        Ok(Self { rules: compiled.map_err(|mistake| vec![mistake])?.into(), classes: Vec::new() })
    }

    /// Whether a rule looks at the sequence numbers of readings.
    pub fn needs_sequence(&self) -> bool {
        false
    }

    /// The class of a sensor. It stays the same as long as the book does; it is not to be stored, another book or clone
    /// may number otherwise.
    pub fn class_of(&mut self, sensor_id: &str) -> Class {
        let selected: Vec<u16> = (0..self.rules.len() as u16)
            .filter(|rule| {
                let select = &self.rules[usize::from(*rule)].spec.select;
                select.is_empty() || select.iter().any(|pattern| pattern == sensor_id)
            })
            .collect();
        let known = self.classes.iter().position(|class| *class == selected);
        known.unwrap_or_else(|| {
            self.classes.push(selected);
            self.classes.len() - 1
        }) as Class
    }

    /// Shows a reading to the rules: one that is not older than the sensor's newest.
    pub fn observe<O: Output>(
        &mut self,
        class: Class,
        state: &mut RuleState,
        sample: &Sample<'_>,
        source: SourceRef<'_>,
        out: &mut O,
        counters: &mut RuleCounters,
    ) {
        for &at in &self.classes[usize::from(class)] {
            let rule = &self.rules[usize::from(at)];
            let Some(value) = measurement(sample.reading, &rule.metric) else { continue };
            let life = state.lives.iter().position(|life| life.rule == at);
            let bound = if life.is_some() { rule.spec.clear.unwrap_or(rule.bound) } else { rule.bound };
            let holds = if rule.above { value > bound } else { value < bound };
            if holds && life.is_none() {
                let since = sample.reading.time;
                let id = format!("{}-{:016x}", rule.spec.name, since.micros() ^ sample.offset);
                let life = Life { rule: at, since, id };
                out.alarm(rule.alert(&life, AlertState::Firing, sample, source, value, bound));
                counters.fired += 1;
                state.lives.push(life);
            } else if !holds && let Some(life) = life {
                let life = state.lives.remove(life);
                out.alarm(rule.alert(&life, AlertState::Cleared, sample, source, value, bound));
                counters.cleared += 1;
            }
        }
    }

    /// The clock time at which a [`tick`](Self::tick) would do something for a sensor that stays quiet; `None` if never.
    pub fn deadline(&self, _class: Class, _state: &RuleState, _quiet: &Quiet<'_>) -> Option<EventTime> {
        None
    }

    /// Lets the time pass for a sensor that is quiet: ends what has held long enough, notices silence, escalates.
    pub fn tick<O: Output>(
        &mut self,
        _class: Class,
        _state: &mut RuleState,
        _quiet: &Quiet<'_>,
        _source: SourceRef<'_>,
        _out: &mut O,
        _counters: &mut RuleCounters,
    ) {
    }

    /// Clears the firing alarms of a sensor that is about to be forgotten, with a note, and empties its state.
    pub fn forget<O: Output>(
        &mut self,
        _class: Class,
        state: &mut RuleState,
        _quiet: &Quiet<'_>,
        _source: SourceRef<'_>,
        _out: &mut O,
        _counters: &mut RuleCounters,
    ) {
        *state = RuleState::default();
    }

    /// Takes over the state of a sensor that was under the rules of `old`: what the detectors learned stays where they are
    /// the same, an alarm stays if its rule's version does; other alarms are cleared with a note.
    #[expect(clippy::too_many_arguments, reason = "two books with a class each")]
    pub fn migrate<O: Output>(
        &mut self,
        class: Class,
        _old: &Self,
        _old_class: Class,
        state: &mut RuleState,
        quiet: &Quiet<'_>,
        source: SourceRef<'_>,
        out: &mut O,
        counters: &mut RuleCounters,
    ) {
        self.forget(class, state, quiet, source, out, counters);
    }

    /// Raises the alarm of the built-in rule `clock-skew`: the reading is `ahead` seconds ahead of the clock, of which at
    /// most `bound` are allowed. The next reading shown by [`observe`](Self::observe) clears it. Such a reading is shown to
    /// nothing else; its sample's `previous` and `cadence` are those of the sensor's last acceptable reading.
    #[expect(clippy::too_many_arguments, reason = "the figures of the evidence, and where to it goes")]
    pub fn raise_clock_skew<O: Output>(
        &mut self,
        _state: &mut RuleState,
        _sample: &Sample<'_>,
        _ahead: f64,
        _bound: f64,
        _source: SourceRef<'_>,
        _out: &mut O,
        _counters: &mut RuleCounters,
    ) {
    }

    /// Appends the bytes of a state. Their meaning depends on the plan, by which a snapshot must be read.
    pub fn encode_state(&self, _class: Class, _state: &RuleState, _out: &mut Vec<u8>) {}

    /// Takes a state off the front of `bytes`. It never panics, whatever they are, and checks sizes before it allocates.
    pub fn decode_state(&self, _class: Class, _bytes: &mut &[u8]) -> Result<RuleState, BadState> {
        Ok(RuleState::default())
    }
}

impl Threshold {
    fn alert(
        &self,
        life: &Life,
        state: AlertState,
        sample: &Sample<'_>,
        source: SourceRef<'_>,
        value: f64,
        bound: f64,
    ) -> Alert {
        let evidence = Evidence {
            when: self.spec.when.clone(),
            value: Some(value),
            bound: Some(bound),
            values: BTreeMap::from([(self.metric.clone(), value)]),
            window: None,
            note: None,
        };
        Alert {
            id: life.id.clone(),
            sensor_id: sample.reading.sensor_id.into(),
            rule: self.spec.name.clone(),
            rule_version: String::new(),
            severity: self.spec.severity,
            state,
            since: life.since,
            at: sample.reading.time,
            evidence,
            source: AlertSource {
                topic: source.topic.into(),
                partition: source.partition,
                offset: sample.offset,
            },
        }
    }
}

fn threshold(at: usize, spec: &RuleSpec) -> Result<Threshold, Mistake> {
    let words: Vec<&str> = spec.when.split_whitespace().collect();
    let mistake = |problem: &str| Mistake {
        item: Item::Rule(at),
        field: "when",
        at: Some(0..spec.when.len()),
        problem: problem.into(),
    };
    let [metric, operator, bound] = words[..] else {
        return Err(mistake("a condition is: measurement > number, or <"));
    };
    let bound = bound.parse().map_err(|_| mistake("the bound is not a number"))?;
    Ok(Threshold { spec: spec.clone(), metric: metric.into(), above: operator == ">", bound })
}

fn measurement(reading: &Reading<'_>, name: &str) -> Option<f64> {
    reading.measurements().find(|(metric, _)| *metric == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Collected;

    #[test]
    fn a_threshold_fires_once_and_clears() {
        let spec = RuleSpec {
            name: "hot".into(),
            when: "temperature > 30".into(),
            clear: Some(29.0),
            hold: std::time::Duration::ZERO,
            clear_hold: std::time::Duration::ZERO,
            severity: model::Severity::Warning,
            escalate_after: None,
            select: Vec::new(),
            max_per_hour: 6,
        };
        let mut book = RuleBook::compile(&[spec], &BTreeMap::new()).expect("right");
        let class = book.class_of("S");
        let (mut state, mut out, mut counters) =
            (RuleState::default(), Collected::default(), RuleCounters::default());
        for (offset, celsius) in [29.0, 31.0, 32.0, 29.5, 29.0, 31.0].into_iter().enumerate() {
            let mut reading = Reading::new("S", EventTime::from_millis(offset as i64 * 1_000));
            reading.temperature = Some(celsius);
            let sample = Sample {
                reading: &reading,
                offset: offset as i64,
                sequence: None,
                previous: None,
                cadence: None,
                clock: reading.time,
                fault: Fault::of(&reading),
            };
            let source = SourceRef { topic: "sensor-data", partition: 0 };
            book.observe(class, &mut state, &sample, source, &mut out, &mut counters);
        }
        let states: Vec<AlertState> = out.alarms.iter().map(|alarm| alarm.state).collect();
        assert_eq!(states, [AlertState::Firing, AlertState::Cleared, AlertState::Firing]);
        assert_eq!((counters.fired, counters.cleared), (2, 1));
    }
}
