//! The two requests that librdkafka has no call for: the sizes of partitions on disk, and which protocol
//! versions a broker speaks (from which its release follows).
//!
//! A plain blocking connection, for administration only; it honours the same `security.protocol`, `ssl.*` and
//! `sasl.*` properties as the client library (PLAINTEXT, SSL, PLAIN, SCRAM). Requests are in the oldest format that
//! Kafka 2.1 to 4.x all answer. Every read has a timeout and a bound on its size.

mod connection;
mod frame;
mod scram;

use std::collections::BTreeMap;

use crate::{Admin, Broker, Error};
use connection::Connection;
use frame::{Reader, Writer};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const API_VERSIONS: i16 = 18;
const DESCRIBE_LOG_DIRS: i16 = 35;

/// What a broker could not be asked, in words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The TLS handshake or its settings failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// The broker refused the credentials.
    #[error("authentication: {0}")]
    Authentication(String),
    /// The settings ask for something that this connection cannot do.
    #[error("{0} is not supported for this request")]
    Unsupported(String),
    /// The answer is not what the protocol says.
    #[error("the broker's answer cannot be read")]
    Malformed,
    /// The broker refused the request.
    #[error("the broker refused the request with error code {0}")]
    Refused(i16),
}

/// Bytes on disk by broker and partition.
pub type Sizes = BTreeMap<(i32, i32), u64>;

impl Admin {
    /// The bytes that each replica of a topic takes on its broker's disk, by broker and partition.
    pub fn sizes(&self, topic: &str) -> Result<Sizes, Error> {
        let mut sizes = BTreeMap::new();
        for broker in self.cluster()?.brokers {
            let found = self.ask(&broker, |connection| log_dirs(connection, topic))?;
            sizes.extend(found.into_iter().map(|(partition, size)| ((broker.id, partition), size)));
        }
        Ok(sizes)
    }

    /// The Kafka release whose protocol each broker speaks, by broker id.
    pub fn releases(&self) -> Result<BTreeMap<i32, &'static str>, Error> {
        let brokers = self.cluster()?.brokers;
        brokers.iter().map(|broker| Ok((broker.id, self.ask(broker, release)?))).collect()
    }

    fn ask<T>(
        &self,
        broker: &Broker,
        request: impl FnOnce(&mut Connection) -> Result<T, WireError>,
    ) -> Result<T, Error> {
        Connection::open(&self.settings, &broker.host, broker.port)
            .and_then(|mut connection| request(&mut connection))
            .map_err(|error| Error::Broker {
                address: format!("{}:{}", broker.host, broker.port),
                detail: error.to_string(),
            })
    }
}

fn log_dirs(connection: &mut Connection, topic: &str) -> Result<Vec<(i32, u64)>, WireError> {
    // Version 1: all partitions of all topics, since naming them would need their numbers first.
    let answer = connection.request(DESCRIBE_LOG_DIRS, 1, &Writer::default().int32(-1).done())?;
    let mut reader = Reader::new(&answer);
    let mut sizes = Vec::new();
    let _throttle = reader.int32()?;
    for _ in 0..reader.count()? {
        let code = reader.int16()?;
        let _directory = reader.text()?;
        for _ in 0..reader.count()? {
            let wanted = reader.text()? == topic;
            for _ in 0..reader.count()? {
                let (partition, size) = (reader.int32()?, reader.int64()?);
                let (_lag, moving) = (reader.int64()?, reader.int8()?);
                if wanted && moving == 0 {
                    sizes.push((partition, u64::try_from(size).unwrap_or(0)));
                }
            }
        }
        if code != 0 {
            return Err(WireError::Refused(code));
        }
    }
    Ok(sizes)
}

fn release(connection: &mut Connection) -> Result<&'static str, WireError> {
    let answer = connection.request(API_VERSIONS, 0, &[])?;
    let mut reader = Reader::new(&answer);
    let code = reader.int16()?;
    if code != 0 {
        return Err(WireError::Refused(code));
    }
    let (mut produce, mut fetch) = (0, 0);
    for _ in 0..reader.count()? {
        let (key, _lowest, highest) = (reader.int16()?, reader.int16()?, reader.int16()?);
        match key {
            PRODUCE => produce = highest,
            FETCH => fetch = highest,
            _ => {}
        }
    }
    Ok(release_of(produce, fetch))
}

/// The release by its highest versions of Produce and Fetch, which between them rose with almost every one.
fn release_of(produce: i16, fetch: i16) -> &'static str {
    match (produce, fetch) {
        (14.., _) => "newer than 4.1",
        (13, _) => "4.1",
        (12, _) => "4.0",
        (11, 17..) => "3.9",
        (11, _) => "3.8",
        (10, _) => "3.7",
        (9, 15..) => "3.5 or 3.6",
        _ => "older than 3.5",
    }
}
