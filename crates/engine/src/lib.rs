//! Running statistics per sensor: what a stream of readings says about each sensor so far.
//!
//! A [`SensorTable`] takes readings one by one and keeps, for every sensor, counters and the running
//! statistics ([`Running`]) of each of its measurements. Tables are kept per input partition by whoever drives
//! the engine, so that the figures of a partition that goes to another worker can be set apart, and are merged
//! when the whole is shown.
//!
//! ```
//! use engine::{SensorTable, TableOptions};
//! use model::{EventTime, Reading};
//!
//! let mut table = SensorTable::new(TableOptions { seed: 7, ..TableOptions::default() });
//! for (second, celsius) in [(0, 21.0), (1, 23.0), (2, 31.0)] {
//!     let mut reading = Reading::new("SENSOR_001", EventTime::from_millis(second * 1_000));
//!     reading.temperature = Some(celsius);
//!     table.update(&reading);
//! }
//! let sensor = table.sorted()[0];
//! assert_eq!((sensor.id(), sensor.readings(), sensor.alerts()), ("SENSOR_001", 3, 1));
//! assert_eq!(sensor.temperature().running().mean(), Some(25.0));
//! ```
//!
//! Invariants: no I/O, no clock, no randomness but the seed that the caller passes, no threads. The same
//! readings in the same order give bit-identical figures. A reading of a known sensor allocates nothing. Every
//! table is bounded: what lies beyond a bound is counted, never kept and never lost in silence.

mod exact;
mod hash;
mod metric_names;
pub mod output;
pub mod partition;
pub mod plan;
pub mod rules;
mod running;
pub mod select;
mod sensor;
pub mod sketch;
mod table;

pub use metric_names::{MAX_METRIC_NAMES, MetricId, MetricNames};
pub use output::{Collected, Output, Suppressed};
pub use partition::{
    Arrival, Counters, Partition, Refusal, ShardState, SnapshotError, Source, Tick, Verdict,
};
pub use plan::{Plan, PlanSpec};
pub use running::Running;
pub use sensor::{MAX_FURTHER_METRICS, Measurement, Sensor};
pub use table::{MAX_SENSORS, Outcome, SensorTable, TableOptions, Totals};
