//! What the brokers say of topics and groups, asked every other second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::{Admin, CONNECT_TIMEOUT, TopicPartition};
use runtime::now_micros;
use serde::Serialize;

use super::history::History;
use super::state::State;

/// How often the brokers are asked, and how many times longer than asking took the pause is at least.
const EVERY: Duration = Duration::from_secs(2);
const PAUSE_FACTOR: u32 = 5;
/// Samples of the ends of a partition: fifteen minutes.
const SAMPLES: usize = 450;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) brokers: Vec<Broker>,
    pub(super) topics: Vec<Topic>,
    pub(super) groups: Vec<Group>,
    lags: BTreeMap<String, History>,
    ends: BTreeMap<TopicPartition, VecDeque<(i64, i64)>>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Broker {
    id: i32,
    address: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
    records: i64,
    /// Records a second that came in since it was asked last.
    rate: f64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Partition {
    #[serde(rename = "partition")]
    pub(super) number: i32,
    pub(super) first: i64,
    pub(super) next: i64,
    leader: Option<i32>,
    replicas: usize,
    in_sync: usize,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) state: String,
    assignor: String,
    members: Vec<Member>,
    partitions: Vec<GroupPartition>,
    pub(super) lag: u64,
    /// How old the oldest record is that was not read, at least; of what came within the last fifteen minutes.
    pub(super) lag_seconds: f64,
    pub(super) history: Vec<f64>,
}

#[derive(Clone, Debug, Serialize)]
struct Member {
    id: String,
    client: String,
    host: String,
    partitions: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct GroupPartition {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    next: i64,
    lag: u64,
    lag_seconds: f64,
}

/// Asks until the end.
pub(super) fn poll(state: &State) {
    let mut admin = None;
    loop {
        let began = Instant::now();
        match ask(state, &mut admin) {
            Ok(()) => state.set_problem("brokers", None),
            Err(error) => {
                admin = None;
                state.set_problem("brokers", Some(error.to_string()));
            }
        }
        if state.shutdown.wait(EVERY.max(began.elapsed() * PAUSE_FACTOR)) {
            return;
        }
    }
}

fn ask(state: &State, admin: &mut Option<Admin>) -> Result<(), kafka::Error> {
    let admin = match admin {
        Some(admin) => admin,
        None => admin.insert(Admin::connect(&state.settings, CONNECT_TIMEOUT)?),
    };
    let found = admin.cluster()?;
    let now = now_micros() / 1_000;
    let mut topics = Vec::with_capacity(found.topics.len());
    let mut ends = Vec::new();
    for topic in &found.topics {
        let name: Arc<str> = topic.name.as_str().into();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for info in &topic.partitions {
            let place = TopicPartition { topic: Arc::clone(&name), partition: info.partition };
            let (first, next) = admin.watermarks(&place)?;
            partitions.push(Partition {
                number: info.partition,
                first,
                next,
                leader: info.leader,
                replicas: info.replicas.len(),
                in_sync: info.in_sync.len(),
            });
            ends.push((place, next));
        }
        let records = partitions.iter().map(|it| it.next - it.first).sum();
        topics.push(Topic { name: topic.name.clone(), partitions, records, rate: 0.0 });
    }
    let mut groups = Vec::new();
    for group in admin.groups(None)? {
        let offsets = admin.group_offsets(&group.name)?;
        groups.push((group, offsets));
    }
    let mut cluster = state.cluster();
    cluster.brokers = found
        .brokers
        .iter()
        .map(|broker| Broker { id: broker.id, address: format!("{}:{}", broker.host, broker.port) })
        .collect();
    for topic in &mut topics {
        topic.rate = cluster.rate(topic, now);
    }
    cluster.topics = topics;
    cluster.note_ends(ends, now);
    cluster.note_groups(groups, now);
    Ok(())
}

impl Cluster {
    /// Records a second since the last sample.
    fn rate(&self, topic: &Topic, now: i64) -> f64 {
        let came = topic.partitions.iter().filter_map(|partition| {
            let place = TopicPartition { topic: topic.name.as_str().into(), partition: partition.number };
            let (at, next) = self.ends.get(&place)?.back()?;
            let seconds = (now - at).max(1) as f64 / 1e3;
            Some((partition.next - next).max(0) as f64 / seconds)
        });
        came.sum()
    }

    fn note_ends(&mut self, ends: Vec<(TopicPartition, i64)>, now: i64) {
        self.ends.retain(|place, _| ends.iter().any(|(of, _)| of == place));
        for (place, next) in ends {
            let samples = self.ends.entry(place).or_default();
            samples.push_back((now, next));
            if samples.len() > SAMPLES {
                samples.pop_front();
            }
        }
    }

    /// How old the record at an offset is, by when the partition's end passed it.
    fn age(&self, place: &TopicPartition, committed: i64, now: i64) -> f64 {
        let Some(samples) = self.ends.get(place) else { return 0.0 };
        let before = samples.iter().rev().find(|(_, next)| *next <= committed).or_else(|| samples.front());
        before.map_or(0.0, |(at, _)| (now - at).max(0) as f64 / 1e3)
    }

    fn note_groups(
        &mut self,
        groups: Vec<(kafka::groups::Group, Vec<kafka::groups::GroupOffset>)>,
        now: i64,
    ) {
        self.lags.retain(|name, _| groups.iter().any(|(group, _)| group.name == *name));
        let mut seen = Vec::with_capacity(groups.len());
        for (group, offsets) in groups {
            let partitions: Vec<GroupPartition> = offsets
                .iter()
                .map(|offset| GroupPartition {
                    topic: offset.place.topic.to_string(),
                    partition: offset.place.partition,
                    committed: offset.committed,
                    next: offset.high,
                    lag: offset.lag(),
                    lag_seconds: match offset.committed {
                        Some(committed) if offset.lag() > 0 => self.age(&offset.place, committed, now),
                        _ => 0.0,
                    },
                })
                .collect();
            let lag = partitions.iter().map(|partition| partition.lag).sum();
            let history = self.lags.entry(group.name.clone()).or_default();
            history.set(now / 1_000, lag as f64);
            let members = group.members.into_iter().map(|member| Member {
                id: member.id,
                client: member.client_id,
                host: member.host,
                partitions: member.partitions.iter().map(ToString::to_string).collect(),
            });
            seen.push(Group {
                history: history.until(now / 1_000),
                state: group.state,
                assignor: group.assignor,
                members: members.collect(),
                lag,
                lag_seconds: partitions.iter().map(|partition| partition.lag_seconds).fold(0.0, f64::max),
                partitions,
                name: group.name,
            });
        }
        self.groups = seen;
    }

    /// The partitions of a topic with their first and next offset.
    pub(super) fn partitions(&self, topic: &str) -> Vec<(TopicPartition, i64, i64)> {
        let topic = self.topics.iter().find(|it| it.name == topic);
        topic
            .map(|topic| {
                let name: Arc<str> = topic.name.as_str().into();
                let place = |partition| TopicPartition { topic: Arc::clone(&name), partition };
                topic.partitions.iter().map(|it| (place(it.number), it.first, it.next)).collect()
            })
            .unwrap_or_default()
    }
}
