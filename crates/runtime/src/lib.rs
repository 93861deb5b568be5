//! What every long-running part of streamgauge stands on: an orderly end ([`Shutdown`]), named threads with an
//! owner ([`Tasks`]), the wall clock ([`clock`]), logs ([`telemetry`]), metrics ([`Metrics`]), readiness
//! ([`Status`]) and latency figures ([`Latency`]).
//!
//! ```
//! use std::time::Duration;
//! use runtime::{Shutdown, StopReason, Tasks};
//!
//! let shutdown = Shutdown::new();
//! let mut tasks = Tasks::new(shutdown.clone());
//! let seen = shutdown.clone();
//! tasks.spawn("worker-0", move || {
//!     while !seen.wait(Duration::from_millis(10)) { /* one bounded piece of work */ }
//!     Ok::<(), std::io::Error>(())
//! })?;
//! shutdown.request(StopReason::Requested);
//! tasks.join(Duration::from_secs(5))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants: nothing in this crate knows a reading, a topic or Kafka; nothing is global except the log
//! subscriber, which [`telemetry::init_logging`] installs once; no thread is started without a name.

pub mod clock;
pub mod latency;
pub mod metrics;
mod process;
pub mod rate;
pub mod shutdown;
pub mod status;
pub mod tasks;
pub mod telemetry;

pub use clock::now_micros;
pub use latency::{Latency, LatencySnapshot};
pub use metrics::{Counter, CounterFamily, Gauge, GaugeFamily, Histogram, Metrics};
pub use process::{host_name, random_seed};
pub use rate::RateMeter;
pub use shutdown::{HangUps, Shutdown, StopReason};
pub use status::{Status, StatusReport};
pub use tasks::{TaskError, Tasks, worker_count};
pub use telemetry::{LogFormat, TelemetryError, init_logging};
