//! The table and the codec agree.
