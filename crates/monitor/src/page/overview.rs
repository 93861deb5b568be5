//! The overview: everything in figures, and what is wrong first.

use std::collections::{HashMap, VecDeque};

use model::alert::{Alarm, AlertState};
use model::{EventTime, Severity};
use runtime::now_micros;
use serde::Serialize;
use serde_json::{Value, json};

use super::fleet::Counts;
use super::history::{History, STEP};
use super::state::State;

/// Delays of so many of the newest readings are looked at.
const DELAYS: usize = 1_024;
/// The newest active alarms that the overview lists.
const LISTED: usize = 8;
/// A group that is further behind than this, in seconds, is worth a word.
const SLOW_SECONDS: f64 = 30.0;

/// What passes by.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    pub(super) readings: History,
    pub(super) letters: History,
    alarms: History,
    delays: VecDeque<i64>,
}

impl Pulse {
    /// A reading came so many milliseconds after its event time.
    pub(super) fn delay(&mut self, millis: i64) {
        self.delays.push_back(millis);
        if self.delays.len() > DELAYS {
            self.delays.pop_front();
        }
    }

    fn delays(&self) -> (Option<i64>, Option<i64>) {
        let mut sorted: Vec<i64> = self.delays.iter().copied().collect();
        sorted.sort_unstable();
        let quantile = |share: f64| {
            sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        };
        (quantile(0.5).copied(), quantile(0.95).copied())
    }
}

/// Something that is not as it should be, and where to look.
#[derive(Debug, Serialize)]
struct Concern {
    level: &'static str,
    text: String,
    link: &'static str,
}

/// Active alarms by sensor.
pub(super) fn alarms_by_sensor(state: &State) -> HashMap<String, usize> {
    let mut by_sensor = HashMap::new();
    for alarm in state.alarms().iter().filter(|alarm| alarm.is_active()) {
        *by_sensor.entry(alarm.alert.sensor_id.clone()).or_default() += 1;
    }
    by_sensor
}

/// The whole as JSON.
pub(super) fn overview(state: &State) -> Value {
    let now = now_micros() / 1_000;
    let counts = state.fleet().counts(now);
    let readings = state.fleet().readings;
    let alarms = alarms(state, now);
    let (letters, reasons) = {
        let letters = state.letters();
        let reasons: Vec<Value> = letters
            .by_reason
            .iter()
            .map(|((topic, reason), count)| json!({"topic": topic, "reason": reason, "count": count}))
            .collect();
        (letters.total, reasons)
    };
    let groups: Vec<Value> = state
        .cluster()
        .groups
        .iter()
        .map(|group| {
            json!({"name": group.name, "state": group.state, "lag": group.lag, "lag_seconds": group.lag_seconds,
                "history": group.history})
        })
        .collect();
    let brokers = state.cluster().brokers.len();
    let problem = state.problem();
    let concerns = concerns(state, &counts, problem.as_deref(), &alarms);
    let mut pulse = state.pulse();
    let seconds = now / 1_000;
    let active = alarms["active"].as_u64().unwrap_or(0) as f64;
    pulse.alarms.set(seconds, active);
    let (p50, p95) = pulse.delays();
    let rates = pulse.readings.until(seconds);
    // The step under way is not full yet.
    let rate = rates.len().checked_sub(2).map_or(0.0, |at| rates[at] / STEP as f64);
    json!({
        "now": now,
        "kafka": {"bootstrap": state.settings.bootstrap(), "brokers": brokers, "problem": problem},
        "concerns": concerns,
        "readings": {"total": readings, "per_second": rate, "history": per_second(&rates)},
        "sensors": counts,
        "delay_ms": {"p50": p50, "p95": p95},
        "alarms": alarms,
        "alarm_history": pulse.alarms.until(seconds),
        "dead_letters": {"total": letters, "by_reason": reasons, "history": pulse.letters.until(seconds)},
        "groups": groups,
        "step_seconds": STEP,
    })
}

fn per_second(steps: &[f64]) -> Vec<f64> {
    steps.iter().map(|value| value / STEP as f64).collect()
}

fn alarms(state: &State, now: i64) -> Value {
    let alarms = state.alarms();
    let mut active: Vec<&Alarm> = alarms.iter().filter(|alarm| alarm.is_active()).collect();
    active.sort_by_key(|alarm| std::cmp::Reverse((alarm.alert.severity, alarm.alert.since)));
    let count = |severity: Severity| active.iter().filter(|alarm| alarm.alert.severity == severity).count();
    let time = EventTime::from_millis(now);
    json!({
        "active": active.len(),
        "critical": count(Severity::Critical),
        "warning": count(Severity::Warning),
        "info": count(Severity::Info),
        "newest": active.iter().take(LISTED).map(|alarm| summary(alarm, time)).collect::<Vec<_>>(),
    })
}

/// An alarm in a list.
pub(super) fn summary(alarm: &Alarm, now: EventTime) -> Value {
    let alert = &alarm.alert;
    json!({
        "id": alert.id,
        "sensor_id": alert.sensor_id,
        "rule": alert.rule,
        "severity": alert.severity,
        "state": match alert.state {
            AlertState::Firing => "firing",
            AlertState::Escalated => "escalated",
            AlertState::Cleared => "cleared",
        },
        "since": alert.since.millis(),
        "at": alert.at.millis(),
        "when": alarm.fired.evidence.when,
        "value": alarm.fired.evidence.value,
        "bound": alarm.fired.evidence.bound,
        "acknowledged_by": alarm.acknowledged.as_ref().map(|record| &record.by),
        "snoozed": alarm.is_snoozed(now),
    })
}

fn concerns(state: &State, counts: &Counts, problem: Option<&str>, alarms: &Value) -> Vec<Concern> {
    let mut found = Vec::new();
    if let Some(problem) = problem {
        found.push(Concern {
            level: "critical",
            text: format!("Kafka: {problem}; the last known values are shown"),
            link: "/",
        });
    }
    let critical = alarms["critical"].as_u64().unwrap_or(0);
    if critical > 0 {
        found.push(Concern {
            level: "critical",
            text: format!("{critical} critical alarms"),
            link: "/alarms",
        });
    }
    for group in &state.cluster().groups {
        if group.lag > 0 && group.state == "Empty" && group.lag_seconds > SLOW_SECONDS {
            let text = format!("group {} has no members and {} unread records", group.name, group.lag);
            found.push(Concern { level: "warning", text, link: "/groups" });
        } else if group.lag_seconds > SLOW_SECONDS {
            let text = format!("group {} is {:.0} s behind", group.name, group.lag_seconds);
            found.push(Concern { level: "warning", text, link: "/groups" });
        }
    }
    if counts.silent > 0 {
        let text = format!("{} of {} sensors are silent", counts.silent, counts.seen);
        found.push(Concern { level: "warning", text, link: "/sensors?health=silent" });
    }
    found
}
