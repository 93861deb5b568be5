//! The tables: made if they are not there, checked if they are.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use arrow_schema::DataType;
use model::EventTime;
use postgres::Client;
use runtime::now_micros;
use tracing::info;

use super::DatabaseOptions;
use crate::table::EXTRA;
use crate::{Error, Table};

/// The number of the lock under which tables are made: "streamga" in ASCII.
const LOCK: i64 = 0x7374_7265_616d_6761;
/// The version of the tables.
const VERSION: i32 = 1;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Whether new tables are partitioned by their time column, and after how long partitions are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimePartitions {
    /// How long a partition's stretch is; `None`: tables are not partitioned.
    pub by: Option<PartitionLength>,
    /// After how long, by event time, a partition is dropped; `None`: never.
    pub retention: Option<Duration>,
}

/// How long a partition's stretch of time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionLength {
    /// A day.
    Day,
    /// A week, from Thursday to Wednesday as 1970 began.
    Week,
}

impl FromStr for TimePartitions {
    type Err = String;

    /// `none`, `day` or `week`; without retention.
    fn from_str(text: &str) -> Result<Self, String> {
        let by = match text {
            "none" => None,
            "day" => Some(PartitionLength::Day),
            "week" => Some(PartitionLength::Week),
            _ => return Err("it must be none, day or week".to_owned()),
        };
        Ok(Self { by, retention: None })
    }
}

impl PartitionLength {
    fn micros(self) -> i64 {
        match self {
            Self::Day => MICROS_PER_DAY,
            Self::Week => 7 * MICROS_PER_DAY,
        }
    }

    /// The stretch that a time is in, counted from 1970.
    fn of(self, micros: i64) -> i64 {
        micros.div_euclid(self.micros())
    }

    /// Its first moment.
    fn start(self, stretch: i64) -> String {
        EventTime::from_micros(stretch.saturating_mul(self.micros())).to_string()
    }
}

/// The tables of one schema.
pub(super) struct Schema<'o> {
    pub(super) options: &'o DatabaseOptions,
}

impl Schema<'_> {
    /// A statement with `{positions}` and `{versions}` replaced by the names of those tables.
    pub(super) fn sql(&self, text: &str) -> String {
        let (positions, versions) = (self.name("streamgauge_positions"), self.name("streamgauge_version"));
        text.replace("{positions}", &positions).replace("{versions}", &versions)
    }

    fn name(&self, table: &str) -> String {
        format!("{}.{}", quoted(&self.options.schema), quoted(table))
    }

    /// The statement that takes rows of a table.
    pub(super) fn copy(&self, table: Table) -> String {
        let columns: Vec<String> = table.schema().fields().iter().map(|field| quoted(field.name())).collect();
        format!("copy {} ({}) from stdin (format binary)", self.name(table.name()), columns.join(", "))
    }

    /// Makes what is missing and checks what is there, one worker at a time.
    pub(super) fn prepare(&self, client: &mut Client, tables: &[Table]) -> Result<(), Error> {
        let failed = || self.options.url.failed("make tables");
        let mut transaction = client.transaction().map_err(failed())?;
        transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).map_err(failed())?;
        let there = transaction
            .query_opt("select 1 from pg_namespace where nspname = $1", &[&self.options.schema])
            .map_err(failed())?;
        if there.is_none() {
            let create = format!("create schema {}", quoted(&self.options.schema));
            transaction.batch_execute(&create).map_err(failed())?;
        }
        transaction
            .batch_execute(&self.sql(
                "create table if not exists {versions} (version integer not null);
                 create table if not exists {positions} (
                     topic text not null, partition integer not null, stored_in text not null,
                     first bigint, next bigint, rows bigint not null default 0, refused bigint not null default 0,
                     gap bigint not null default 0, epoch bigint not null, owner text not null,
                     updated timestamptz not null default now(), primary key (topic, partition))",
            ))
            .map_err(failed())?;
        let version =
            transaction.query_opt(&self.sql("select max(version) from {versions}"), &[]).map_err(failed())?;
        match version.and_then(|row| row.get::<_, Option<i32>>(0)) {
            Some(found) if found > VERSION => {
                let database = self.options.url.name().to_owned();
                return Err(Error::NewerTables {
                    database,
                    schema: self.options.schema.clone(),
                    found,
                    known: VERSION,
                });
            }
            Some(_) => {}
            None => {
                transaction
                    .execute(&self.sql("insert into {versions} values ($1)"), &[&VERSION])
                    .map_err(failed())?;
            }
        }
        for table in tables.iter().collect::<BTreeSet<_>>() {
            let columns = transaction
                .query(
                    "select column_name::text, udt_name::text from information_schema.columns
                     where table_schema = $1 and table_name = $2",
                    &[&self.options.schema, &table.name()],
                )
                .map_err(failed())?;
            if columns.is_empty() {
                info!(%table, schema = self.options.schema, "making the table");
                transaction.batch_execute(&self.create(*table)).map_err(failed())?;
            } else {
                let there = columns.iter().map(|row| (row.get(0), row.get(1))).collect();
                self.check(*table, &there)?;
            }
        }
        transaction.commit().map_err(failed())?;
        tables.iter().try_for_each(|table| self.drop_partitions(client, *table))
    }

    /// The statements that make a table.
    fn create(&self, table: Table) -> String {
        let columns: Vec<String> = table
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let null = if field.is_nullable() { "" } else { " not null" };
                format!("{} {}{null}", quoted(field.name()), column_type(field.name(), field.data_type()))
            })
            .collect();
        let (name, time, first) =
            (self.name(table.name()), quoted(table.time_column()), quoted(table.schema().field(0).name()));
        let partitioned = match self.options.partitions.by {
            Some(_) => format!(" partition by range ({time})"),
            None => String::new(),
        };
        // For rows without a time.
        let rest = self.name(&format!("{}_default", table.name()));
        let rest = match self.options.partitions.by {
            Some(_) => format!("create table {rest} partition of {name} default;"),
            None => String::new(),
        };
        let columns = columns.join(", ");
        format!(
            "create table {name} ({columns}){partitioned}; {rest} create index on {name} ({first}, {time}); create index on {name} using brin ({time});"
        )
    }

    /// Checks that a table that is there has our columns; more of them are somebody's own.
    fn check(&self, table: Table, there: &BTreeMap<String, String>) -> Result<(), Error> {
        let mut problems = Vec::new();
        for field in table.schema().fields() {
            let wanted = column_type(field.name(), field.data_type());
            match there.get(field.name()) {
                None => problems.push(format!("{} {wanted} is missing", field.name())),
                Some(found) if found != udt(wanted) => {
                    problems.push(format!("{} is {found} and not {wanted}", field.name()));
                }
                Some(_) => {}
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::OtherColumns {
            name: format!("{}.{}", self.options.schema, table.name()),
            database: self.options.url.name().to_owned(),
            problems: problems.join(", "),
        })
    }

    /// Makes the partitions that these times belong to, where the table is partitioned.
    pub(super) fn make_partitions(
        &self,
        client: &mut Client,
        table: Table,
        times: &[i64],
    ) -> Result<(), Error> {
        let Some(length) = self.options.partitions.by else { return Ok(()) };
        let failed = || self.options.url.failed("make partitions of tables");
        let stretches: BTreeSet<i64> = times.iter().map(|time| length.of(*time)).collect();
        for stretch in stretches {
            let name = partition_name(table, length, stretch);
            let known = client
                .query_opt("select to_regclass($1) is not null", &[&self.name(&name)])
                .map_err(failed())?
                .is_some_and(|row| row.get(0));
            if known {
                continue;
            }
            let mut transaction = client.transaction().map_err(failed())?;
            transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).map_err(failed())?;
            let create = format!(
                "create table if not exists {} partition of {} for values from ('{}+00') to ('{}+00')",
                self.name(&name),
                self.name(table.name()),
                length.start(stretch),
                length.start(stretch + 1)
            );
            transaction.batch_execute(&create).map_err(failed())?;
            transaction.commit().map_err(failed())?;
            info!(%table, partition = name, "made a partition");
            // What is old enough goes when something new comes.
            self.drop_partitions(client, table)?;
        }
        Ok(())
    }

    /// Drops the partitions that ended long enough ago.
    fn drop_partitions(&self, client: &mut Client, table: Table) -> Result<(), Error> {
        let (Some(length), Some(retention)) = (self.options.partitions.by, self.options.partitions.retention)
        else {
            return Ok(());
        };
        let failed = || self.options.url.failed("drop old partitions of tables");
        let age = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        let oldest = length.of(now_micros().saturating_sub(age));
        let names = client
            .query(
                "select child.relname::text from pg_inherits
                 join pg_class child on child.oid = inhrelid join pg_class parent on parent.oid = inhparent
                 join pg_namespace on pg_namespace.oid = parent.relnamespace
                 where nspname = $1 and parent.relname = $2",
                &[&self.options.schema, &table.name()],
            )
            .map_err(failed())?;
        for name in names.iter().map(|row| row.get::<_, String>(0)) {
            if stretch_of(table, length, &name).is_some_and(|stretch| stretch < oldest) {
                info!(%table, partition = name, "dropping an old partition");
                let drop = format!("drop table if exists {}", self.name(&name));
                client.batch_execute(&drop).map_err(failed())?;
            }
        }
        Ok(())
    }
}

/// `readings_d20784`: the table, the length, the stretch counted from 1970.
fn partition_name(table: Table, length: PartitionLength, stretch: i64) -> String {
    format!("{}_{}{stretch}", table.name(), letter(length))
}

fn stretch_of(table: Table, length: PartitionLength, name: &str) -> Option<i64> {
    name.strip_prefix(table.name())?.strip_prefix('_')?.strip_prefix(letter(length))?.parse().ok()
}

fn letter(length: PartitionLength) -> char {
    match length {
        PartitionLength::Day => 'd',
        PartitionLength::Week => 'w',
    }
}

fn column_type(name: &str, of: &DataType) -> &'static str {
    match of {
        DataType::Float64 => "double precision",
        DataType::Int64 => "bigint",
        DataType::Int32 => "integer",
        DataType::Timestamp(..) => "timestamptz",
        DataType::Map(..) => "jsonb",
        DataType::Binary => "bytea",
        // As it was written, which `jsonb` does not keep.
        _ if name == EXTRA => "json",
        _ => "text",
    }
}

/// The system's own name of a type.
fn udt(name: &str) -> &str {
    match name {
        "double precision" => "float8",
        "bigint" => "int8",
        "integer" => "int4",
        other => other,
    }
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_by_their_stretch() {
        let micros = EventTime::parse(b"2026-11-27T10:00:00").expect("a time").micros();
        let stretch = PartitionLength::Day.of(micros);
        let name = partition_name(Table::Readings, PartitionLength::Day, stretch);
        assert_eq!(stretch_of(Table::Readings, PartitionLength::Day, &name), Some(stretch));
        assert_eq!(stretch_of(Table::Readings, PartitionLength::Week, &name), None);
        assert_eq!(stretch_of(Table::Readings, PartitionLength::Day, "readings_default"), None);
        assert_eq!(PartitionLength::Day.start(stretch), "2026-11-27T00:00:00");
        assert_eq!(PartitionLength::Week.of(-1), -1);
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
