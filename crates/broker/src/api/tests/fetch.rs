//! `Fetch`: what is read, how much of it, and the wait.

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use super::*;

/// Longer than any test waits: whoever waits for this is not woken by time.
const FOR_EVER_MS: i32 = 200_000;

fn partition(number: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(number)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
}

fn request(topic: &'static str, partitions: Vec<FetchPartition>) -> FetchRequest {
    let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions);
    FetchRequest::default().with_topics(vec![topic]).with_min_bytes(1)
}

async fn fetch(fixture: &Fixture, request: FetchRequest) -> FetchResponse {
    super::super::fetch(&fixture.shared, &context(12), request).await
}

/// The answers of the only topic.
async fn fetch_all(fixture: &Fixture, request: FetchRequest) -> Vec<PartitionData> {
    fetch(fixture, request).await.responses.remove(0).partitions
}

fn size(data: &PartitionData) -> usize {
    data.records.as_ref().expect("never null").len()
}

/// Waits, until the log says so, for the fetch to be among those that it wakes.
async fn is_waiting(fixture: &Fixture, topic: &str) {
    let log = fixture.shared.catalog.partition(topic, 0).expect("there");
    while log.waiters() == 0 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn what_was_appended_is_read_as_it_was() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let records = batch(3, now_ms());
        fixture.append("a", 0, &records);
        let data = fetch_all(&fixture, request("a", vec![partition(0, 0)])).await.remove(0);
        assert_eq!(code(data.error_code), None);
        assert_eq!((data.high_watermark, data.last_stable_offset, data.log_start_offset), (3, 3, 0));
        assert_eq!(data.aborted_transactions, None);
        // All but the base offset and the leader's epoch, which the log gives.
        assert_eq!(data.records.expect("records")[16..], records[16..]);
        let data = fetch_all(&fixture, request("a", vec![partition(0, 3)])).await.remove(0);
        assert_eq!((size(&data), data.high_watermark), (0, 3), "the end is empty, not null");
    });
}

#[test]
fn every_partition_has_its_own_error() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        fixture.append("a", 0, &batch(3, now_ms()));
        for (asked, expected) in [
            (partition(0, 4), ResponseError::OffsetOutOfRange),
            (partition(0, -1), ResponseError::OffsetOutOfRange),
            (partition(1, 0), ResponseError::UnknownTopicOrPartition),
            (partition(0, 0).with_current_leader_epoch(1), ResponseError::UnknownLeaderEpoch),
            (partition(0, 0).with_current_leader_epoch(-2), ResponseError::FencedLeaderEpoch),
        ] {
            // An error ends the wait.
            let request = request("a", vec![asked, partition(0, 0)]).with_max_wait_ms(FOR_EVER_MS);
            let data = fetch_all(&fixture, request.with_min_bytes(1 << 20)).await;
            assert_eq!(code(data[0].error_code), Some(expected));
            assert_eq!((size(&data[0]), data[0].high_watermark), (0, -1));
            assert!(size(&data[1]) > 0, "the other one is read");
        }
        let data = fetch_all(&fixture, request("b", vec![partition(0, 0)])).await;
        assert_eq!(code(data[0].error_code), Some(ResponseError::UnknownTopicOrPartition));
    });
}

#[test]
fn topics_are_found_by_id() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        fixture.append("a", 0, &batch(1, now_ms()));
        let known = fixture.shared.catalog.topic("a").expect("there").id;
        let by_id = |id| FetchTopic::default().with_topic_id(id).with_partitions(vec![partition(0, 0)]);
        let topics = vec![by_id(known), by_id(uuid::Uuid::from_u128(5))];
        let request = FetchRequest::default().with_topics(topics).with_min_bytes(1);
        let response = super::super::fetch(&fixture.shared, &context(13), request).await;
        assert_eq!(response.responses[0].topic_id, known);
        assert!(size(&response.responses[0].partitions[0]) > 0);
        let unknown = response.responses[1].partitions[0].error_code;
        assert_eq!(code(unknown), Some(ResponseError::UnknownTopicId));
    });
}

#[test]
fn there_are_no_sessions() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        for (id, epoch, expected) in
            [(0, -1, None), (0, 0, None), (5, 1, Some(ResponseError::FetchSessionIdNotFound))]
        {
            let request = request("a", vec![partition(0, 0)]).with_session_id(id).with_session_epoch(epoch);
            let response = fetch(&fixture, request).await;
            assert_eq!((code(response.error_code), response.session_id), (expected, 0));
        }
    });
}

#[test]
fn limits_hold_but_there_is_always_one_batch() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 3, &[]).await;
        let records = batch(10, now_ms());
        for number in 0..3 {
            fixture.append("a", number, &records);
            fixture.append("a", number, &records);
        }
        let one = records.len();
        let sizes = async |bytes: i32, of_each: i32| {
            let partitions = (0..3).map(|number| partition(number, 0).with_partition_max_bytes(of_each));
            let request = request("a", partitions.collect()).with_max_bytes(bytes);
            fetch_all(&fixture, request).await.iter().map(size).collect::<Vec<_>>()
        };
        let all = one as i32 * 10;
        assert_eq!(sizes(all, all).await, [2 * one, 2 * one, 2 * one]);
        assert_eq!(sizes(all, one as i32).await, [one, one, one]);
        assert_eq!(sizes(one as i32 * 3, all).await, [2 * one, one, 0]);
        assert_eq!(sizes(1, all).await, [one, 0, 0], "one, although it is too large");
        assert_eq!(sizes(all, 1).await, [one, 0, 0]);
        assert_eq!(sizes(0, 0).await, [one, 0, 0]);
    });
}

#[test]
fn an_append_wakes_who_waits_for_it() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let waiting = {
            let shared = Arc::clone(&fixture.shared);
            let request = request("a", vec![partition(0, 0)]).with_max_wait_ms(FOR_EVER_MS);
            tokio::spawn(async move { super::super::fetch(&shared, &context(12), request).await })
        };
        is_waiting(&fixture, "a").await;
        fixture.append("a", 0, &batch(1, now_ms()));
        let response = waiting.await.expect("it ends");
        assert!(size(&response.responses[0].partitions[0]) > 0);
        let log = fixture.shared.catalog.partition("a", 0).expect("there");
        assert_eq!(log.waiters(), 0, "nobody is left to be woken");
    });
}

#[test]
fn who_waits_for_more_is_answered_when_there_is_more() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let records = batch(1, now_ms());
        let enough = records.len() as i32 * 3;
        let mut waiting = {
            let shared = Arc::clone(&fixture.shared);
            let request = request("a", vec![partition(0, 0)]).with_max_wait_ms(FOR_EVER_MS);
            let request = request.with_min_bytes(enough);
            Box::pin(async move { super::super::fetch(&shared, &context(12), request).await })
        };
        for _ in 0..2 {
            fixture.append("a", 0, &records);
            assert!(poll_once(waiting.as_mut()).await.is_none(), "that is not enough");
        }
        fixture.append("a", 0, &records);
        let response = waiting.await;
        assert_eq!(size(&response.responses[0].partitions[0]), records.len() * 3);
    });
}

/// The result of a future that is polled as often as it is woken at once.
async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    use std::task::Poll;
    std::future::poll_fn(|context| {
        Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn the_time_ends_the_wait_with_what_there_is() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let records = batch(1, now_ms());
        fixture.append("a", 0, &records);
        let request = request("a", vec![partition(0, 0)]).with_max_wait_ms(20).with_min_bytes(1 << 20);
        let data = fetch_all(&fixture, request).await;
        assert_eq!(size(&data[0]), records.len());
    });
}

#[test]
fn the_end_of_the_broker_and_of_a_topic_end_the_wait() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        fixture.topic("b", 1, &[]).await;
        let wait = |topic| {
            let shared = Arc::clone(&fixture.shared);
            let request = request(topic, vec![partition(0, 0)]).with_max_wait_ms(FOR_EVER_MS);
            tokio::spawn(async move { super::super::fetch(&shared, &context(12), request).await })
        };
        let (of_a, of_b) = (wait("a"), wait("b"));
        is_waiting(&fixture, "a").await;
        is_waiting(&fixture, "b").await;
        fixture.shared.catalog.delete(&["a"]).remove(0).expect("deleted");
        let response = of_a.await.expect("it ends");
        let error = response.responses[0].partitions[0].error_code;
        assert_eq!(code(error), Some(ResponseError::UnknownTopicOrPartition));
        fixture.shared.catalog.release();
        let response = of_b.await.expect("it ends");
        assert_eq!(code(response.responses[0].partitions[0].error_code), None);
    });
}

#[test]
fn only_what_is_committed_is_read_by_those_who_want_that() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        let log = fixture.shared.catalog.partition("a", 0).expect("there");
        fixture.append("a", 0, &batch(1, now_ms()));
        log.begin_transaction(9, 0).expect("begun");
        let response = fixture.append("a", 0, &transactional_batch(9, 0));
        assert_eq!(code(response.error_code), None, "{:?}", response.error_message);
        let committed = || request("a", vec![partition(0, 0)]).with_isolation_level(1);
        let data = fetch_all(&fixture, committed()).await.remove(0);
        let before = size(&data);
        assert_eq!((data.high_watermark, data.last_stable_offset), (2, 1));
        assert_eq!(data.aborted_transactions, Some(Vec::new()));

        let waiting = {
            let shared = Arc::clone(&fixture.shared);
            let request = request("a", vec![partition(0, 1)]).with_isolation_level(1);
            let request = request.with_max_wait_ms(FOR_EVER_MS);
            tokio::spawn(async move { super::super::fetch(&shared, &context(12), request).await })
        };
        is_waiting(&fixture, "a").await;
        log.end_transaction(9, 0, 0, false, now_ms()).expect("aborted");
        let data = waiting.await.expect("it ends").responses.remove(0).partitions.remove(0);
        assert!(size(&data) > 0);
        let aborted = data.aborted_transactions.expect("a list");
        assert_eq!((aborted.len(), aborted[0].producer_id.0, aborted[0].first_offset), (1, 9, 1));
        let data = fetch_all(&fixture, committed()).await.remove(0);
        assert!(size(&data) > before);
        assert_eq!(data.last_stable_offset, 3, "the marker takes an offset too");
    });
}

#[test]
fn the_answer_fits_every_version() {
    run(async {
        let fixture = fixture();
        fixture.topic("a", 1, &[]).await;
        fixture.append("a", 0, &batch(1, now_ms()));
        let id = fixture.shared.catalog.topic("a").expect("there").id;
        for version in 4..=17 {
            for level in 0..=1 {
                let mut request =
                    request("a", vec![partition(0, 0), partition(1, 0)]).with_isolation_level(level);
                request.topics[0].topic_id = id;
                let response = super::super::fetch(&fixture.shared, &context(version), request).await;
                assert_encodable(&response, version);
            }
        }
    });
}
