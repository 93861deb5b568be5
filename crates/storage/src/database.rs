//! Tables in PostgreSQL.
//!
//! Rows go in by binary COPY, and the position is updated in the same transaction, on the condition that nobody has taken the
//! partition over: the row of the position carries a number, the epoch, that whoever takes a partition over raises. A
//! worker that was thought dead then updates nothing, and its transaction is rolled back with all its rows.
//!
//! ```text
//! take over:  update streamgauge_positions set epoch = epoch + 1 …        returning next, epoch
//! store:      begin; copy readings …; update streamgauge_positions set next = … where epoch = … and next = …; commit
//! ```
//!
//! The position's row is locked at the end of the transaction only, so a worker that sleeps in the middle of a COPY holds up
//! nobody. When the answer to a commit is lost, the next attempt finds by the position whether it went through.

mod connect;
mod copy;
mod schema;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use kafka::TopicPartition;
use postgres::Client;
use tracing::{debug, info};

pub use connect::{DatabaseUrl, UrlMistake};
pub use schema::{PartitionLength, TimePartitions};

use crate::sink::{Sink, Span, Stored};
use crate::table::Finished;
use crate::{Error, Table};
use copy::Copier;
use schema::Schema;

/// What a database's tables are like.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// Where it is, and as whom.
    pub url: DatabaseUrl,
    /// The schema of the tables, made if it is not there.
    pub schema: String,
    /// Whether new tables are partitioned by time, and after how long partitions go.
    pub partitions: TimePartitions,
}

/// Why the database did not do what it was asked to.
#[derive(Debug)]
pub struct DatabaseError {
    /// What was being done.
    pub doing: &'static str,
    /// Which database, without secrets.
    pub database: String,
    /// Its reason.
    pub source: Box<postgres::Error>,
}

impl DatabaseError {
    /// The reason in its own words.
    pub(crate) fn reason(&self) -> String {
        let mut text = match self.source.as_db_error() {
            Some(error) => {
                let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
                format!("{}{detail}", error.message())
            }
            None => self.source.to_string(),
        };
        let mut cause = std::error::Error::source(&*self.source);
        while let Some(error) = cause.filter(|_| self.source.as_db_error().is_none()) {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// Whether trying again later may go well without anybody changing a setting: the server is away or starting, has no
    /// room or no connections left, or chose this transaction to break a deadlock.
    pub(crate) fn is_passing(&self) -> bool {
        match self.source.code().map(postgres::error::SqlState::code) {
            None => true,
            Some(code) => {
                ["08", "40", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) || code == "55P03"
            }
        }
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> &'static str {
        match self.source.code().map(postgres::error::SqlState::code) {
            Some(code) if code.starts_with("28") => {
                "; check the user and password of the URL (PGPASSWORD is read too)"
            }
            Some("3D000") => "; create the database, or name another one in the URL",
            Some(code) if code.starts_with("53") => {
                "; make room there, nothing is lost and storing goes on by itself"
            }
            Some("42501") => {
                "; grant this user the right to create and fill tables there, or name another --schema"
            }
            Some("42P01" | "42703" | "42804" | "23502") => {
                "; somebody changed the table: put its columns back, or name another --schema"
            }
            None => "; start PostgreSQL there, or name the right server with --url",
            Some(_) => "",
        }
    }
}

/// The sink of one worker.
pub(crate) struct Database {
    options: Arc<DatabaseOptions>,
    who: String,
    client: Option<Client>,
    owned: HashMap<TopicPartition, Owned>,
}

/// A partition that was taken over.
struct Owned {
    epoch: i64,
    table: Table,
}

impl Database {
    /// Connects, and makes or checks the tables.
    pub(crate) fn open(options: Arc<DatabaseOptions>, tables: &[Table], who: String) -> Result<Self, Error> {
        let mut client = options.url.connect()?;
        Schema { options: &options }.prepare(&mut client, tables)?;
        Ok(Self { options, who, client: Some(client), owned: HashMap::new() })
    }

    /// The connection; a new one if the last was lost.
    fn client(&mut self) -> Result<&mut Client, Error> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = None;
            let client = self.options.url.connect()?;
            info!(database = self.options.url.name(), "connected again");
            self.client = Some(client);
        }
        Ok(self.client.as_mut().expect("it was just made"))
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(postgres::Error) -> Error + use<> {
        self.options.url.failed(doing)
    }
}

impl Sink for Database {
    fn name(&self) -> String {
        self.options.url.name().to_owned()
    }

    fn position(&mut self, place: &TopicPartition) -> Result<Option<i64>, Error> {
        let failed = self.failed("read positions");
        let query = Schema { options: &self.options }
            .sql("select next from {positions} where topic = $1 and partition = $2");
        let row = self.client()?.query_opt(&query, &[&&*place.topic, &place.partition]).map_err(failed)?;
        Ok(row.and_then(|row| row.get(0)))
    }

    fn take_over(&mut self, place: &TopicPartition, table: Table) -> Result<Option<i64>, Error> {
        let failed = self.failed("take a partition over");
        let query = Schema { options: &self.options }.sql(
            "insert into {positions} as own (topic, partition, stored_in, epoch, owner) values ($1, $2, $3, 1, $4)
             on conflict (topic, partition) do update set epoch = own.epoch + 1, owner = $4, updated = now()
             returning next, epoch, stored_in",
        );
        let who = self.who.clone();
        let row = self
            .client()?
            .query_one(&query, &[&&*place.topic, &place.partition, &table.name(), &who])
            .map_err(failed)?;
        let stored_in: String = row.get(2);
        if let Some(other) = Table::of_name(&stored_in).filter(|other| *other != table) {
            return Err(Error::OtherTable { place: place.clone(), table, other, store: self.name() });
        }
        self.owned.insert(place.clone(), Owned { epoch: row.get(1), table });
        Ok(row.get(0))
    }

    fn give_up(&mut self, place: &TopicPartition) {
        self.owned.remove(place);
    }

    fn store(
        &mut self,
        place: &TopicPartition,
        rows: Option<&Finished>,
        span: Span,
    ) -> Result<Stored, Error> {
        let Owned { epoch, table } =
            *self.owned.get(place).expect("a partition is taken over before it is stored");
        let (options, name) = (Arc::clone(&self.options), self.name());
        let schema = Schema { options: &options };
        let failed = || options.url.failed("store rows");
        let client = self.client()?;
        if let Some(rows) = rows {
            schema.make_partitions(client, table, &rows.times)?;
        }
        let mut transaction = client.transaction().map_err(failed())?;
        let mut bytes = 0;
        if let Some(rows) = rows {
            let mut writer = transaction.copy_in(&schema.copy(table)).map_err(failed())?;
            // What goes wrong here is what the server said, which comes out at the end.
            let mut copier = Copier::new(&rows.batch);
            for piece in rows.order.chunks(copy::PIECE) {
                let piece = copier.rows(piece);
                bytes += piece.len() as u64;
                writer.write_all(piece).map_err(|error| options.url.failed_write(error))?;
            }
            writer.write_all(copy::TRAILER).map_err(|error| options.url.failed_write(error))?;
            writer.finish().map_err(failed())?;
        }
        let count = i64::try_from(rows.map_or(0, Finished::rows)).unwrap_or(i64::MAX);
        let (refused, gap) = (span.refused as i64, span.gap as i64);
        let update = schema.sql(
            "update {positions} set next = $4, first = coalesce(first, $5), rows = rows + $6, refused = refused + $7,
             gap = gap + $8, updated = now()
             where topic = $1 and partition = $2 and epoch = $3 and (next is null or next <= $5)",
        );
        let updated = transaction
            .execute(
                &update,
                &[&&*place.topic, &place.partition, &epoch, &span.next, &span.first, &count, &refused, &gap],
            )
            .map_err(failed())?;
        if updated == 1 {
            transaction.commit().map_err(failed())?;
            debug!(%place, first = span.first, next = span.next, rows = count, "stored");
            return Ok(Stored { files: 0, bytes });
        }
        transaction.rollback().map_err(failed())?;
        // Somebody else has it, or the answer to our own commit was lost.
        let query = schema.sql("select epoch, next from {positions} where topic = $1 and partition = $2");
        let row = client.query_opt(&query, &[&&*place.topic, &place.partition]).map_err(failed())?;
        match row.map(|row| (row.get::<_, i64>(0), row.get::<_, Option<i64>>(1))) {
            Some((now, Some(next))) if now == epoch && next >= span.next => Ok(Stored { files: 0, bytes }),
            _ => Err(Error::Fenced { place: place.clone(), store: name }),
        }
    }
}
