//! What operators ask: `ListGroups`, `DescribeGroups`, `DeleteGroups`, `ListTransactions`, `DescribeTransactions`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState as Described};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_transactions_response::TransactionState as Listed;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, GroupId, ListGroupsRequest,
    ListGroupsResponse, ListTransactionsRequest, ListTransactionsResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::code;
use super::entry::{Entry, GroupState, TransactionState};
use super::group::{Group, Member, text};
use super::state::State;
use crate::server::Context;

/// The only type of group here; the other one of Kafka's is that of KIP-848.
const GROUP_TYPE: &str = "classic";

/// From this version on describing an unknown group is an error.
const DESCRIBE_NOT_FOUND_FROM: i16 = 6;

/// What everybody may do to a group, a bit for each of Kafka's `AclOperation`s: read, delete and describe.
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

impl State {
    /// `ListGroups`.
    pub(super) fn list_groups(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let matches = |filter: &[StrBytes], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let groups = self.groups.iter().filter(|(_, group)| {
            matches(&request.states_filter, group.state.name()) && matches(&request.types_filter, GROUP_TYPE)
        });
        let groups = groups.map(|(name, group)| {
            ListedGroup::default()
                .with_group_id(GroupId(text(name)))
                .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
                .with_group_state(StrBytes::from_static_str(group.state.name()))
                .with_group_type(StrBytes::from_static_str(GROUP_TYPE))
        });
        ListGroupsResponse::default().with_groups(groups.collect())
    }

    /// `DescribeGroups`.
    pub(super) fn describe_groups(
        &self,
        request: &DescribeGroupsRequest,
        context: &Context,
    ) -> DescribeGroupsResponse {
        let groups = request.groups.iter().map(|name| {
            let described = DescribedGroup::default().with_group_id(name.clone());
            let described = match self.groups.get(name.as_str()) {
                Some(group) => describe(described, group),
                None => unknown(described, context.api_version),
            };
            if request.include_authorized_operations {
                return described.with_authorized_operations(GROUP_OPERATIONS);
            }
            described
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }

    /// `DeleteGroups`.
    pub(super) fn delete_groups(&mut self, request: &DeleteGroupsRequest) -> DeleteGroupsResponse {
        let results = request.groups_names.iter().map(|name| {
            let deleted = self.delete_group(name);
            DeletableGroupResult::default().with_group_id(name.clone()).with_error_code(code(deleted))
        });
        DeleteGroupsResponse::default().with_results(results.collect())
    }

    fn delete_group(&mut self, name: &str) -> Result<(), ResponseError> {
        let group = self.groups.get(name).ok_or(ResponseError::GroupIdNotFound)?;
        if group.state != GroupState::Empty {
            return Err(ResponseError::NonEmptyGroup);
        }
        tracing::info!(group = name, "deleting a group");
        self.commit(vec![Entry::GroupDeleted { group: name.to_owned() }])
    }

    /// `ListTransactions`.
    pub(super) fn list_transactions(
        &self,
        request: &ListTransactionsRequest,
        now_ms: i64,
    ) -> ListTransactionsResponse {
        // Patterns are of version 2, which asks for a regular expression engine; it is not offered.
        let known = |name: &StrBytes| TransactionState::ALL.iter().any(|state| state.name() == name.as_str());
        let transactions = self.transactions.values().filter(|transaction| {
            let (states, producers) = (&request.state_filters, &request.producer_id_filters);
            let duration_ms = now_ms - transaction.started_ms;
            (states.is_empty() || states.iter().any(|name| name.as_str() == transaction.state.name()))
                && (producers.is_empty() || producers.iter().any(|id| id.0 == transaction.producer_id))
                && (request.duration_filter < 0 || duration_ms > request.duration_filter)
        });
        let transactions = transactions.map(|transaction| {
            Listed::default()
                .with_transactional_id(TransactionalId(text(&transaction.id)))
                .with_producer_id(transaction.producer_id.into())
                .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
        });
        let unknown = request.state_filters.iter().filter(|name| !known(name)).cloned();
        ListTransactionsResponse::default()
            .with_unknown_state_filters(unknown.collect())
            .with_transaction_states(transactions.collect())
    }

    /// `DescribeTransactions`.
    pub(super) fn describe_transactions(
        &self,
        request: &DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        let states = request.transactional_ids.iter().map(|id| {
            let described = Described::default().with_transactional_id(id.clone());
            if id.is_empty() {
                return described.with_error_code(ResponseError::InvalidRequest.code());
            }
            let Some(transaction) = self.transactions.get(id.as_str()) else {
                return described.with_error_code(ResponseError::TransactionalIdNotFound.code());
            };
            let topics = transaction.partitions.iter().map(|(topic, partitions)| {
                let partitions = partitions.iter().copied().collect();
                TopicData::default().with_topic(TopicName(text(topic))).with_partitions(partitions)
            });
            described
                .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
                .with_transaction_timeout_ms(transaction.timeout_ms)
                .with_transaction_start_time_ms(transaction.started_ms)
                .with_producer_id(transaction.producer_id.into())
                .with_producer_epoch(transaction.epoch)
                .with_topics(topics.collect())
        });
        DescribeTransactionsResponse::default().with_transaction_states(states.collect())
    }
}

fn describe(described: DescribedGroup, group: &Group) -> DescribedGroup {
    // What members can do and what they were assigned is told of a stable group only, as Kafka does.
    let protocol = group.protocol.as_deref().filter(|_| group.state == GroupState::Stable);
    let members = group.members.values().map(|member| describe_member(member, protocol));
    described
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol.unwrap_or_default()))
        .with_members(members.collect())
}

fn describe_member(member: &Member, protocol: Option<&str>) -> DescribedGroupMember {
    let record = &member.record;
    let described = DescribedGroupMember::default()
        .with_member_id(text(&record.id))
        .with_group_instance_id(record.instance.as_deref().map(text))
        .with_client_id(text(&record.client_id))
        .with_client_host(text(&record.client_host));
    match protocol {
        Some(protocol) => described
            .with_member_metadata(member.metadata(protocol).0)
            .with_member_assignment(record.assignment.0.clone()),
        None => described,
    }
}

fn unknown(described: DescribedGroup, version: i16) -> DescribedGroup {
    let message = format!("Group {} not found.", described.group_id.as_str());
    let described = described.with_group_state(StrBytes::from_static_str("Dead"));
    if version < DESCRIBE_NOT_FOUND_FROM {
        return described;
    }
    described
        .with_error_code(ResponseError::GroupIdNotFound.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}
