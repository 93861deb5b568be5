//! Workers that read topics and tell people: [`analyze`], running statistics and alerts in the terminal.
//!
//! Invariants: workers here write to no topic but their input's dead-letter topic; what a record means is decided
//! in `model` and `engine`, never here; standard output belongs to the results, logs go elsewhere.

pub mod analyze;
