//! Transactions while they are open: what is in them, and whose they are. `AddPartitionsToTxn`, `AddOffsetsToTxn` and
//! `TxnOffsetCommit` are here; how they begin is in `producer`, how they end in `end_txn`.
//!
//! Invariants: a partition is in the journal as part of a transaction before its log permits the first batch of it, so
//! that no batch of a transaction is ever forgotten; only the newest epoch of a producer does anything.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use super::entry::{Entry, GroupState, TransactionRecord, TransactionState};
use super::offsets::{Asked, Committer, fail_good_ones};
use super::state::State;
use super::timers::Timer;
use super::{MAX_GROUPS, code};
use crate::server::Context;

/// From this version on a producer understands that it is fenced; before, that its epoch is invalid.
const FENCED_FROM: i16 = 2;

/// From this version on a producer understands that it has to abort (KIP-890).
const ABORTABLE_FROM: i16 = 4;

/// The epoch that stands for none.
pub(super) const NO_EPOCH: i16 = -1;

/// The producer id that stands for none.
pub(super) const NO_PRODUCER_ID: i64 = -1;

/// Who asks for something to be done to a transaction.
#[derive(Clone, Copy)]
pub(super) struct Producer<'a> {
    pub(super) transactional_id: &'a str,
    pub(super) id: i64,
    pub(super) epoch: i16,
}

impl State {
    /// `AddPartitionsToTxn`, up to version 3; later ones are spoken between brokers.
    pub(super) fn add_partitions(
        &mut self,
        request: &AddPartitionsToTxnRequest,
        context: &Context,
        now_ms: i64,
    ) -> AddPartitionsToTxnResponse {
        let producer = Producer {
            transactional_id: &request.v3_and_below_transactional_id,
            id: request.v3_and_below_producer_id.0,
            epoch: request.v3_and_below_producer_epoch,
        };
        let topics = &request.v3_and_below_topics;
        let asked = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|index| (topic.name.to_string(), *index)));
        let asked: Vec<(String, i32)> = asked.collect();
        let missing = |topic: &str, partition: i32| !self.partitions.exists(topic, partition);
        let mut codes: Vec<i16> = if asked.iter().any(|(topic, partition)| missing(topic, *partition)) {
            // One partition that is not there keeps all of them out of the transaction.
            let error = |missing| {
                if missing {
                    ResponseError::UnknownTopicOrPartition
                } else {
                    ResponseError::OperationNotAttempted
                }
            };
            asked.iter().map(|(topic, partition)| error(missing(topic, *partition)).code()).collect()
        } else {
            let count = asked.len();
            let grown = self.grow(producer, asked, Vec::new(), now_ms);
            vec![code(for_version(grown, context.api_version)); count]
        };
        let mut codes = codes.drain(..);
        let results = topics.iter().map(|topic| {
            let results = topic.partitions.iter().zip(&mut codes).map(|(index, code)| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*index)
                    .with_partition_error_code(code)
            });
            let results = results.collect();
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(results)
        });
        AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
    }

    /// `AddOffsetsToTxn`.
    pub(super) fn add_offsets(
        &mut self,
        request: &AddOffsetsToTxnRequest,
        context: &Context,
        now_ms: i64,
    ) -> AddOffsetsToTxnResponse {
        let producer = Producer {
            transactional_id: &request.transactional_id,
            id: request.producer_id.0,
            epoch: request.producer_epoch,
        };
        let grown = self.grow(producer, Vec::new(), vec![request.group_id.to_string()], now_ms);
        AddOffsetsToTxnResponse::default().with_error_code(code(for_version(grown, context.api_version)))
    }

    /// Lets partitions and groups join the producer's transaction, which begins by that if none is open.
    fn grow(
        &mut self,
        producer: Producer<'_>,
        mut partitions: Vec<(String, i32)>,
        mut groups: Vec<String>,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let asked = partitions.clone();
        let transaction = self.settled(producer, now_ms)?;
        if transaction.state == TransactionState::Ongoing {
            partitions.retain(|(topic, partition)| !transaction.has(topic, *partition));
            groups.retain(|group| !transaction.groups.contains(group));
        }
        if transaction.state != TransactionState::Ongoing || !partitions.is_empty() || !groups.is_empty() {
            let id = producer.transactional_id.to_owned();
            self.commit(vec![Entry::TransactionGrew { id, partitions, groups, at_ms: now_ms }])?;
        }
        self.watch_transaction(producer.transactional_id);
        // Also those that are in it already: their log may have failed the last time.
        for (topic, partition) in asked {
            self.partitions.begin_transaction(&topic, partition, producer.id, producer.epoch)?;
        }
        Ok(())
    }

    /// `TxnOffsetCommit`.
    pub(super) fn txn_offset_commit(
        &mut self,
        request: &TxnOffsetCommitRequest,
        context: &Context,
        now_ms: i64,
    ) -> TxnOffsetCommitResponse {
        let asked = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |partition| Asked {
                topic: &topic.name,
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.as_ref(),
                retention_ms: None,
            })
        });
        let (offsets, mut results) = self.check_offsets(asked, now_ms);
        if !offsets.is_empty() {
            let group = request.group_id.to_string();
            let producer_id = request.producer_id.0;
            let committed = self
                .check_txn_commit(request, context.api_version, now_ms)
                .and_then(|()| self.commit(vec![Entry::PendingOffsets { group, producer_id, offsets }]));
            fail_good_ones(&mut results, committed);
        }
        let mut codes = results.into_iter().map(code);
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().zip(&mut codes).map(|(partition, code)| {
                let index = partition.partition_index;
                TxnOffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
            });
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        TxnOffsetCommitResponse::default().with_topics(topics.collect())
    }

    /// Whether the producer's transaction is open and has the group, and the consumer is of the group's current
    /// generation (KIP-447). Clients before version 3 say nothing of the consumer.
    fn check_txn_commit(
        &mut self,
        request: &TxnOffsetCommitRequest,
        version: i16,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let producer = Producer {
            transactional_id: &request.transactional_id,
            id: request.producer_id.0,
            epoch: request.producer_epoch,
        };
        // This request goes to the group, where a producer expects the same errors as from a partition.
        let transaction = self.settled(producer, now_ms).map_err(|error| match error {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            other => other,
        })?;
        let open = transaction.state == TransactionState::Ongoing;
        if !open || !transaction.groups.contains(request.group_id.as_str()) {
            let abortable = version >= ABORTABLE_FROM;
            return Err(if abortable {
                ResponseError::TransactionAbortable
            } else {
                ResponseError::InvalidTxnState
            });
        }
        self.check_txn_committer(&Committer {
            group: &request.group_id,
            generation: request.generation_id,
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
        })
    }

    fn check_txn_committer(&self, committer: &Committer<'_>) -> Result<(), ResponseError> {
        let Committer { generation, member, instance, .. } = *committer;
        match self.groups.get(committer.group) {
            None if generation >= 0 => Err(ResponseError::IllegalGeneration),
            None if self.groups.len() >= MAX_GROUPS => Err(ResponseError::GroupMaxSizeReached),
            None => Ok(()),
            Some(group) if generation < 0 && group.state == GroupState::Empty => Ok(()),
            Some(_) if generation < 0 && member.is_empty() && instance.is_none() => Ok(()),
            Some(group) => group.check_generation(member, instance, generation),
        }
    }

    /// The producer's transaction, if it is the producer's; one that was about to end has ended.
    pub(super) fn settled(
        &mut self,
        producer: Producer<'_>,
        now_ms: i64,
    ) -> Result<&TransactionRecord, ResponseError> {
        let id = producer.transactional_id;
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        let transaction = self.transactions.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        if transaction.producer_id != producer.id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if transaction.epoch != producer.epoch {
            return Err(ResponseError::ProducerFenced);
        }
        self.complete(id, now_ms)?;
        self.transactions.get(id).ok_or(ResponseError::InvalidProducerIdMapping)
    }

    /// The next timer for an open transaction is at its timeout.
    pub(super) fn watch_transaction(&mut self, id: &str) {
        if let Some(timeout_ms) = self.transactions.get(id).and_then(TransactionRecord::times_out_ms) {
            self.timers.arm(Timer::Transaction(id.to_owned()), timeout_ms);
        }
    }
}

impl TransactionRecord {
    /// When the transaction is aborted, if it is open.
    pub(super) fn times_out_ms(&self) -> Option<i64> {
        let open = self.state == TransactionState::Ongoing;
        open.then(|| self.started_ms + i64::from(self.timeout_ms))
    }

    /// Whether the transaction is decided but not complete, and if so whether it commits.
    pub(super) fn decided(&self) -> Option<bool> {
        match self.state {
            TransactionState::PrepareCommit => Some(true),
            TransactionState::PrepareAbort => Some(false),
            _ => None,
        }
    }

    pub(super) fn has(&self, topic: &str, partition: i32) -> bool {
        self.partitions.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    pub(super) fn grow(&mut self, partitions: Vec<(String, i32)>, groups: Vec<String>, at_ms: i64) {
        if self.state != TransactionState::Ongoing {
            self.state = TransactionState::Ongoing;
            self.started_ms = at_ms;
        }
        for (topic, partition) in partitions {
            self.partitions.entry(topic).or_default().insert(partition);
        }
        self.groups.extend(groups);
        self.updated_ms = at_ms;
    }

    pub(super) fn prepare(&mut self, commit: bool, epoch: i16, at_ms: i64) {
        if self.epoch != epoch {
            // The producer did not ask for this bump and cannot continue from its epoch.
            self.epoch = epoch;
            self.last_epoch = NO_EPOCH;
        }
        self.state = if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort };
        self.updated_ms = at_ms;
    }

    pub(super) fn complete(&mut self, at_ms: i64) {
        let committed = self.state == TransactionState::PrepareCommit;
        self.state =
            if committed { TransactionState::CompleteCommit } else { TransactionState::CompleteAbort };
        self.partitions.clear();
        self.groups.clear();
        self.updated_ms = at_ms;
    }
}

/// Old producers do not know that they can be fenced.
pub(super) fn for_version(result: Result<(), ResponseError>, version: i16) -> Result<(), ResponseError> {
    match result {
        Err(ResponseError::ProducerFenced) if version < FENCED_FROM => {
            Err(ResponseError::InvalidProducerEpoch)
        }
        other => other,
    }
}
