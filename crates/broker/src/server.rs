//! The listener and its connections.
//!
//! Invariants: connections share nothing but what handlers reach and the bounds in [`limits`]; none can stall the accept
//! loop or another connection; a panic in a handler ends its connection, is logged, and ends nothing else.

mod authentication;
mod connection;
mod dispatch;
mod frame;
mod header;
mod limits;
mod probe;
mod refusal;
mod reply;
mod sasl;
mod shape;
mod tls;
mod versions;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use openssl::ssl::SslAcceptor;
use rustix::net::sockopt::set_socket_keepalive;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};

use crate::Shared;
use crate::broker::Stats;
use connection::{Connection, ConnectionError};
use frame::{FrameError, Frames, InFlight, Outbox};

use sasl::Credentials;

#[doc(hidden)]
pub use probe::is_request;
pub use sasl::UsersError;
pub use tls::TlsError;

/// Who asks, and in which version of the request.
pub(crate) struct Context {
    pub(crate) api_version: i16,
    pub(crate) client_id: String,
    pub(crate) client_host: IpAddr,
    /// Whom the client authenticated as, if it had to.
    pub(crate) principal: Option<String>,
}

/// What all connections share.
pub(crate) struct Server {
    shared: Arc<Shared>,
    stats: Arc<Stats>,
    in_flight: InFlight,
    credentials: Credentials,
    tls: Option<SslAcceptor>,
}

/// Why the settings of security cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The users cannot.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The certificates cannot.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Reads the certificates and derives the users' keys.
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Self, SecurityError> {
        let in_flight = InFlight::new(shared.settings.limits.requests_in_flight_bytes);
        let credentials = Credentials::new(&shared.settings.security)?;
        let tls = shared.settings.security.tls.as_ref().map(tls::acceptor).transpose()?;
        Ok(Self { stats: Arc::clone(&shared.stats), in_flight, credentials, tls, shared })
    }

    /// Serves connections until told to stop; then lets the requests in hand finish, within [`limits::STOP`].
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let told = stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stopping(&mut stop) => break,
                // A panic has been logged by its connection.
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((tcp, peer)) => self.admit(tcp, peer, &mut connections, &told),
                    Err(error) => {
                        warn!(%error, "cannot accept a connection");
                        sleep(limits::ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(limits::STOP, finished).await.is_err() {
            warn!(connections = connections.len(), "connections cut that did not finish in time");
            connections.shutdown().await;
        }
    }

    fn admit(
        self: &Arc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        connections: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) {
        let limit = self.shared.settings.limits.connections;
        if connections.len() >= limit {
            self.stats.refused();
            warn!(%peer, limit, "connection refused: too many");
            return;
        }
        connections.spawn(Arc::clone(self).connected(tcp, peer, stop.clone()));
    }

    async fn connected(self: Arc<Self>, tcp: TcpStream, peer: SocketAddr, stop: watch::Receiver<bool>) {
        let _open = Open::new(Arc::clone(&self.stats), peer);
        match self.serve(tcp, peer, stop).await {
            Ok(()) => debug!(%peer, "connection ended"),
            Err(reason) if reason.is_notable() => {
                self.stats.failed();
                warn!(%peer, %reason, "connection closed");
            }
            Err(reason) => debug!(%peer, %reason, "connection ended"),
        }
    }

    async fn serve(
        self: &Arc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
    ) -> Result<(), ConnectionError> {
        // Without it a response waits for the acknowledgement of the one before.
        tcp.set_nodelay(true).map_err(FrameError::Io)?;
        // A client whose machine is gone says nothing; without it a member's connection would stay until it idles out.
        set_socket_keepalive(&tcp, true).map_err(|error| FrameError::Io(error.into()))?;
        let Some(acceptor) = &self.tls else { return self.connection(tcp, peer, None, stop).serve().await };
        let socket = timeout(limits::AUTHENTICATION, tls::accept(acceptor, tcp));
        let socket = socket.await.map_err(|_| ConnectionError::SlowTls)??;
        let name = tls::client_name(&socket);
        self.connection(socket, peer, name, stop).serve().await
    }

    fn connection<S>(
        self: &Arc<Self>,
        socket: S,
        peer: SocketAddr,
        principal: Option<String>,
        stop: watch::Receiver<bool>,
    ) -> Connection<S> {
        let context = Context { api_version: 0, client_id: String::new(), client_host: peer.ip(), principal };
        let frames = Frames::new(self.in_flight.clone(), self.shared.settings.limits.idle_connection);
        Connection { socket, frames, outbox: Outbox::default(), context, server: Arc::clone(self), stop }
    }
}

/// Waits until the broker stops; that nobody can say so any more means it too.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _stopped = stop.wait_for(|stop| *stop).await;
}

/// Counts a connection for as long as it is open, and says so if it ends by a panic.
struct Open {
    stats: Arc<Stats>,
    peer: SocketAddr,
}

impl Open {
    fn new(stats: Arc<Stats>, peer: SocketAddr) -> Self {
        stats.opened();
        Self { stats, peer }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stats.closed();
        if std::thread::panicking() {
            self.stats.failed();
            error!(peer = %self.peer, "a request's handler panicked; its connection is closed");
        }
    }
}
