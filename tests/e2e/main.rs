//! End-to-end tests: the release binary against real Apache Kafka, looked at from outside by clients of other
//! languages.
//!
//! Most tests run on Kafka 3.9 with ZooKeeper and on 4.1 with KRaft; those that do not say why. Tests that break
//! brokers have clusters of their own; the others share one per release and keep apart by topics and groups.
//!
//! They need what `scripts/setup --tests` installs.

mod administration;
mod brokers;
mod configuration;
mod crashes;
mod dead_letters;
mod events;
mod foreign_clients;
mod full_disk;
mod harness;
mod operation;
mod page;
mod processing;
mod processing_crashes;
mod rebalance;
mod replay;
mod security;
mod statistics;
mod storage;
mod storage_crashes;
mod storage_postgres;
mod streams;
mod terminal;
mod up;
