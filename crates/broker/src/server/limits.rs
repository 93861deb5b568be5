//! The bounds of the listener that are not settings. Each says what it keeps one client from doing to the others.

use std::time::Duration;

/// A frame of any request but Produce: far more than the largest group or list of topics takes.
pub(super) const CONTROL_REQUEST_BYTES: usize = 8 << 20;
/// A frame before the client has authenticated: a list of versions, a token.
pub(super) const UNAUTHENTICATED_REQUEST_BYTES: usize = 64 << 10;
/// A frame up to this size is not counted against the bytes in flight: the bound on connections bounds these already,
/// and heartbeats must not wait for other clients' records.
pub(super) const UNCOUNTED_REQUEST_BYTES: usize = 16 << 10;
/// What is read ahead of the frame at hand: small requests then take one system call.
pub(super) const READ_AHEAD_BYTES: usize = 8 << 10;
/// Responses that wait for those after them; more is written at once.
pub(super) const OUTBOX_BYTES: usize = 64 << 10;
/// The elements of all arrays of one request together; decoded, each takes up to some hundred bytes.
pub(super) const REQUEST_ELEMENTS: usize = 250_000;
/// How long a client may take to authenticate, and to shake hands for TLS.
pub(super) const AUTHENTICATION: Duration = Duration::from_secs(30);
/// A failed authentication is answered only after this, as in Kafka: it slows guessing, and stalls nobody else.
pub(super) const FAILED_AUTHENTICATION_DELAY: Duration = Duration::from_millis(100);
/// How long the bytes of a frame, or of a response, may take on their way, plus what [`SLOWEST_BYTES_PER_SECOND`] allows.
pub(super) const TRANSFER: Duration = Duration::from_secs(30);
/// A client that is slower than this for longer than [`TRANSFER`] is cut off.
pub(super) const SLOWEST_BYTES_PER_SECOND: u64 = 256 << 10;
/// How long requests in hand may take to finish when the broker stops.
pub(super) const STOP: Duration = Duration::from_secs(3);
/// The pause after an accept that failed for want of descriptors or memory.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long `bytes` may take from or to a client.
pub(super) fn transfer_bound(bytes: usize) -> Duration {
    TRANSFER + Duration::from_secs(bytes as u64 / SLOWEST_BYTES_PER_SECOND)
}
