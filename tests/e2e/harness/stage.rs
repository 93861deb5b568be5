//! Where a test plays: a cluster, a topic and a group of its own, and the program told about them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testing::{Cluster, Kind, unique};

use super::process::{Outcome, Running, finish};

/// A test's own topic and group on a cluster, and an empty directory that commands run in.
pub(crate) struct Stage<'c> {
    cluster: &'c Cluster,
    directory: TempDir,
    /// Not there yet: see [`Stage::create_topic`].
    pub(crate) topic: String,
    pub(crate) group: String,
}

impl Stage<'static> {
    /// On the cluster that all tests of this release share, with a topic of three partitions.
    pub(crate) fn shared(kind: Kind, name: &str) -> Self {
        let stage = Self::on_shared(kind, name);
        stage.create_topic(&["--partitions", "3"]);
        stage
    }

    /// The same without a topic.
    pub(crate) fn on_shared(kind: Kind, name: &str) -> Self {
        Self::on(Cluster::shared(kind), name)
    }
}

impl<'c> Stage<'c> {
    /// On this cluster, without a topic.
    pub(crate) fn on(cluster: &'c Cluster, name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory for a test");
        let unique = unique(name);
        Self { cluster, directory, group: format!("{unique}-group"), topic: unique }
    }

    /// Creates the topic.
    pub(crate) fn create_topic(&self, flags: &[&str]) {
        self.run(&[&["topics", "create", &self.topic], flags].concat()).expect_success();
    }

    pub(crate) fn cluster(&self) -> &'c Cluster {
        self.cluster
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.cluster.bootstrap
    }

    /// A path in the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file in the test's directory.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file for a test");
        path
    }

    /// The program with these arguments, connected to this cluster, its output piped.
    pub(crate) fn streamgauge(&self, arguments: &[&str]) -> Command {
        let mut command = streamgauge(self.directory.path());
        command.args(arguments).args(["-b", self.bootstrap()]);
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        finish(&mut self.streamgauge(arguments))
    }

    /// The JSON document that the program prints for these arguments, which must succeed.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["-o", "json"]].concat()).expect_success().json()
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.streamgauge(arguments))
    }
}

/// The program, with no settings but its own and those of the caller, in this directory.
pub(crate) fn streamgauge(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.current_dir(directory).env("HOME", directory).env_remove("XDG_CONFIG_HOME");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STREAMGAUGE__") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
