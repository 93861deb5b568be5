//! Where a database is, and the way to it.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres::{Client, Config};
use postgres_openssl::MakeTlsConnector;

use super::DatabaseError;
use crate::Error;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long a peer that does not acknowledge is taken for gone.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// What every session begins with: a worker that sleeps between the update of its position and the commit is cut off by the
/// server, and nobody waits for it longer than that.
const SESSION: &str = "set lock_timeout = '60s'; set idle_in_transaction_session_timeout = '30s'; \
                       set timezone = 'UTC'; set client_encoding = 'UTF8'";

/// How far the server's certificate is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// As it is: `sslmode` disable, allow, prefer and require.
    Anything,
    /// It has to be signed by somebody known: verify-ca.
    Signed,
    /// And to be this host's: verify-full.
    SignedForHost,
}

/// A database's address, as `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=FILE` or as
/// `host=… user=… dbname=…`, with libpq's meaning of the parameters. Its text never shows the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    trust: Trust,
    root: Option<String>,
    name: String,
}

/// An address that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}; write it like postgres://user:password@host:5432/database")]
pub struct UrlMistake(String);

impl FromStr for DatabaseUrl {
    type Err = UrlMistake;

    fn from_str(text: &str) -> Result<Self, UrlMistake> {
        let mut own = Parameters::default();
        let text = own.take_from(text)?;
        let mut config: Config =
            text.parse().map_err(|error: postgres::Error| UrlMistake(readable(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(UrlMistake("no host is named".to_owned()));
        }
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("streamgauge");
        }
        config.keepalives_idle(TCP_USER_TIMEOUT).tcp_user_timeout(TCP_USER_TIMEOUT);
        let name = name(&config);
        Ok(Self { config, trust: own.trust.unwrap_or(Trust::Anything), root: own.root, name })
    }
}

/// The parameters that the library does not know.
#[derive(Default)]
struct Parameters {
    trust: Option<Trust>,
    root: Option<String>,
}

impl Parameters {
    /// The text without them.
    fn take_from(&mut self, text: &str) -> Result<String, UrlMistake> {
        if let Some((address, query)) = text.split_once('?').filter(|_| text.contains("://")) {
            let rest = self.sift(query.split('&'))?;
            return Ok(if rest.is_empty() {
                address.to_owned()
            } else {
                format!("{address}?{}", rest.join("&"))
            });
        }
        if text.contains("://") {
            return Ok(text.to_owned());
        }
        Ok(self.sift(text.split_whitespace())?.join(" "))
    }

    fn sift<'t>(&mut self, parts: impl Iterator<Item = &'t str>) -> Result<Vec<String>, UrlMistake> {
        let mut rest = Vec::new();
        for part in parts {
            match part.split_once('=') {
                Some(("sslrootcert", path)) => self.root = Some(path.to_owned()),
                Some(("sslmode", mode @ ("verify-ca" | "verify-full"))) => {
                    self.trust = Some(if mode == "verify-ca" { Trust::Signed } else { Trust::SignedForHost });
                    rest.push("sslmode=require".to_owned());
                }
                Some(("sslmode", "allow")) => rest.push("sslmode=prefer".to_owned()),
                Some(("sslmode", mode)) if !["disable", "prefer", "require"].contains(&mode) => {
                    return Err(UrlMistake(format!(
                        "sslmode={mode} is none of disable, allow, prefer, require, verify-ca, verify-full"
                    )));
                }
                _ => rest.push(part.to_owned()),
            }
        }
        Ok(rest)
    }
}

/// The reason without what was parsed, which may hold a password.
fn readable(error: &postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string())
}

/// `user@host:port/database`.
fn name(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(postgres::config::Host::Tcp(host)) => host.clone(),
        Some(postgres::config::Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let database = config.get_dbname().or_else(|| config.get_user()).unwrap_or_default();
    format!("{user}{host}:{port}/{database}")
}

impl DatabaseUrl {
    /// The address for people, without the password.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn connect(&self) -> Result<Client, Error> {
        let tls = self
            .tls()
            .map_err(|error| Error::Tls { database: self.name.clone(), detail: error.to_string() })?;
        let mut client = self.config.connect(tls).map_err(self.failed("connect"))?;
        client.batch_execute(SESSION).map_err(self.failed("connect"))?;
        Ok(client)
    }

    fn tls(&self) -> Result<MakeTlsConnector, openssl::error::ErrorStack> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        if let Some(path) = &self.root {
            builder.set_ca_file(path)?;
        }
        if self.trust == Trust::Anything {
            builder.set_verify(SslVerifyMode::NONE);
        }
        let mut connector = MakeTlsConnector::new(builder.build());
        let checks_host = self.trust == Trust::SignedForHost;
        connector.set_callback(move |configuration, _| {
            configuration.set_verify_hostname(checks_host);
            Ok(())
        });
        Ok(connector)
    }

    pub(super) fn failed(&self, doing: &'static str) -> impl FnOnce(postgres::Error) -> Error + use<> {
        let database = self.name.clone();
        move |source| Error::Database(DatabaseError { doing, database, source: Box::new(source) })
    }

    /// What the server said to rows that could not be handed over.
    pub(super) fn failed_write(&self, error: io::Error) -> Error {
        match error.downcast::<postgres::Error>() {
            Ok(error) => self.failed("store rows")(error),
            Err(source) => Error::File { doing: "send rows to", path: self.name.clone().into(), source },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseUrl")
            .field("name", &self.name)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password() {
        let url: DatabaseUrl =
            "postgres://me:s3cret@db.example.com:5433/plant?sslmode=verify-full&sslrootcert=/ca.pem"
                .parse()
                .expect("an address");
        assert_eq!(url.name(), "me@db.example.com:5433/plant");
        assert_eq!((url.trust, url.root.as_deref()), (Trust::SignedForHost, Some("/ca.pem")));
        assert!(!format!("{url:?}").contains("s3cret"));
        let words: DatabaseUrl =
            "host=/run/postgresql user=me dbname=plant sslmode=verify-ca".parse().expect("an address");
        assert_eq!((words.name(), words.trust), ("me@/run/postgresql:5432/plant", Trust::Signed));
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        for text in [
            "",
            "postgres://",
            "postgres://me:s3cret@h/d?sslmode=maybe",
            "me:s3cret",
            "postgres://me:s3cret@h:x/d",
        ] {
            let mistake = text.parse::<DatabaseUrl>().expect_err("no address").to_string();
            assert!(
                mistake.contains("postgres://user:password@host") && !mistake.contains("s3cret"),
                "{mistake}"
            );
        }
    }
}
