//! The requests of groups and transactions, one method each. Those that wait for other members do so here, without
//! the lock: when the client is gone meanwhile nobody takes the answer, and the member's session ends in time.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse,
    HeartbeatRequest, HeartbeatResponse, InitProducerIdRequest, InitProducerIdResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
    ListTransactionsRequest, ListTransactionsResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use super::group::{join_failed, sync_failed};
use super::{Answer, Coordinator};
use crate::server::Context;

impl Coordinator {
    /// `JoinGroup`, version 0 to 9. The answer comes when the generation begins.
    pub(crate) async fn join_group(&self, request: JoinGroupRequest, context: &Context) -> JoinGroupResponse {
        let answer = self.change(|state, now_ms| state.join(&request, context, now_ms));
        // Its bytes are those of the whole frame, which need not wait too.
        drop(request);
        let mut response = match answer {
            Answer::Now(response) => response,
            // The member was removed while it waited.
            Answer::Later(answer) => {
                answer.await.unwrap_or_else(|_| join_failed(ResponseError::UnknownMemberId, ""))
            }
        };
        if context.api_version >= NULL_PROTOCOL_FROM && response.error_code != 0 {
            response.protocol_name = None;
        }
        response
    }

    /// `SyncGroup`, version 0 to 5. The answer comes when the leader has assigned.
    pub(crate) async fn sync_group(&self, request: SyncGroupRequest) -> SyncGroupResponse {
        let answer = self.change(|state, now_ms| state.sync(&request, now_ms));
        drop(request);
        match answer {
            Answer::Now(response) => response,
            // The member was removed while it waited.
            Answer::Later(answer) => {
                answer.await.unwrap_or_else(|_| sync_failed(ResponseError::UnknownMemberId))
            }
        }
    }

    /// `Heartbeat`, version 0 to 4.
    pub(crate) fn heartbeat(&self, request: &HeartbeatRequest) -> HeartbeatResponse {
        self.change(|state, now_ms| state.heartbeat(request, now_ms))
    }

    /// `LeaveGroup`, version 0 to 5.
    pub(crate) fn leave_group(&self, request: &LeaveGroupRequest, context: &Context) -> LeaveGroupResponse {
        self.change(|state, now_ms| state.leave(request, context, now_ms))
    }

    /// `OffsetCommit`, version 2 to 9.
    pub(crate) fn offset_commit(
        &self,
        request: &OffsetCommitRequest,
        context: &Context,
    ) -> OffsetCommitResponse {
        self.change(|state, now_ms| state.offset_commit(request, context, now_ms))
    }

    /// `OffsetFetch`, version 1 to 9.
    pub(crate) fn offset_fetch(
        &self,
        request: &OffsetFetchRequest,
        context: &Context,
    ) -> OffsetFetchResponse {
        self.lock().offset_fetch(request, context)
    }

    /// `OffsetDelete`, version 0.
    pub(crate) fn offset_delete(&self, request: &OffsetDeleteRequest) -> OffsetDeleteResponse {
        self.change(|state, _| state.offset_delete(request))
    }

    /// `ListGroups`, version 0 to 5.
    pub(crate) fn list_groups(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        self.lock().list_groups(request)
    }

    /// `DescribeGroups`, version 0 to 6.
    pub(crate) fn describe_groups(
        &self,
        request: &DescribeGroupsRequest,
        context: &Context,
    ) -> DescribeGroupsResponse {
        self.lock().describe_groups(request, context)
    }

    /// `DeleteGroups`, version 0 to 2.
    pub(crate) fn delete_groups(&self, request: &DeleteGroupsRequest) -> DeleteGroupsResponse {
        self.change(|state, _| state.delete_groups(request))
    }

    /// `InitProducerId`, version 0 to 5.
    pub(crate) fn init_producer_id(
        &self,
        request: &InitProducerIdRequest,
        context: &Context,
    ) -> InitProducerIdResponse {
        self.change(|state, now_ms| state.init_producer_id(request, context, now_ms))
    }

    /// `AddPartitionsToTxn`, version 0 to 3.
    pub(crate) fn add_partitions_to_txn(
        &self,
        request: &AddPartitionsToTxnRequest,
        context: &Context,
    ) -> AddPartitionsToTxnResponse {
        self.change(|state, now_ms| state.add_partitions(request, context, now_ms))
    }

    /// `AddOffsetsToTxn`, version 0 to 4.
    pub(crate) fn add_offsets_to_txn(
        &self,
        request: &AddOffsetsToTxnRequest,
        context: &Context,
    ) -> AddOffsetsToTxnResponse {
        self.change(|state, now_ms| state.add_offsets(request, context, now_ms))
    }

    /// `TxnOffsetCommit`, version 0 to 4.
    pub(crate) fn txn_offset_commit(
        &self,
        request: &TxnOffsetCommitRequest,
        context: &Context,
    ) -> TxnOffsetCommitResponse {
        self.change(|state, now_ms| state.txn_offset_commit(request, context, now_ms))
    }

    /// `EndTxn`, version 0 to 4.
    pub(crate) fn end_txn(&self, request: &EndTxnRequest, context: &Context) -> EndTxnResponse {
        self.change(|state, now_ms| state.end_txn(request, context, now_ms))
    }

    /// `DescribeTransactions`, version 0.
    pub(crate) fn describe_transactions(
        &self,
        request: &DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        self.lock().describe_transactions(request)
    }

    /// `ListTransactions`, version 0 to 1.
    pub(crate) fn list_transactions(&self, request: &ListTransactionsRequest) -> ListTransactionsResponse {
        self.change(|state, now_ms| state.list_transactions(request, now_ms))
    }
}

/// From this version of `JoinGroup` on an answer need not name a protocol.
const NULL_PROTOCOL_FROM: i16 = 7;
