//! Sources of records: simulated sensors, simulated application events, and recorded readings.
//!
//! Each of [`sensors`], [`events`] and [`replay`] is two things: a stream that does no network I/O and can be used alone
//! ([`sensors::Simulator`], [`events::EventStream`]), and a `run` that feeds it to Kafka:
//!
//! ```no_run
//! use kafka::KafkaSettings;
//! use producers::replay::{self, Input, ReplayOptions};
//! use producers::{Progress, Target};
//! use runtime::Shutdown;
//!
//! let options = ReplayOptions::new(vec![Input::from_argument("readings.csv")], Target::new("sensor-data"));
//! let settings = KafkaSettings::with_bootstrap("localhost:9092");
//! let summary = replay::run(&options, &settings, Progress::silent(), &Shutdown::new())?;
//! println!("{summary}");
//! # Ok::<(), producers::Error>(())
//! ```
//!
//! The map: [`pacing`] decides when a record is due; [`delivery`] states and keeps the guarantee from a record to its
//! acknowledgement; [`progress`] shows it; [`summary`] sums it up.
//!
//! Invariants: nothing here reads a topic; a record counts when it was acknowledged; what is simulated is a function of
//! its options and its seed; buffers have named bounds.

pub mod delivery;
mod digits;
mod error;
pub mod events;
mod noise;
pub mod pacing;
pub mod progress;
pub mod replay;
pub mod sensors;
pub mod summary;

pub use delivery::Target;
pub use error::{Error, ErrorKind};
pub use pacing::Speed;
pub use progress::{Display, Progress, Snapshot};
pub use summary::{StoppedBy, Summary};
