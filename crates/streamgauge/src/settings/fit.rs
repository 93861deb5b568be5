//! Settings that must fit each other. Each rule names both keys, their values and where they came from.

use std::time::Duration;

use super::duration;
use super::error::SettingsError;
use super::layer::{Entry, Layer};
use super::validate::shown;

/// The most requests in flight with which the idempotent producer keeps records in order.
const MAX_IDEMPOTENT_IN_FLIGHT: i64 = 5;

/// Checks every rule.
pub(super) fn check(entries: &Layer) -> Result<(), SettingsError> {
    let rules = Rules { entries };
    rules.replicas()?;
    rules.stall_timeout()?;
    rules.heartbeat()?;
    rules.in_flight()?;
    rules.credentials()
}

struct Rules<'a> {
    entries: &'a Layer,
}

impl<'a> Rules<'a> {
    fn replicas(&self) -> Result<(), SettingsError> {
        let (least, copies) = ("topics.min_insync_replicas", "topics.replication_factor");
        match (self.whole(least), self.whole(copies)) {
            (Some(least_value), Some(copies_value)) if copies_value >= 1 && least_value > copies_value => {
                Err(self.conflict(
                    least,
                    copies,
                    "there would never be that many replicas, so nothing could be written",
                ))
            }
            _ => Ok(()),
        }
    }

    fn stall_timeout(&self) -> Result<(), SettingsError> {
        let (stall, session) = ("analyze.stall_timeout", "kafka.consumer.session.timeout.ms");
        match (self.time(stall), self.kafka_millis(session)) {
            (Some(limit), Some((session, millis))) if limit <= millis => Err(self.conflict(
                stall,
                &session,
                "a rebalance may take a session timeout and would count as a stall; make the first longer",
            )),
            _ => Ok(()),
        }
    }

    fn heartbeat(&self) -> Result<(), SettingsError> {
        let (beat, session) = ("kafka.consumer.heartbeat.interval.ms", "kafka.consumer.session.timeout.ms");
        match (self.kafka_millis(beat), self.kafka_millis(session)) {
            (Some((beat, often)), Some((session, limit))) if often >= limit => Err(self.conflict(
                &beat,
                &session,
                "every member would be thrown out between two heartbeats; a third of the session is usual",
            )),
            _ => Ok(()),
        }
    }

    fn in_flight(&self) -> Result<(), SettingsError> {
        let idempotent = self.kafka("kafka.producer.enable.idempotence");
        let Some((idempotence, _)) = idempotent.filter(|(_, entry)| entry.value.to_string() == "true") else {
            return Ok(());
        };
        for name in ["max.in.flight.requests.per.connection", "max.in.flight"] {
            let Some((in_flight, entry)) = self.kafka(&format!("kafka.producer.{name}")) else { continue };
            if entry.value.to_string().parse().is_ok_and(|number: i64| number > MAX_IDEMPOTENT_IN_FLIGHT) {
                return Err(self.conflict(
                    &in_flight,
                    &idempotence,
                    "records stay in order with at most 5 requests in flight",
                ));
            }
        }
        Ok(())
    }

    fn credentials(&self) -> Result<(), SettingsError> {
        let Some((user, _)) = self.kafka("kafka.sasl.username") else { return Ok(()) };
        let protocol = self.kafka("kafka.security.protocol");
        if protocol.as_ref().is_some_and(|(_, entry)| entry.value.to_string().to_lowercase().contains("sasl"))
        {
            return Ok(());
        }
        let reason =
            "the name and password would never be sent; set security.protocol to SASL_SSL or SASL_PLAINTEXT";
        let Some((protocol, _)) = protocol else {
            return Err(SettingsError::Conflict {
                first: self.described(&user),
                second: "security.protocol = \"plaintext\" (librdkafka's default)".to_owned(),
                reason: reason.to_owned(),
            });
        };
        Err(self.conflict(&user, &protocol, reason))
    }

    /// A property of librdkafka by its narrow path, or by the common one if only that is set.
    fn kafka(&self, path: &str) -> Option<(String, &'a Entry)> {
        let common = path.replacen("kafka.producer.", "kafka.", 1).replacen("kafka.consumer.", "kafka.", 1);
        let found = [path.to_owned(), common].into_iter().find(|path| self.entries.get(path).is_some())?;
        let entry = self.entries.get(&found)?;
        Some((found, entry))
    }

    fn kafka_millis(&self, path: &str) -> Option<(String, Duration)> {
        let (path, entry) = self.kafka(path)?;
        // What is no number was refused by librdkafka's own check before.
        Some((path, Duration::from_millis(entry.value.to_string().parse().ok()?)))
    }

    fn whole(&self, path: &str) -> Option<i64> {
        self.entries.get(path)?.value.to_string().parse().ok()
    }

    fn time(&self, path: &str) -> Option<Duration> {
        duration::parse(&self.entries.get(path)?.value.to_string()).ok()
    }

    fn conflict(&self, first: &str, second: &str, reason: &str) -> SettingsError {
        SettingsError::Conflict {
            first: self.described(first),
            second: self.described(second),
            reason: reason.to_owned(),
        }
    }

    /// The setting as `key = value (origin)`.
    fn described(&self, path: &str) -> String {
        let Some(entry) = self.entries.get(path) else { return path.to_owned() };
        let value = if super::is_secret(path) { "***".to_owned() } else { shown(&entry.value) };
        format!("{path} = {value} ({})", entry.origin)
    }
}
