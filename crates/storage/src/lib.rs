//! Topics into storage.
