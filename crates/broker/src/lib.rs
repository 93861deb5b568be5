//! An embedded, single-node broker that speaks the Kafka protocol: a real log behind real groups and transactions,
//! for one machine. It knows nothing of what the records mean, and any Kafka client can use it.
//!
//! The way of a request: `server` reads a frame, checks its shape, decodes it and calls its handler in `api`; the
//! handler works on the `catalog` (topics and their partitions, each a `log`) and on the `coordinator` (groups,
//! committed offsets, transactions), and what it returns is encoded and written back.
//!
//! Guarantee: what was acknowledged survives kill -9 of the process. It is in the page cache by then, not on the disk:
//! `flush.messages` and `flush.ms` of a topic make it survive the loss of power too.
//!
//! Invariants: every request is answered, with the protocol's error where it cannot be met; every buffer, queue,
//! connection and wait has a bound that is a named constant or a setting; no replication.

mod api;
mod broker;
mod catalog;
mod coordinator;
mod log;
mod server;
mod settings;

pub use broker::{Broker, BrokerError, Figures, Holder, StatsHandle};
pub use catalog::CatalogError;
pub use coordinator::{CoordinatorError, JournalError};
#[doc(hidden)]
pub use server::is_request;
pub use server::{SecurityError, TlsError, UsersError};
pub use settings::{Limits, SaslMechanism, Security, Settings, Tls, User};

use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use crate::broker::Stats;
use crate::catalog::Catalog;
use crate::coordinator::Coordinator;

/// What every request handler can reach.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) node: Node,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) coordinator: Coordinator,
    /// Counted by connections and handlers, read by metrics.
    pub(crate) stats: Arc<Stats>,
}

/// What clients are told about this node, which is the whole cluster.
pub(crate) struct Node {
    /// Settings' node id; it leads every partition and coordinates every group.
    pub(crate) id: i32,
    /// Where clients are told to connect to: the advertised address, or the one that is listened on.
    pub(crate) host: StrBytes,
    pub(crate) port: i32,
    /// From the format file of the data directory.
    pub(crate) cluster_id: StrBytes,
}

/// Milliseconds since the Unix epoch, UTC, as the protocol counts them.
fn now_ms() -> i64 {
    runtime::clock::now_micros().div_euclid(1000)
}
