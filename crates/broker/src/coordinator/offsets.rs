//! Committed offsets: `OffsetCommit`, `OffsetFetch`, `OffsetDelete`, and what `TxnOffsetCommit` shares with them.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::entry::{CommittedOffset, Entry, GroupState, OffsetRecord};
use super::group::Group;
use super::state::State;
use super::subscription::subscribed_topics;
use super::{MAX_GROUPS, code};
use crate::server::Context;

/// Bytes of the metadata of a committed offset (Kafka's `offset.metadata.max.bytes`).
const MAX_METADATA_BYTES: usize = 4_096;

/// From this version on a member of an unknown group is told so.
const GROUP_NOT_FOUND_FROM: i16 = 9;

/// Offsets by topic and partition.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Offsets(BTreeMap<String, BTreeMap<i32, CommittedOffset>>);

impl Offsets {
    pub(super) fn put(&mut self, offsets: impl IntoIterator<Item = OffsetRecord>) {
        for OffsetRecord { topic, partition, committed } in offsets {
            self.0.entry(topic).or_default().insert(partition, committed);
        }
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.0.get(topic)?.get(&partition)
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.0.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.0.remove(topic);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The topics, and the partitions of each.
    pub(super) fn topics(
        &self,
    ) -> impl Iterator<Item = (&str, impl Iterator<Item = (i32, &CommittedOffset)>)> {
        self.0.iter().map(|(topic, partitions)| {
            let partitions = partitions.iter().map(|(partition, committed)| (*partition, committed));
            (topic.as_str(), partitions)
        })
    }

    pub(super) fn records(&self) -> impl Iterator<Item = OffsetRecord> {
        self.topics().flat_map(|(topic, partitions)| {
            partitions.map(|(partition, committed)| OffsetRecord {
                topic: topic.to_owned(),
                partition,
                committed: committed.clone(),
            })
        })
    }
}

/// An offset that a client wants to be committed.
pub(super) struct Asked<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) metadata: Option<&'a StrBytes>,
    /// How long the client wants it to be kept, if it says so.
    pub(super) retention_ms: Option<i64>,
}

/// Who wants offsets to be committed.
pub(super) struct Committer<'a> {
    pub(super) group: &'a str,
    pub(super) generation: i32,
    pub(super) member: &'a str,
    pub(super) instance: Option<&'a str>,
}

impl State {
    /// `OffsetCommit`.
    pub(super) fn offset_commit(
        &mut self,
        request: &OffsetCommitRequest,
        context: &Context,
        now_ms: i64,
    ) -> OffsetCommitResponse {
        let retention_ms = Some(request.retention_time_ms).filter(|ms| *ms >= 0);
        let asked = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |partition| Asked {
                topic: &topic.name,
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.as_ref(),
                retention_ms,
            })
        });
        let (offsets, mut results) = self.check_offsets(asked, now_ms);
        if !offsets.is_empty() {
            let who = Committer {
                group: &request.group_id,
                generation: request.generation_id_or_member_epoch,
                member: &request.member_id,
                instance: request.group_instance_id.as_deref(),
            };
            let group = who.group.to_owned();
            let committed = self
                .check_committer(&who, context.api_version, now_ms)
                .and_then(|()| self.commit(vec![Entry::Offsets { group, offsets }]));
            fail_good_ones(&mut results, committed);
        }
        let mut codes = results.into_iter().map(code);
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().zip(&mut codes).map(|(partition, code)| {
                let index = partition.partition_index;
                OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
            });
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    /// Which of the offsets can be committed, and a result for each in the order of the request.
    pub(super) fn check_offsets<'a>(
        &self,
        asked: impl Iterator<Item = Asked<'a>>,
        now_ms: i64,
    ) -> (Vec<OffsetRecord>, Vec<Result<(), ResponseError>>) {
        let mut records = Vec::new();
        let mut check = |asked: Asked<'_>| {
            if asked.metadata.is_some_and(|metadata| metadata.len() > MAX_METADATA_BYTES) {
                return Err(ResponseError::OffsetMetadataTooLarge);
            }
            if !self.partitions.exists(asked.topic, asked.partition) {
                return Err(ResponseError::UnknownTopicOrPartition);
            }
            let committed = CommittedOffset {
                offset: asked.offset,
                leader_epoch: asked.leader_epoch,
                metadata: asked.metadata.map(ToString::to_string).unwrap_or_default(),
                committed_ms: now_ms,
                expires_ms: asked.retention_ms.map(|ms| now_ms.saturating_add(ms)),
            };
            records.push(OffsetRecord {
                topic: asked.topic.to_owned(),
                partition: asked.partition,
                committed,
            });
            Ok(())
        };
        let results = asked.map(&mut check).collect();
        (records, results)
    }

    /// Whether the committer may commit for its group. A consumer that manages its partitions itself says no
    /// generation, and may as long as the group has no members.
    fn check_committer(
        &mut self,
        committer: &Committer<'_>,
        version: i16,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let Committer { generation, member, instance, .. } = *committer;
        let room = self.groups.len() < MAX_GROUPS;
        let Some(group) = self.groups.get_mut(committer.group) else {
            return match generation {
                0.. if version >= GROUP_NOT_FOUND_FROM => Err(ResponseError::GroupIdNotFound),
                0.. => Err(ResponseError::IllegalGeneration),
                _ if room => Ok(()),
                _ => Err(ResponseError::GroupMaxSizeReached),
            };
        };
        let empty = group.state == GroupState::Empty;
        if generation < 0 && empty {
            return Ok(());
        }
        if generation < 0 && member.is_empty() && instance.is_none() {
            return Err(ResponseError::UnknownMemberId);
        }
        group.check_generation(member, instance, generation)?;
        if group.state == GroupState::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        if let Some(member) = group.members.get_mut(member) {
            member.alive(now_ms);
        }
        Ok(())
    }

    /// `OffsetDelete`.
    pub(super) fn offset_delete(&mut self, request: &OffsetDeleteRequest) -> OffsetDeleteResponse {
        let topics = match self.groups.get(request.group_id.as_str()) {
            None => Err(ResponseError::GroupIdNotFound),
            Some(group) => deletable(group).map(|is_in_use| {
                let check = |topic: &str, partition: i32| {
                    if !self.partitions.exists(topic, partition) {
                        Err(ResponseError::UnknownTopicOrPartition)
                    } else if is_in_use(topic) {
                        Err(ResponseError::GroupSubscribedToTopic)
                    } else {
                        Ok(())
                    }
                };
                let asked = request.topics.iter().flat_map(|topic| {
                    topic
                        .partitions
                        .iter()
                        .map(move |partition| (topic.name.as_str(), partition.partition_index))
                });
                asked.map(|(topic, partition)| check(topic, partition)).collect::<Vec<_>>()
            }),
        };
        let mut results = match topics {
            Ok(results) => results,
            Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
        };
        let names = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |partition| (topic.name.to_string(), partition.partition_index))
        });
        let good = names.zip(&results).filter(|(_, result)| result.is_ok()).map(|(name, _)| name).collect();
        let deleted = self
            .commit(vec![Entry::OffsetsDeleted { group: request.group_id.to_string(), partitions: good }]);
        fail_good_ones(&mut results, deleted);
        let mut codes = results.into_iter().map(code);
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().zip(&mut codes).map(|(partition, code)| {
                let index = partition.partition_index;
                OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code)
            });
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        OffsetDeleteResponse::default().with_topics(topics.collect())
    }

    /// Forgets the offsets of partitions for which `gone` holds.
    pub(super) fn forget_partitions(
        &mut self,
        gone: impl Fn(&str, i32) -> bool,
    ) -> Result<(), ResponseError> {
        let mut entries = Vec::new();
        for (name, group) in &self.groups {
            let offsets = std::iter::once(&group.offsets).chain(group.pending.values());
            let partitions = offsets
                .flat_map(Offsets::records)
                .filter(|offset| gone(&offset.topic, offset.partition))
                .map(|offset| (offset.topic, offset.partition));
            let partitions: Vec<_> = partitions.collect();
            if !partitions.is_empty() {
                entries.push(Entry::OffsetsDeleted { group: name.clone(), partitions });
            }
        }
        if entries.is_empty() { Ok(()) } else { self.commit(entries) }
    }
}

impl Group {
    /// Forgets offsets, pending ones too.
    pub(super) fn forget_offsets(&mut self, partitions: &[(String, i32)]) {
        for (topic, partition) in partitions {
            self.offsets.remove(topic, *partition);
            self.pending.values_mut().for_each(|pending| pending.remove(topic, *partition));
        }
        self.pending.retain(|_, pending| !pending.is_empty());
    }
}

/// Whose offsets of the group must stay: none if it has no members, those of subscribed topics if it has.
fn deletable(group: &Group) -> Result<impl Fn(&str) -> bool + use<>, ResponseError> {
    let empty = group.state == GroupState::Empty;
    if !empty && group.protocol_type.as_deref() != Some(super::CONSUMER_PROTOCOL) {
        return Err(ResponseError::NonEmptyGroup);
    }
    // What cannot be told is taken to be in use.
    let topics = if empty { Some(Vec::new()) } else { subscribed_topics(group) };
    Ok(move |topic: &str| topics.as_ref().is_none_or(|topics| topics.iter().any(|name| name == topic)))
}

/// What was good for itself fails with the whole.
pub(super) fn fail_good_ones(results: &mut [Result<(), ResponseError>], whole: Result<(), ResponseError>) {
    results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = whole);
}
