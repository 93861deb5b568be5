//! Frames: a length of four bytes, then as many bytes; in both directions.
//!
//! Invariants: nothing is allocated for a length before it was checked against its bound and, if it is large, admitted
//! against the bytes in flight; a frame's allocation holds that frame alone, so a handler that keeps a slice of it keeps
//! nothing else alive; a transfer that has begun ends within a bound.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::{
    CONTROL_REQUEST_BYTES, READ_AHEAD_BYTES, TRANSFER, UNCOUNTED_REQUEST_BYTES, transfer_bound,
};

const LENGTH_BYTES: usize = 4;
/// By its first two bytes the largest allowed size of a frame is known.
const KEY_BYTES: usize = 2;

/// Why no further frame comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The connection failed.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// Nothing came for as long as a connection may idle.
    #[error("nothing was asked for too long")]
    Idle,
    /// The client ended in the midst of a frame.
    #[error("the client ended within a request")]
    Cut,
    /// The client sends, or reads, slower than it may.
    #[error("{bytes} bytes took too long")]
    Slow {
        /// The size of the frame.
        bytes: usize,
    },
    /// The length is none, or more than allowed.
    #[error("a request of {bytes} bytes; the limit is {limit}{}", hint(*.bytes))]
    Length {
        /// What the frame says, negative too.
        bytes: i32,
        /// What it may be.
        limit: usize,
    },
}

/// What a length that is no length probably is.
fn hint(bytes: i32) -> &'static str {
    match bytes.to_be_bytes() {
        [0x16, 3, ..] => " (TLS on a listener without?)",
        [b'A'..=b'Z', b'A'..=b'Z', b'A'..=b'Z', _] => " (HTTP?)",
        _ => "",
    }
}

/// A frame, without its length.
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    /// Its share of the bytes in flight, if it is large.
    pub(super) admitted: Option<OwnedSemaphorePermit>,
}

/// The bytes of large requests that are being read or worked on, over all connections.
#[derive(Clone)]
pub(super) struct InFlight {
    bytes: Arc<Semaphore>,
    total: u32,
}

impl InFlight {
    pub(super) fn new(total: usize) -> Self {
        let total = u32::try_from(total.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX).max(1);
        Self { bytes: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until `bytes` fit. A frame larger than all together takes all.
    async fn admit(&self, bytes: usize) -> OwnedSemaphorePermit {
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total);
        Arc::clone(&self.bytes).acquire_many_owned(share).await.expect("the semaphore is never closed")
    }
}

/// Takes frames from a connection.
pub(super) struct Frames {
    /// Bytes that came beyond the last frame.
    ahead: BytesMut,
    in_flight: InFlight,
    idle: Duration,
}

impl Frames {
    pub(super) fn new(in_flight: InFlight, idle: Duration) -> Self {
        Self { ahead: BytesMut::new(), in_flight, idle }
    }

    /// The next frame; nothing when the client has ended. `limit` says the largest size by the frame's first two bytes.
    pub(super) async fn next<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        limit: impl Fn(i16) -> usize,
    ) -> Result<Option<Frame>, FrameError> {
        if self.ahead.is_empty() {
            let read = timeout(self.idle, read_ahead(&mut self.ahead, socket)).await;
            if read.map_err(|_| FrameError::Idle)?? == 0 {
                return Ok(None);
            }
        }
        self.fill(LENGTH_BYTES, socket).await?;
        let length = self.ahead.get_i32();
        if length < KEY_BYTES as i32 {
            return Err(FrameError::Length { bytes: length, limit: CONTROL_REQUEST_BYTES });
        }
        self.fill(KEY_BYTES, socket).await?;
        let limit = limit(i16::from_be_bytes([self.ahead[0], self.ahead[1]]));
        let bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= limit);
        let bytes = bytes.ok_or(FrameError::Length { bytes: length, limit })?;
        let large = bytes > UNCOUNTED_REQUEST_BYTES;
        let admitted = if large { Some(self.in_flight.admit(bytes).await) } else { None };
        let body = timeout(transfer_bound(bytes), self.body(socket, bytes)).await;
        let bytes = body.map_err(|_| FrameError::Slow { bytes })??;
        Ok(Some(Frame { bytes, admitted }))
    }

    /// Whether the next frame is here already, so that it needs no waiting for.
    pub(super) fn has_next(&self) -> bool {
        let length = self.ahead.first_chunk().map(|length| i32::from_be_bytes(*length));
        length.is_some_and(|length| self.ahead.len() as i64 >= LENGTH_BYTES as i64 + i64::from(length))
    }

    /// Reads until some first bytes are here.
    async fn fill<S: AsyncRead + Unpin>(&mut self, bytes: usize, socket: &mut S) -> Result<(), FrameError> {
        while self.ahead.len() < bytes {
            let read = timeout(TRANSFER, read_ahead(&mut self.ahead, socket)).await;
            if read.map_err(|_| FrameError::Slow { bytes })?? == 0 {
                return Err(FrameError::Cut);
            }
        }
        Ok(())
    }

    async fn body<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        length: usize,
    ) -> Result<Bytes, FrameError> {
        let mut body = BytesMut::with_capacity(length);
        let here = length.min(self.ahead.len());
        body.extend_from_slice(&self.ahead[..here]);
        self.ahead.advance(here);
        while body.len() < length {
            let missing = length - body.len();
            // A small rest comes through the bytes ahead, and the next frame's beginning with it.
            if missing < READ_AHEAD_BYTES {
                if read_ahead(&mut self.ahead, socket).await? == 0 {
                    return Err(FrameError::Cut);
                }
                let here = missing.min(self.ahead.len());
                body.extend_from_slice(&self.ahead[..here]);
                self.ahead.advance(here);
            } else if (&mut *socket).take(missing as u64).read_buf(&mut body).await? == 0 {
                return Err(FrameError::Cut);
            }
        }
        Ok(body.freeze())
    }
}

async fn read_ahead<S: AsyncRead + Unpin>(ahead: &mut BytesMut, socket: &mut S) -> std::io::Result<usize> {
    ahead.reserve(READ_AHEAD_BYTES - ahead.len());
    socket.take((READ_AHEAD_BYTES - ahead.len()) as u64).read_buf(ahead).await
}

/// A response in pieces that are written together: what was encoded, and records where they lie.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Pieces {
    /// Appends a piece; an empty one is nothing.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// The sum of all pieces.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        let mut pieces = Self::default();
        pieces.push(bytes);
        pieces
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], Bytes::chunk)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let places = into.iter_mut().zip(&self.pieces);
        places.map(|(place, piece)| *place = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "advanced beyond the end");
        self.bytes -= count;
        while count > 0 {
            let front = self.pieces.front_mut().expect("the sum of the pieces is kept");
            let here = count.min(front.len());
            front.advance(here);
            count -= here;
            if front.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

/// What is to be written: frames, each with its length.
#[derive(Default)]
pub(super) struct Outbox {
    pieces: Pieces,
}

impl Outbox {
    /// Appends a frame.
    pub(super) fn push(&mut self, mut frame: Pieces) {
        let bytes = frame.bytes();
        let length = u32::try_from(bytes).expect("responses are bounded by what a request may ask for");
        // Small responses are one piece, so that one packet carries them over TLS too.
        if bytes <= READ_AHEAD_BYTES {
            let mut whole = BytesMut::with_capacity(LENGTH_BYTES + bytes);
            whole.extend_from_slice(&length.to_be_bytes());
            while frame.has_remaining() {
                let chunk = frame.chunk();
                whole.extend_from_slice(chunk);
                frame.advance(chunk.len());
            }
            self.pieces.push(whole.freeze());
        } else {
            self.pieces.push(Bytes::copy_from_slice(&length.to_be_bytes()));
            frame.pieces.into_iter().for_each(|piece| self.pieces.push(piece));
        }
    }

    /// The bytes that are not written yet.
    pub(super) fn bytes(&self) -> usize {
        self.pieces.bytes()
    }

    /// Writes all; what is written is let go piece by piece.
    pub(super) async fn write<S: AsyncWrite + Unpin>(&mut self, socket: &mut S) -> Result<(), FrameError> {
        let bytes = self.bytes();
        if bytes == 0 {
            return Ok(());
        }
        timeout(transfer_bound(bytes), async {
            socket.write_all_buf(&mut self.pieces).await?;
            socket.flush().await
        })
        .await
        .map_err(|_| FrameError::Slow { bytes })??;
        Ok(())
    }
}
