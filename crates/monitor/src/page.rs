//! The live page: what a browser sees of the pipeline, and the JSON that it is made of.
//!
//! ```text
//! sensor-data, alerts, *.dlq ─► collector ─► State ─► api  ─► /api/v1/…          (pulled)
//! the brokers' own figures   ─► poller    ─►       └► live ─► /api/v1/stream     (pushed, the newest state only)
//! ```
//!
//! Kafka is the only source. The collector follows topics, the poller asks the brokers every other second; both keep their
//! last values while Kafka is away, with the reason beside them. A browser that is slow gets the newest state when it is
//! ready for it: nothing is queued for it.
//!
//! The page only reads. It is served on loopback alone, to requests that name a loopback host, with a policy that lets
//! no script run but its own; whatever comes out of a topic is put on the page as text.

mod api;
mod assets;
mod cluster;
mod collector;
mod fleet;
mod history;
mod letters;
mod messages;
mod overview;
mod server;
mod state;

pub use server::{Page, PageError, PageOptions, serve_page};
