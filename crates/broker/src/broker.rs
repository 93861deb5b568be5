//! A broker from its start to its end: data directory, listener, housekeeping, orderly close.
//!
//! Invariants: nothing is answered before everything that was acknowledged is back; nothing is closed before the last
//! request has ended; the directory is marked clean only after everything has been closed.

mod directory;
mod stats;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{info, warn};

pub(crate) use directory::DataDirectory;
pub use directory::Holder;
pub(crate) use stats::Stats;
pub use stats::{Figures, StatsHandle};

use crate::catalog::{Catalog, CatalogError, keep_house};
use crate::coordinator::{Coordinator, CoordinatorError, Partitions};
use crate::log::LastShutdown;
use crate::server::{SecurityError, Server};
use crate::settings::Settings;
use crate::{Node, Shared};

/// Why a broker cannot start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Anyone could do anything.
    #[error(
        "listening on {listen} without authentication would open the broker to the network: listen on 127.0.0.1, \
         set up SASL or client certificates, or say that it is meant (open_to_the_network)"
    )]
    Open {
        /// The address that was asked for.
        listen: SocketAddr,
    },
    /// Another program listens there.
    #[error("the port of {listen} is taken by another program")]
    PortTaken {
        /// The address that was asked for.
        listen: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// The address that was asked for.
        listen: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Another broker has the data directory.
    #[error("the data directory {path:?} is in use by {holder}")]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// The data directory cannot be read or written.
    #[error("cannot use the data directory {path:?}: {source}")]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The data directory was written by a newer program.
    #[error("{path:?} has format {version}, this program knows up to {known}: use the newer program")]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// The users or the certificates cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// Groups and transactions cannot be read or written.
    #[error(transparent)]
    Coordinator(CoordinatorError),
    /// The data directory's description is broken.
    #[error("{path:?} cannot be read: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The topics cannot be opened.
    #[error("the topics: {0}")]
    Catalog(#[from] CatalogError),
}

/// A broker that listens, and answers when it is run.
pub struct Broker {
    shared: Arc<Shared>,
    server: Server,
    directory: DataDirectory,
    listener: TcpListener,
    address: SocketAddr,
}

impl Broker {
    /// Opens the data directory, recovers what is in it, and listens. Connections wait until [`Broker::run`].
    pub async fn bind(settings: Settings) -> Result<Self, BrokerError> {
        refuse_open_network(&settings)?;
        raise_open_files();
        let (directory, last) = DataDirectory::open(&settings.data_directory)?;
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BrokerError::PortTaken { listen },
            _ => BrokerError::Listen { listen, source },
        })?;
        let address = listener.local_addr().map_err(|source| BrokerError::Listen { listen, source })?;
        let node = node(&settings, address, directory.cluster_id());
        let shared = Arc::new(open(settings, node, last)?);
        let server = Server::new(Arc::clone(&shared))?;
        Ok(Self { shared, server, directory, listener, address })
    }

    /// The address that is listened on, with the port that was free if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The broker's figures, for metrics.
    pub fn stats(&self) -> StatsHandle {
        StatsHandle(Arc::clone(&self.shared))
    }

    /// Answers requests until `shutdown` completes, then ends in order: no new connections, the requests in hand, the
    /// groups, the logs.
    ///
    /// # Panics
    /// If one of its own tasks has panicked: a bug.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), BrokerError> {
        let Self { shared, server, directory, listener, address } = self;
        let (stop, stopped) = watch::channel(false);
        info!(%address, data = ?shared.settings.data_directory, "broker ready");
        let mut server = tokio::spawn(Arc::new(server).run(listener, stopped));
        tokio::select! {
            () = shutdown => {}
            ended = &mut server => ended.expect("the accept loop ends when it is told to"),
            // These have no end of their own.
            () = shared.coordinator.run(std::future::pending()) => {}
            () = keep_house(Arc::clone(&shared.catalog), shared.settings.housekeeping) => {}
        }
        stop.send_replace(true);
        // Members that wait for others, and consumers that wait for records, would keep their requests in hand.
        shared.coordinator.release();
        shared.catalog.release();
        if !server.is_finished() {
            server.await.expect("the accept loop does not panic");
        }
        shared.coordinator.close().map_err(BrokerError::Coordinator)?;
        let catalog = Arc::clone(&shared.catalog);
        let closed = tokio::task::spawn_blocking(move || catalog.close());
        // What could not be closed is recovered at the next start, as after a crash.
        if closed.await.expect("closing the logs does not panic") {
            directory.close()?;
        }
        info!("broker stopped");
        Ok(())
    }
}

/// Topics, groups and transactions as they were left.
fn open(settings: Settings, node: Node, last: LastShutdown) -> Result<Shared, BrokerError> {
    let catalog = Arc::new(Catalog::open(&settings, last)?);
    let partitions: Arc<dyn Partitions> = catalog.clone();
    let journal = settings.data_directory.join("coordinator");
    let now_ms = runtime::now_micros() / 1_000;
    let coordinator =
        Coordinator::open(&settings, &journal, partitions, now_ms).map_err(BrokerError::Coordinator)?;
    Ok(Shared { settings, node, catalog, coordinator, stats: Arc::new(Stats::new()) })
}

/// Whoever can reach a port can read, write and delete everything behind it.
fn refuse_open_network(settings: &Settings) -> Result<(), BrokerError> {
    let security = &settings.security;
    let certificates = security.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
    let authenticated = certificates || !security.mechanisms.is_empty();
    let listen = settings.listen;
    if listen.ip().is_loopback() || authenticated || security.open_to_the_network {
        Ok(())
    } else {
        Err(BrokerError::Open { listen })
    }
}

/// What clients are told of this node. They cannot connect to "any address", so they get the machine's name instead.
fn node(settings: &Settings, address: SocketAddr, cluster_id: &str) -> Node {
    let (host, port) = match &settings.advertise {
        Some((host, port)) => (host.clone(), *port),
        None if address.ip().is_unspecified() => {
            (rustix::system::uname().nodename().to_string_lossy().into_owned(), address.port())
        }
        None => (address.ip().to_string(), address.port()),
    };
    Node {
        id: settings.node_id,
        host: StrBytes::from_string(host),
        port: i32::from(port),
        cluster_id: StrBytes::from_string(cluster_id.to_owned()),
    }
}

/// Connections and segments each take a descriptor; the usual soft limit of 1,024 is for programs that use `select`.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, current = ?limit.current, "cannot raise the limit of open files");
    }
}
