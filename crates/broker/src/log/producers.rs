//! What the log knows of its producers: their epochs, their last batches, and the transactions that are open.
//!
//! The rules are Kafka's (`ProducerStateManager` and `ProducerAppendInfo` of 3.x; KIP-98, KIP-360). A producer that is
//! not known may begin with any sequence number, because what the log knew of it may have expired or been deleted.
//!
//! Invariants: an open transaction is in `open` and in its producer's entry, or in neither; a producer with an open
//! transaction is never forgotten; at most [`MOST_PRODUCERS`] others are remembered.

use std::collections::{BTreeMap, HashMap};

use super::batch::{BatchHeader, SEQUENCES};
use super::error::AppendError;

/// Batches of a producer that are recognised when they come again; clients have at most as many in flight.
pub(crate) const RECENT_BATCHES: usize = 5;
/// Producers remembered; past that the ones idle for longest are forgotten.
const MOST_PRODUCERS: usize = 1 << 16;
/// An epoch, sequence number or coordinator epoch that is not known.
const UNKNOWN: i16 = -1;
/// When the producer was last active is not known, which is so after its entry was made from the log again.
pub(crate) const UNKNOWN_TIME: i64 = -1;

/// A batch that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecentBatch {
    /// The sequence number of its last record.
    pub(crate) last_sequence: i32,
    /// The offset of its last record.
    pub(crate) last_offset: i64,
    /// The last offset less the first.
    pub(crate) offset_delta: i32,
    /// Its largest timestamp.
    pub(crate) timestamp: i64,
}

impl RecentBatch {
    /// The offset of its first record.
    pub(crate) fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    fn first_sequence(&self) -> i32 {
        (i64::from(self.last_sequence) - i64::from(self.offset_delta)).rem_euclid(SEQUENCES) as i32
    }
}

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    /// Its epoch; -1 before its first batch.
    pub(crate) epoch: i16,
    /// The epoch of the coordinator that wrote its last marker, or -1.
    pub(crate) coordinator_epoch: i32,
    /// When it last appended, by the broker's clock, or [`UNKNOWN_TIME`].
    pub(crate) last_active_ms: i64,
    /// The first offset of its open transaction.
    pub(crate) open_since: Option<i64>,
    /// Its last batches of this epoch, oldest first.
    pub(crate) recent: Vec<RecentBatch>,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            epoch: UNKNOWN,
            coordinator_epoch: i32::from(UNKNOWN),
            last_active_ms: UNKNOWN_TIME,
            open_since: None,
            recent: Vec::new(),
        }
    }
}

impl Producer {
    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.recent.clear();
            self.epoch = epoch;
        }
    }

    fn last_sequence(&self) -> i32 {
        self.recent.last().map_or(i32::from(UNKNOWN), |batch| batch.last_sequence)
    }

    fn check_epoch(&self, producer_id: i64, found: i16) -> Result<(), AppendError> {
        if found < self.epoch {
            return Err(AppendError::FencedEpoch { producer_id, found, current: self.epoch });
        }
        Ok(())
    }

    fn check_sequence(&self, header: &BatchHeader) -> Result<(), AppendError> {
        let (found, last) = (header.base_sequence, self.last_sequence());
        let follows = if self.epoch == UNKNOWN {
            true
        } else if header.producer_epoch == self.epoch {
            i64::from(found) == (i64::from(last) + 1) % SEQUENCES
        } else {
            found == 0
        };
        if follows {
            return Ok(());
        }
        Err(AppendError::OutOfOrder { producer_id: header.producer_id, found, last })
    }
}

/// A transaction that a marker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Completed {
    /// The offset of its first record.
    pub(crate) first_offset: i64,
    /// The last stable offset once it is over, if another transaction holds it back.
    pub(crate) next_unstable: Option<i64>,
}

/// All producers of a partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    known: HashMap<i64, Producer>,
    /// First offset of each open transaction, with its producer.
    open: BTreeMap<i64, i64>,
    /// The epochs for which the coordinator has announced a transaction on this partition. Not stored: the coordinator
    /// announces again what it finds in its journal.
    permits: HashMap<i64, i16>,
}

impl Producers {
    /// Decides whether a client's batch may be appended. A batch that was already appended is returned.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Option<RecentBatch>, AppendError> {
        if !header.has_producer() {
            return Ok(None);
        }
        let unknown = Producer::default();
        let producer = self.known.get(&header.producer_id).unwrap_or(&unknown);
        if header.producer_epoch == producer.epoch {
            let duplicate = producer.recent.iter().find(|recent| {
                recent.first_sequence() == header.base_sequence
                    && recent.last_sequence == header.last_sequence()
            });
            if let Some(duplicate) = duplicate {
                return Ok(Some(*duplicate));
            }
        }
        producer.check_epoch(header.producer_id, header.producer_epoch)?;
        self.check_transaction(header, producer)?;
        producer.check_sequence(header)?;
        Ok(None)
    }

    fn check_transaction(&self, header: &BatchHeader, producer: &Producer) -> Result<(), AppendError> {
        let producer_id = header.producer_id;
        let permit = self.permits.get(&producer_id).copied();
        match (producer.open_since, header.is_transactional()) {
            (Some(_), false) => Err(AppendError::TransactionState {
                producer_id,
                detail: "a plain batch came within a transaction",
            }),
            (Some(_), true) if header.producer_epoch == producer.epoch => Ok(()),
            (_, true) => match permit {
                Some(epoch) if epoch == header.producer_epoch => Ok(()),
                Some(epoch) if epoch > header.producer_epoch => Err(AppendError::FencedEpoch {
                    producer_id,
                    found: header.producer_epoch,
                    current: epoch,
                }),
                _ => Err(AppendError::TransactionState {
                    producer_id,
                    detail: "the partition was not added to a transaction",
                }),
            },
            (None, false) => Ok(()),
        }
    }

    /// Takes note of a batch that was appended or found in the log; control batches go to [`complete`](Self::complete).
    pub(crate) fn appended(&mut self, header: &BatchHeader, now_ms: i64) {
        if !header.has_producer() {
            return;
        }
        if self.known.len() >= MOST_PRODUCERS && !self.known.contains_key(&header.producer_id) {
            self.forget_idlest();
        }
        let producer = self.known.entry(header.producer_id).or_default();
        producer.set_epoch(header.producer_epoch);
        producer.last_active_ms = now_ms;
        if producer.recent.len() == RECENT_BATCHES {
            producer.recent.remove(0);
        }
        producer.recent.push(RecentBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        if header.is_transactional() && producer.open_since.is_none() {
            producer.open_since = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
            self.permits.remove(&header.producer_id);
        }
    }

    /// Lets a producer begin a transaction here.
    pub(crate) fn permit(&mut self, producer_id: i64, epoch: i16) -> Result<(), AppendError> {
        if let Some(producer) = self.known.get(&producer_id) {
            producer.check_epoch(producer_id, epoch)?;
            if producer.open_since.is_some() && producer.epoch == epoch {
                return Ok(());
            }
        }
        let permit = self.permits.entry(producer_id).or_insert(epoch);
        if *permit > epoch {
            return Err(AppendError::FencedEpoch { producer_id, found: epoch, current: *permit });
        }
        *permit = epoch;
        Ok(())
    }

    /// Decides whether the coordinator may end a transaction; `false` if there is none to end.
    pub(crate) fn check_end(
        &mut self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<bool, AppendError> {
        let Some(producer) = self.known.get(&producer_id) else {
            self.permits.remove(&producer_id);
            return Ok(false);
        };
        producer.check_epoch(producer_id, epoch)?;
        if coordinator_epoch < producer.coordinator_epoch {
            let current = producer.coordinator_epoch;
            return Err(AppendError::FencedCoordinator { found: coordinator_epoch, current });
        }
        self.permits.remove(&producer_id);
        Ok(producer.open_since.is_some())
    }

    /// Takes note of a marker that was appended or found in the log.
    pub(crate) fn complete(
        &mut self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
        now_ms: i64,
    ) -> Option<Completed> {
        let producer = self.known.entry(producer_id).or_default();
        producer.set_epoch(epoch);
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_active_ms = now_ms;
        let first_offset = producer.open_since.take()?;
        self.open.remove(&first_offset);
        Some(Completed { first_offset, next_unstable: self.first_unstable() })
    }

    /// The first offset of the oldest open transaction.
    pub(crate) fn first_unstable(&self) -> Option<i64> {
        self.open.first_key_value().map(|(&offset, _)| offset)
    }

    /// The open transactions: producer, epoch, first offset.
    pub(crate) fn open(&self) -> impl Iterator<Item = (i64, i16, i64)> {
        self.open.iter().map(|(&first_offset, &producer_id)| {
            (producer_id, self.known.get(&producer_id).map_or(UNKNOWN, |known| known.epoch), first_offset)
        })
    }

    /// All producers that are known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.known.iter().map(|(&producer_id, producer)| (producer_id, producer))
    }

    /// How many producers are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Puts back a producer from a snapshot.
    pub(crate) fn restore(&mut self, producer_id: i64, producer: Producer) {
        if let Some(first_offset) = producer.open_since {
            self.open.insert(first_offset, producer_id);
        }
        self.known.insert(producer_id, producer);
    }

    /// Forgets producers that have been idle for `retention_ms`.
    pub(crate) fn expire(&mut self, now_ms: i64, retention_ms: i64) {
        self.known.retain(|_, producer| {
            if producer.last_active_ms == UNKNOWN_TIME {
                producer.last_active_ms = now_ms;
            }
            producer.open_since.is_some() || now_ms.saturating_sub(producer.last_active_ms) < retention_ms
        });
    }

    /// Forgets the quarter of the producers that has been idle for longest, so that the work is spread thin.
    fn forget_idlest(&mut self) {
        let mut idle: Vec<(i64, i64)> = self
            .known
            .iter()
            .filter(|(_, producer)| producer.open_since.is_none())
            .map(|(&producer_id, producer)| (producer.last_active_ms, producer_id))
            .collect();
        idle.sort_unstable();
        idle.truncate(MOST_PRODUCERS / 4);
        for (_, producer_id) in idle {
            self.known.remove(&producer_id);
        }
    }
}
