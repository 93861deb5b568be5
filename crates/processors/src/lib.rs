//! The stream processor: drives the engine from topics, and writes what it says, exactly once.
//!
//! [`run`] processes; [`backtest`] tries rules on what is in a topic. What is decided, windows and rules, is decided in
//! `engine`; here it is decided what to write when, so that nothing is lost and nothing is counted twice.

mod backtest;
pub mod driver;
mod error;
mod figures;
mod inputs;
mod intake;
mod meters;
mod options;
mod process;
mod restore;
mod standby;
mod summary;
mod watch;
mod worker;
mod writer;

pub use backtest::{BacktestOptions, BacktestReport, LabelSpan, backtest};
pub use error::Error;
pub use options::{Guarantee, PlanHandle, ProcessOptions, Topics};
pub use process::run;
pub use summary::ProcessSummary;
pub use watch::{PartitionProgress, Progress, RestoreProgress, Watch};
