//! The bytes of an input, with the place one is at: byte offset and line, from which a replay can go on later.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest row, in bytes; longer ones are malformed. That of the largest reading, with room for white space.
pub(super) const MAX_ROW_BYTES: usize = 2 * model::MAX_PAYLOAD_BYTES;

/// How much of an input is read at a time, and how much of it can be looked at in advance.
const BUFFER_BYTES: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum Input {
    /// Standard input, `-`.
    Stdin,
    /// A file.
    File(PathBuf),
    /// A file in a form of its own, and what makes the same lines of it each time.
    Converted(PathBuf, Convert),
}

/// Opens a file as lines that a replay reads.
pub type Convert = fn(&Path) -> io::Result<Box<dyn Read + Send>>;

impl Input {
    /// The input that an argument names.
    pub fn from_argument(argument: impl Into<PathBuf>) -> Self {
        let path = argument.into();
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path) }
    }

    /// The name for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) | Self::Converted(path, _) => path.display().to_string(),
        }
    }

    /// The file's name without directory and extension; none for standard input.
    pub(super) fn stem(&self) -> Option<String> {
        match self {
            Self::Stdin => None,
            Self::File(path) | Self::Converted(path, _) => {
                path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
            }
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::File(path) | Self::Converted(path, _) => Some(path),
        }
    }
}

/// A place in an input, between two rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Line breaks before it.
    pub(super) lines: u64,
}

/// An input being read.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    place: Place,
}

impl Lines {
    /// Opens an input at a place; standard input only at its start.
    pub(super) fn open(input: &Input, place: Place) -> io::Result<Self> {
        let reader: Box<dyn BufRead + Send> = match input {
            Input::Stdin => Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin())),
            Input::File(path) => {
                let mut file = File::open(path)?;
                if file.metadata()?.is_dir() {
                    return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
                }
                if place.offset > 0 {
                    file.seek(SeekFrom::Start(place.offset))?;
                }
                Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
            }
            Input::Converted(path, convert) => {
                let mut lines = convert(path)?;
                io::copy(&mut lines.by_ref().take(place.offset), &mut io::sink())?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, lines))
            }
        };
        let mut lines = Self { reader, place };
        if place.offset == 0 && lines.look()?.starts_with(BYTE_ORDER_MARK) {
            lines.consume(BYTE_ORDER_MARK.len());
        }
        Ok(lines)
    }

    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Self {
        // A tiny buffer, so that rows cross its border.
        let reader = BufReader::with_capacity(7, io::Cursor::new(bytes.to_vec()));
        Self { reader: Box::new(reader), place: Place::default() }
    }

    /// The bytes that come next, without taking them; empty at the end. One byte at least, otherwise as many as the
    /// buffer happens to hold.
    pub(super) fn look(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.reader.fill_buf()
    }

    /// Takes `count` of the bytes that come next.
    pub(super) fn consume(&mut self, count: usize) {
        // What was looked at is in the buffer, so looking again reads nothing and cannot fail.
        let breaks = self.reader.fill_buf().map_or(0, |bytes| count_breaks(&bytes[..count.min(bytes.len())]));
        self.reader.consume(count);
        self.place.offset += count as u64;
        self.place.lines += breaks;
    }

    /// Takes line breaks and says whether anything follows.
    pub(super) fn skip_breaks(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.look()?;
            let breaks = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let all = breaks == bytes.len();
            if bytes.is_empty() {
                return Ok(false);
            }
            self.consume(breaks);
            if !all {
                return Ok(true);
            }
        }
    }

    /// Appends the rest of the line to `line`, without its break. False if it is longer than [`MAX_ROW_BYTES`]; it is
    /// taken all the same.
    pub(super) fn take_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let mut fits = true;
        loop {
            let bytes = self.look()?;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(bytes.len());
            fits = fits && line.len() + taken <= MAX_ROW_BYTES;
            if fits {
                line.extend_from_slice(&bytes[..taken]);
            }
            let done = end.is_some() || bytes.is_empty();
            self.consume(taken + usize::from(end.is_some()));
            if done {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(fits);
            }
        }
    }

    /// Where the next byte is.
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

/// The first bytes of a file, at most `limit`, by which it is known again.
pub(super) fn head(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn count_breaks(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_with_any_break_and_their_place_is_known() {
        let mut lines = Lines::of(b"first line\r\n\n\nsecond\nlast");
        let mut taken = Vec::new();
        while lines.skip_breaks().expect("memory") {
            let mut line = Vec::new();
            let at = lines.place().lines + 1;
            assert!(lines.take_line(&mut line).expect("memory"));
            taken.push((at, String::from_utf8(line).expect("ASCII"), lines.place().offset));
        }
        let expected = [(1, "first line", 12), (4, "second", 21), (5, "last", 25)];
        assert_eq!(taken, expected.map(|(at, line, offset)| (at, line.to_owned(), offset)));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed() {
        let mut bytes = vec![b'x'; MAX_ROW_BYTES + 1];
        bytes.extend_from_slice(b"\nnext");
        let mut lines = Lines::of(&bytes);
        let mut line = Vec::new();
        assert!(!lines.take_line(&mut line).expect("memory"));
        assert!(line.len() <= MAX_ROW_BYTES);
        line.clear();
        assert!(lines.take_line(&mut line).expect("memory"));
        assert_eq!(line, b"next");
    }

    #[test]
    fn dash_is_standard_input() {
        assert!(matches!(Input::from_argument("-"), Input::Stdin));
        assert_eq!(Input::from_argument("a/b.csv").stem().as_deref(), Some("b"));
    }
}
