//! The timer task, with the real clock: nothing here waits for a time, but for what happens then.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::JoinGroupRequest;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use super::{BEGIN_MS, Memory, context, error, settings};
use crate::coordinator::group::text;
use crate::coordinator::{Coordinator, Partitions};

fn request(session_timeout_ms: i32) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(session_timeout_ms)
        .with_rebalance_timeout_ms(session_timeout_ms)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn coordinator(directory: &tempfile::TempDir) -> Coordinator {
    let partitions: Arc<dyn Partitions> = Arc::new(Memory::default());
    Coordinator::open(&settings(), directory.path(), partitions, BEGIN_MS).unwrap()
}

#[tokio::test]
async fn the_timer_task_hears_of_earlier_deadlines() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Arc::new(coordinator(&directory));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let timers = tokio::spawn({
        let coordinator = Arc::clone(&coordinator);
        // The sender lives until the test is over.
        async move { coordinator.run(async move { drop(stopped.await) }).await }
    });
    // Without the timer nobody would end the initial delay, whose deadline is long before the first sweep.
    let joined = coordinator.join_group(request(10_000), &context(3)).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    stop.send(()).unwrap();
    timers.await.unwrap();
    coordinator.close().unwrap();
}

#[tokio::test]
async fn nobody_waits_when_the_broker_stops() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Arc::new(coordinator(&directory));
    let waiting = {
        let coordinator = Arc::clone(&coordinator);
        async move { coordinator.join_group(request(10_000), &context(3)).await }
    };
    let released = async {
        while coordinator.lock().groups.is_empty() {
            tokio::task::yield_now().await;
        }
        coordinator.release();
    };
    let (answer, ()) = tokio::join!(waiting, released);
    assert_eq!(error(answer.error_code), Some(ResponseError::CoordinatorNotAvailable));
    let late = coordinator.join_group(request(10_000), &context(9)).await;
    assert_eq!(error(late.error_code), Some(ResponseError::CoordinatorNotAvailable));
    assert_eq!(late.protocol_name, None);
}
