//! Child processes: started, watched line by line, signalled, killed, and never left behind.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use testing::wait_for;

use super::PATIENCE;

/// How a process ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The exit code; a process killed by a signal has none, and that fails the test.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("it did not exit by itself: {self:?}"))
    }

    /// The same, after checking that it ended with this exit code.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "stdout: {}\nstderr: {}", tail(&self.stdout), self.stderr);
        self
    }

    /// The same, after checking that it succeeded.
    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        self.expect_code(0)
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON document ({error}): {}", tail(&self.stdout)))
    }

    /// The last line of standard output as JSON: the summary of what runs on.
    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("no output: {self:?}"));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("no summary ({error}): {last}"))
    }

    /// Checks that the process ended with this code after exactly one error message, and returns the message.
    #[track_caller]
    pub(crate) fn expect_one_error(self, code: i32) -> String {
        let outcome = self.expect_code(code);
        let errors: Vec<&str> =
            outcome.stderr.lines().filter(|line| line.starts_with("streamgauge: error: ")).collect();
        let [error] = errors[..] else { panic!("not exactly one error message: {}", outcome.stderr) };
        for mark in ["panicked", "RUST_BACKTRACE", "stack backtrace", "Os {", "Error {"] {
            assert!(!outcome.stderr.contains(mark), "not written for people: {}", outcome.stderr);
        }
        error.to_owned()
    }
}

/// The last few hundred characters.
fn tail(text: &str) -> &str {
    let start = text.char_indices().rev().nth(600).map_or(0, |(at, _)| at);
    &text[start..]
}

/// A signal by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    /// Sleeps until [`Signal::Continue`].
    Stop,
    Continue,
}

impl Signal {
    fn flag(self) -> &'static str {
        match self {
            Self::Interrupt => "-INT",
            Self::Terminate => "-TERM",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
        }
    }
}

/// A running process. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// What a process has written so far, and the thread that gathers it.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn gather(name: &str, source: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = source.map(|mut source| {
            let bytes = Arc::clone(&bytes);
            let read = move || {
                let mut piece = [0; 8_192];
                // An error is the end too: the process was killed.
                while let Ok(count @ 1..) = source.read(&mut piece) {
                    bytes.lock().expect("no holder panics").extend_from_slice(&piece[..count]);
                }
            };
            thread::Builder::new().name(name.to_owned()).spawn(read).expect("a thread for a test")
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no holder panics")).into_owned()
    }

    /// Everything, once the process has ended.
    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader of a stream does not panic");
        }
        self.so_far()
    }
}

impl Running {
    /// Starts a command; what of its output is piped is gathered.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_input(command, None)
    }

    /// The same with something on standard input, written by a thread of its own.
    pub(crate) fn start_with_input(command: &mut Command, input: Option<Vec<u8>>) -> Self {
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut running = Self::spawn(command);
        if let (Some(input), Some(mut stdin)) = (input, running.child.stdin.take()) {
            // A child that ends without reading everything closes the pipe: no concern of the writer.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        running
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let stdout = Stream::gather("stdout", child.stdout.take());
        let stderr = Stream::gather("stderr", child.stderr.take());
        Self { child, stdout, stderr }
    }

    /// Starts a command whose input is typed.
    pub(crate) fn start_interactive(command: &mut Command) -> (Self, Keyboard) {
        let mut running = Self::spawn(command.stdin(Stdio::piped()));
        let keyboard = Keyboard(running.child.stdin.take().expect("it is piped"));
        (running, keyboard)
    }

    /// The system's number of it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let sent = Command::new("kill").arg(signal.flag()).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "the process has gone: {}", self.stderr());
    }

    /// kill -9, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Outcome {
        self.child.kill().expect("its process is ours to kill");
        self.finish(PATIENCE)
    }

    /// Standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// Standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its process is ours to wait for").is_none()
    }

    /// Waits until `ask` has an answer; fails if the process ends before that.
    #[track_caller]
    pub(crate) fn wait_until<T>(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        wait_for(what, PATIENCE, || {
            let running = self.is_running();
            if !running {
                // What it said last still counts.
                self.stdout.finish();
                self.stderr.finish();
            }
            let answer = ask(self);
            assert!(
                running || answer.is_some(),
                "it ended before {what}: {}\n{}",
                tail(&self.stdout()),
                self.stderr()
            );
            answer
        })
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self, limit: Duration) -> Outcome {
        let child = &mut self.child;
        let status =
            wait_for("the end of a process", limit, || child.try_wait().expect("its process is ours"));
        Outcome { status, stdout: self.stdout.finish(), stderr: self.stderr.finish() }
    }
}

/// What types into a process.
pub(crate) struct Keyboard(ChildStdin);

impl Keyboard {
    pub(crate) fn press(&mut self, keys: &str) {
        self.0.write_all(keys.as_bytes()).and_then(|()| self.0.flush()).expect("it reads its input");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            // Its side of the story, whatever the test died of.
            eprintln!("still running:\n{}\n{}", tail(&self.stdout()), tail(&self.stderr()));
        }
        // It may have ended, and been waited for, long ago.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Outcome {
    Running::start(command).finish(PATIENCE)
}
