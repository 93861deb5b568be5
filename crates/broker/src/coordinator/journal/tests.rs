//! The journal on good and bad files.
