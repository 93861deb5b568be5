//! The table of all settings of topics.
//!
//! Those at the end are accepted and described, because clients and tools set them, but a single node that stores
//! batches as they arrive has nothing to do for them; their documentation says so.

use super::{Definition, Kind};

/// `i64::MAX`, which stands for "never" in several settings.
const NEVER: &str = "9223372036854775807";

/// Compression types of Apache Kafka's brokers.
const COMPRESSIONS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

const fn setting(
    name: &'static str,
    broker_name: &'static str,
    kind: Kind,
    default: &'static str,
    documentation: &'static str,
) -> Definition {
    Definition { name, broker_name: Some(broker_name), kind, default, documentation }
}

const fn at_least(least: i32) -> Kind {
    Kind::Integer(least, i32::MAX)
}

pub(super) static TABLE: &[Definition] = &[
    setting(
        "cleanup.policy",
        "log.cleanup.policy",
        Kind::List(&["compact", "delete"]),
        "delete",
        "What happens to old segments: delete removes them by time and size, compact keeps the newest record of every key. \
         Both can be given.",
    ),
    setting(
        "delete.retention.ms",
        "log.cleaner.delete.retention.ms",
        Kind::Long(0),
        "86400000",
        "How long a tombstone stays in a compacted topic.",
    ),
    setting(
        "flush.messages",
        "log.flush.interval.messages",
        Kind::Long(1),
        NEVER,
        "After how many records the log is written to the disk. Records survive the end of the process in any case; this \
         makes them survive the loss of power.",
    ),
    setting(
        "flush.ms",
        "log.flush.interval.ms",
        Kind::Long(0),
        NEVER,
        "After how long the log is written to the disk. Records survive the end of the process in any case; this makes \
         them survive the loss of power.",
    ),
    setting(
        "index.interval.bytes",
        "log.index.interval.bytes",
        at_least(0),
        "4096",
        "How many bytes of the log lie between two entries of its index.",
    ),
    setting(
        "max.compaction.lag.ms",
        "log.cleaner.max.compaction.lag.ms",
        Kind::Long(1),
        NEVER,
        "How long a record can stay without being compacted; must not be less than min.compaction.lag.ms. Without effect \
         beyond that: the dirty ratio alone starts a compaction.",
    ),
    setting(
        "max.message.bytes",
        "message.max.bytes",
        at_least(0),
        "1048588",
        "The largest record batch that is accepted, in bytes as it arrives.",
    ),
    setting(
        "message.timestamp.after.max.ms",
        "log.message.timestamp.after.max.ms",
        Kind::Long(0),
        NEVER,
        "How far the timestamp of a record may be ahead of the broker's clock, with CreateTime.",
    ),
    setting(
        "message.timestamp.before.max.ms",
        "log.message.timestamp.before.max.ms",
        Kind::Long(0),
        NEVER,
        "How far the timestamp of a record may be behind the broker's clock, with CreateTime.",
    ),
    setting(
        "message.timestamp.difference.max.ms",
        "log.message.timestamp.difference.max.ms",
        Kind::Long(0),
        NEVER,
        "How far the timestamp of a record may be from the broker's clock, where the two settings that tell before from \
         after are not given.",
    ),
    setting(
        "message.timestamp.type",
        "log.message.timestamp.type",
        Kind::Choice(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Whether a record keeps the timestamp that its producer gave it, or gets the time of its append.",
    ),
    setting(
        "min.cleanable.dirty.ratio",
        "log.cleaner.min.cleanable.ratio",
        Kind::Fraction,
        "0.5",
        "How much of the log must not have been compacted yet for a compaction to begin.",
    ),
    setting(
        "min.compaction.lag.ms",
        "log.cleaner.min.compaction.lag.ms",
        Kind::Long(0),
        "0",
        "How long a record stays before it can be compacted.",
    ),
    setting(
        "retention.bytes",
        "log.retention.bytes",
        Kind::Long(i64::MIN),
        "-1",
        "The size of a partition's log above which its oldest segments are deleted; none if negative.",
    ),
    setting(
        "retention.ms",
        "log.retention.ms",
        Kind::Long(-1),
        "604800000",
        "How long segments are kept before they are deleted; for ever if -1.",
    ),
    setting(
        "segment.bytes",
        "log.segment.bytes",
        at_least(14),
        "1073741824",
        "The size of a segment file, in bytes, at which the next one is begun.",
    ),
    setting(
        "segment.index.bytes",
        "log.index.size.max.bytes",
        at_least(4),
        "10485760",
        "The size of a segment's offset index, in bytes, at which the next segment is begun.",
    ),
    setting(
        "segment.ms",
        "log.roll.ms",
        Kind::Long(1),
        "604800000",
        "How long after its first record the next segment is begun even if this one is not full.",
    ),
    setting(
        "compression.type",
        "compression.type",
        Kind::Choice(COMPRESSIONS),
        "producer",
        "Without effect: batches are stored with the compression that their producer chose.",
    ),
    setting(
        "compression.gzip.level",
        "compression.gzip.level",
        Kind::Integer(-1, 9),
        "-1",
        "Without effect: batches are stored with the compression that their producer chose.",
    ),
    setting(
        "compression.lz4.level",
        "compression.lz4.level",
        Kind::Integer(1, 17),
        "9",
        "Without effect: batches are stored with the compression that their producer chose.",
    ),
    setting(
        "compression.zstd.level",
        "compression.zstd.level",
        Kind::Integer(-131_072, 22),
        "3",
        "Without effect: batches are stored with the compression that their producer chose.",
    ),
    setting(
        "file.delete.delay.ms",
        "log.segment.delete.delay.ms",
        Kind::Long(0),
        "60000",
        "Without effect: a file is removed at once, and whoever reads it can finish.",
    ),
    setting(
        "message.downconversion.enable",
        "log.message.downconversion.enable",
        Kind::Boolean,
        "true",
        "Without effect: versions of Fetch that would need another message format are not spoken.",
    ),
    setting(
        "message.format.version",
        "log.message.format.version",
        Kind::Text,
        "3.0-IV1",
        "Without effect: the message format is version 2.",
    ),
    setting(
        "min.insync.replicas",
        "min.insync.replicas",
        at_least(1),
        "1",
        "Without effect: there is one node, and its log is the only one.",
    ),
    setting(
        "preallocate",
        "log.preallocate",
        Kind::Boolean,
        "false",
        "Without effect: files grow as they are written.",
    ),
    setting(
        "segment.jitter.ms",
        "log.roll.jitter.ms",
        Kind::Long(0),
        "0",
        "Without effect: segments of one node need not be kept from rolling together.",
    ),
    setting(
        "unclean.leader.election.enable",
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        "Without effect: there is one node, and it leads.",
    ),
    Definition {
        name: "leader.replication.throttled.replicas",
        broker_name: None,
        kind: Kind::Text,
        default: "",
        documentation: "Without effect: there is no replication.",
    },
    Definition {
        name: "follower.replication.throttled.replicas",
        broker_name: None,
        kind: Kind::Text,
        default: "",
        documentation: "Without effect: there is no replication.",
    },
    Definition {
        name: "remote.storage.enable",
        broker_name: None,
        kind: Kind::Choice(&["false"]),
        default: "false",
        documentation: "There is no tiered storage, so it cannot be enabled.",
    },
];
