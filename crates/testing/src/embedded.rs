//! The embedded broker for tests: in the test's process, or as a process that can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::{Broker, Limits, Security, Settings};
use tempfile::TempDir;

/// What a test's broker is told: what the program's defaults say, with all that is kept in this directory.
fn settings(data_directory: PathBuf) -> Settings {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    Settings {
        data_directory,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        advertise: None,
        node_id: 1,
        // As the Kafka clusters of the tests have it.
        create_topics: false,
        default_partitions: 1,
        topic_defaults: Vec::new(),
        initial_rebalance_delay: Duration::from_millis(50),
        session_timeouts: (Duration::from_millis(500), hours(1)),
        offsets_retention: hours(168),
        longest_transaction: Duration::from_secs(900),
        producer_retention: hours(24),
        housekeeping: Duration::from_secs(1),
        security: Security::default(),
        limits: Limits {
            connections: 2_000,
            request_bytes: 100 << 20,
            requests_in_flight_bytes: 256 << 20,
            partitions: 20_000,
            idle_connection: Duration::from_secs(600),
        },
    }
}

/// Starts a broker that runs until the process ends, and whose data goes with it.
pub(crate) fn start_in_process() -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads for a broker");
    let directory = directory_of_process();
    let broker = runtime.block_on(Broker::bind(settings(directory))).expect("a broker for tests");
    let address = broker.address();
    std::thread::spawn(move || {
        runtime.block_on(broker.run(std::future::pending())).expect("the tests' broker goes on");
    });
    address
}

/// A directory below the build's for this process. Those of processes that have ended are removed.
fn directory_of_process() -> PathBuf {
    let all = crate::project().join("target/tmp/brokers");
    std::fs::create_dir_all(&all).expect("a directory for brokers");
    for entry in std::fs::read_dir(&all).expect("a directory that was just made").flatten() {
        if !PathBuf::from("/proc").join(entry.file_name()).exists() {
            // Another test process may be removing it too.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
    all.join(std::process::id().to_string())
}

/// `streamgauge broker` as a process with a directory of its own.
pub(crate) struct BrokerProcess {
    port: u16,
    directory: TempDir,
    child: Mutex<Child>,
}

impl BrokerProcess {
    pub(crate) fn start(port: u16) -> Self {
        let directory = tempfile::tempdir().expect("a directory for a broker");
        let child = Mutex::new(spawn(port, &directory));
        Self { port, directory, child }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// kill -9.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        child.kill().expect("a running broker can be killed");
        child.wait().expect("a killed broker ends");
    }

    pub(crate) fn revive(&self) {
        *self.child() = spawn(self.port, &self.directory);
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child().id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().expect("kill can be run");
        assert!(status.success(), "the broker takes the signal {name}");
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        let mut child = self.child();
        // It may have been killed by the test already.
        drop(child.kill());
        drop(child.wait());
    }
}

/// Starts the program and waits until it says that it listens.
fn spawn(port: u16, directory: &TempDir) -> Child {
    let program = std::env::current_exe().expect("a test knows its own program");
    let program = program.ancestors().nth(2).expect("tests lie in deps").join("streamgauge");
    let mut child = Command::new(&program)
        .args(["broker", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
        .arg(directory.path().join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
    let mut line = String::new();
    let output = child.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut line).expect("the program's output can be read");
    assert!(line.contains("listens on"), "the broker says that it listens, not {line:?}");
    child
}
