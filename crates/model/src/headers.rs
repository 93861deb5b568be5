//! The names of the record headers that streamgauge writes and reads.
//!
//! Values are ASCII or UTF-8 text. A reader must accept records without any of them.

/// The per-sensor sequence number of a reading: decimal ASCII of a `u64`.
pub const SEQ: &str = "sg-seq";
/// The fault that the simulator injected into a reading, by name.
pub const FAULT: &str = "sg-fault";

/// Provenance of a dead letter: the topic it came from. These six follow Kafka Connect's names, so that tools
/// that know Connect's dead letters know ours.
pub const ERROR_TOPIC: &str = "__connect.errors.topic";
/// Provenance of a dead letter: the partition it came from, in decimal.
pub const ERROR_PARTITION: &str = "__connect.errors.partition";
/// Provenance of a dead letter: its offset there, in decimal.
pub const ERROR_OFFSET: &str = "__connect.errors.offset";
/// Provenance of a dead letter: the step that refused it, for instance `decode`.
pub const ERROR_STAGE: &str = "__connect.errors.stage";
/// Provenance of a dead letter: the reason as a stable label, see [`crate::Reject::reason`].
pub const ERROR_CLASS: &str = "__connect.errors.exception.class.name";
/// Provenance of a dead letter: the reason as a sentence.
pub const ERROR_MESSAGE: &str = "__connect.errors.exception.message";
