//! The life of an alarm: from a condition that holds to one that does not any more.
//!
//! ```text
//!            holds             for `hold`            not for `clear_hold`
//!   resting ───────▶ pending ────────────▶ firing ──────────────────────▶ resting   (cleared)
//!      ▲                │ does not            │ for `escalate_after`: escalated
//!      └────────────────┘                     ▼
//!                                           muted instead, if there were `max_per_hour` alarms within the hour
//! ```
//!
//! All times are event times. While a sensor is quiet, its event time goes on as the clock does.

use model::Severity;
use model::alert::AlertState;

use super::Rule;
use super::sample::RuleCounters;
use super::state::{Life, NOT_CLEARING, Phase};

const HOUR: i64 = 3_600_000_000;

/// Says what comes of it at this time that a condition holds or not: what is to be told, if anything. `id` makes the own
/// part of the id of an alarm that began then.
pub(super) fn step(
    rule: &Rule,
    life: &mut Life,
    holds: bool,
    at: i64,
    id: impl FnOnce(i64) -> u64,
    counters: &mut RuleCounters,
) -> Option<AlertState> {
    match (holds, life.phase) {
        (true, Phase::Resting | Phase::Pending) => {
            if life.phase == Phase::Resting {
                (life.phase, life.since) = (Phase::Pending, at);
            }
            if at.saturating_sub(life.since) < rule.hold {
                return None;
            }
            fire(rule, life, at, id, counters)
        }
        (true, Phase::Firing | Phase::Muted) => {
            life.clear_since = NOT_CLEARING;
            escalate(rule, life, at, counters)
        }
        (false, Phase::Resting) => None,
        (false, Phase::Pending) => {
            life.phase = Phase::Resting;
            None
        }
        (false, Phase::Firing | Phase::Muted) => {
            if life.clear_since == NOT_CLEARING {
                life.clear_since = at;
            }
            clear(rule, life, at, counters)
        }
    }
}

/// Says what comes of the time alone, for a condition that is not asked about.
pub(super) fn pass(
    rule: &Rule,
    life: &mut Life,
    at: i64,
    id: impl FnOnce(i64) -> u64,
    counters: &mut RuleCounters,
) -> Option<AlertState> {
    match life.phase {
        Phase::Pending if at.saturating_sub(life.since) >= rule.hold => fire(rule, life, at, id, counters),
        Phase::Resting | Phase::Pending => None,
        Phase::Firing | Phase::Muted if life.clear_since != NOT_CLEARING => clear(rule, life, at, counters),
        Phase::Firing | Phase::Muted => escalate(rule, life, at, counters),
    }
}

/// The next event time at which [`pass`] does something.
pub(super) fn deadline(rule: &Rule, life: &Life) -> Option<i64> {
    match life.phase {
        Phase::Pending => Some(life.since.saturating_add(rule.hold)),
        Phase::Firing | Phase::Muted if life.clear_since != NOT_CLEARING => {
            Some(life.clear_since.saturating_add(rule.clear_hold))
        }
        Phase::Firing if !life.escalated => rule.escalate_after.map(|after| life.since.saturating_add(after)),
        Phase::Resting | Phase::Firing | Phase::Muted => None,
    }
}

/// Whether nothing of a life has to be remembered at this time.
pub(super) fn is_over(life: &Life, at: i64) -> bool {
    life.phase == Phase::Resting && at.saturating_sub(life.hour) >= HOUR
}

fn fire(
    rule: &Rule,
    life: &mut Life,
    at: i64,
    id: impl FnOnce(i64) -> u64,
    counters: &mut RuleCounters,
) -> Option<AlertState> {
    if at.saturating_sub(life.hour) >= HOUR {
        (life.hour, life.fired) = (at, 0);
    }
    (life.escalated, life.clear_since) = (false, NOT_CLEARING);
    if u32::from(life.fired) >= rule.spec.max_per_hour {
        life.phase = Phase::Muted;
        counters.held_back += 1;
        return None;
    }
    (life.phase, life.id) = (Phase::Firing, id(life.since));
    life.fired = life.fired.saturating_add(1);
    counters.fired += 1;
    Some(AlertState::Firing)
}

fn escalate(rule: &Rule, life: &mut Life, at: i64, counters: &mut RuleCounters) -> Option<AlertState> {
    let due = rule.escalate_after.is_some_and(|after| at.saturating_sub(life.since) >= after);
    if life.phase != Phase::Firing || life.escalated || !due {
        return None;
    }
    life.escalated = true;
    counters.escalated += 1;
    Some(AlertState::Escalated)
}

fn clear(rule: &Rule, life: &mut Life, at: i64, counters: &mut RuleCounters) -> Option<AlertState> {
    if at.saturating_sub(life.clear_since) < rule.clear_hold {
        return None;
    }
    end(life, counters)
}

/// Ends an alarm without asking.
pub(super) fn end(life: &mut Life, counters: &mut RuleCounters) -> Option<AlertState> {
    let told = life.phase == Phase::Firing;
    (life.phase, life.clear_since) = (Phase::Resting, NOT_CLEARING);
    if !told {
        return None;
    }
    counters.cleared += 1;
    Some(AlertState::Cleared)
}

/// How bad an alarm is by now.
pub(super) fn severity(base: Severity, escalated: bool) -> Severity {
    match (base, escalated) {
        (base, false) => base,
        (Severity::Info, true) => Severity::Warning,
        (Severity::Warning | Severity::Critical, true) => Severity::Critical,
    }
}
