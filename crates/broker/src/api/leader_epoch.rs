//! What a client thinks of the leader's epoch, and `OffsetForLeaderEpoch`. There is one leader and one epoch for ever.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::Shared;
use crate::catalog::Topic;
use crate::log::LEADER_EPOCH;

/// What a client sends that does not know the epoch, and what it is told of one that never was.
const NO_EPOCH: i32 = -1;

/// Refuses an epoch other than the leader's.
pub(super) fn check(epoch: i32) -> Result<(), ResponseError> {
    match epoch {
        NO_EPOCH | LEADER_EPOCH => Ok(()),
        epoch if epoch < LEADER_EPOCH => Err(ResponseError::FencedLeaderEpoch),
        _ => Err(ResponseError::UnknownLeaderEpoch),
    }
}

pub(crate) fn offset_for_leader_epoch(
    shared: &Shared,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = shared.catalog.topic(&asked.topic);
        let partitions = asked.partitions.iter().map(|asked| end_of_epoch(topic.as_deref(), asked));
        OffsetForLeaderTopicResult::default().with_partitions(partitions.collect()).with_topic(asked.topic)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn end_of_epoch(topic: Option<&Topic>, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    // The defaults say that there is no such epoch.
    let response = EpochEndOffset::default()
        .with_partition(asked.partition)
        .with_leader_epoch(NO_EPOCH)
        .with_end_offset(-1);
    let Some(log) = topic.and_then(|topic| topic.partition(asked.partition)) else {
        return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
    };
    match check(asked.current_leader_epoch) {
        Err(error) => response.with_error_code(error.code()),
        Ok(()) if asked.leader_epoch == LEADER_EPOCH => {
            response.with_leader_epoch(LEADER_EPOCH).with_end_offset(log.offsets().end)
        }
        Ok(()) => response,
    }
}
