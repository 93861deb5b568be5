//! `DescribeCluster` and `FindCoordinator`: it is always this node.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::CLUSTER_OPERATIONS;
use crate::server::Context;
use crate::{Node, Shared};

/// The kind of endpoints that `DescribeCluster` is about, unless controllers are asked for (KIP-919).
const BROKERS: i8 = 1;

/// The kinds of coordinators: of groups and of transactions.
const COORDINATORS: std::ops::RangeInclusive<i8> = 0..=1;

/// The first version that asks for several coordinators at once.
const BATCHES_SINCE: i16 = 4;

pub(crate) fn describe_cluster(shared: &Shared, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let Node { id, host, port, cluster_id } = &shared.node;
    if request.endpoint_type != BROKERS {
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str("this is the endpoint of a broker")));
    }
    let operations =
        if request.include_cluster_authorized_operations { CLUSTER_OPERATIONS } else { i32::MIN };
    DescribeClusterResponse::default()
        .with_cluster_id(cluster_id.clone())
        .with_controller_id((*id).into())
        .with_cluster_authorized_operations(operations)
        .with_brokers(vec![
            DescribeClusterBroker::default()
                .with_broker_id((*id).into())
                .with_host(host.clone())
                .with_port(*port),
        ])
}

pub(crate) fn find_coordinator(
    shared: &Shared,
    context: &Context,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let Node { id, host, port, .. } = &shared.node;
    let known = COORDINATORS.contains(&request.key_type);
    let error = if known { super::NONE } else { ResponseError::InvalidRequest.code() };
    let (id, host, port) = if known { (*id, host.clone(), *port) } else { (-1, StrBytes::new(), -1) };
    if context.api_version < BATCHES_SINCE {
        return FindCoordinatorResponse::default()
            .with_error_code(error)
            .with_node_id(id.into())
            .with_host(host)
            .with_port(port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_error_code(error)
            .with_node_id(id.into())
            .with_host(host.clone())
            .with_port(port)
            .with_error_message(None)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
