//! The topics: their ids, settings and partitions, kept in one file that is replaced as a whole.

/// All topics of the broker.
pub(crate) struct Catalog;
