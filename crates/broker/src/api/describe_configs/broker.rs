//! The broker's own settings under Apache Kafka's names, for tools that look at them. They are read-only.

use std::time::Duration;

use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};

use super::{Detail, FROM_BROKER, FROM_TABLE, Refusal, text};
use crate::Shared;
use crate::catalog::all_settings;

/// The numbers of types in `DescribeConfigs` (KIP-569).
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;

/// A setting: its name, type, value, source and what it means.
struct Setting {
    name: &'static str,
    kind: i8,
    value: String,
    source: i8,
    documentation: &'static str,
}

/// Refuses any other broker than this one. An empty name stands for what all brokers share that was changed while they
/// ran, and there is nothing of that.
pub(super) fn describe(
    shared: &Shared,
    name: &str,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    check_id(shared, name)?;
    let mut all = own(shared);
    all.extend(defaults_of_topics(shared));
    Ok(all.into_iter().map(|setting| setting.describe(detail)).collect())
}

/// Refuses what is not the number of this node.
pub(in crate::api) fn check_id(shared: &Shared, name: &str) -> Result<(), Refusal> {
    let id = shared.node.id;
    if name.parse() == Ok(id) {
        return Ok(());
    }
    Err(Refusal::invalid_request(format!(
        "Unexpected broker id, expected {id} or empty string, but received {name}"
    )))
}

impl Setting {
    fn describe(self, detail: Detail) -> DescribeConfigsResourceResult {
        let synonym = DescribeConfigsSynonym::default()
            .with_name(self.name.into())
            .with_value(Some(text(self.value.clone())))
            .with_source(self.source);
        DescribeConfigsResourceResult::default()
            .with_name(self.name.into())
            .with_value(Some(text(self.value)))
            .with_read_only(true)
            .with_config_source(self.source)
            .with_config_type(self.kind)
            .with_documentation(detail.documentation.then(|| self.documentation.into()))
            .with_synonyms(if detail.synonyms { vec![synonym] } else { Vec::new() })
    }
}

/// What the broker was told when it started.
fn own(shared: &Shared) -> Vec<Setting> {
    let settings = &shared.settings;
    let (shortest, longest) = settings.session_timeouts;
    let own = |name, kind, value: String, documentation| Setting {
        name,
        kind,
        value,
        source: FROM_BROKER,
        documentation,
    };
    let ms = |duration: Duration| duration.as_millis().to_string();
    vec![
        own("broker.id", INT, shared.node.id.to_string(), "The number of this node."),
        own("node.id", INT, shared.node.id.to_string(), "The number of this node."),
        own(
            "log.dirs",
            STRING,
            shared.catalog.directory().to_string_lossy().into_owned(),
            "Where the logs of the partitions are.",
        ),
        own(
            "auto.create.topics.enable",
            BOOLEAN,
            settings.create_topics.to_string(),
            "Whether a topic is created when a client that allows it asks for its metadata.",
        ),
        own(
            "num.partitions",
            INT,
            settings.default_partitions.to_string(),
            "Partitions of a topic that is created without a count.",
        ),
        own("default.replication.factor", INT, "1".to_owned(), "There is one node."),
        own("delete.topic.enable", BOOLEAN, true.to_string(), "Whether topics can be deleted."),
        own(
            "group.initial.rebalance.delay.ms",
            INT,
            ms(settings.initial_rebalance_delay),
            "How long the first member of an empty group waits for others.",
        ),
        own(
            "group.min.session.timeout.ms",
            INT,
            ms(shortest),
            "The shortest session timeout that a member of a group may ask for.",
        ),
        own(
            "group.max.session.timeout.ms",
            INT,
            ms(longest),
            "The longest session timeout that a member of a group may ask for.",
        ),
        own(
            "offsets.retention.minutes",
            INT,
            (settings.offsets_retention.as_secs() / 60).to_string(),
            "How long committed offsets of a group without members are kept.",
        ),
        own(
            "transaction.max.timeout.ms",
            INT,
            ms(settings.longest_transaction),
            "The longest transaction timeout that a producer may ask for.",
        ),
        own(
            "transactional.id.expiration.ms",
            INT,
            ms(settings.producer_retention),
            "How long a transactional id is remembered after its last use.",
        ),
        own(
            "log.retention.check.interval.ms",
            LONG,
            ms(settings.housekeeping),
            "How often retention and compaction are looked after.",
        ),
        own(
            "max.connections",
            INT,
            settings.limits.connections.to_string(),
            "Connections at once; one more is closed at once.",
        ),
        own(
            "connections.max.idle.ms",
            LONG,
            ms(settings.limits.idle_connection),
            "A connection without a request for this long is closed.",
        ),
        own(
            "socket.request.max.bytes",
            INT,
            settings.limits.request_bytes.to_string(),
            "The size of a request; a larger one closes its connection.",
        ),
    ]
}

/// What topics that do not say otherwise are given.
fn defaults_of_topics(shared: &Shared) -> impl Iterator<Item = Setting> {
    let defaults = shared.catalog.defaults();
    all_settings().iter().filter_map(move |definition| {
        let given = defaults.broker_value(definition);
        Some(Setting {
            name: definition.broker_name?,
            kind: definition.config_type(),
            value: given.unwrap_or(definition.default).to_owned(),
            source: if given.is_some() { FROM_BROKER } else { FROM_TABLE },
            documentation: definition.documentation,
        })
    })
}
