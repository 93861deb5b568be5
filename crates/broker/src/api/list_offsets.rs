//! `ListOffsets`: the ends of a log, and where a time begins in it.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::leader_epoch;
use crate::Shared;
use crate::catalog::Topic;
use crate::log::{LEADER_EPOCH, Log, LogError};
use crate::server::Context;

/// What stands for an offset and for a timestamp that there is not.
const UNKNOWN: i64 = -1;

/// The first version whose answers have an epoch.
const EPOCH_SINCE: i16 = 4;

/// What a client can ask for instead of a time, and since which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Latest,
    Earliest,
    /// The record with the greatest timestamp (KIP-734).
    OfMaxTimestamp,
    /// The end of what was moved to other storage (KIP-1005); nothing ever is.
    LatestTiered,
    /// The first record at this time or later.
    Time(i64),
}

impl Wanted {
    fn new(timestamp: i64, version: i16) -> Option<Self> {
        match timestamp {
            0.. => Some(Self::Time(timestamp)),
            -1 => Some(Self::Latest),
            -2 => Some(Self::Earliest),
            -3 if version >= 7 => Some(Self::OfMaxTimestamp),
            // The earliest one on this node's disk (KIP-405), which is where all of them are.
            -4 if version >= 8 => Some(Self::Earliest),
            -5 if version >= 9 => Some(Self::LatestTiered),
            _ => None,
        }
    }
}

pub(crate) fn list_offsets(
    shared: &Shared,
    context: &Context,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let read_committed = request.isolation_level == 1;
    let topics = request.topics.into_iter().map(|asked| {
        let topic = shared.catalog.topic(&asked.name);
        let twice = twice(&asked);
        let partitions = asked.partitions.iter().map(|asked| {
            let result = if twice.contains(&asked.partition_index) {
                Err(ResponseError::InvalidRequest)
            } else {
                find(topic.as_deref(), asked, context.api_version, read_committed)
            };
            answer(asked.partition_index, context.api_version, result)
        });
        ListOffsetsTopicResponse::default().with_partitions(partitions.collect()).with_name(asked.name)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// The partitions that were asked for more than once.
fn twice(asked: &ListOffsetsTopic) -> HashSet<i32> {
    let mut seen = HashSet::with_capacity(asked.partitions.len());
    asked.partitions.iter().map(|asked| asked.partition_index).filter(|index| !seen.insert(*index)).collect()
}

/// The offset and its timestamp, if there is one.
fn find(
    topic: Option<&Topic>,
    asked: &ListOffsetsPartition,
    version: i16,
    read_committed: bool,
) -> Result<Option<(i64, i64)>, ResponseError> {
    let wanted = Wanted::new(asked.timestamp, version).ok_or(ResponseError::UnsupportedVersion)?;
    let log = topic
        .and_then(|topic| topic.partition(asked.partition_index))
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    leader_epoch::check(asked.current_leader_epoch)?;
    look_up(log, wanted, read_committed).map_err(|error| {
        tracing::error!(partition = asked.partition_index, %error, "cannot find an offset");
        ResponseError::KafkaStorageError
    })
}

fn look_up(log: &Log, wanted: Wanted, read_committed: bool) -> Result<Option<(i64, i64)>, LogError> {
    let offsets = log.offsets();
    let end = if read_committed { offsets.stable } else { offsets.end };
    Ok(match wanted {
        Wanted::Latest => Some((end, UNKNOWN)),
        Wanted::Earliest => Some((offsets.start, UNKNOWN)),
        Wanted::OfMaxTimestamp => log.offset_of_max_timestamp()?.filter(|(offset, _)| *offset < end),
        Wanted::Time(time) => log.offset_for_time(time, read_committed)?,
        Wanted::LatestTiered => None,
    })
}

fn answer(
    partition: i32,
    version: i16,
    result: Result<Option<(i64, i64)>, ResponseError>,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default()
        .with_partition_index(partition)
        .with_offset(UNKNOWN)
        .with_timestamp(UNKNOWN);
    match result {
        Err(error) => response.with_error_code(error.code()),
        Ok(None) => response,
        Ok(Some((offset, timestamp))) => {
            let epoch = if version >= EPOCH_SINCE { LEADER_EPOCH } else { -1 };
            response.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(epoch)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_times_are_known_since_their_versions() {
        assert_eq!(Wanted::new(0, 1), Some(Wanted::Time(0)));
        assert_eq!(Wanted::new(-2, 1), Some(Wanted::Earliest));
        assert_eq!(Wanted::new(-3, 6), None);
        assert_eq!(Wanted::new(-3, 7), Some(Wanted::OfMaxTimestamp));
        assert_eq!(Wanted::new(-4, 7), None);
        assert_eq!(Wanted::new(-4, 8), Some(Wanted::Earliest));
        assert_eq!(Wanted::new(-5, 9), Some(Wanted::LatestTiered));
        assert_eq!(Wanted::new(-6, 10), None);
    }
}
