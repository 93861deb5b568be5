//! What the journal consists of. An entry says what became true, not what was asked for, so that applying it cannot
//! fail and depends on nothing but the state before it.
//!
//! Invariants: names and meanings of fields never change within a version of the journal; a new field has a default.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One change of the state. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// All producer ids below this one may have been given out.
    ProducerIds { next: i64 },
    /// A group is now like this, but for its offsets; it is created if it is not there.
    Group(GroupRecord),
    /// These members are no longer in the group.
    MembersRemoved { group: String, members: Vec<String> },
    /// The group is gone, with its offsets.
    GroupDeleted { group: String },
    /// Offsets were committed; a simple group is created if the group is not there.
    Offsets { group: String, offsets: Vec<OffsetRecord> },
    /// Offsets are gone, pending ones of transactions too.
    OffsetsDeleted { group: String, partitions: Vec<(String, i32)> },
    /// Offsets that count once the transaction of this producer commits.
    PendingOffsets { group: String, producer_id: i64, offsets: Vec<OffsetRecord> },
    /// The transactional id is now like this; it is created if it is not there.
    Transaction(TransactionRecord),
    /// Partitions and groups joined the transaction, which began by that if none was open.
    TransactionGrew { id: String, partitions: Vec<(String, i32)>, groups: Vec<String>, at_ms: i64 },
    /// The transaction will end this way whatever happens: markers of `epoch` may be in the partitions from now on.
    TransactionPrepared { id: String, commit: bool, epoch: i16, at_ms: i64 },
    /// All markers are written; pending offsets count, or are forgotten.
    TransactionCompleted { id: String, at_ms: i64 },
    /// The transactional id is not remembered any longer.
    TransactionForgotten { id: String },
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(super) group: String,
    pub(super) state: GroupState,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: Vec<MemberRecord>,
    /// Since when the group has been in its state.
    pub(super) since_ms: i64,
}

/// How far a group is (Kafka's `GroupState`; a dead one does not exist here).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GroupState {
    /// No members; it may have offsets.
    Empty,
    /// Waiting for the members to join. Never in the journal: after a restart the last generation goes on.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl GroupState {
    /// Kafka's name of the state.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    pub(super) id: String,
    /// `group.instance.id`, for static members (KIP-345).
    pub(super) instance: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout_ms: i64,
    pub(super) rebalance_timeout_ms: i64,
    /// What the member can do, by its preference: names and their metadata.
    pub(super) protocols: Vec<(String, Opaque)>,
    pub(super) assignment: Opaque,
}

/// Bytes that only clients understand; Base64 in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Opaque(pub(super) Bytes);

impl Opaque {
    /// A copy: what comes from a request would keep the whole request in memory.
    pub(super) fn copy_of(bytes: &Bytes) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&openssl::base64::encode_block(&self.0))
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = openssl::base64::decode_block(&text).map_err(de::Error::custom)?;
        Ok(Self(bytes.into()))
    }
}

/// A committed offset and its partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OffsetRecord {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) committed: CommittedOffset,
}

/// Where a group continues in a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommittedOffset {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) metadata: String,
    pub(super) committed_ms: i64,
    /// When it expires, if the client said so (`OffsetCommit` up to version 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_ms: Option<i64>,
}

/// A transactional id and its transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TransactionRecord {
    pub(super) id: String,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    /// The epoch before the last bump that a producer asked for with its epoch (KIP-360); -1 if there is none.
    pub(super) last_epoch: i16,
    /// The producer id before the last one was used up; -1 if there is none.
    pub(super) previous_producer_id: i64,
    pub(super) timeout_ms: i32,
    pub(super) state: TransactionState,
    pub(super) partitions: BTreeMap<String, BTreeSet<i32>>,
    /// Groups that offsets are committed to within the transaction.
    pub(super) groups: BTreeSet<String>,
    /// When the transaction began; -1 before the first one.
    pub(super) started_ms: i64,
    pub(super) updated_ms: i64,
}

/// How far a transaction is (Kafka's `TransactionState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TransactionState {
    /// None has begun since the producer was initialised.
    Empty,
    /// Open.
    Ongoing,
    /// To be committed; markers may be missing.
    PrepareCommit,
    /// To be aborted; markers may be missing.
    PrepareAbort,
    /// Committed.
    CompleteCommit,
    /// Aborted.
    CompleteAbort,
}

impl TransactionState {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's name of the state.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}
