//! Clusters of stores: the vocabulary, and the plain data that a world is made from.
//!
//! - [`protocol`]: inputs and effects of one store process.
//! - [`recorder`]: the subject's journal, so that the order of writes, syncs and sends is the true one.
//! - [`digest`]: digests of entries and data that all implementations agree on.
//! - [`dialect`]: what a suite tells the world about its messages.
//! - [`setup`], [`faults`], [`plan`]: the stores and their surroundings, what goes wrong, who asks for what.

pub mod dialect;
pub mod digest;
pub mod faults;
pub mod plan;
pub mod protocol;
pub mod recorder;
pub mod setup;
