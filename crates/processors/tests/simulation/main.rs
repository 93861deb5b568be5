//! The driver under everything that can go wrong, in virtual time: workers that crash at any step, commits that fail or
//! whose answer is lost, members that the group has gone on without and that do not know it, records delivered twice,
//! snapshots that are damaged or deleted, plans that change. Each seed is a run of its own and always the same.
//!
//! What is checked: what was committed is, key by key and record for record, what one undisturbed partition says to the same
//! input and control records, and the control records are numbered without gaps. Under a plan that no clock decides anything
//! in it is also what a run says that was never disturbed.
//!
//! `SEEDS=100000 cargo test --release -p processors --test simulation` runs more of them, `SEED=17` one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod calm;
mod plans;
mod world;

use std::time::Instant;

use world::{Faults, World};

/// So many seeds are run, if nothing else is said.
const SEEDS: u64 = 1_500;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    }
}

fn run(faults: Faults) {
    let began = Instant::now();
    let mut total = world::Tally::default();
    for seed in seeds() {
        let mut world = World::new(seed, faults);
        world.run();
        world.check();
        total.add(&world.tally);
    }
    println!("{faults:?}: {total:?} in {:.1} s", began.elapsed().as_secs_f64());
    if seeds().count() >= 100 {
        assert!(total.records > 0 && total.outputs > 0 && total.commits > 0, "{total:?}");
        let harm = [total.crashes, total.aborts, total.lost_answers, total.fenced, total.restores];
        assert!(faults == Faults::None || harm.iter().all(|count| *count > 0), "{total:?}");
    }
}

#[test]
fn what_is_committed_is_what_an_undisturbed_partition_says() {
    run(Faults::All);
}

#[test]
fn faults_do_not_change_what_is_said_where_the_clock_does_not_matter() {
    run(Faults::Timeless);
}

#[test]
fn without_faults_nothing_is_lost_either() {
    run(Faults::None);
}
