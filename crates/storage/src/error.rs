//! Why storing, or looking after what is stored, failed.

use std::io;
use std::path::{Path, PathBuf};

use kafka::TopicPartition;
use runtime::TaskError;

use crate::{DatabaseError, Table};

/// Why a command of the store failed. Each message names what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Kafka: unreachable, a missing topic, wrong credentials, …
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// A file or directory of the store cannot be read or written.
    #[error("cannot {doing} {}: {source}{}", path.display(), advice(source))]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory holds something else.
    #[error("{} is not a store of streamgauge, but holds {found:?}; name an empty or new directory with --path", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// There is no store.
    #[error("there is no store at {}; fill one with: streamgauge store parquet --path DIR", path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// A later version wrote the store.
    #[error("{} was written in format {found}, this version knows formats up to {known}; use a newer streamgauge", path.display())]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// Another command looks after the store.
    #[error("another streamgauge is compacting, expiring or verifying {}; wait for it", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// A file that the store needs is not what it was.
    #[error("{}: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// Something else lies where a file of the store has to go.
    #[error("{} is in the way: it is not what streamgauge stored under this name; move it elsewhere", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// Another worker has taken the partition over.
    #[error(
        "another worker now stores {place} in {store}; if this goes on, a second group stores into the same place: give each its own"
    )]
    Fenced {
        /// The partition.
        place: TopicPartition,
        /// Where to.
        store: String,
    },
    /// Retention deleted records before they were stored.
    #[error(
        "{place}: everything before offset {next} is stored, but the topic now begins at {low}: {} offsets were deleted by retention before they were read; start once with --accept-gaps to go on behind the gap",
        low - next
    )]
    Gap {
        /// The partition.
        place: TopicPartition,
        /// The next offset that the store needs.
        next: i64,
        /// The first that the topic has.
        low: i64,
    },
    /// The topic ends before what is stored of it.
    #[error(
        "{place}: the store has everything before offset {next}, but the topic ends at {high}: it was deleted and created again; store it elsewhere (another --path or table), or under another topic name"
    )]
    Backwards {
        /// The partition.
        place: TopicPartition,
        /// The next offset that the store needs.
        next: i64,
        /// Where the topic ends.
        high: i64,
    },
    /// The database did not do what it was asked to.
    #[error("cannot {} in PostgreSQL at {}: {}{}", .0.doing, .0.database, .0.reason(), .0.advice())]
    Database(DatabaseError),
    /// What TLS needs is not there.
    #[error("cannot use TLS with PostgreSQL at {database}: {detail}; check sslrootcert in the URL")]
    Tls {
        /// Which database.
        database: String,
        /// Why.
        detail: String,
    },
    /// A table of this name is somebody else's, or was changed.
    #[error(
        "the table {name} in {database} has other columns: {problems}; put them back, or name another schema with --schema"
    )]
    OtherColumns {
        /// The table.
        name: String,
        /// Which database.
        database: String,
        /// What is wrong with its columns.
        problems: String,
    },
    /// A later version made the tables.
    #[error(
        "the tables in schema {schema} of {database} are of version {found}, this version knows up to {known}; use a newer streamgauge"
    )]
    NewerTables {
        /// Which database.
        database: String,
        /// The schema.
        schema: String,
        /// The tables' version.
        found: i32,
        /// The newest known here.
        known: i32,
    },
    /// A record that is no row, where the run is to stop at one.
    #[error(
        "{place}, offset {offset}: {message} ({class}); with on_bad_record = \"dead-letter\" it would go to the dead-letter topic"
    )]
    BadRecord {
        /// The partition.
        place: TopicPartition,
        /// The record's offset.
        offset: i64,
        /// The reason's label.
        class: &'static str,
        /// The reason.
        message: String,
    },
    /// The partition was stored in another table before.
    #[error("{place} is stored as {other} in {store} and cannot go to {table} too; name another place, or {}={other}", place.topic)]
    OtherTable {
        /// The partition.
        place: TopicPartition,
        /// The table that was asked for.
        table: Table,
        /// The table that it is in.
        other: Table,
        /// Where.
        store: String,
    },
    /// A file that cannot be read as rows of the table.
    #[error("cannot read {} as rows of {table}: {detail}", path.display())]
    NotRows {
        /// The file.
        path: PathBuf,
        /// The table.
        table: Table,
        /// Why not.
        detail: String,
    },
    /// What is exported cannot be written.
    #[error("cannot write what is exported: {0}")]
    Output(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A worker panicked or did not end in time.
    #[error(transparent)]
    Task(TaskError),
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    /// Whether trying again later may go well without anybody changing a setting.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::File { source, .. } => is_passing(source),
            Self::Database(error) => error.is_passing(),
            Self::Kafka(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// A full disk is emptied, an interrupted or timed-out call of a network file system answers again.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::StorageFull
            | Kind::FileTooLarge
            | Kind::QuotaExceeded
            | Kind::Interrupted
            | Kind::TimedOut
            | Kind::ResourceBusy
            | Kind::StaleNetworkFileHandle
    )
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "; make room there, nothing is lost and storing goes on by itself"
        }
        io::ErrorKind::PermissionDenied => {
            "; give this user the right to write there, or name another --path"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable, or name another --path",
        _ => "",
    }
}
