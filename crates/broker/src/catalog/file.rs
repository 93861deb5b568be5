//! The file that says which topics there are: `DATA/topics.json`.
//!
//! # Format, version 1
//!
//! A JSON object: `version`, and `topics`, a list of objects with `name`, `id` (a UUID), `partitions` (how many, at
//! least 1) and `settings` (an object of Kafka's setting names and their values as strings; only what was set).
//!
//! The file is replaced as a whole: written beside, synced, renamed, and the directory synced. So a crash leaves the old
//! or the new one, and a topic exists if and only if the file names it. A later version is refused.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::configuration::Overrides;
use super::error::CatalogError;

/// The version of the format that this code writes.
const VERSION: u32 = 1;

/// A topic as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    #[serde(with = "id")]
    pub(super) id: Uuid,
    pub(super) partitions: usize,
    #[serde(default)]
    pub(super) settings: Overrides,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    topics: Vec<Entry>,
}

/// Only the version, which every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Reads the topics; nothing if there is no file yet.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Entry>>, CatalogError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CatalogError::Io { path: path.to_owned(), source }),
    };
    let malformed = |problem: String| CatalogError::Malformed { path: path.to_owned(), problem };
    let Versioned { version } =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    if version > VERSION {
        return Err(CatalogError::Newer { path: path.to_owned(), version, known: VERSION });
    }
    let Content { mut topics, .. } =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    for entry in &mut topics {
        super::name::check(&entry.name).map_err(malformed)?;
        if entry.partitions == 0 {
            return Err(malformed(format!("topic {} has no partition", entry.name)));
        }
        let settings = std::mem::take(&mut entry.settings).checked();
        entry.settings = settings.map_err(|problem| malformed(format!("topic {}: {problem}", entry.name)))?;
    }
    Ok(Some(topics))
}

/// Replaces the file.
pub(super) fn write(path: &Path, topics: Vec<Entry>) -> Result<(), CatalogError> {
    replace(path, &Content { version: VERSION, topics })
        .map_err(|source| CatalogError::Io { path: path.to_owned(), source })
}

fn replace(path: &Path, content: &Content) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut bytes = serde_json::to_vec_pretty(content)?;
    bytes.push(b'\n');
    let mut file = File::create(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename is only safe from a loss of power once the directory is.
    let directory = path.parent().expect("the file is in the data directory");
    File::open(directory)?.sync_all()
}

/// A UUID as the text that everything else writes it as.
mod id {
    use serde::{Deserialize as _, Deserializer, Serializer, de};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("topics.json");
        assert_eq!(read(&path).expect("no file is fine"), None);
        let entry = Entry {
            name: "sensor-data".to_owned(),
            id: Uuid::from_u128(7),
            partitions: 3,
            settings: Overrides::new([("retention.ms".to_owned(), "1000".to_owned())]).expect("valid"),
        };
        write(&path, vec![entry.clone()]).expect("written");
        assert_eq!(read(&path).expect("ours"), Some(vec![entry]));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing is left beside");
    }

    #[test]
    fn what_is_newer_or_broken_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("topics.json");
        for (content, expected) in [
            (r#"{"version":2,"themes":[]}"#, "has version 2"),
            ("{", "is not a list of topics"),
            (r#"{"version":1}"#, "missing field `topics`"),
            (
                r#"{"version":1,"topics":[{"name":"a/b","id":"00000000-0000-0000-0000-000000000001","partitions":1}]}"#,
                "Topic name is invalid",
            ),
            (
                r#"{"version":1,"topics":[{"name":"a","id":"00000000-0000-0000-0000-000000000001","partitions":0}]}"#,
                "no partition",
            ),
            (
                r#"{"version":1,"topics":[{"name":"a","id":"00000000-0000-0000-0000-000000000001","partitions":1,"settings":{"x":"1"}}]}"#,
                "Unknown topic config name: x",
            ),
        ] {
            fs::write(&path, content).expect("written");
            let error = read(&path).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
