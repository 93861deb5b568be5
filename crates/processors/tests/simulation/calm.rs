//! What an undisturbed partition says, to compare with.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{Partition, Plan, Source, Tick};
use processors::driver::control::{Change, Control};
use processors::driver::{Outbox, Target};

use crate::world::{Letter, Log, TOPIC, Worker, Written, arrival, reading, reason};

/// What one partition says that sees everything once, in order.
pub(crate) fn undisturbed(
    input: &Log,
    partition: i32,
    controls: Vec<Control>,
) -> (Vec<Written>, Vec<Letter>) {
    let source = Source { topic: TOPIC.into(), partition };
    let (mut outbox, mut letters) = (Outbox::new(), Vec::new());
    let mut state: Option<Partition> = None;
    let mut controls = controls.into_iter().peekable();
    let go_by = |state: &mut Option<Partition>, control: Control, outbox: &mut Outbox| {
        let Control { sequence, after, change } = control;
        match (change, state.as_mut()) {
            (Change::Begin(spec), _) => {
                let plan = Arc::new(Plan::compile(*spec).unwrap());
                *state = Some(Partition::new(plan, source.clone(), 11));
            }
            (Change::Tick(time), Some(state)) => state.tick(Tick { sequence, after, time }, outbox),
            (Change::Plan(spec), Some(state)) => {
                state.change_plan(Arc::new(Plan::compile(*spec).unwrap()), sequence, outbox);
            }
            (_, None) => panic!("the first control record begins"),
        }
    };
    for record in &input.records {
        while let Some(control) = controls.next_if(|control| control.after < record.offset) {
            go_by(&mut state, control, &mut outbox);
        }
        let why = match reading(record) {
            Some(reading) => reason(state.as_mut().unwrap().observe(&reading, arrival(record), &mut outbox)),
            None => Some("undecodable"),
        };
        letters.extend(why.map(|reason| (partition, record.offset, reason)));
    }
    for control in controls {
        go_by(&mut state, control, &mut outbox);
    }
    let mut worker = Worker::new();
    worker.outbox = outbox;
    worker.send();
    letters.sort_unstable();
    (worker.transaction.written, letters)
}

pub(crate) type ByKey = BTreeMap<(Target, String), Vec<String>>;

/// Outputs by topic and key.
pub(crate) fn by_key(written: impl IntoIterator<Item = Written>) -> ByKey {
    let mut all = ByKey::new();
    for (target, key, value) in written {
        if matches!(target, Target::Analytics | Target::Alerts) {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            all.entry((target, text(key))).or_default().push(value.map(text).unwrap_or_default());
        }
    }
    all
}

pub(crate) fn assert_same(committed: &ByKey, expected: &ByKey) {
    for key in committed.keys().chain(expected.keys()) {
        let none = Vec::new();
        let [committed, expected] = [committed, expected].map(|all| all.get(key).unwrap_or(&none));
        let same =
            committed.iter().zip(expected).take_while(|(committed, expected)| committed == expected).count();
        let next = [committed, expected].map(|all| all.get(same));
        assert!(
            next == [None, None],
            "{key:?}, from record {same}: committed {:?}, expected {:?}",
            next[0],
            next[1]
        );
    }
}
