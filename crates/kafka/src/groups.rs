//! Consumer groups: list, describe with lag, reset offsets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::groups::GroupInfo as NativeGroup;

use crate::native::consumer::Consumer;
use crate::settings::{KafkaSettings, Role};
use crate::{Admin, CONNECT_TIMEOUT, Error, TopicPartition};

/// How long one request about groups may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A consumer group and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The coordinator's word: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Dead`.
    pub state: String,
    /// The assignor in use.
    pub assignor: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The coordinator's name for it.
    pub id: String,
    /// The client's own name.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// Its partitions.
    pub partitions: Vec<TopicPartition>,
}

/// A group's place in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    /// The partition.
    pub place: TopicPartition,
    /// The committed offset: the next one to be read.
    pub committed: Option<i64>,
    /// The partition's first offset.
    pub low: i64,
    /// The partition's end: the next offset to be written.
    pub high: i64,
}

impl GroupOffset {
    /// Records not read yet, by the committed offset (all that there are, if there is none).
    pub fn lag(&self) -> u64 {
        u64::try_from(self.high - self.committed.unwrap_or(self.low).max(self.low)).unwrap_or(0)
    }
}

/// Where to set a group's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// To the oldest record.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// To a fixed offset, kept between the oldest and the end.
    Offset(i64),
    /// To the first record at or after this time, in milliseconds since the Unix epoch.
    Time(i64),
}

impl Admin {
    /// All groups, or the one named, with their members.
    pub fn groups(&self, name: Option<&str>) -> Result<Vec<Group>, Error> {
        let consumer = self.plain_consumer()?;
        let listed = consumer
            .fetch_group_list(name, REQUEST_TIMEOUT)
            .map_err(|error| Error::wrap("cannot list consumer groups", &error))?;
        let mut groups: Vec<_> = listed
            .groups()
            .iter()
            .filter(|group| group.protocol_type() == "consumer" || group.members().is_empty())
            .map(group)
            .collect();
        groups.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(groups)
    }

    fn plain_consumer(&self) -> Result<BaseConsumer, Error> {
        let mut config = ClientConfig::new();
        config.extend(self.settings.for_role(Role::Admin));
        config.create().map_err(|error| Error::wrap("cannot make the client for groups", &error))
    }

    /// A group's offsets in every partition of every topic that it has committed anything in.
    pub fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        let reader = group_reader(&self.settings, group)?;
        let cluster = self.cluster()?;
        let places: Vec<_> = cluster
            .topics
            .iter()
            .flat_map(|topic| {
                let name: Arc<str> = topic.name.as_str().into();
                let place = move |partition| TopicPartition { topic: Arc::clone(&name), partition };
                topic.partitions.iter().map(move |info| place(info.partition))
            })
            .collect();
        let offsets = reader
            .committed(&places, REQUEST_TIMEOUT)
            .map_err(|code| Error::kafka(format!("cannot read the offsets of group {group:?}"), code))?;
        let read: BTreeSet<_> = offsets
            .iter()
            .filter(|start| start.offset.is_some())
            .map(|start| start.place.topic.clone())
            .collect();
        let mut found = Vec::new();
        for start in offsets.into_iter().filter(|start| read.contains(&start.place.topic)) {
            let (low, high) = self.watermarks(&start.place)?;
            found.push(GroupOffset { place: start.place, committed: start.offset, low, high });
        }
        if found.is_empty() && self.groups(Some(group))?.iter().all(|found| found.state == "Dead") {
            return Err(Error::MissingGroup {
                group: group.into(),
                bootstrap: self.settings.bootstrap().into(),
            });
        }
        Ok(found)
    }

    /// Where the offsets of a topic would be set to; nothing is changed.
    pub fn plan_reset(
        &self,
        group: &str,
        topic: &str,
        to: ResetTo,
    ) -> Result<Vec<(TopicPartition, i64)>, Error> {
        let cluster = self.cluster()?;
        let Some(info) = cluster.topic(topic) else {
            return Err(Error::MissingTopic {
                topic: topic.into(),
                bootstrap: self.settings.bootstrap().into(),
            });
        };
        let reader = group_reader(&self.settings, group)?;
        let mut plan = Vec::new();
        for partition in &info.partitions {
            let place = TopicPartition { topic: topic.into(), partition: partition.partition };
            let (low, high) = self.watermarks(&place)?;
            let offset = match to {
                ResetTo::Earliest => low,
                ResetTo::Latest => high,
                ResetTo::Offset(offset) => offset.clamp(low, high),
                ResetTo::Time(millis) => reader
                    .offset_for_time(&place, millis, REQUEST_TIMEOUT)
                    .map_err(|code| Error::kafka(format!("cannot look up the time in {place}"), code))?
                    .unwrap_or(high),
            };
            plan.push((place, offset));
        }
        Ok(plan)
    }

    /// Sets a group's offsets. Refused by the coordinator while the group has members.
    pub fn reset_group(&self, group: &str, offsets: &[(TopicPartition, i64)]) -> Result<(), Error> {
        let doing = format!("cannot reset the offsets of group {group:?}");
        if let Some(found) = self.groups(Some(group))?.into_iter().find(|found| !found.members.is_empty()) {
            return Err(Error::Kafka {
                doing,
                code: RDKafkaErrorCode::NonEmptyGroup,
                detail: format!("it has {} active members; stop them first", found.members.len()),
            });
        }
        group_reader(&self.settings, group)?
            .commit_sync(offsets, REQUEST_TIMEOUT)
            .map_err(|code| Error::kafka(doing, code))
    }
}

/// A consumer that may read and write the group's offsets without being a member.
fn group_reader(settings: &KafkaSettings, group: &str) -> Result<Consumer, Error> {
    let mut settings = settings.clone();
    settings.consumer.insert("group.id".into(), group.into());
    let consumer = Consumer::new(&settings)?;
    consumer.client().metadata(CONNECT_TIMEOUT)?;
    Ok(consumer)
}

fn group(native: &NativeGroup) -> Group {
    let members = native
        .members()
        .iter()
        .map(|member| Member {
            id: member.id().to_owned(),
            client_id: member.client_id().to_owned(),
            host: member.client_host().to_owned(),
            partitions: member.assignment().and_then(decode_assignment).unwrap_or_default(),
        })
        .collect();
    Group {
        name: native.name().to_owned(),
        state: native.state().to_owned(),
        assignor: native.protocol().to_owned(),
        members,
    }
}

/// Decodes a `ConsumerProtocolAssignment`: version, then topics with their partitions, all big-endian. `None` if
/// the bytes are not one (another kind of group).
fn decode_assignment(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut rest = bytes;
    let _version = take::<2>(&mut rest)?;
    let topics = i32::from_be_bytes(take(&mut rest)?);
    let mut found = Vec::new();
    for _ in 0..topics {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, tail) = rest.split_at_checked(length)?;
        rest = tail;
        let topic: Arc<str> = std::str::from_utf8(name).ok()?.into();
        for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
            let partition = i32::from_be_bytes(take(&mut rest)?);
            found.push(TopicPartition { topic: Arc::clone(&topic), partition });
        }
    }
    Some(found)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_an_assignment() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 2, b'a', b'b', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7];
        bytes.extend([255; 4]);
        let found = decode_assignment(&bytes).unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ab[0]", "ab[7]"]);
        for length in 0..22 {
            assert_eq!(decode_assignment(&bytes[..length]), None, "cut at {length}");
        }
        assert_eq!(decode_assignment(&[0, 0, 127, 255, 255, 255]), None);
    }
}
