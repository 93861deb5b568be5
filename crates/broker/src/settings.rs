//! What a broker is told when it starts. There are no defaults here: whoever embeds the broker owns them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a broker is told when it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where topics, groups and transactions are kept; created if missing, locked while the broker runs.
    pub data_directory: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The host and port that clients are told to connect to; the listening address if not given.
    pub advertise: Option<(String, u16)>,
    /// The number of this node, at least 0.
    pub node_id: i32,
    /// Whether a topic is created when a client that allows it asks for its metadata, as producers do before they produce.
    pub create_topics: bool,
    /// Partitions of a topic that is created without a count, at least 1.
    pub default_partitions: i32,
    /// Topic settings by Kafka's names (`retention.ms`, `segment.bytes`, …) for topics that do not set them.
    pub topic_defaults: Vec<(String, String)>,
    /// How long the first member of an empty group waits for others before the first generation begins.
    pub initial_rebalance_delay: Duration,
    /// The shortest and the longest session timeout that a member may ask for.
    pub session_timeouts: (Duration, Duration),
    /// How long committed offsets of a group without members are kept.
    pub offsets_retention: Duration,
    /// The longest transaction timeout that a producer may ask for.
    pub longest_transaction: Duration,
    /// How long a transactional id, or a producer's sequence numbers, are remembered after their last use.
    pub producer_retention: Duration,
    /// How often retention and compaction are looked after.
    pub housekeeping: Duration,
    /// Who may connect, and how.
    pub security: Security,
    /// The bounds that keep one client from harming the others.
    pub limits: Limits,
}

/// Who may connect, and how.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// TLS on the listener; plain text if not given.
    pub tls: Option<Tls>,
    /// The mechanisms offered; clients need not authenticate if there is none.
    pub mechanisms: Vec<SaslMechanism>,
    /// Who can authenticate.
    pub users: Vec<User>,
    /// Listening on an address that is not loopback without authentication is meant.
    pub open_to_the_network: bool,
}

/// The operator's certificates.
#[derive(Debug, Clone)]
pub struct Tls {
    /// A PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// A PEM file with the private key.
    pub key: PathBuf,
    /// A PEM file with the authorities whose client certificates are required; clients need none if not given.
    pub client_authorities: Option<PathBuf>,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password itself.
    Plain,
    /// RFC 5802 and 7677.
    ScramSha256,
    /// RFC 5802 with SHA-512.
    ScramSha512,
}

/// Somebody who can authenticate.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password; never logged.
    pub password: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The bounds that keep one client from harming the others.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; one more is closed at once.
    pub connections: usize,
    /// The size of a request in bytes; a larger one closes its connection.
    pub request_bytes: usize,
    /// Bytes of requests being read or worked on, over all connections; more must wait.
    pub requests_in_flight_bytes: usize,
    /// Partitions of all topics together.
    pub partitions: usize,
    /// A connection without a request for this long is closed.
    pub idle_connection: Duration,
}
