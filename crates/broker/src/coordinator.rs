//! Groups, committed offsets and transactions, and the journal that keeps them.

/// The coordinator of all groups and transactions.
pub(crate) struct Coordinator;
