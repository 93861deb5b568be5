//! `InitProducerId`: producer ids and epochs (KIP-98), and how a producer goes on from what it has (KIP-360).
//!
//! Invariants: an epoch that was given out for a producer id is never given out again but to the same producer asking
//! again; who has a lower epoch is fenced.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::MAX_TRANSACTIONAL_IDS;
use super::entry::{Entry, TransactionRecord, TransactionState};
use super::state::State;
use super::transaction::{NO_EPOCH, NO_PRODUCER_ID};
use crate::server::Context;

/// From this version on a producer understands that it is fenced; before, that its epoch is invalid.
const FENCED_FROM: i16 = 4;

/// A producer id is used up at this epoch: the one that follows is left for fencing.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// What a producer has, or is given: its id and epoch.
type Identity = (i64, i16);

impl State {
    /// `InitProducerId`.
    pub(super) fn init_producer_id(
        &mut self,
        request: &InitProducerIdRequest,
        context: &Context,
        now_ms: i64,
    ) -> InitProducerIdResponse {
        let (error, (producer_id, epoch)) = match self.try_init(request, now_ms) {
            Ok(identity) => (0, identity),
            // Old producers do not know that they can be fenced.
            Err(ResponseError::ProducerFenced) if context.api_version < FENCED_FROM => {
                (ResponseError::InvalidProducerEpoch.code(), (NO_PRODUCER_ID, NO_EPOCH))
            }
            Err(error) => (error.code(), (NO_PRODUCER_ID, NO_EPOCH)),
        };
        InitProducerIdResponse::default()
            .with_error_code(error)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch)
    }

    fn try_init(&mut self, request: &InitProducerIdRequest, now_ms: i64) -> Result<Identity, ResponseError> {
        let expected = match (request.producer_id.0, request.producer_epoch) {
            (NO_PRODUCER_ID, NO_EPOCH) => None,
            (NO_PRODUCER_ID, _) | (_, NO_EPOCH) => return Err(ResponseError::InvalidRequest),
            identity => Some(identity),
        };
        let Some(id) = &request.transactional_id else {
            return Ok((self.new_producer_id()?, 0));
        };
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        let timeout_ms = request.transaction_timeout_ms;
        if timeout_ms <= 0 || i64::from(timeout_ms) > self.bounds.longest_transaction_ms {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let known = self.transactions.contains_key(id.as_str());
        let record = if known { self.renew(id, expected, now_ms)? } else { self.register(id)? };
        let identity = (record.producer_id, record.epoch);
        self.commit(vec![Entry::Transaction(TransactionRecord {
            timeout_ms,
            updated_ms: now_ms,
            ..record
        })])?;
        Ok(identity)
    }

    /// A transactional id that is not known, or not any longer.
    fn register(&mut self, id: &str) -> Result<TransactionRecord, ResponseError> {
        if self.transactions.len() >= MAX_TRANSACTIONAL_IDS {
            tracing::error!(
                limit = MAX_TRANSACTIONAL_IDS,
                "no more transactional ids until unused ones expire"
            );
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let producer_id = self.new_producer_id()?;
        Ok(fresh(id, (producer_id, 0), NO_EPOCH, NO_PRODUCER_ID))
    }

    /// A transactional id that is known: what it left open is aborted, and its epoch is the next one.
    fn renew(
        &mut self,
        id: &str,
        expected: Option<Identity>,
        now_ms: i64,
    ) -> Result<TransactionRecord, ResponseError> {
        self.complete(id, now_ms)?;
        let known = self.transactions.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let used_up = |epoch: i16| epoch >= LAST_EPOCH;
        if let Some((producer_id, epoch)) = expected {
            // A producer whose id was used up may ask again with it: the answer with the new one may be lost.
            let current = producer_id == known.producer_id;
            let previous = producer_id == known.previous_producer_id && used_up(epoch);
            if !current && !previous {
                return Err(ResponseError::ProducerFenced);
            }
            // Asked for again: the answer with the bumped epoch may be lost too.
            let again = epoch == known.last_epoch && known.state != TransactionState::Ongoing;
            if again {
                return Ok(TransactionRecord {
                    state: TransactionState::Empty,
                    started_ms: NEVER_MS,
                    ..known.clone()
                });
            }
            if epoch != known.epoch || !current {
                return Err(ResponseError::ProducerFenced);
            }
        }
        if known.state == TransactionState::Ongoing {
            tracing::info!(
                transactional_id = id,
                "aborting the transaction that the producer before left open"
            );
            self.fence(id, now_ms)?;
        }
        let known = self.transactions.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let (producer_id, epoch) = (known.producer_id, known.epoch);
        let last_epoch = expected.map_or(NO_EPOCH, |(_, epoch)| epoch);
        if used_up(epoch) {
            return Ok(fresh(id, (self.new_producer_id()?, 0), last_epoch, producer_id));
        }
        Ok(fresh(id, (producer_id, epoch + 1), last_epoch, known.previous_producer_id))
    }
}

/// When a transaction began that never did.
const NEVER_MS: i64 = -1;

/// A transactional id whose producer has done nothing yet.
fn fresh(
    id: &str,
    (producer_id, epoch): Identity,
    last_epoch: i16,
    previous_producer_id: i64,
) -> TransactionRecord {
    TransactionRecord {
        id: id.to_owned(),
        producer_id,
        epoch,
        last_epoch,
        previous_producer_id,
        timeout_ms: 0,
        state: TransactionState::Empty,
        partitions: BTreeMap::new(),
        groups: BTreeSet::new(),
        started_ms: NEVER_MS,
        updated_ms: 0,
    }
}
