//! One handler a request of the protocol; each takes the decoded request and returns the response.
//!
//! Invariants: a handler never fails, it answers with the protocol's error code; it holds no lock across an await.
