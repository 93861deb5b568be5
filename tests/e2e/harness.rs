//! What every end-to-end test needs: the program as a process, its topics, and clients of other languages that look
//! at Kafka from outside.
//!
//! Invariants: nothing waits without a limit, and what a test started is gone when the test is over; waiting is for a
//! condition, never for a time; topics and groups are a test's own, so tests share clusters and run side by side.

pub(crate) mod clients;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod stage;

use std::time::Duration;

/// How long a test waits for anything that should take seconds; long, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Declares each of these functions, which take a kind of broker, as a test for each kind.
macro_rules! on_every_broker {
    ($($test:ident),+ $(,)?) => {
        mod kafka_3_9_with_zookeeper {
            $(#[test] fn $test() { super::$test(testing::Kind::Kafka39); })+
        }
        mod kafka_4_1_with_kraft {
            $(#[test] fn $test() { super::$test(testing::Kind::Kafka41); })+
        }
        mod embedded_broker {
            $(#[test] fn $test() { super::$test(testing::Kind::Embedded); })+
        }
    };
}
pub(crate) use on_every_broker;
