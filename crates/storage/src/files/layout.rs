//! Where files are, and what their names say.
//!
//! ```text
//! PATH/readings/day=2026-11-27/sensor-data-0-00000000000000001000-00000000000000001999.parquet
//!      table    partition      topic       |  first offset         last offset
//!                                          partition of the topic
//! PATH/.streamgauge/format.json                      what wrote this store
//! PATH/.streamgauge/staged/…                         files that are not published yet
//! PATH/.streamgauge/ledger/sensor-data-0/…           what is stored of each partition, see `ledger`
//! ```
//!
//! Directories are Hive-style partitions of the event time in UTC, so that engines skip what a query does not ask for: by
//! day, by day and hour (`day=2026-11-27/hour=09`), or by day and a hash of the first column (`day=2026-11-27/bucket=07`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use kafka::TopicPartition;
use model::EventTime;

const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// The most buckets; each of them is a file per flush.
const MAX_BUCKETS: u16 = 1_000;

/// What the directories of a table are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionBy {
    /// By day.
    Day,
    /// By day and hour.
    Hour,
    /// By day and so many buckets of sensors.
    Bucket(u16),
}

impl FromStr for PartitionBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "day" => Ok(Self::Day),
            "hour" => Ok(Self::Hour),
            _ => {
                let buckets = text.strip_prefix("bucket:").and_then(|count| count.parse().ok());
                let buckets = buckets.filter(|count| (1..=MAX_BUCKETS).contains(count));
                buckets.map(Self::Bucket).ok_or_else(|| {
                    format!("it must be day, hour, or bucket:N with N from 1 to {MAX_BUCKETS}")
                })
            }
        }
    }
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str("day"),
            Self::Hour => f.write_str("hour"),
            Self::Bucket(count) => write!(f, "bucket:{count}"),
        }
    }
}

impl PartitionBy {
    /// The directory of a row, as a number: rows with the same number go to the same one.
    #[inline]
    pub(crate) fn directory_of(self, micros: i64, bucket: impl FnOnce() -> u16) -> (i64, u16) {
        let hour = micros.div_euclid(MICROS_PER_HOUR);
        match self {
            Self::Day => (hour.div_euclid(24), 0),
            Self::Hour => (hour, 0),
            Self::Bucket(_) => (hour.div_euclid(24), bucket()),
        }
    }

    /// The directory's name below that of the table.
    pub(crate) fn directory_name(self, (time, bucket): (i64, u16)) -> String {
        let hours = if self == Self::Hour { time } else { time * 24 };
        let mut day = Vec::new();
        EventTime::from_micros(hours.saturating_mul(MICROS_PER_HOUR)).write(&mut day);
        let day = String::from_utf8_lossy(&day[..10]).into_owned();
        match self {
            Self::Day => format!("day={day}"),
            Self::Hour => format!("day={day}/hour={:02}", time.rem_euclid(24)),
            Self::Bucket(_) => format!("day={day}/bucket={bucket:03}"),
        }
    }
}

/// The bucket of a text: FNV-1a, 64 bits (Fowler, Noll, Vo), modulo the count.
pub(crate) fn bucket_of(text: &str, count: u16) -> u16 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash % u64::from(count.max(1))) as u16
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) place: TopicPartition,
    /// The first offset that may be in it.
    pub(crate) first: i64,
    /// The last.
    pub(crate) last: i64,
}

impl FileName {
    /// Reads a name; `None` if it is none of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".parquet")?.rsplitn(4, '-');
        let mut digits = || parts.next().filter(|text| text.len() == 20)?.parse().ok();
        let (last, first): (i64, i64) = (digits()?, digits()?);
        let partition = parts.next()?.parse().ok()?;
        let topic = parts.next().filter(|topic| !topic.is_empty())?.into();
        (first <= last).then_some(Self { place: TopicPartition { topic, partition }, first, last })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, first, last } = self;
        write!(f, "{}-{}-{first:020}-{last:020}.parquet", place.topic, place.partition)
    }
}

/// The paths of a store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn own(&self) -> PathBuf {
        self.root.join(".streamgauge")
    }

    pub(crate) fn format(&self) -> PathBuf {
        self.own().join("format.json")
    }

    pub(crate) fn staged(&self) -> PathBuf {
        self.own().join("staged")
    }

    pub(crate) fn ledgers(&self) -> PathBuf {
        self.own().join("ledger")
    }

    pub(crate) fn ledger(&self, place: &TopicPartition) -> PathBuf {
        self.ledgers().join(ledger_name(place))
    }
}

/// The name of a partition's ledger, which is also what the names of its staged files begin with.
pub(crate) fn ledger_name(place: &TopicPartition) -> String {
    format!("{}-{}", place.topic, place.partition)
}

/// The partition whose ledger has this name.
pub(crate) fn ledger_place(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    Some(TopicPartition { topic: topic.into(), partition: partition.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        EventTime::parse(text.as_bytes()).expect("a time").micros()
    }

    #[test]
    fn directories_are_named_by_the_event_time() {
        let check = |by: &str, time: &str, expected: &str| {
            let by: PartitionBy = by.parse().expect("a scheme");
            let directory = by.directory_of(micros(time), || 7);
            assert_eq!(by.directory_name(directory), expected);
        };
        check("day", "2026-11-27T23:59:59.999999", "day=2026-11-27");
        check("day", "1969-12-31T23:59:59", "day=1969-12-31");
        check("hour", "2026-11-27T09:59:59", "day=2026-11-27/hour=09");
        check("hour", "1969-12-31T23:00:00", "day=1969-12-31/hour=23");
        check("bucket:8", "2026-11-27T09:59:59", "day=2026-11-27/bucket=007");
    }

    #[test]
    fn a_scheme_that_does_not_exist_is_refused() {
        for text in ["", "month", "bucket", "bucket:0", "bucket:1001", "bucket:-1"] {
            assert!(text.parse::<PartitionBy>().is_err(), "{text}");
        }
        assert_eq!("bucket:16".parse::<PartitionBy>().expect("a scheme").to_string(), "bucket:16");
    }

    #[test]
    fn a_files_name_says_where_its_rows_came_from() {
        let place = TopicPartition { topic: "plant-1.data".into(), partition: 12 };
        let name = FileName { place, first: 5, last: 99 };
        let text = name.to_string();
        assert_eq!(text, "plant-1.data-12-00000000000000000005-00000000000000000099.parquet");
        assert_eq!(FileName::parse(&text), Some(name));
        for foreign in ["x.parquet", "a-0-1-2.parquet", &text.replace(".parquet", ".csv"), &text[12..]] {
            assert_eq!(FileName::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn equal_texts_are_in_the_same_bucket_in_every_version() {
        assert_eq!(bucket_of("", 16), (0xcbf2_9ce4_8422_2325_u64 % 16) as u16);
        assert_eq!(bucket_of("a", 1_000), (0xaf63_dc4c_8601_ec8c_u64 % 1_000) as u16);
    }
}
