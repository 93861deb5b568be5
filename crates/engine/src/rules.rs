//! Rules: conditions over a sensor's readings, and the alarms that they raise.
//!
//! A condition is a text in the language of `rules/language.rs`, compiled once (`rules/program.rs`). What it can ask about
//! the past of a measurement is found by [`detectors`]. From a condition that holds to an alarm that clears leads `rules/life.rs`.

pub mod detectors;
mod language;
mod life;
mod program;
mod rule;
mod sample;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::EventTime;

use crate::output::Output;
use crate::plan::{Item, Mistake, RuleSpec, micros};
use detectors::Moment;
use program::{Answer, Asked, MAX_DETECTORS, Program, Silence};
use rule::{Happening, Rule};
pub use sample::{Fault, Previous, Quiet, RuleCounters, Sample, SourceRef};
pub use state::{BadState, RuleState};
use state::{CLOCK_SKEW, Life};

/// The name of the built-in rule for readings that are too far in the future.
pub const CLOCK_SKEW_RULE: &str = "clock-skew";
/// Alarms of it for one sensor in an hour.
const CLOCK_SKEW_PER_HOUR: u32 = 12;

/// Compiled rules, and the classes of sensors that they make. A clone shares the rules and has classes of its own: each
/// partition keeps one, so that nothing is locked.
#[derive(Clone, Debug)]
pub struct RuleBook {
    rules: Arc<[Rule]>,
    clock_skew: Arc<Rule>,
    classes: Vec<Arc<[Place]>>,
    words: Vec<usize>,
    needs_sequence: bool,
    needs_ticks: bool,
}

/// A rule of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    rule: u16,
    /// Where its detectors' numbers begin.
    words: usize,
}

/// Which rules look at a sensor: a number of the [`RuleBook`] that gave it.
pub type Class = u16;

impl RuleBook {
    /// Checks rules and compiles them.
    pub fn compile(rules: &[RuleSpec], groups: &BTreeMap<String, Vec<String>>) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if rules.len() >= usize::from(CLOCK_SKEW) {
            let problem = "there are more than 65,534 rules".to_owned();
            return Err(vec![Mistake { item: Item::Plan, field: "rules", at: None, problem }]);
        }
        for (at, spec) in rules.iter().enumerate() {
            if rules[..at].iter().any(|other| other.name == spec.name) {
                let problem =
                    format!("there are two rules {:?}: their alarms could not be told apart", spec.name);
                mistakes.push(Mistake { item: Item::Rule(at), field: "name", at: None, problem });
            }
        }
        let compiled: Vec<Rule> = rules
            .iter()
            .enumerate()
            .filter_map(|(at, spec)| {
                Rule::compile(at, spec, groups).map_err(|more| mistakes.extend(more)).ok()
            })
            .collect();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let timed = |rule: &Rule| {
            rule.hold > 0
                || rule.clear_hold > 0
                || rule.escalate_after.is_some()
                || !rule.program.silences.is_empty()
        };
        Ok(Self {
            needs_sequence: compiled.iter().any(|rule| rule.program.needs_sequence()),
            needs_ticks: compiled.iter().any(timed),
            rules: compiled.into(),
            clock_skew: Arc::new(Rule::clock_skew()?),
            classes: Vec::new(),
            words: Vec::new(),
        })
    }

    /// Whether a rule looks at the sequence numbers of readings.
    pub fn needs_sequence(&self) -> bool {
        self.needs_sequence
    }

    /// Whether a rule does something as the time passes: silence, `for`, escalation.
    pub fn needs_ticks(&self) -> bool {
        self.needs_ticks
    }

    /// The names of the rules with their versions, in their order.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().map(|rule| (rule.spec.name.as_str(), rule.version.as_str()))
    }

    /// The class of a sensor. It stays the same as long as the book does; it is not to be stored, another book or clone
    /// may number otherwise.
    pub fn class_of(&mut self, sensor_id: &str) -> Class {
        let mut words = 0;
        let mut places = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.select.matches(sensor_id) {
                places.push(Place { rule: at as u16, words });
                words += rule.program.words;
            }
        }
        let known = self.classes.iter().position(|class| **class == *places);
        known.unwrap_or_else(|| {
            self.classes.push(places.into());
            self.words.push(words);
            self.classes.len() - 1
        }) as Class
    }

    fn rule(&self, number: u16) -> &Rule {
        if number == CLOCK_SKEW { &self.clock_skew } else { &self.rules[usize::from(number)] }
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
        let at = sample.reading.time.micros();
        if !state.lives.is_empty() {
            self.end_clock_skew(state, sample, source, out, counters);
        }
        let words = self.words[usize::from(class)];
        if words > 0 && state.words.is_empty() {
            state.words = vec![0.0; words].into();
        }
        for place in &*self.classes[usize::from(class)] {
            let rule = &self.rules[usize::from(place.rule)];
            let program = &rule.program;
            let life = state.lives.iter().position(|life| life.rule == place.rule);
            let on = life.is_some_and(|life| state.lives[life].is_on());
            let mut figures = [f64::NAN; MAX_DETECTORS];
            let bound = if on { rule.clear } else { program.bound.map_or(f64::NAN, |(_, bound)| bound) };
            let answer = if let Some((metric, comparison)) = &program.simple {
                let Some(value) = metric.of(sample.reading, sample.fault.is_some()) else { continue };
                Answer { holds: Some(comparison.holds(value, bound)), sides: Some((value, bound)) }
            } else {
                let words = &mut state.words[place.words..][..program.words];
                program.look(words, sample, &mut figures);
                program.ask(&Asked {
                    reading: Some(sample.reading),
                    faulty: sample.fault.is_some(),
                    silence: silence(sample),
                    figures: &figures,
                    bound,
                })
            };
            let Some(holds) = answer.holds else { continue };
            let life = match life {
                Some(life) => life,
                None if !holds => continue,
                None => {
                    state.lives.push(Life::new(place.rule));
                    state.lives.len() - 1
                }
            };
            let sensor_id = sample.reading.sensor_id;
            let id = |since| rule.id(sensor_id, since, sample.offset);
            let told = life::step(rule, &mut state.lives[life], holds, at, id, counters);
            if let Some(told) = told {
                let words = &state.words[place.words.min(state.words.len())..];
                let happening = rule.happening(sample, source, &answer, &figures, words);
                out.alarm(rule.alert(&state.lives[life], told, happening));
            }
            if life::is_over(&state.lives[life], at) {
                state.lives.swap_remove(life);
            }
        }
    }

    /// The clock time at which a [`tick`](Self::tick) would do something for a sensor that stays quiet; `None` if never.
    pub fn deadline(&self, class: Class, state: &RuleState, quiet: &Quiet<'_>) -> Option<EventTime> {
        if !self.needs_ticks || quiet.is_unheard() && state.lives.is_empty() {
            return None;
        }
        let of_event_time =
            |time: i64| quiet.seen.micros().saturating_add(time.saturating_sub(quiet.newest.micros()));
        let lives = state.lives.iter().filter_map(|life| life::deadline(self.rule(life.rule), life));
        // What was due before waits for the next moment of the clock.
        let next = quiet.clock.micros().saturating_add(1);
        let lives = lives.map(|time| of_event_time(time).max(next));
        let class = self.classes.get(usize::from(class)).filter(|_| !quiet.is_unheard());
        let silences = class.into_iter().flat_map(|class| class.iter());
        let silences = silences.flat_map(|place| {
            let on =
                state.lives.iter().any(|life| life.rule == place.rule && life.phase != state::Phase::Resting);
            let silences = if on { &[][..] } else { &self.rules[usize::from(place.rule)].program.silences };
            silences.iter().filter_map(|(silence, length)| {
                let seconds = match silence {
                    Silence::Intervals => length * quiet.cadence?,
                    Silence::Seconds => *length,
                };
                // What is asked for may be more than this, not as much.
                let after = Duration::try_from_secs_f64(seconds).ok()? + Duration::from_micros(1);
                Some(quiet.seen.micros().saturating_add(micros(after)))
            })
        });
        // What did nothing at the time of the clock does nothing later either.
        lives.chain(silences).filter(|time| *time > quiet.clock.micros()).min().map(EventTime::from_micros)
    }

    /// Lets the time pass for a sensor that is quiet: ends what has held long enough, notices silence, escalates.
    pub fn tick<O: Output>(
        &mut self,
        class: Class,
        state: &mut RuleState,
        quiet: &Quiet<'_>,
        source: SourceRef<'_>,
        out: &mut O,
        counters: &mut RuleCounters,
    ) {
        if !self.needs_ticks {
            return;
        }
        let passed = quiet.clock.micros().saturating_sub(quiet.seen.micros()).max(0);
        let at = quiet.newest.micros().saturating_add(passed);
        let seconds = passed as f64 / 1e6;
        let silence = (quiet.cadence.map_or(f64::NAN, |cadence| seconds / cadence), seconds);
        for place in self.classes.get(usize::from(class)).map_or(&[][..], |class| class) {
            let rule = &self.rules[usize::from(place.rule)];
            let mut life = state.lives.iter().position(|life| life.rule == place.rule);
            let id = |since| rule.id(quiet.sensor_id, since, quiet.offset);
            let (mut told, mut sides) = (None, None);
            if !rule.program.silences.is_empty() && !quiet.is_unheard() {
                let on = life.is_some_and(|life| state.lives[life].is_on());
                let bound =
                    if on { rule.clear } else { rule.program.bound.map_or(f64::NAN, |(_, bound)| bound) };
                let asked = Asked { reading: None, faulty: false, silence, figures: &[], bound };
                let answer = rule.program.ask(&asked);
                if answer.holds == Some(true) {
                    let life = *life.get_or_insert_with(|| {
                        state.lives.push(Life::new(place.rule));
                        state.lives.len() - 1
                    });
                    told = life::step(rule, &mut state.lives[life], true, at, id, counters);
                    sides = answer.sides;
                }
            }
            let Some(life) = life else { continue };
            // A long pause may be enough for more than one step: to fire and to escalate.
            while let Some(state_now) =
                told.take().or_else(|| life::pass(rule, &mut state.lives[life], at, id, counters))
            {
                let note = "the sensor is quiet; its clock goes on as ours does";
                let mut happening = Happening::quiet(quiet, source, at, note);
                (happening.value, happening.bound) = sides.unzip();
                out.alarm(rule.alert(&state.lives[life], state_now, happening));
            }
        }
        state.lives.retain(|life| !life::is_over(life, at));
    }

    /// Clears the firing alarms of a sensor that is about to be forgotten, with a note, and empties its state.
    pub fn forget<O: Output>(
        &mut self,
        _class: Class,
        state: &mut RuleState,
        quiet: &Quiet<'_>,
        source: SourceRef<'_>,
        out: &mut O,
        counters: &mut RuleCounters,
    ) {
        for mut life in std::mem::take(state).lives {
            let note = "the sensor was silent for so long that it is forgotten";
            end_life(self.rule(life.rule), &mut life, quiet, source, note, out, counters);
        }
    }

    /// Takes over the state of a sensor that was under the rules of `old`: what the detectors learned stays where they are
    /// the same, an alarm stays if its rule's version does; other alarms are cleared with a note.
    #[expect(clippy::too_many_arguments, reason = "two books with a class each")]
    pub fn migrate<O: Output>(
        &mut self,
        class: Class,
        old: &Self,
        old_class: Class,
        state: &mut RuleState,
        quiet: &Quiet<'_>,
        source: SourceRef<'_>,
        out: &mut O,
        counters: &mut RuleCounters,
    ) {
        let old_state = std::mem::take(state);
        let old_places = old.classes.get(usize::from(old_class)).map_or(&[][..], |class| class);
        if !old_state.words.is_empty() && self.words[usize::from(class)] > 0 {
            state.words = vec![0.0; self.words[usize::from(class)]].into();
            for place in &*self.classes[usize::from(class)] {
                let rule = &self.rules[usize::from(place.rule)];
                let same = old_places.iter().find(|old_place| {
                    let old_rule = &old.rules[usize::from(old_place.rule)];
                    old_rule.spec.name == rule.spec.name && old_rule.program.remembers_like(&rule.program)
                });
                if let Some(old_place) = same {
                    let words = rule.program.words;
                    let from = &old_state.words[old_place.words..][..words];
                    state.words[place.words..][..words].copy_from_slice(from);
                }
            }
        }
        for mut life in old_state.lives {
            let old_rule = old.rule(life.rule);
            let same = |place: &&Place| {
                let rule = &self.rules[usize::from(place.rule)];
                (&rule.spec.name, &rule.version) == (&old_rule.spec.name, &old_rule.version)
            };
            if life.rule == CLOCK_SKEW {
                state.lives.push(life);
            } else if let Some(place) = self.classes[usize::from(class)].iter().find(same) {
                life.rule = place.rule;
                state.lives.push(life);
            } else {
                let note = "the rule was changed or removed";
                end_life(old_rule, &mut life, quiet, source, note, out, counters);
            }
        }
    }

    /// Raises the alarm of the built-in rule `clock-skew`: the reading is `ahead` seconds ahead of the clock, of which at
    /// most `bound` are allowed. The next reading shown by [`observe`](Self::observe) clears it. Such a reading is shown to
    /// nothing else; its sample's `previous` and `cadence` are those of the sensor's last acceptable reading.
    #[expect(clippy::too_many_arguments, reason = "the figures of the evidence, and where to it goes")]
    pub fn raise_clock_skew<O: Output>(
        &mut self,
        state: &mut RuleState,
        sample: &Sample<'_>,
        ahead: f64,
        bound: f64,
        source: SourceRef<'_>,
        out: &mut O,
        counters: &mut RuleCounters,
    ) {
        let rule = &*self.clock_skew;
        let life = state.lives.iter().position(|life| life.rule == CLOCK_SKEW).unwrap_or_else(|| {
            state.lives.push(Life::new(CLOCK_SKEW));
            state.lives.len() - 1
        });
        // The sensor's time means nothing here: the life of this alarm goes by ours.
        let at = sample.clock.micros();
        let id = |since| rule.id(sample.reading.sensor_id, since, sample.offset);
        let told = life::step(rule, &mut state.lives[life], true, at, id, counters);
        if let Some(told) = told {
            let answer = Answer { holds: Some(true), sides: Some((ahead, bound)) };
            let mut happening = rule.happening(sample, source, &answer, &[], &[]);
            happening.at = at;
            happening.note = Some(format!("the reading says {}", sample.reading.time));
            out.alarm(rule.alert(&state.lives[life], told, happening));
        }
    }

    fn end_clock_skew<O: Output>(
        &self,
        state: &mut RuleState,
        sample: &Sample<'_>,
        source: SourceRef<'_>,
        out: &mut O,
        counters: &mut RuleCounters,
    ) {
        let Some(place) = state.lives.iter().position(|life| life.rule == CLOCK_SKEW) else { return };
        let (rule, at) = (&*self.clock_skew, sample.clock.micros());
        let life = &mut state.lives[place];
        let id = |since| rule.id(sample.reading.sensor_id, since, sample.offset);
        let told = life::step(rule, life, false, at, id, counters);
        if let Some(told) = told {
            let answer = Answer { holds: Some(false), sides: None };
            let mut happening = rule.happening(sample, source, &answer, &[], &[]);
            happening.at = at;
            out.alarm(rule.alert(life, told, happening));
        }
        if life::is_over(life, at) {
            state.lives.swap_remove(place);
        }
    }

    /// Appends the bytes of a state. Their meaning depends on the plan, by which a snapshot must be read.
    pub fn encode_state(&self, _class: Class, state: &RuleState, out: &mut Vec<u8>) {
        state::encode(state, out);
    }

    /// Takes a state off the front of `bytes`. It never panics, whatever they are, and checks sizes before it allocates.
    pub fn decode_state(&self, class: Class, bytes: &mut &[u8]) -> Result<RuleState, BadState> {
        let words = self.words.get(usize::from(class)).copied().unwrap_or(0);
        state::decode(words, self.rules.len(), bytes)
    }
}

fn end_life<O: Output>(
    rule: &Rule,
    life: &mut Life,
    quiet: &Quiet<'_>,
    source: SourceRef<'_>,
    note: &str,
    out: &mut O,
    counters: &mut RuleCounters,
) {
    let escalated = life.escalated;
    if let Some(told) = life::end(life, counters) {
        life.escalated = escalated;
        let at = if rule.spec.name == CLOCK_SKEW_RULE { quiet.clock } else { quiet.newest };
        out.alarm(rule.alert(life, told, Happening::quiet(quiet, source, at.micros(), note)));
    }
}

/// The pause before a reading, in usual intervals and in seconds.
fn silence(sample: &Sample<'_>) -> (f64, f64) {
    let seconds = sample
        .previous
        .map_or(f64::NAN, |previous| (sample.reading.time.micros() - previous.time.micros()) as f64 / 1e6);
    (sample.cadence.map_or(f64::NAN, |cadence| seconds / cadence), seconds)
}

impl Program {
    /// Shows a reading to the detectors.
    fn look(&self, words: &mut [f64], sample: &Sample<'_>, figures: &mut [f64; MAX_DETECTORS]) {
        let mut words = words;
        for (used, figure) in self.detectors.iter().zip(figures) {
            let (own, rest) = words.split_at_mut(used.detector.words());
            words = rest;
            let value =
                used.metric.as_ref().and_then(|metric| metric.of(sample.reading, sample.fault.is_some()));
            let seconds = sample.reading.time.micros() as f64 / 1e6;
            let moment = Moment { seconds, value, sequence: sample.sequence };
            *figure = used.detector.observe(own, moment).unwrap_or(f64::NAN);
        }
    }

    /// Whether what the detectors remember means the same.
    fn remembers_like(&self, other: &Self) -> bool {
        let texts =
            |program: &Self| program.detectors.iter().map(|used| used.text.clone()).collect::<Vec<_>>();
        texts(self) == texts(other)
    }
}

#[cfg(test)]
mod tests {
    use model::alert::AlertState;
    use model::{Reading, Severity};

    use super::*;
    use crate::output::Collected;

    #[test]
    fn a_threshold_fires_once_and_clears() {
        let spec = RuleSpec {
            name: "hot".into(),
            when: "temperature > 30".into(),
            clear: Some(29.0),
            hold: Duration::ZERO,
            clear_hold: Duration::ZERO,
            severity: Severity::Warning,
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
