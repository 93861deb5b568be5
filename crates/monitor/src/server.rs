//! The endpoint's thread: a small asynchronous runtime of its own, so that nothing else has to be asynchronous.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::oneshot;

use crate::endpoint::Endpoint;
use crate::listener::BoundedListener;

/// Connections open at once; scrapers and probes need a handful.
const MAX_CONNECTIONS: usize = 64;
/// How long requests that are under way at the end may still take.
const GRACE: Duration = Duration::from_secs(1);
/// The host where only a port is given.
const DEFAULT_HOST: &str = "127.0.0.1";

/// Why the endpoint could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is taken, not ours, or unreadable.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for, with its host.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The thread or its runtime could not be started.
    #[error("cannot start the thread of the metrics endpoint")]
    Thread {
        /// The system's reason.
        source: io::Error,
    },
}

/// A running endpoint. Dropping it leaves it running until the process ends.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Starts the endpoint on `listen`: `HOST:PORT`, or `PORT` or `:PORT` on 127.0.0.1. Port 0 takes a free one.
///
/// When this returns the port is open, so a scrape that follows is answered.
pub fn serve_metrics(listen: &str, endpoint: Endpoint) -> Result<MetricsServer, ServeError> {
    let wanted = with_host(listen);
    let listening = || -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind(&wanted)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) =
        listening().map_err(|source| ServeError::Listen { address: wanted.clone(), source })?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| ServeError::Thread { source })?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("metrics-http".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(serve(listener, endpoint, stopped)) {
                tracing::error!(%error, "metrics endpoint failed");
            }
        })
        .map_err(|source| ServeError::Thread { source })?;
    tracing::info!(%address, "metrics endpoint listening");
    Ok(MetricsServer { address, stop, thread })
}

impl MetricsServer {
    /// The address that is listened on, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the endpoint: closes the port, lets requests under way finish for up to a second.
    pub fn stop(self) {
        // A closed channel means that the thread has ended already, which is all that is asked for.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("metrics endpoint panicked");
        }
    }
}

async fn serve(listener: TcpListener, endpoint: Endpoint, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let listener = BoundedListener::new(tokio::net::TcpListener::from_std(listener)?, MAX_CONNECTIONS);
    let (drain, draining) = oneshot::channel::<()>();
    let server = axum::serve(listener, endpoint.router()).with_graceful_shutdown(async {
        // Either way it is the end: the sender spoke or is gone.
        let _ = draining.await;
    });
    let server = tokio::spawn(server.into_future());
    if stopped.await.is_err() {
        // The handle was dropped without stop(): serve on until the process ends.
        return server.await.map_err(io::Error::other)?;
    }
    drop(drain);
    match tokio::time::timeout(GRACE, server).await {
        Ok(ended) => ended.map_err(io::Error::other)?,
        // A request that outlives the grace is cut off with the runtime.
        Err(_) => Ok(()),
    }
}

/// Puts the default host before a bare port.
pub(crate) fn with_host(listen: &str) -> String {
    match listen.strip_prefix(':').unwrap_or(listen) {
        port if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{DEFAULT_HOST}:{port}")
        }
        _ => listen.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use ::runtime::{Metrics, Shutdown, Status, StopReason};

    use super::*;

    fn start() -> (MetricsServer, Endpoint) {
        let endpoint = Endpoint {
            metrics: Metrics::new(),
            status: Status::new(),
            shutdown: Shutdown::new(),
            version: "1.2.3",
        };
        (serve_metrics("0", endpoint.clone()).expect("a free port"), endpoint)
    }

    fn fetch(server: &MetricsServer, path: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).expect("connect");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("receive");
        answer
    }

    #[test]
    fn every_path_answers() {
        let (server, endpoint) = start();
        endpoint.metrics.counter("seen_total", "Seen").inc_by(5);
        for (path, status, parts) in [
            ("/healthz", "200 OK", vec!["ok"]),
            ("/version", "200 OK", vec!["application/json", r#"{"name":"streamgauge","version":"1.2.3"}"#]),
            (
                "/metrics",
                "200 OK",
                vec!["application/openmetrics-text; version=1.0.0", "seen_total 5\n", "# EOF"],
            ),
            (
                "/readyz",
                "503 Service Unavailable",
                vec![r#"{"process":{"ready":false,"reason":"starting"}}"#],
            ),
            ("/nothing", "404 Not Found", vec!["/healthz /readyz /metrics /version"]),
        ] {
            let answer = fetch(&server, path);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {answer}");
            for part in parts {
                assert!(answer.contains(part), "{path}: {part:?} is not in {answer}");
            }
        }
        server.stop();
    }

    #[test]
    fn readiness_gives_reasons() {
        let (server, endpoint) = start();
        endpoint.status.set_unready("kafka", "no broker answers");
        let answer = fetch(&server, "/readyz");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains(r#"{"kafka":{"ready":false,"reason":"no broker answers"}}"#), "{answer}");
        endpoint.status.set_ready("kafka");
        endpoint.shutdown.request(StopReason::Requested);
        let answer = fetch(&server, "/readyz");
        assert!(answer.contains(r#""kafka":{"ready":true}"#) && answer.contains("shutting down"), "{answer}");
        server.stop();
    }

    #[test]
    fn stop_closes_the_port_even_with_an_idle_connection() {
        let (server, _endpoint) = start();
        let address = server.address();
        let _idle = TcpStream::connect(address).expect("connect");
        server.stop();
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_taken_port_is_one_clear_error() {
        let (server, endpoint) = start();
        let taken = server.address().port().to_string();
        let error = serve_metrics(&format!(":{taken}"), endpoint).expect_err("the port is taken");
        assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{taken}"));
        server.stop();
    }

    #[test]
    fn a_bare_port_is_local() {
        for (listen, expected) in
            [("9464", "127.0.0.1:9464"), (":9464", "127.0.0.1:9464"), ("0.0.0.0:1", "0.0.0.0:1"), ("x", "x")]
        {
            assert_eq!(with_host(listen), expected);
        }
    }
}
