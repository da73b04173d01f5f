//! Clusters of stores: the vocabulary, and what a subject needs to speak it.
//!
//! - [`protocol`]: inputs and effects of one store process.
//! - [`recorder`]: the subject's journal, so that the order of writes, syncs and sends is the true one.
//! - [`digest`]: digests of entries and data that all implementations agree on.

pub mod digest;
pub mod protocol;
pub mod recorder;
