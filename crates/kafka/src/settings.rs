//! Connection settings: raw librdkafka properties for producers, consumers and both.
//!
//! Any librdkafka property is passed through as it is. Only what would break a promise of the pipeline is
//! refused, by name and with the reason. Defaults are not kept here but in the binary's default file.

use std::collections::BTreeMap;

use crate::native::conf;

/// Raw librdkafka properties: those for every client, and those for one kind of client, which win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Properties of every client, for instance `bootstrap.servers`.
    pub common: BTreeMap<String, String>,
    /// Properties of producers alone.
    pub producer: BTreeMap<String, String>,
    /// Properties of consumers alone.
    pub consumer: BTreeMap<String, String>,
}

/// A kind of client; decides which properties apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Writes to topics.
    Producer,
    /// Reads topics as a member of a consumer group.
    Consumer,
    /// Asks the cluster about itself.
    Admin,
}

/// Why settings were refused. Every message names the property.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The property is not one of librdkafka's.
    #[error("unknown Kafka property {key:?}{}", suggestion(nearest.as_ref()))]
    Unknown {
        /// The property as given.
        key: String,
        /// The closest known property, if one is close.
        nearest: Option<String>,
    },
    /// The property is known and the value does not fit it.
    #[error("Kafka property {key:?} cannot be {value:?}: {detail}")]
    Invalid {
        /// The property.
        key: String,
        /// Its value (empty for a secret).
        value: String,
        /// What librdkafka says about it.
        detail: String,
    },
    /// The value would break a promise of the pipeline.
    #[error("Kafka property {key:?} must not be {value:?}: {reason}")]
    Refused {
        /// The property.
        key: String,
        /// The refused value.
        value: String,
        /// The promise it would break, and what to do.
        reason: &'static str,
    },
    /// A combination of properties that librdkafka refuses when the client is made.
    #[error("the Kafka settings do not fit together: {detail}")]
    Conflict {
        /// What librdkafka says about it.
        detail: String,
    },
}

fn suggestion(nearest: Option<&String>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// Properties whose values are never shown.
const SECRET_MARKS: [&str; 4] = ["password", "secret", "key.pem", "private"];

/// Whether the value of a property must not appear in logs or output.
pub fn is_secret(key: &str) -> bool {
    SECRET_MARKS.iter().any(|mark| key.contains(mark))
        || key == "sasl.oauthbearer.config"
        || key == "ssl.key.pem"
}

/// A property that the façade sets itself, with the reason for refusing another value.
struct Promise {
    roles: &'static [Role],
    keys: &'static [&'static str],
    allowed: &'static [&'static str],
    reason: &'static str,
}

const PROMISES: &[Promise] = &[
    Promise {
        roles: &[Role::Producer],
        keys: &["acks", "request.required.acks"],
        allowed: &["all", "-1"],
        reason: "a record acknowledged by fewer than all in-sync replicas can be lost; leave it at \"all\"",
    },
    Promise {
        roles: &[Role::Producer],
        keys: &["delivery.report.only.error"],
        allowed: &["false", "f", "0"],
        reason: "acknowledged records could no longer be counted; remove it",
    },
    Promise {
        roles: &[Role::Consumer],
        keys: &["enable.auto.commit", "auto.commit.enable"],
        allowed: &["false", "f", "0"],
        reason: "offsets are committed after processing, by streamgauge itself; set the commit mode and interval instead",
    },
    Promise {
        roles: &[Role::Consumer],
        keys: &["enable.auto.offset.store"],
        allowed: &["false", "f", "0"],
        reason: "an offset would be stored before its record is processed; remove it",
    },
    Promise {
        roles: &[Role::Consumer],
        keys: &["enable.partition.eof"],
        allowed: &["true", "t", "1"],
        reason: "the end of a partition would go unseen; remove it",
    },
];

/// What every consumer is made with: offsets are ours to commit, ends of partitions are reported.
const CONSUMER_FIXED: [(&str, &str); 3] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
];

impl KafkaSettings {
    /// Settings that only name the brokers (`host:port`, comma-separated).
    pub fn with_bootstrap(bootstrap: impl Into<String>) -> Self {
        let mut settings = Self::default();
        settings.common.insert("bootstrap.servers".into(), bootstrap.into());
        settings
    }

    /// Sets a property for every client, over whatever the tables of one role say (a flag wins over a file).
    pub fn set_for_all(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let key = key.into();
        self.producer.remove(&key);
        self.consumer.remove(&key);
        self.common.insert(key, value.into());
    }

    /// The bootstrap servers, or an empty string if none are set.
    pub fn bootstrap(&self) -> &str {
        ["bootstrap.servers", "metadata.broker.list"]
            .iter()
            .find_map(|key| self.common.get(*key))
            .map_or("", String::as_str)
    }

    /// The properties in force for one kind of client: its own over the common ones, then the fixed ones.
    pub fn for_role(&self, role: Role) -> BTreeMap<String, String> {
        let mut merged = self.common.clone();
        match role {
            Role::Producer => merged.extend(self.producer.clone()),
            Role::Consumer => {
                merged.extend(self.consumer.clone());
                merged.extend(CONSUMER_FIXED.map(|(key, value)| (key.to_owned(), value.to_owned())));
            }
            Role::Admin => {
                // A property of one role only would make librdkafka warn about the other: leave those out.
            }
        }
        merged
    }

    /// Checks every property by itself: known, of the right type, breaking no promise.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.bootstrap().trim().is_empty() {
            return Err(SettingsError::Invalid {
                key: "bootstrap.servers".into(),
                value: String::new(),
                detail: "it must name at least one broker as host:port".into(),
            });
        }
        for (table, roles) in [
            (&self.common, &[Role::Producer, Role::Consumer][..]),
            (&self.producer, &[Role::Producer][..]),
            (&self.consumer, &[Role::Consumer][..]),
        ] {
            for (key, value) in table {
                check_promises(key, value, roles)?;
                conf::check_property(key, value)?;
            }
        }
        Ok(())
    }

    /// Checks what a guarantee of exactly-once needs beyond [`KafkaSettings::check`].
    pub fn check_exactly_once(&self) -> Result<(), SettingsError> {
        let producer = self.for_role(Role::Producer);
        for key in ["enable.idempotence"] {
            if let Some(value) = producer.get(key).filter(|value| is_false(value)) {
                return Err(SettingsError::Refused {
                    key: key.into(),
                    value: value.clone(),
                    reason: "exactly-once needs the idempotent producer; remove it, or choose at-least-once",
                });
            }
        }
        Ok(())
    }

    /// All properties with secrets replaced, for display.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let redact = |table: &BTreeMap<String, String>| {
            table
                .iter()
                .map(|(key, value)| (key.clone(), if is_secret(key) { "***".into() } else { value.clone() }))
                .collect()
        };
        Self {
            common: redact(&self.common),
            producer: redact(&self.producer),
            consumer: redact(&self.consumer),
        }
    }
}

fn is_false(value: &str) -> bool {
    matches!(value, "false" | "f" | "0")
}

fn check_promises(key: &str, value: &str, roles: &[Role]) -> Result<(), SettingsError> {
    for promise in PROMISES {
        let concerns = promise.keys.contains(&key) && promise.roles.iter().any(|role| roles.contains(role));
        if concerns && !promise.allowed.contains(&value.to_ascii_lowercase().as_str()) {
            return Err(SettingsError::Refused {
                key: key.into(),
                value: value.into(),
                reason: promise.reason,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(common: &[(&str, &str)], producer: &[(&str, &str)], consumer: &[(&str, &str)]) -> String {
        let table = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut settings =
            KafkaSettings { common: table(common), producer: table(producer), consumer: table(consumer) };
        settings.common.entry("bootstrap.servers".into()).or_insert("localhost:9092".into());
        match settings.check() {
            Ok(()) => "ok".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn passes_through_what_librdkafka_knows() {
        assert_eq!(
            check(&[("client.id", "x"), ("security.protocol", "sasl_ssl")], &[("linger.ms", "7")], &[]),
            "ok"
        );
        assert_eq!(check(&[], &[("enable.idempotence", "false")], &[("session.timeout.ms", "10000")]), "ok");
    }

    #[test]
    fn suggests_the_nearest_property() {
        assert_eq!(
            check(&[("bootstrap.server", "x")], &[], &[]),
            "unknown Kafka property \"bootstrap.server\"; did you mean \"bootstrap.servers\"?"
        );
        let message = check(&[("linger.m", "5")], &[], &[]);
        assert!(message.ends_with("did you mean \"linger.ms\"?"), "{message}");
        assert_eq!(check(&[], &[("qqqqqqqqqqqqqq", "x")], &[]), "unknown Kafka property \"qqqqqqqqqqqqqq\"");
    }

    #[test]
    fn names_the_property_with_a_bad_value() {
        let message = check(&[], &[("linger.ms", "soon")], &[]);
        assert!(message.starts_with("Kafka property \"linger.ms\" cannot be \"soon\": "), "{message}");
    }

    #[test]
    fn refuses_what_breaks_a_promise() {
        assert!(check(&[], &[("acks", "1")], &[]).contains("\"acks\" must not be \"1\""));
        assert_eq!(check(&[], &[("acks", "all")], &[]), "ok");
        assert!(check(&[], &[], &[("enable.auto.commit", "true")]).contains("committed after processing"));
        assert!(check(&[("bootstrap.servers", " ")], &[], &[]).contains("bootstrap.servers"));
    }

    #[test]
    fn exactly_once_needs_idempotence() {
        let mut settings = KafkaSettings::with_bootstrap("localhost:9092");
        assert_eq!(settings.check_exactly_once(), Ok(()));
        settings.producer.insert("enable.idempotence".into(), "false".into());
        let message = settings.check_exactly_once().unwrap_err().to_string();
        assert!(message.contains("\"enable.idempotence\" must not be \"false\""), "{message}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut settings = KafkaSettings::with_bootstrap("localhost:9092");
        settings.common.insert("sasl.password".into(), "hunter2".into());
        assert!(!format!("{:?}", settings.redacted()).contains("hunter2"));
        assert_eq!(settings.redacted().bootstrap(), "localhost:9092");
    }
}
