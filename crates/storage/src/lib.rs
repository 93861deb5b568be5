//! Topics into storage: Parquet files that other tools read as they are, each record once.
//!
//! ```text
//! topics ─► worker ─► table::Rows ─► sink::Sink ─► files::Files ─► PATH/readings/day=…/*.parquet
//!           (run)     columns        rows and                      PATH/.streamgauge/ledger/…
//!                                    position
//! ```
//!
//! - [`Table`]: what is stored of each topic, and how a record becomes a row.
//! - [`run`]: workers that share the partitions, each with a sink of its own. The module `worker` states the order on which
//!   the guarantee rests, the module `files::ledger` how files and positions become durable together and how a worker that
//!   was thought dead is kept from writing.
//! - [`status`], [`verify`], [`compact`], [`expire`], [`export`]: what is done with a store of files.
//!
//! Invariants: a record whose offset the store has passed is a row in it, or a dead letter that was acknowledged, or was told
//! to be gone; no record is two rows; nobody who reads the files sees half of one; nothing that is not the store's is
//! changed or removed.

mod database;
mod error;
mod files;
mod meters;
mod options;
mod run;
mod sink;
mod summary;
mod table;
mod watch;
mod worker;

pub use database::{
    DatabaseError, DatabaseOptions, DatabaseUrl, PartitionLength, TimePartitions, UrlMistake,
};
pub use error::Error;
pub use files::{
    Compacted, Expired, ExportFormat, ExportOptions, Exported, PartitionBy, PartitionStatus,
    PartitionVerdict, StoreStatus, TableStatus, Verdict, compact, expire, export, is_parquet,
    readings_as_json_lines, status, verify,
};
pub use options::{BadRecord, StoreOptions, StoredTopic, Target};
pub use run::run;
pub use summary::StoreSummary;
pub use table::Table;
pub use watch::{Progress, Watch};
