//! Brokers for tests: real Apache Kafka, through `scripts/kafka`, and the embedded broker. A test never talks to a
//! stand-in.
//!
//! Invariants: a shared Kafka cluster is started once and left running for the next test process (`scripts/test` stops
//! it, or `scripts/kafka stop --dir .kafka/shared-4.1`); a shared embedded broker runs in the test's own process and ends
//! with it; a cluster of a test's own is destroyed when dropped. Tests panic where they cannot go on: this crate is for
//! tests alone.

#![expect(
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics; that is what this crate is for"
)]

mod embedded;
mod postgres;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use embedded::BrokerProcess;

pub use postgres::Postgres;

/// The kinds of brokers that the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kafka 3.9 with ZooKeeper.
    Kafka39,
    /// Kafka 4.1 with KRaft.
    Kafka41,
    /// The embedded broker.
    Embedded,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kafka39, Self::Kafka41, Self::Embedded];

    /// The release of Kafka that this is, or whose tools are used with it.
    pub fn release(self) -> &'static str {
        match self {
            Self::Kafka39 => "3.9",
            Self::Kafka41 | Self::Embedded => "4.1",
        }
    }

    /// The first port of the shared cluster; clusters need 50 ports each.
    fn shared_port(self) -> u16 {
        match self {
            Self::Kafka39 => 9192,
            Self::Kafka41 | Self::Embedded => 9292,
        }
    }
}

/// How to start a cluster of a test's own.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// What it is made of.
    pub kind: Kind,
    /// One or three; the embedded broker is always alone.
    pub brokers: u16,
    /// The first of its 50 ports; each test of its own takes another one.
    pub port: u16,
    /// Also listen with TLS and with TLS and SASL; not for the embedded broker, which has one listener.
    pub sasl_tls: bool,
}

/// A running cluster.
pub struct Cluster {
    kind: Kind,
    directory: PathBuf,
    /// `host:port`, comma-separated.
    pub bootstrap: String,
    /// Everything that the start printed, as keys and values.
    pub facts: Vec<(String, String)>,
    own: bool,
    /// The embedded broker as a process of its own, to be killed and revived.
    process: Option<BrokerProcess>,
}

impl Cluster {
    /// The one-broker cluster that all tests of a kind share; topics and groups keep them apart.
    pub fn shared(kind: Kind) -> &'static Self {
        static SHARED: [OnceLock<Cluster>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
        SHARED[kind as usize].get_or_init(|| {
            if kind == Kind::Embedded {
                let bootstrap = embedded::start_in_process().to_string();
                let (directory, facts) = (PathBuf::new(), Vec::new());
                return Self { kind, directory, bootstrap, facts, own: false, process: None };
            }
            let directory = project().join(format!(".kafka/shared-{}", kind.release()));
            let options = ClusterOptions { kind, brokers: 1, port: kind.shared_port(), sasl_tls: false };
            Self::start(directory, &options, false)
        })
    }

    /// A cluster of the caller's own, to be broken at will; destroyed when dropped.
    pub fn own(options: &ClusterOptions) -> Self {
        if options.kind == Kind::Embedded {
            let process = BrokerProcess::start(options.port);
            let (directory, bootstrap) = (PathBuf::new(), process.address());
            let (kind, facts) = (options.kind, Vec::new());
            return Self { kind, directory, bootstrap, facts, own: true, process: Some(process) };
        }
        Self::start(project().join(format!(".kafka/own-{}", options.port)), options, true)
    }

    fn start(directory: PathBuf, options: &ClusterOptions, own: bool) -> Self {
        let (bootstrap, facts) = (String::new(), Vec::new());
        let mut cluster = Self { kind: options.kind, directory, bootstrap, facts, own, process: None };
        if own {
            cluster.script(&["destroy"]);
        }
        let (brokers, port) = (options.brokers.to_string(), options.port.to_string());
        let mut arguments =
            vec!["start", "--version", options.kind.release(), "--brokers", &brokers, "--port", &port];
        if options.sasl_tls {
            arguments.push("--sasl-tls");
        }
        let output = cluster.script(&arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        cluster.facts = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        cluster.bootstrap = cluster.fact("bootstrap").to_owned();
        cluster
    }

    /// One of the facts that the start printed.
    pub fn fact(&self, key: &str) -> &str {
        let found = self.facts.iter().find(|(name, _)| name == key);
        &found.unwrap_or_else(|| panic!("the start of Kafka printed no {key:?}: {:?}", self.facts)).1
    }

    /// kill -9 of a broker, counted from 1.
    pub fn kill(&self, broker: u16) {
        match &self.process {
            Some(process) => process.kill(),
            None => drop(self.script(&["kill", &broker.to_string()])),
        }
    }

    /// Starts a killed broker again.
    pub fn revive(&self, broker: u16) {
        match &self.process {
            Some(process) => process.revive(),
            None => drop(self.script(&["revive", &broker.to_string()])),
        }
    }

    /// Freezes a broker.
    pub fn pause(&self, broker: u16) {
        match &self.process {
            Some(process) => process.signal("STOP"),
            None => drop(self.script(&["pause", &broker.to_string()])),
        }
    }

    /// Lets a frozen broker go on.
    pub fn resume(&self, broker: u16) {
        match &self.process {
            Some(process) => process.signal("CONT"),
            None => drop(self.script(&["resume", &broker.to_string()])),
        }
    }

    /// Runs one of Kafka's own tools on this cluster.
    pub fn tool(&self, arguments: &[&str]) -> Output {
        let (name, rest) = arguments.split_first().expect("the name of a tool");
        if self.kind == Kind::Embedded {
            let fixed =
                ["tool", "--version", self.kind.release(), name, "--bootstrap-server", &self.bootstrap];
            return kafka_script(&[&fixed[..], rest].concat());
        }
        self.script(&[&["tool"], arguments].concat())
    }

    fn script(&self, arguments: &[&str]) -> Output {
        let (command, rest) = arguments.split_first().expect("a command");
        let directory = self.directory.to_str().expect("the project's path is UTF-8");
        kafka_script(&[&[command, "--dir", directory], rest].concat())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.own && self.process.is_none() {
            self.script(&["destroy"]);
        }
    }
}

fn kafka_script(arguments: &[&str]) -> Output {
    let mut command = Command::new(project().join("scripts/kafka"));
    let output = command.args(arguments).output().expect("scripts/kafka can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/kafka {arguments:?} failed: {errors}");
    output
}

/// The project's root directory.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/testing lies two levels down")
}

/// A name that no other test, and no earlier run, uses.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_millis();
    format!("{prefix}-{since:x}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Asks again and again until there is an answer; panics with `what` when `timeout` is over.
pub fn wait_for<T>(what: &str, timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {timeout:?} in vain for {what}");
        // The pace of asking, not a guess at how long the thing takes.
        std::thread::sleep(Duration::from_millis(20));
    }
}
