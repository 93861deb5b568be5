//! What the endpoint answers: pure functions of the process's shared state.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;
use runtime::{Metrics, Shutdown, Status, metrics};
use serde_json::{Map, Value, json};

/// The state that the endpoint shows.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Shown by `/metrics`.
    pub metrics: Metrics,
    /// Shown by `/readyz`.
    pub status: Status,
    /// A process that was asked to end is not ready.
    pub shutdown: Shutdown,
    /// Shown by `/version`.
    pub version: &'static str,
}

type Answer = (StatusCode, [(HeaderName, &'static str); 1], String);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Endpoint {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { answer(StatusCode::OK, TEXT, "ok\n".to_owned()) }))
            .route("/readyz", get(readiness))
            .route("/metrics", get(metrics_text))
            .route("/version", get(version))
            .fallback(|| async { answer(StatusCode::NOT_FOUND, TEXT, NOT_FOUND.to_owned()) })
            .with_state(Arc::new(self))
    }
}

const NOT_FOUND: &str = "not found; there are /healthz /readyz /metrics /version\n";

async fn readiness(State(endpoint): State<Arc<Endpoint>>) -> Answer {
    let report = endpoint.status.report();
    let stopping = endpoint.shutdown.is_requested();
    let mut components = Map::new();
    if report.components.is_empty() {
        components.insert("process".to_owned(), json!({"ready": false, "reason": "starting"}));
    }
    for (component, reason) in report.components {
        let reason =
            reason.map_or(json!({"ready": true}), |reason| json!({"ready": false, "reason": reason}));
        components.insert(component, reason);
    }
    if stopping {
        components.insert("process".to_owned(), json!({"ready": false, "reason": "shutting down"}));
    }
    let ready = report.ready && !stopping;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_answer(status, &json!({"ready": ready, "components": components}))
}

async fn metrics_text(State(endpoint): State<Arc<Endpoint>>) -> Answer {
    answer(StatusCode::OK, metrics::CONTENT_TYPE, endpoint.metrics.encode())
}

async fn version(State(endpoint): State<Arc<Endpoint>>) -> Answer {
    json_answer(StatusCode::OK, &json!({"name": "streamgauge", "version": endpoint.version}))
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    answer(status, JSON, format!("{body}\n"))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    (status, [(header::CONTENT_TYPE, content_type)], body)
}
