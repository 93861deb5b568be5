//! `OffsetFetch`: one group up to version 7, several from version 8 on.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};

use super::entry::CommittedOffset;
use super::group::{Group, text};
use super::state::State;
use crate::server::Context;

/// From this version on a request is for several groups.
const GROUPS_FROM: i16 = 8;

/// What stands for an offset that is not committed.
const NO_OFFSET: i64 = -1;

/// What stands for a leader epoch that is not known.
const NO_EPOCH: i32 = -1;

impl State {
    /// `OffsetFetch`.
    pub(super) fn offset_fetch(
        &self,
        request: &OffsetFetchRequest,
        context: &Context,
    ) -> OffsetFetchResponse {
        let stable = request.require_stable;
        if context.api_version < GROUPS_FROM {
            let asked = request.topics.as_ref();
            let asked =
                asked.map(|topics| topics.iter().map(|topic| (&topic.name, &topic.partition_indexes[..])));
            let topics = self.fetch_offsets(&request.group_id, asked, stable);
            return OffsetFetchResponse::default().with_topics(topics.into_iter().map(single_form).collect());
        }
        let groups = request.groups.iter().map(|group| {
            let asked = group.topics.as_ref();
            let asked =
                asked.map(|topics| topics.iter().map(|topic| (&topic.name, &topic.partition_indexes[..])));
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id.clone())
                .with_topics(self.fetch_offsets(&group.group_id, asked, stable))
        });
        OffsetFetchResponse::default().with_groups(groups.collect())
    }

    /// The offsets of the partitions asked for, or of all that the group has.
    fn fetch_offsets<'a>(
        &self,
        group: &str,
        asked: Option<impl Iterator<Item = (&'a TopicName, &'a [i32])>>,
        stable: bool,
    ) -> Vec<OffsetFetchResponseTopics> {
        let group = self.groups.get(group);
        let Some(asked) = asked else {
            let topics = group.map(|group| group.offsets.topics()).into_iter().flatten();
            let topics = topics.map(|(topic, partitions)| {
                let partitions =
                    partitions.map(|(partition, _)| fetch_offset(group, topic, partition, stable));
                OffsetFetchResponseTopics::default()
                    .with_name(TopicName(text(topic)))
                    .with_partitions(partitions.collect())
            });
            return topics.collect();
        };
        let topics = asked.map(|(topic, partitions)| {
            let partitions =
                partitions.iter().map(|partition| fetch_offset(group, topic, *partition, stable));
            OffsetFetchResponseTopics::default()
                .with_name(topic.clone())
                .with_partitions(partitions.collect())
        });
        topics.collect()
    }
}

/// `stable`: an offset that an open transaction may replace is not told (KIP-447).
fn fetch_offset(
    group: Option<&Group>,
    topic: &str,
    partition: i32,
    stable: bool,
) -> OffsetFetchResponsePartitions {
    let unstable =
        |group: &Group| group.pending.values().any(|pending| pending.get(topic, partition).is_some());
    let response = OffsetFetchResponsePartitions::default().with_partition_index(partition);
    if stable && group.is_some_and(unstable) {
        return none(response).with_error_code(ResponseError::UnstableOffsetCommit.code());
    }
    match group.and_then(|group| group.offsets.get(topic, partition)) {
        Some(CommittedOffset { offset, leader_epoch, metadata, .. }) => response
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(*leader_epoch)
            .with_metadata(Some(text(metadata))),
        None => none(response),
    }
}

fn none(response: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartitions {
    response
        .with_committed_offset(NO_OFFSET)
        .with_committed_leader_epoch(NO_EPOCH)
        .with_metadata(Some(text("")))
}

/// The form of the answer for one group.
fn single_form(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    });
    OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
}
