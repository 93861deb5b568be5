//! The embedded broker's settings: from the file's values to the broker's own type.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use broker::{Limits, SaslMechanism, Security, Tls, User};

use super::error::SettingsError;
use super::raw::{RawBroker, RawBrokerLimits, RawBrokerSecurity};
use super::validate::Check;

/// More partitions than one machine has files for.
const MAX_PARTITIONS: i64 = 1_000_000;
/// The largest size that a setting in bytes may have.
const MAX_BYTES: i64 = 1 << 40;
/// The smallest segment: room for a few batches.
const MIN_SEGMENT_BYTES: i64 = 1 << 14;

/// The settings of a broker whose users and data directory are not known yet.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSettings {
    /// All that is known; `data_directory` is empty if the user's own is meant.
    settings: broker::Settings,
    users_file: Option<PathBuf>,
}

/// Where a broker keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DataDirectory {
    /// Where the settings say, or the user's own place for data.
    Settings,
    /// Somewhere else.
    At(PathBuf),
}

impl BrokerSettings {
    /// The whole: with the users from their file, and the data directory found.
    pub(crate) fn complete(&self, directory: &DataDirectory) -> anyhow::Result<broker::Settings> {
        let mut settings = self.settings.clone();
        if let DataDirectory::At(path) = directory {
            settings.data_directory.clone_from(path);
        } else if settings.data_directory.as_os_str().is_empty() {
            settings.data_directory = own_data_directory()?;
        }
        if let Some(path) = &self.users_file {
            settings.security.users = read_users(path)?;
        }
        Ok(settings)
    }
}

/// The user's own place for the program's data, by the XDG base directory specification.
fn own_data_directory() -> Result<PathBuf, SettingsError> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    data.map(|data| data.join("streamgauge")).ok_or(SettingsError::NoDataDirectory)
}

fn read_users(path: &Path) -> Result<Vec<User>, SettingsError> {
    let refusal = |detail: String| SettingsError::UsersFile { path: path.to_owned(), detail };
    let text = std::fs::read_to_string(path).map_err(|error| refusal(error.to_string()))?;
    let mut users = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                users.push(User { name: name.to_owned(), password: password.to_owned() });
            }
            // Never the line itself: it may hold a password.
            _ => return Err(refusal(format!("line {} is not NAME:PASSWORD", index + 1))),
        }
    }
    if users.is_empty() {
        return Err(refusal("it names no user".to_owned()));
    }
    Ok(users)
}

impl Check<'_> {
    pub(super) fn broker(&self, raw: RawBroker) -> Result<BrokerSettings, SettingsError> {
        let users_file =
            Some(PathBuf::from(&raw.security.users_file)).filter(|it| !it.as_os_str().is_empty());
        let settings = broker::Settings {
            topic_defaults: self.topic_defaults(&raw)?,
            data_directory: PathBuf::from(raw.data_dir),
            listen: self.address("broker.listen", &raw.listen)?,
            advertise: self.advertised(&raw.advertise)?,
            node_id: 1,
            create_topics: raw.create_topics,
            default_partitions: self.whole(
                "broker.default_partitions",
                raw.default_partitions,
                1..=MAX_PARTITIONS,
            )? as i32,
            initial_rebalance_delay: self
                .duration("broker.initial_rebalance_delay", &raw.initial_rebalance_delay)?,
            session_timeouts: (
                self.some_time("broker.shortest_session", &raw.shortest_session)?,
                self.some_time("broker.longest_session", &raw.longest_session)?,
            ),
            offsets_retention: self.some_time("broker.offsets_retention", &raw.offsets_retention)?,
            longest_transaction: self.some_time("broker.longest_transaction", &raw.longest_transaction)?,
            producer_retention: self.some_time("broker.producer_retention", &raw.producer_retention)?,
            housekeeping: self.some_time("broker.housekeeping", &raw.housekeeping)?,
            security: self.security(&raw.security, users_file.is_some())?,
            limits: self.limits(&raw.limits)?,
        };
        Ok(BrokerSettings { settings, users_file })
    }

    /// What holds for topics that set nothing else, by Kafka's names.
    fn topic_defaults(&self, raw: &RawBroker) -> Result<Vec<(String, String)>, SettingsError> {
        let retention = self.some_time("broker.retention", &raw.retention)?.as_millis().to_string();
        let whole = |name: &str, value, least| {
            self.whole(&format!("broker.{name}"), value, least..=MAX_BYTES).map(|value| value.to_string())
        };
        Ok(vec![
            ("segment.bytes".to_owned(), whole("segment_bytes", raw.segment_bytes, MIN_SEGMENT_BYTES)?),
            ("max.message.bytes".to_owned(), whole("max_message_bytes", raw.max_message_bytes, 1)?),
            ("retention.ms".to_owned(), retention),
            ("retention.bytes".to_owned(), whole("retention_bytes", raw.retention_bytes, -1)?),
        ])
    }

    fn address(&self, path: &str, text: &str) -> Result<SocketAddr, SettingsError> {
        let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        found.ok_or_else(|| self.refusal(path, "it must be HOST:PORT, with a host that is known here"))
    }

    fn advertised(&self, text: &str) -> Result<Option<(String, u16)>, SettingsError> {
        if text.is_empty() {
            return Ok(None);
        }
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts.filter(|(host, _)| !host.is_empty()) {
            Some((host, port)) => Ok(Some((host.trim_matches(['[', ']']).to_owned(), port))),
            None => Err(self.refusal("broker.advertise", "it must be HOST:PORT")),
        }
    }

    fn security(&self, raw: &RawBrokerSecurity, has_users: bool) -> Result<Security, SettingsError> {
        let path = |text: &str| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty());
        let tls =
            match (path(&raw.certificate), path(&raw.key)) {
                (Some(certificate), Some(key)) => {
                    Some(Tls { certificate, key, client_authorities: path(&raw.client_authorities) })
                }
                (None, None) if raw.client_authorities.is_empty() => None,
                (None, _) => {
                    return Err(self
                        .refusal("broker.security.certificate", "TLS needs it beside broker.security.key"));
                }
                (Some(_), None) => {
                    return Err(self
                        .refusal("broker.security.key", "TLS needs it beside broker.security.certificate"));
                }
            };
        let names = raw.sasl_mechanisms.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mechanisms = names.map(|name| self.mechanism(name)).collect::<Result<Vec<_>, _>>()?;
        if !mechanisms.is_empty() && !has_users {
            let wanted = "broker.security.sasl_mechanisms needs it: nobody could connect";
            return Err(self.refusal("broker.security.users_file", wanted));
        }
        Ok(Security { tls, mechanisms, users: Vec::new(), open_to_the_network: raw.open_to_the_network })
    }

    fn mechanism(&self, name: &str) -> Result<SaslMechanism, SettingsError> {
        match name {
            "PLAIN" => Ok(SaslMechanism::Plain),
            "SCRAM-SHA-256" => Ok(SaslMechanism::ScramSha256),
            "SCRAM-SHA-512" => Ok(SaslMechanism::ScramSha512),
            _ => Err(self.refusal(
                "broker.security.sasl_mechanisms",
                "it must be a list of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512",
            )),
        }
    }

    fn limits(&self, raw: &RawBrokerLimits) -> Result<Limits, SettingsError> {
        let whole = |name: &str, value, most| {
            self.whole(&format!("broker.limits.{name}"), value, 1..=most).map(|value| value as usize)
        };
        Ok(Limits {
            connections: whole("connections", raw.connections, 1_000_000)?,
            request_bytes: whole("request_bytes", raw.request_bytes, i64::from(i32::MAX))?,
            requests_in_flight_bytes: whole(
                "requests_in_flight_bytes",
                raw.requests_in_flight_bytes,
                MAX_BYTES,
            )?,
            partitions: whole("partitions", raw.partitions, MAX_PARTITIONS)?,
            idle_connection: self.some_time("broker.limits.idle_connection", &raw.idle_connection)?,
        })
    }
}
