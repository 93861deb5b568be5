//! What is served over HTTP: the endpoint of a running process, and the live page.
//!
//! The endpoint has metrics for Prometheus and health for supervisors; the page ([`serve_page`]) has the same addresses
//! beside its own.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 as long as the process is alive |
//! | `/readyz` | 200 if every component is ready, else 503; the JSON body gives each component's reason |
//! | `/metrics` | all metrics as `OpenMetrics` text |
//! | `/version` | the program's name and version as JSON |
//!
//! Invariants: the endpoint only reads, computes nothing that a worker should compute, and binds to 127.0.0.1
//! unless a host is named. It serves until [`MetricsServer::stop`], so a draining process can still be watched.

mod endpoint;
mod listener;
mod page;
mod server;

pub use endpoint::Endpoint;
pub use page::{Page, PageError, PageOptions, serve_page};
pub use server::{MetricsServer, ServeError, serve_metrics};
