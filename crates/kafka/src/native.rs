//! The only place that touches librdkafka's C interface, and so the only place with `unsafe`.
//!
//! Why not rdkafka's own consumer and producer types: the batch call, which halves the cost of consuming, does
//! not work on a queue that rdkafka has taken for events, and its producer looks the topic up by name for every
//! record. Everything else (administration) goes through rdkafka's safe types.
//!
//! Invariants:
//! - A [`client::Client`] outlives every queue, topic and message made from it: each holds an `Arc` of it.
//! - Callbacks run only inside calls into librdkafka from the owning thread (poll, consume, close), except the
//!   log callback, which touches nothing but `tracing`.
//! - No Rust panic crosses the C boundary: callbacks do not panic, and user code never runs inside one but the
//!   delivery hook, which is guarded.
#![expect(unsafe_code, reason = "librdkafka is a C library; every call is confined to this module")]

pub(crate) mod client;
pub(crate) mod conf;
pub(crate) mod consumer;
pub(crate) mod list;
pub(crate) mod message;
pub(crate) mod metadata;
pub(crate) mod producer;
pub(crate) mod transactions;
