//! A log against a model of it: a list of records.

use proptest::prelude::*;

use super::*;

/// What happens to the log.
#[derive(Debug, Clone)]
enum Step {
    Append { values: u8, size: u16 },
    Reopen(bool),
    Delete(prop::sample::Index),
    Housekeep,
    Read { from: prop::sample::Index, bytes: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5_u8, 0..300_u16).prop_map(|(values, size)| Step::Append { values, size }),
        1 => any::<bool>().prop_map(Step::Reopen),
        1 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => Just(Step::Housekeep),
        4 => (any::<prop::sample::Index>(), 0..2000_u16).prop_map(|(from, bytes)| Step::Read { from, bytes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_list_of_records(steps in prop::collection::vec(step(), 1..60)) {
        let fixture = Fixture::new(LogSettings { segment_bytes: 2500, ..small_segments() });
        let mut log = fixture.open(LastShutdown::Unknown);
        let mut records: Vec<String> = Vec::new();
        let mut start = 0;
        for step in steps {
            match step {
                Step::Append { values, size } => {
                    let values: Vec<_> = (0..values)
                        .map(|number| format!("{}/{number}/{}", records.len(), "x".repeat(size.into())))
                        .collect();
                    let batch = Batch::of(&values.iter().map(String::as_str).collect::<Vec<_>>());
                    prop_assert_eq!(log.append(&batch.encode(), 5).unwrap().base_offset, records.len() as i64);
                    records.extend(values);
                }
                Step::Reopen(close) => {
                    if close {
                        log.close().unwrap();
                    }
                    drop(log);
                    log = fixture.open(if close { LastShutdown::Clean } else { LastShutdown::SameBoot });
                }
                Step::Delete(index) => {
                    start = start.max(index.index(records.len() + 1));
                    prop_assert_eq!(log.delete_before(start as i64).unwrap(), start as i64);
                }
                Step::Housekeep => log.housekeep(5).unwrap(),
                Step::Read { from, bytes } => {
                    let from = start + from.index(records.len() - start + 1);
                    let read = log.read(from as i64, bytes.into(), false, false).unwrap();
                    prop_assert!(read.records.len() <= bytes.into());
                    let read = read_all(&log, from as i64, false);
                    let expected: Vec<_> = (from as i64..).zip(records[from..].iter().cloned()).collect();
                    prop_assert_eq!(read, expected);
                }
            }
            let end = records.len() as i64;
            prop_assert_eq!(log.offsets(), LogOffsets { start: start as i64, stable: end, end });
        }
    }
}
