//! What the broker counts of itself, for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use kafka_protocol::messages::ApiKey;

use crate::Shared;

/// The keys of all requests are below this; unknown ones are counted at it.
const KEYS: usize = 128;

/// Counters that requests and connections move. Each is exact by itself; together they are no snapshot.
pub(crate) struct Stats {
    connections: AtomicUsize,
    connections_refused: AtomicU64,
    connections_failed: AtomicU64,
    requests: [AtomicU64; KEYS + 1],
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    records_appended: AtomicU64,
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            connections: AtomicUsize::new(0),
            connections_refused: AtomicU64::new(0),
            connections_failed: AtomicU64::new(0),
            requests: [const { AtomicU64::new(0) }; KEYS + 1],
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            records_appended: AtomicU64::new(0),
        }
    }

    pub(crate) fn opened(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// A connection beyond the limit.
    pub(crate) fn refused(&self) {
        self.connections_refused.fetch_add(1, Relaxed);
    }

    /// A connection that was closed for what its client did, or for a panic.
    pub(crate) fn failed(&self) {
        self.connections_failed.fetch_add(1, Relaxed);
    }

    /// A request by its key.
    pub(crate) fn asked(&self, key: i16) {
        let place = usize::try_from(key).map_or(KEYS, |key| key.min(KEYS));
        self.requests[place].fetch_add(1, Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    /// Records that a log has taken.
    pub(crate) fn appended(&self, records: u64) {
        self.records_appended.fetch_add(records, Relaxed);
    }
}

/// A handle to a broker's figures; it stays valid while the broker runs and after.
#[derive(Clone)]
pub struct StatsHandle(pub(super) Arc<Shared>);

/// The figures at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Connections that are open.
    pub connections: usize,
    /// Connections closed at once because there were too many.
    pub connections_refused: u64,
    /// Connections closed for what their clients did: malformed, slow, or not who they said they were.
    pub connections_failed: u64,
    /// Requests by the name of their API, those that occurred; "unknown" for others.
    pub requests: Vec<(String, u64)>,
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of responses.
    pub bytes_out: u64,
    /// Records taken into logs.
    pub records_appended: u64,
}

impl StatsHandle {
    /// The figures now. It costs about as much as listing the partitions.
    pub fn figures(&self) -> Figures {
        let stats = &self.0.stats;
        let requests = stats.requests.iter().enumerate().map(|(key, count)| (key, count.load(Relaxed)));
        let name = |key: usize| {
            ApiKey::try_from(key as i16).map_or_else(|()| "unknown".to_owned(), |key| format!("{key:?}"))
        };
        Figures {
            connections: stats.connections.load(Relaxed),
            connections_refused: stats.connections_refused.load(Relaxed),
            connections_failed: stats.connections_failed.load(Relaxed),
            requests: requests
                .filter(|(_, count)| *count > 0)
                .map(|(key, count)| (name(key), count))
                .collect(),
            bytes_in: stats.bytes_in.load(Relaxed),
            bytes_out: stats.bytes_out.load(Relaxed),
            records_appended: stats.records_appended.load(Relaxed),
        }
    }
}
