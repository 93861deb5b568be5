//! `InitProducerId`: ids, epochs, and who is fenced by them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::InitProducerIdRequest;

use super::transactions::{add, end, init, opened, state_of};
use super::{Harness, context, error};
use crate::coordinator::entry::Entry;
use crate::coordinator::group::text;

#[test]
fn idempotent_producers_get_an_id_each() {
    let mut harness = Harness::new();
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let mut ids = std::collections::BTreeSet::new();
    for round in 0..1_500 {
        if round % 500 == 0 {
            harness.restart();
        }
        let response = harness.state.init_producer_id(&request, &context(4), harness.now_ms);
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        assert!(ids.insert(response.producer_id.0), "the id was given out before");
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut harness = Harness::new();
    let refused = |harness: &mut Harness, id: &str, timeout_ms, producer_id: i64, epoch| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(text(id).into()))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch);
        error(harness.state.init_producer_id(&request, &context(4), harness.now_ms).error_code)
    };
    assert_eq!(refused(&mut harness, "", 1, -1, -1), Some(ResponseError::InvalidRequest));
    assert_eq!(refused(&mut harness, "x", 1, 3, -1), Some(ResponseError::InvalidRequest));
    assert_eq!(refused(&mut harness, "x", 1, -1, 3), Some(ResponseError::InvalidRequest));
    assert_eq!(refused(&mut harness, "x", 0, -1, -1), Some(ResponseError::InvalidTransactionTimeout));
    assert_eq!(refused(&mut harness, "x", 900_001, -1, -1), Some(ResponseError::InvalidTransactionTimeout));
    assert_eq!(refused(&mut harness, "x", 900_000, -1, -1), None);
}

#[test]
fn a_new_producer_fences_the_old_one_and_aborts_what_it_left() {
    let mut harness = Harness::new();
    let old = opened(&mut harness, "x");
    let new = init(&mut harness, "x", None).unwrap();
    assert_eq!(new, (old.0, old.1 + 2));
    assert_eq!(state_of(&harness, "x"), "Empty");
    assert!(harness.memory.logs().aborted.contains(&1));
    assert!(harness.memory.produce("t1", 0, old, 2).is_err());
    assert_eq!(add(&mut harness, "x", old, ("t1", 0)), Some(ResponseError::ProducerFenced));
    assert_eq!(end(&mut harness, "x", old, true), Some(ResponseError::ProducerFenced));
    assert_eq!(init(&mut harness, "x", Some(old)), Err(ResponseError::ProducerFenced));
    assert_eq!(add(&mut harness, "x", new, ("t1", 0)), None);
    assert_eq!(harness.memory.produce("t1", 0, new, 3), Ok(()));
    // A fenced producer that asks for its epoch does not harm the transaction of the new one.
    assert_eq!(init(&mut harness, "x", Some(old)), Err(ResponseError::ProducerFenced));
    assert_eq!(end(&mut harness, "x", new, true), None);
}

#[test]
fn old_clients_are_told_that_their_epoch_is_invalid() {
    let mut harness = Harness::new();
    let old = opened(&mut harness, "x");
    init(&mut harness, "x", None).unwrap();
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(text("x").into()))
        .with_transaction_timeout_ms(1_000)
        .with_producer_id(old.0.into())
        .with_producer_epoch(old.1);
    let response = harness.state.init_producer_id(&request, &context(3), harness.now_ms);
    assert_eq!(error(response.error_code), Some(ResponseError::InvalidProducerEpoch));
    let request = kafka_protocol::messages::EndTxnRequest::default()
        .with_transactional_id(text("x").into())
        .with_producer_id(old.0.into())
        .with_producer_epoch(old.1);
    let response = harness.state.end_txn(&request, &context(1), harness.now_ms);
    assert_eq!(error(response.error_code), Some(ResponseError::InvalidProducerEpoch));
}

#[test]
fn a_producer_bumps_its_own_epoch_and_may_ask_twice() {
    let mut harness = Harness::new();
    let first = init(&mut harness, "x", None).unwrap();
    let bumped = init(&mut harness, "x", Some(first)).unwrap();
    assert_eq!(bumped, (first.0, first.1 + 1));
    assert_eq!(init(&mut harness, "x", Some(first)), Ok(bumped));
    let again = init(&mut harness, "x", Some(bumped)).unwrap();
    assert_eq!(again, (first.0, first.1 + 2));
    assert_eq!(init(&mut harness, "x", Some(first)), Err(ResponseError::ProducerFenced));
    assert_eq!(init(&mut harness, "x", Some((first.0 + 7, 0))), Err(ResponseError::ProducerFenced));
    // Somebody else took the id over: nobody's last epoch counts any longer.
    init(&mut harness, "x", None).unwrap();
    assert_eq!(init(&mut harness, "x", Some(again)), Err(ResponseError::ProducerFenced));
}

#[test]
fn a_producer_id_that_is_used_up_is_replaced() {
    let mut harness = Harness::new();
    let (producer_id, _) = init(&mut harness, "x", None).unwrap();
    let mut record = harness.state.transactions["x"].clone();
    record.epoch = i16::MAX - 2;
    harness.state.commit(vec![Entry::Transaction(record)]).unwrap();
    let last = init(&mut harness, "x", None).unwrap();
    assert_eq!(last, (producer_id, i16::MAX - 1));
    let fresh = init(&mut harness, "x", Some(last)).unwrap();
    assert!(fresh.0 != producer_id && fresh.1 == 0);
    // The answer may be lost: the producer has the old id still.
    assert_eq!(init(&mut harness, "x", Some(last)), Ok(fresh));
}

#[test]
fn the_last_epoch_is_left_for_fencing() {
    let mut harness = Harness::new();
    init(&mut harness, "x", None).unwrap();
    let mut record = harness.state.transactions["x"].clone();
    record.epoch = i16::MAX - 2;
    harness.state.commit(vec![Entry::Transaction(record)]).unwrap();
    let last = opened(&mut harness, "x");
    assert_eq!(last.1, i16::MAX - 1);
    let fresh = init(&mut harness, "x", None).unwrap();
    assert!(fresh.0 != last.0 && fresh.1 == 0);
    assert!(harness.memory.logs().aborted.contains(&1));
    assert!(harness.memory.produce("t1", 0, last, 2).is_err());
}
