//! The file that says how far a replay came: a small JSON object.
//!
//! It is replaced as a whole (written beside, synced, renamed), so a crash leaves the old or the new one. It names its
//! inputs by their first bytes; for other inputs it is refused, because going on in the middle of another file would
//! send nonsense and leave things out.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::{Input, head};
use super::stream::Position;
use super::{ReplayError, stream};

/// The version of the format that this code writes.
const VERSION: u32 = 1;

/// How many bytes at the beginning of an input identify it.
const HEAD_BYTES: u64 = 4096;

/// A replay's position file.
#[derive(Debug)]
pub(super) struct PositionFile {
    path: PathBuf,
    inputs: Vec<Identity>,
    saved: Option<Position>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    inputs: Vec<Identity>,
    position: Position,
}

/// By what an input is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    /// The name it was given by; only for messages, because files move.
    name: String,
    /// How many bytes at the beginning were looked at.
    head_bytes: u64,
    /// Their FNV-1a hash, 64 bits, in hexadecimal.
    head_hash: String,
}

impl PositionFile {
    /// Opens the file for these inputs and reads the position in it, if it exists.
    pub(super) fn open(path: &Path, inputs: &[Input]) -> Result<(Self, Option<Position>), ReplayError> {
        let mut file = Self { path: path.to_owned(), inputs: Vec::new(), saved: None };
        let content = file.read()?;
        for input in inputs {
            file.inputs.push(identify(input, HEAD_BYTES)?);
        }
        let Some(content) = content else { return Ok((file, None)) };
        file.check(&content, inputs)?;
        file.saved = Some(content.position);
        Ok((file, Some(content.position)))
    }

    /// Writes a position, unless it is the one in the file already.
    pub(super) fn save(&mut self, position: Position) -> Result<(), ReplayError> {
        if self.saved == Some(position) {
            return Ok(());
        }
        let content = Content { version: VERSION, inputs: self.inputs.clone(), position };
        let mut bytes =
            serde_json::to_vec_pretty(&content).map_err(|error| self.problem(error.to_string()))?;
        bytes.push(b'\n');
        replace(&self.path, &bytes)
            .map_err(|error| self.problem(format!("it cannot be written: {error}")))?;
        self.saved = Some(position);
        Ok(())
    }

    fn read(&self) -> Result<Option<Content>, ReplayError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.problem(format!("it cannot be read: {error}"))),
        };
        match serde_json::from_slice::<Content>(&bytes) {
            Ok(content) if content.version == VERSION => Ok(Some(content)),
            Ok(content) => {
                Err(self.problem(format!("it has version {}, this is version {VERSION}", content.version)))
            }
            Err(error) => Err(self.problem(format!("it is not a position file: {error}"))),
        }
    }

    /// Refuses a position that was written for other inputs.
    fn check(&self, content: &Content, inputs: &[Input]) -> Result<(), ReplayError> {
        let other = |now: &str| {
            let then: Vec<&str> = content.inputs.iter().map(|input| input.name.as_str()).collect();
            self.problem(format!(
                "it belongs to another replay, of {}, not of {now}; delete it to begin anew, or name another file",
                then.join(", "),
            ))
        };
        let position = content.position;
        if content.inputs.len() != inputs.len() || position.input >= inputs.len() {
            return Err(other(&stream::names(inputs)));
        }
        for (input, then) in inputs.iter().zip(&content.inputs) {
            let now = identify(input, then.head_bytes.min(HEAD_BYTES))?;
            if (now.head_bytes, &now.head_hash) != (then.head_bytes, &then.head_hash) {
                return Err(other(&input.name()));
            }
        }
        let input = &inputs[position.input];
        let size = input.path().map_or(Ok(0), |path| fs::metadata(path).map(|metadata| metadata.len()));
        match size {
            Ok(size) if size >= position.place.offset => Ok(()),
            Ok(size) => Err(self.problem(format!(
                "it stands at byte {} of {}, which has only {size}; delete it to begin anew",
                position.place.offset,
                input.name(),
            ))),
            Err(source) => Err(ReplayError::Open { input: input.name(), source }),
        }
    }

    fn problem(&self, problem: String) -> ReplayError {
        ReplayError::PositionFile { path: self.path.clone(), problem }
    }
}

fn identify(input: &Input, limit: u64) -> Result<Identity, ReplayError> {
    let Some(path) = input.path() else { return Err(ReplayError::NeedsFiles { option: "--resume" }) };
    let bytes = head(path, limit).map_err(|source| ReplayError::Open { input: input.name(), source })?;
    Ok(Identity {
        name: input.name(),
        head_bytes: bytes.len() as u64,
        head_hash: format!("{:016x}", fnv1a(&bytes)),
    })
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Replaces a file as a whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name =
        path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?.to_owned();
    name.push(".new");
    let beside = directory.join(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename is only safe from a power cut once the directory is.
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, content: &str) -> Input {
        let path = directory.join(name);
        fs::write(&path, content).expect("a file");
        Input::File(path)
    }

    fn position(offset: u64) -> Position {
        let mut position = Position::default();
        position.place.offset = offset;
        position
    }

    #[test]
    fn a_position_survives() {
        let directory = tempfile::tempdir().expect("a directory");
        let inputs = [write(directory.path(), "a.csv", "timestamp,value\n1,2\n")];
        let path = directory.path().join("position.json");
        let (mut file, found) = PositionFile::open(&path, &inputs).expect("no file is fine");
        assert_eq!(found, None);
        file.save(position(16)).expect("it can be written");
        file.save(position(20)).expect("it can be written again");
        let (_, found) = PositionFile::open(&path, &inputs).expect("it is ours");
        assert_eq!(found, Some(position(20)));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2, "nothing is left beside");
    }

    #[test]
    fn a_file_that_grew_or_moved_is_known_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("position.json");
        let (mut file, _) =
            PositionFile::open(&path, &[write(directory.path(), "a.csv", "x,y\n1,2\n")]).expect("new");
        file.save(position(8)).expect("written");
        let grown = write(directory.path(), "moved.csv", "x,y\n1,2\n3,4\n");
        assert_eq!(PositionFile::open(&path, &[grown]).expect("known").1, Some(position(8)));
    }

    #[test]
    fn other_inputs_and_broken_files_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("position.json");
        let input = write(directory.path(), "a.csv", "x,y\n1,2\n");
        let (mut file, _) = PositionFile::open(&path, std::slice::from_ref(&input)).expect("new");
        file.save(position(8)).expect("written");
        let refusal = |inputs: &[Input]| PositionFile::open(&path, inputs).expect_err("refused").to_string();
        let other = write(directory.path(), "b.csv", "x,z\n1,2\n");
        assert!(refusal(std::slice::from_ref(&other)).contains("belongs to another replay"));
        assert!(refusal(&[input.clone(), other]).contains("belongs to another replay"));
        assert!(refusal(&[Input::Stdin]).contains("--resume"));
        write(directory.path(), "a.csv", "x,y\n1");
        assert!(refusal(std::slice::from_ref(&input)).contains("belongs to another replay"));
        fs::write(&path, "{}").expect("written");
        assert!(refusal(&[input]).contains("is not a position file"));
    }
}
