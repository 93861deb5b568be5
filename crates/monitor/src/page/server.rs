//! The page's threads: one that serves, one that follows topics, one that asks the brokers.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kafka::KafkaSettings;
use runtime::Shutdown;
use tokio::sync::oneshot;

use super::api::Api;
use super::state::State;
use super::{assets, cluster, collector};
use crate::endpoint::Endpoint;
use crate::listener::BoundedListener;
use crate::server::with_host;

/// Connections open at once: browsers keep one for the stream and a few for the rest.
const MAX_CONNECTIONS: usize = 1_024;
/// How long requests under way at the end may still take.
const GRACE: Duration = Duration::from_millis(500);
/// No script, style or picture but our own, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page is told.
#[derive(Debug, Clone)]
pub struct PageOptions {
    /// Where it listens: `HOST:PORT`, or `PORT` on 127.0.0.1; port 0 takes a free one.
    pub listen: String,
    /// The topic of readings.
    pub readings: String,
    /// The topic of alarms.
    pub alerts: String,
}

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The address is taken, not ours, or unreadable.
    #[error(
        "cannot serve the page on {address}: {source}; choose another address with --page (monitor.listen)"
    )]
    Listen {
        /// The address that was asked for, with its host.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The address is not this machine's alone.
    #[error(
        "the page has no login and is served on this machine alone, not on {address}; use 127.0.0.1, and from elsewhere a tunnel: ssh -L 8080:127.0.0.1:8080 HOST"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: String,
    },
    /// A thread or its runtime could not be started.
    #[error("cannot start the threads of the page: {source}")]
    Thread {
        /// The system's reason.
        source: io::Error,
    },
}

impl PageError {
    /// Whether somebody else has the address.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

/// A page that is served.
#[derive(Debug)]
pub struct Page {
    address: SocketAddr,
    shutdown: Shutdown,
    stop: oneshot::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Page {
    /// The address in a browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Ends it.
    pub fn stop(self) {
        self.shutdown.request(runtime::StopReason::Requested);
        // A closed channel means that the thread has ended already, which is all that is asked for.
        let _ = self.stop.send(());
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the page panicked");
            }
        }
    }
}

/// Serves the page of this Kafka, with the endpoint's addresses beside it. When this returns the port is open.
pub fn serve_page(
    options: PageOptions,
    settings: &KafkaSettings,
    endpoint: Endpoint,
) -> Result<Page, PageError> {
    let (listener, address) = listen(&options.listen)?;
    let shutdown = Shutdown::new();
    let state = Arc::new(State::new(settings.clone(), shutdown.clone(), options.readings, options.alerts));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| PageError::Thread { source })?;
    let (stop, stopped) = oneshot::channel();
    let router = router(&state, endpoint);
    let mut threads = Vec::new();
    let mut start = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        threads.push(thread.map_err(|source| PageError::Thread { source })?);
        Ok::<(), PageError>(())
    };
    let (followed, asked) = (Arc::clone(&state), state);
    start("page-topics", Box::new(move || collector::collect(&followed)))?;
    start("page-brokers", Box::new(move || cluster::poll(&asked)))?;
    start(
        "page-http",
        Box::new(move || {
            if let Err(error) = runtime.block_on(serve(listener, router, stopped)) {
                tracing::error!(%error, "the page failed");
            }
        }),
    )?;
    tracing::info!(%address, "the page is served");
    Ok(Page { address, shutdown, stop, threads })
}

fn listen(wanted: &str) -> Result<(TcpListener, SocketAddr), PageError> {
    let wanted = with_host(wanted);
    let fail = |source| PageError::Listen { address: wanted.clone(), source };
    let addresses: Vec<SocketAddr> = wanted.to_socket_addrs().map_err(fail)?.collect();
    if addresses.iter().any(|address| !address.ip().is_loopback()) {
        return Err(PageError::NotLoopback { address: wanted });
    }
    let listener = TcpListener::bind(&*addresses).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    Ok((listener, address))
}

fn router(state: &Arc<State>, endpoint: Endpoint) -> Router {
    let pages = ["/", "/sensors", "/alarms", "/topics", "/groups", "/dead-letters"];
    let of_one = ["/sensors/{*id}", "/alarms/{id}", "/topics/{name}"];
    let documents = pages
        .iter()
        .chain(&of_one)
        .fold(Router::new(), |router, path| router.route(path, get(assets::index)));
    documents
        .route("/assets/{name}", get(assets::asset))
        .nest("/api/v1", Api::new(Arc::clone(state)).router())
        .merge(endpoint.router())
        .layer(middleware::from_fn(guard))
}

/// Refuses requests that name another host, which a page from elsewhere would make after its name was bent to this
/// machine (DNS rebinding), and sends the headers that keep a browser safe.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_this_machine(host) {
        let text = "this page is for the machine that it runs on: use http://127.0.0.1\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a Host header names this machine to itself.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let listener = BoundedListener::new(tokio::net::TcpListener::from_std(listener)?, MAX_CONNECTIONS);
    let (drain, draining) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        // Either way it is the end: the sender spoke or is gone.
        let _ = draining.await;
    });
    let server = tokio::spawn(server.into_future());
    // Dropped without stop(): the end as well.
    let _ = stopped.await;
    drop(drain);
    match tokio::time::timeout(GRACE, server).await {
        Ok(ended) => ended.map_err(io::Error::other)?,
        // Streams never end by themselves; they are cut off with the runtime.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_this_machine() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:8080"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com:80",
            "127.0.0.1.example.com",
            "10.0.0.1:80",
            "[::2]",
            "[::1",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn another_address_than_loopback_is_refused() {
        let error = listen("0.0.0.0:0").expect_err("everybody's address").to_string();
        assert!(error.contains("no login") && error.contains("ssh -L"), "{error}");
    }
}
