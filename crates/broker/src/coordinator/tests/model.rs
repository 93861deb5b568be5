//! Random requests, time steps and restarts against a simple model. A restart may come in the middle of a request:
//! then the journal ends behind any of the entries that the request wrote, and nobody learns its answer.
//!
//! What must hold: a generation has one assignment; committed offsets are those of the model; batches and offset of a
//! transaction count together or not at all; what was acknowledged is so for ever; a fenced producer never succeeds;
//! in the end every group becomes stable and every transaction ends.

mod world;

use proptest::prelude::*;

use self::world::World;

/// What can happen. Numbers choose a client, a producer or a partition.
#[derive(Debug, Clone, Copy)]
enum Step {
    Join(usize),
    Sync(usize),
    Beat(usize),
    Leave(usize),
    Commit(usize),
    Init(usize, bool),
    Add(usize, i32),
    Produce(usize, i32),
    SendOffset(usize),
    End(usize, bool),
    /// A whole transaction but for its end, so that there is something to tear.
    Transact(usize),
    Wait(i64),
    Rewrite,
    Restart,
}

/// How a restart tears a request: after how many of its entries, and whether the logs have what it did to them.
type Tear = Option<(usize, bool)>;

fn step() -> impl Strategy<Value = Step> {
    let client = 0..world::CLIENTS;
    let producer = 0..world::PRODUCERS;
    prop_oneof![
        4 => client.clone().prop_map(Step::Join),
        4 => client.clone().prop_map(Step::Sync),
        2 => client.clone().prop_map(Step::Beat),
        1 => client.clone().prop_map(Step::Leave),
        3 => client.prop_map(Step::Commit),
        2 => (producer.clone(), any::<bool>()).prop_map(|(producer, goes_on)| Step::Init(producer, goes_on)),
        4 => (producer.clone(), 0..2).prop_map(|(producer, partition)| Step::Add(producer, partition)),
        4 => (producer.clone(), 0..2).prop_map(|(producer, partition)| Step::Produce(producer, partition)),
        3 => producer.clone().prop_map(Step::SendOffset),
        4 => (producer.clone(), any::<bool>()).prop_map(|(producer, commit)| Step::End(producer, commit)),
        3 => producer.prop_map(Step::Transact),
        3 => prop::sample::select(vec![1, 100, 4_000, 11_000, 31_000]).prop_map(Step::Wait),
        1 => Just(Step::Rewrite),
        1 => Just(Step::Restart),
    ]
}

fn tear() -> impl Strategy<Value = Tear> {
    prop_oneof![4 => Just(None), 1 => (0..4_usize, any::<bool>()).prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_coordinator_does_as_the_model(steps in prop::collection::vec((step(), tear()), 1..80)) {
        let mut world = World::new();
        for (step, tear) in steps {
            match tear {
                Some((entries, logs)) if !matches!(step, Step::Wait(_) | Step::Transact(_)) => world.tear(step, entries, logs),
                _ => world.take(step),
            }
            world.check();
        }
        world.finish();
    }
}
