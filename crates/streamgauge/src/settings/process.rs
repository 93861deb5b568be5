//! The stream processor's settings: from the file's values to validated types.

use std::num::NonZeroUsize;
use std::time::Duration;

use engine::plan::{Limits, PlanSpec, TimeSpec};

use super::error::SettingsError;
use super::plan::{self, Defaults};
use super::raw::{RawProcess, RawProcessDefaults, RawProcessLimits, RawProcessTime};
use super::validate::{Check, MAX_POLL_RECORDS, MAX_WORKERS};

/// More alarms an hour than this are no limit.
const MAX_PER_HOUR: i64 = 1_000_000;
/// More sensors than this do not fit into any machine.
const MAX_SENSORS: i64 = 100_000_000;
/// An id is a key of a record; a longer one is a mistake.
const MAX_ID_BYTES: i64 = 32_768;
/// Further measurements and open windows of one sensor are held in lists that are walked through.
const MAX_PER_SENSOR: i64 = 10_000;
/// What a broker accepts by default (`transaction.max.timeout.ms`).
const LONGEST_TRANSACTION: Duration = Duration::from_mins(15);

/// The stream processor's settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProcessSettings {
    /// The consumer group, not empty.
    pub(crate) group: String,
    /// What is promised of the output.
    pub(crate) guarantee: Guarantee,
    /// Worker threads; `None` means one per processor.
    pub(crate) workers: Option<NonZeroUsize>,
    /// This instance's name among those of the group; `None`: made of the host's.
    pub(crate) instance: Option<String>,
    /// Whether the state of other instances' partitions is kept warm.
    pub(crate) standby: bool,
    /// How often a transaction ends while no alarm waits.
    pub(crate) commit_interval: Duration,
    /// How often each piece of state is written.
    pub(crate) snapshot_interval: Duration,
    /// After how long the brokers abort what a lost worker left open.
    pub(crate) transaction_timeout: Duration,
    /// Records that a poll hands out at most.
    pub(crate) max_poll_records: NonZeroUsize,
    /// How long no progress is tolerated.
    pub(crate) stall_timeout: Duration,
    /// Windows, rules, event time and bounds.
    pub(crate) plan: PlanSpec,
}

/// What is promised of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// Each effect is visible once to whoever reads what is committed.
    ExactlyOnce,
    /// Nothing is lost; after a crash some of it is there twice.
    AtLeastOnce,
}

impl Check<'_> {
    pub(super) fn process(&self, raw: RawProcess) -> Result<ProcessSettings, SettingsError> {
        if raw.group.trim().is_empty() {
            return Err(self.refusal("process.group", "it must name a consumer group"));
        }
        let guarantees =
            [("exactly-once", Guarantee::ExactlyOnce), ("at-least-once", Guarantee::AtLeastOnce)];
        let transaction_timeout = self.some_time("process.transaction_timeout", &raw.transaction_timeout)?;
        if transaction_timeout > LONGEST_TRANSACTION {
            let wanted = "it must be at most 15m, the most that brokers accept";
            return Err(self.refusal("process.transaction_timeout", wanted));
        }
        let (time, limits) = (self.process_time(&raw.time)?, self.process_limits(&raw.limits)?);
        let defaults = self.plan_defaults(&raw.defaults)?;
        Ok(ProcessSettings {
            guarantee: self.choice("process.guarantee", &raw.guarantee, &guarantees)?,
            workers: match raw.workers {
                0 => None,
                workers => Some(self.count("process.workers", workers, MAX_WORKERS)?),
            },
            instance: Some(raw.instance.trim().to_owned()).filter(|name| !name.is_empty()),
            standby: raw.standby,
            commit_interval: self.some_time("process.commit_interval", &raw.commit_interval)?,
            snapshot_interval: self.some_time("process.snapshot_interval", &raw.snapshot_interval)?,
            transaction_timeout,
            max_poll_records: self.count(
                "process.max_poll_records",
                raw.max_poll_records,
                MAX_POLL_RECORDS,
            )?,
            stall_timeout: self.some_time("process.stall_timeout", &raw.stall_timeout)?,
            plan: plan::read(self.entries, time, limits, &defaults)
                .map_err(|mistakes| SettingsError::Plan { mistakes })?,
            group: raw.group,
        })
    }

    fn process_time(&self, raw: &RawProcessTime) -> Result<TimeSpec, SettingsError> {
        let time = |name: &str, text: &str| self.some_time(&format!("process.time.{name}"), text);
        let spec = TimeSpec {
            disorder: self.duration("process.time.disorder", &raw.disorder)?,
            idle_timeout: time("idle_timeout", &raw.idle_timeout)?,
            max_future: time("max_future", &raw.max_future)?,
            forget_after: time("forget_after", &raw.forget_after)?,
        };
        if spec.forget_after <= spec.idle_timeout {
            let wanted = "it must be longer than process.time.idle_timeout: windows are closed before a sensor is forgotten";
            return Err(self.refusal("process.time.forget_after", wanted));
        }
        Ok(spec)
    }

    fn process_limits(&self, raw: &RawProcessLimits) -> Result<Limits, SettingsError> {
        let whole = |name: &str, value, least, most| {
            // `most` is far below what a u32 holds.
            self.whole(&format!("process.limits.{name}"), value, least..=most).map(|value| value as u32)
        };
        Ok(Limits {
            max_sensors: whole("sensors", raw.sensors, 1, MAX_SENSORS)?,
            max_id_bytes: whole("id_bytes", raw.id_bytes, 1, MAX_ID_BYTES)?,
            max_metrics: whole("metrics", raw.metrics, 0, MAX_PER_SENSOR)?,
            max_windows: whole("windows", raw.windows, 1, MAX_PER_SENSOR)?,
        })
    }

    fn plan_defaults(&self, raw: &RawProcessDefaults) -> Result<Defaults, SettingsError> {
        let per_hour = self.whole("process.defaults.max_per_hour", raw.max_per_hour, 1..=MAX_PER_HOUR)?;
        Ok(Defaults {
            grace: self.duration("process.defaults.grace", &raw.grace)?,
            max_length: self.some_time("process.defaults.max_length", &raw.max_length)?,
            max_per_hour: per_hour as u32,
        })
    }
}
