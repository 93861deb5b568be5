//! A PostgreSQL server of a test's own, from Debian's package, that can be killed and revived.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::wait_for;

/// How long a server may take to answer; long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with an empty database `plant`; the user `me` needs no password.
pub struct Postgres {
    programs: PathBuf,
    directory: TempDir,
    port: u16,
    /// The user and group that the server runs as, where this process is root's: PostgreSQL refuses to be.
    run_as: Option<(u32, u32)>,
    child: Mutex<Option<Child>>,
}

impl Postgres {
    /// Makes a cluster and starts its server on a free port.
    #[expect(clippy::new_without_default, reason = "it starts a server")]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory for PostgreSQL");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let run_as = is_root.then(|| (id("-u"), id("-g")));
        chown(directory.path(), run_as.map(|(user, _)| user), run_as.map(|(_, group)| group))
            .expect("root may");
        let server = Self { programs: programs(), directory, port, run_as, child: Mutex::default() };
        let data = server.data();
        let made = server.command("initdb").args(["-A", "trust", "-U", "me", "-D"]).arg(&data).output();
        expect_success("initdb", &made.expect("initdb can be run"));
        server.revive();
        server.sql("postgres", "create database plant");
        server
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The address of the database.
    pub fn url(&self) -> String {
        format!("postgres://me@127.0.0.1:{}/plant", self.port)
    }

    /// One of PostgreSQL's programs, as somebody who may run it.
    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = match self.run_as {
            None => Command::new(path),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([
                    format!("--reuid={user}"),
                    format!("--regid={group}"),
                    "--clear-groups".to_owned(),
                ]);
                command.arg(path);
                command
            }
        };
        command.current_dir(self.directory.path());
        command
    }

    /// Starts the server and waits until it answers.
    pub fn revive(&self) {
        let socket = self.directory.path().display().to_string();
        wait_for("PostgreSQL", PATIENCE, || {
            let mut child = self.child();
            let runs =
                child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_none()));
            if !runs {
                // After a kill it refuses to start until the last of its processes has gone.
                let mut command = self.command("postgres");
                command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-k", &socket]);
                command
                    .args(["-c", "listen_addresses=127.0.0.1"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                *child = Some(command.spawn().expect("postgres can be run"));
            }
            drop(child);
            self.psql("postgres", "select 1").status.success().then_some(())
        });
    }

    /// kill -9 of the server.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            child.kill().expect("a running server can be killed");
            child.wait().expect("a killed server ends");
        }
    }

    /// Stops the server in order, without waiting for its clients.
    pub fn stop(&self) {
        let stop = self.command("pg_ctl").args(["stop", "-m", "fast", "-D"]).arg(self.data()).output();
        expect_success("pg_ctl stop", &stop.expect("pg_ctl can be run"));
        if let Some(mut child) = self.child().take() {
            child.wait().expect("a stopped server ends");
        }
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        let url = format!("postgres://me@127.0.0.1:{}/{database}", self.port);
        let run =
            self.command("psql").args([&url, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]).output();
        run.expect("psql can be run")
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        expect_success(sql, &output);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What `psql` prints for a statement: a line for each row, columns separated by bars.
    pub fn query(&self, sql: &str) -> String {
        self.sql("plant", sql)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child().take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn expect_success(what: &str, output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed: {errors}");
}

/// Where the newest of Debian's releases is, or the one in the path.
fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("postgres").exists())
        .collect();
    found.sort();
    let in_path = || {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).find(|path: &PathBuf| Path::join(path, "postgres").exists())
    };
    found.pop().or_else(in_path).expect("PostgreSQL is not installed: run scripts/setup --tests")
}

/// The user's or group's number of `postgres`.
fn id(flag: &str) -> u32 {
    let output = Command::new("id").args([flag, "postgres"]).output().expect("id can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("the user postgres is there: run scripts/setup --tests")
}
