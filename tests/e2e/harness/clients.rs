//! Clients of other languages: Python's through the scripts in `tests/clients`, kcat, and Kafka's own tools.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testing::project;

use super::PATIENCE;
use super::process::Running;

/// A client library of another language, at a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// kafka-python as the Python pipeline used it.
    SeedKafkaPython,
    /// Today's kafka-python.
    KafkaPython,
    /// confluent-kafka.
    Confluent,
}

impl Client {
    fn environment(self) -> &'static str {
        match self {
            Self::SeedKafkaPython => "seed",
            Self::KafkaPython | Self::Confluent => "current",
        }
    }

    fn library(self) -> &'static str {
        match self {
            Self::SeedKafkaPython | Self::KafkaPython => "kafka-python",
            Self::Confluent => "confluent",
        }
    }

    /// One of the scripts with this client's Python, its output piped.
    #[track_caller]
    pub(crate) fn command(self, script: &str, arguments: &[&str]) -> Command {
        let python = project().join(".venv").join(self.environment()).join("bin/python");
        assert!(python.exists(), "Python's clients are not installed: run scripts/setup --tests");
        let mut command = Command::new(python);
        command.arg(project().join("tests/clients").join(script)).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs one of the scripts and returns what it wrote.
    #[track_caller]
    pub(crate) fn script(self, script: &str, arguments: &[&str], input: Option<Vec<u8>>) -> String {
        let mut command = self.command(script, arguments);
        Running::start_with_input(&mut command, input).finish(PATIENCE).expect_success().stdout
    }

    /// Writes records and returns the partition and offset of each.
    pub(crate) fn write(self, bootstrap: &str, topic: &str, records: &[Outgoing]) -> Vec<(i32, i64)> {
        let lines: Vec<String> = records.iter().map(|record| record.json().to_string()).collect();
        let input = lines.join("\n").into_bytes();
        let output = self.script("write_topic.py", &[self.library(), bootstrap, topic], Some(input));
        let places: Vec<_> = output.lines().map(place).collect();
        assert_eq!(places.len(), records.len(), "every record has a place");
        places
    }
}

fn place(line: &str) -> (i32, i64) {
    let place: Value = serde_json::from_str(line).expect("the script prints JSON");
    (whole(&place["partition"]) as i32, whole(&place["offset"]))
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) partition: Option<i32>,
}

impl Outgoing {
    /// A record with a key and a value.
    pub(crate) fn new(key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), value: Some(value.into()), ..Self::default() }
    }

    fn json(&self) -> Value {
        let hex = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(to_hex);
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| json!([name, hex(value)])).collect();
        json!({
            "key": hex(&self.key),
            "value": hex(&self.value),
            "headers": headers,
            "partition": self.partition,
        })
    }
}

/// A record as kafka-python read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    fn from_json(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).expect("the script prints JSON");
        let bytes = |value: &Value| value.as_str().map(from_hex);
        let headers = line["headers"].as_array().expect("headers are a list").iter();
        Self {
            partition: whole(&line["partition"]) as i32,
            offset: whole(&line["offset"]),
            key: bytes(&line["key"]),
            value: bytes(&line["value"]),
            headers: headers
                .map(|pair| (pair[0].as_str().expect("a name").to_owned(), bytes(&pair[1])))
                .collect(),
        }
    }

    /// The value as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a value")).expect("UTF-8")
    }

    /// The text of a header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value =
            self.headers.iter().find(|(header, _)| header == name).and_then(|(_, value)| value.as_deref());
        value.map_or("", |value| std::str::from_utf8(value).expect("UTF-8"))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory takes everything");
        text
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Everything in a topic, partition by partition in the order of offsets.
pub(crate) fn read_topic(client: Client, bootstrap: &str, topic: &str) -> Vec<Record> {
    assert_ne!(client, Client::Confluent, "read_topic.py uses kafka-python");
    let output = client.script("read_topic.py", &[bootstrap, topic], None);
    let mut records: Vec<_> = output.lines().map(Record::from_json).collect();
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// The statistics of a topic, computed by Python.
pub(crate) fn statistics(bootstrap: &str, topic: &str, high_temperature: &str) -> Value {
    let arguments = [bootstrap, topic, high_temperature];
    let output = Client::KafkaPython.script("stats.py", &arguments, None);
    serde_json::from_str(&output).expect("the script prints JSON")
}

/// What the sequence numbers in a topic of readings say.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) records: u64,
    /// Numbers below the last of their sensor that are nowhere.
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    /// The last number of each sensor.
    pub(crate) last: BTreeMap<String, u64>,
}

impl Audit {
    /// Checks that every number from 1 to the last is there once, in order.
    #[track_caller]
    pub(crate) fn expect_whole(&self) {
        let wrong = (self.missing, self.duplicates, self.out_of_order);
        assert_eq!(wrong, (0, 0, 0), "missing, twice, out of order among {} records", self.records);
    }
}

/// Reads a topic of readings by their sequence numbers, with confluent-kafka.
pub(crate) fn audit(bootstrap: &str, topic: &str) -> Audit {
    let output = Client::Confluent.script("audit.py", &[bootstrap, topic], None);
    let found: Value = serde_json::from_str(&output).expect("the script prints JSON");
    let count = |name: &str| whole(&found[name]) as u64;
    let last = found["last"].as_object().expect("an object").iter();
    Audit {
        records: count("records"),
        missing: count("missing"),
        duplicates: count("duplicates"),
        out_of_order: count("out_of_order"),
        last: last.map(|(sensor, number)| (sensor.clone(), whole(number) as u64)).collect(),
    }
}

/// How far a group is in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) committed: Option<i64>,
    pub(crate) end: i64,
}

/// How far a group is, by partition, as kafka-python is told by the brokers.
pub(crate) fn progress(bootstrap: &str, topic: &str, group: &str) -> BTreeMap<i32, Progress> {
    let output = Client::KafkaPython.script("offsets.py", &[bootstrap, topic, group], None);
    let rows: Vec<Value> = serde_json::from_str(&output).expect("the script prints JSON");
    let progress = |row: &Value| Progress { committed: row["committed"].as_i64(), end: whole(&row["end"]) };
    rows.iter().map(|row| (whole(&row["partition"]) as i32, progress(row))).collect()
}
