//! Standard output, shared by the workers: whole batches of lines, and a reader that goes away is no error.
//!
//! A worker gathers the lines of one batch in a buffer of its own and hands it over whole, before the offsets of
//! that batch can be committed. A slow reader therefore slows the workers down, and nothing is buffered beyond
//! one batch per worker.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Error;

/// Where lines go.
pub(super) struct Output {
    stream: Mutex<Box<dyn Write + Send>>,
    closed: AtomicBool,
}

impl Output {
    pub(super) fn new(stream: Box<dyn Write + Send>) -> Self {
        Self { stream: Mutex::new(stream), closed: AtomicBool::new(false) }
    }

    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self::new(Box::new(io::stdout()))
    }

    /// Writes lines and hands them to the system. `false` if their reader has gone away, as `head` does: some of
    /// them may not have been read, and no more are wanted.
    pub(super) fn write(&self, lines: &[u8]) -> Result<bool, Error> {
        if lines.is_empty() {
            return Ok(!self.is_closed());
        }
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed() {
            return Ok(false);
        }
        match stream.write_all(lines).and_then(|()| stream.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Release);
                Ok(false)
            }
            Err(source) => Err(Error::Output { source }),
        }
    }

    /// Whether the reader has gone away.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes this many writes, then fails like this.
    struct Failing(u32, ErrorKind);

    impl Write for Failing {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            let Some(left) = self.0.checked_sub(1) else { return Err(self.1.into()) };
            self.0 = left;
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_it_quietly() {
        let output = Output::new(Box::new(Failing(1, ErrorKind::BrokenPipe)));
        assert!(output.write(b"one\n").expect("taken"));
        assert!(!output.write(b"two\n").expect("not an error"));
        assert!(!output.write(b"").expect("not an error"));
        assert!(output.is_closed());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let output = Output::new(Box::new(Failing(0, ErrorKind::StorageFull)));
        assert!(matches!(output.write(b"one\n"), Err(Error::Output { .. })));
        assert!(!output.is_closed());
    }
}
