//! One connection: frames in, in their order, and frames out.
//!
//! Invariants: a request is answered before the next is looked at, so responses leave in the order of the requests; a
//! request that waits for others is dropped when its client is gone or the broker stops; every other request that has
//! been begun is finished.

use std::sync::Arc;

use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_openssl::SslStream;

use super::authentication::AuthenticationError;
use super::dispatch::{self, DispatchError};
use super::frame::{Frame, FrameError, Frames, Outbox, Pieces};
use super::header::Header;
use super::limits::{CONTROL_REQUEST_BYTES, OUTBOX_BYTES};
use super::shape::Malformed;
use super::{Context, Server, stopping};

/// Why a connection ends, if it does not end as its client wants.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// The bytes do not come, or do not go.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The header is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The client was not let in.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// The handshake of TLS failed.
    #[error("TLS: {0}")]
    Tls(#[from] openssl::ssl::Error),
    /// The handshake of TLS took too long.
    #[error("the handshake of TLS took too long")]
    SlowTls,
    /// The request is none, or has no response.
    #[error("request {key} in version {version}: {source}")]
    Request {
        /// The number of the API.
        key: i16,
        /// Its version.
        version: i16,
        /// What is wrong with it.
        source: DispatchError,
    },
}

impl ConnectionError {
    /// Whether somebody should hear of it: not of clients that leave or idle.
    pub(super) fn is_notable(&self) -> bool {
        !matches!(self, Self::Frame(FrameError::Io(_) | FrameError::Idle | FrameError::Cut))
    }
}

/// A socket, in plain text or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// The connection underneath.
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for SslStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

/// A connection, from its first frame on.
pub(super) struct Connection<S> {
    pub(super) socket: S,
    pub(super) frames: Frames,
    pub(super) outbox: Outbox,
    pub(super) context: Context,
    pub(super) server: Arc<Server>,
    pub(super) stop: watch::Receiver<bool>,
}

impl<S: Socket> Connection<S> {
    /// Answers requests until the client ends or the broker stops.
    pub(super) async fn serve(mut self) -> Result<(), ConnectionError> {
        if !self.authenticate().await? {
            return Ok(());
        }
        let ended = self.requests().await;
        // What was answered is told, unless the telling failed.
        if !matches!(ended, Err(ConnectionError::Frame(_))) {
            self.outbox.write(&mut self.socket).await?;
        }
        ended
    }

    async fn requests(&mut self) -> Result<(), ConnectionError> {
        while let Some(frame) = self.next().await? {
            if !self.answer(frame).await? {
                break;
            }
            // The answers to requests that came together leave together.
            if !self.frames.has_next() || self.outbox.bytes() > OUTBOX_BYTES {
                self.outbox.write(&mut self.socket).await?;
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Frame>, ConnectionError> {
        let largest = self.server.shared.settings.limits.request_bytes;
        let limit =
            |key| if key == ApiKey::Produce as i16 { largest } else { largest.min(CONTROL_REQUEST_BYTES) };
        tokio::select! {
            biased;
            () = stopping(&mut self.stop) => Ok(None),
            frame = self.frames.next(&mut self.socket, limit) => Ok(frame?),
        }
    }

    /// Answers one request; `false` if nobody waits for the answer any more.
    async fn answer(&mut self, frame: Frame) -> Result<bool, ConnectionError> {
        let Frame { mut bytes, mut admitted } = frame;
        self.server.stats.received(bytes.len());
        let header = Header::take(&mut bytes)?;
        self.server.stats.asked(header.key);
        self.context.api_version = header.version;
        if self.context.client_id.as_bytes() != header.client_id {
            self.context.client_id = String::from_utf8_lossy(&header.client_id).into_owned();
        }
        let answer = dispatch::answer(&self.server.shared, &self.context, &header, bytes);
        let answer = if dispatch::waits(header.asked) {
            self.outbox.write(&mut self.socket).await?;
            // What waits is small and must not keep others' records out.
            admitted = None;
            wait(&self.socket, &mut self.stop, answer).await
        } else {
            Some(answer.await)
        };
        drop(admitted);
        let Some(answer) = answer else { return Ok(false) };
        let (key, version) = (header.key, header.version);
        let pieces = answer.map_err(|source| ConnectionError::Request { key, version, source })?;
        if let Some(pieces) = pieces {
            self.put(pieces);
        }
        Ok(true)
    }

    fn put(&mut self, pieces: Pieces) {
        self.server.stats.sent(pieces.bytes());
        self.outbox.push(pieces);
    }

    /// Sends a response at once.
    pub(super) async fn write(&mut self, pieces: Pieces) -> Result<(), FrameError> {
        self.put(pieces);
        self.outbox.write(&mut self.socket).await
    }
}

/// Waits for an answer as long as somebody waits for it.
async fn wait<S: Socket, F: Future>(
    socket: &S,
    stop: &mut watch::Receiver<bool>,
    answer: F,
) -> Option<F::Output> {
    tokio::select! {
        // An answer that is there is given, even if the client has closed its side.
        biased;
        answer = answer => Some(answer),
        () = gone(socket.tcp()) => None,
        () = stopping(stop) => None,
    }
}

/// Waits until the client sends nothing any more, without reading what it has sent.
async fn gone(tcp: &TcpStream) {
    // Interest in urgent data alone: readiness for it comes with the end of the stream, not with plain data.
    // Whoever sends such is gone too, as the protocol has none; and so is one whose socket fails.
    let _gone = tcp.ready(Interest::PRIORITY).await;
}
