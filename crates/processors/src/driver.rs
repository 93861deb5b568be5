//! What to write when: the part of the processor that knows nothing of clients, threads and clocks.
//!
//! A [`Lane`] is one input partition under way: the engine's state, the position in the input, the ticks. What it has to
//! say collects in an [`Outbox`], which whoever drives it writes down together with the positions, all or nothing. After a
//! crash, or when a partition comes from another worker, [`recovery`] makes the same lane again from what was committed.
//!
//! # Exactly once
//! The state after offset *o* is a function of the input before *o* and of the *control records* before *o*: ticks of the
//! clock and changes of the plan, numbered from 1 in each partition. So three things are committed together: what
//! the lane said, the control records it went by, and the position with the number of the last control record beside it
//! ([`Lane::offset`]). A transaction that is aborted leaves nothing of the three, and the lane is thrown away; the next one
//! begins where the last commit was.
//!
//! Snapshots only shorten the way: each shard is written down now and then in the same transactions, so that input and
//! control records need not be read from their beginning.
//!
//! # Internal topics
//! `streamgauge.<group>.control` and `streamgauge.<group>.snapshots` have as many partitions as the largest input had when
//! they were made; the records of input partition *p* are in their partition *p* modulo that number, so that a recovery
//! reads one partition of each. The formats are those of [`control`] and [`snapshots`].

pub mod control;
mod lane;
mod outbox;
mod pace;
pub mod recovery;
mod saver;
pub mod snapshots;

pub use lane::{Beginning, Lane, Spot, read_metadata};
pub use outbox::{Outbox, Target};
pub use pace::Pace;

#[cfg(test)]
pub(crate) mod tests;
