//! The small tests' tools.
//!
//! - [`protocol`]: the vocabulary.
//! - [`bench`](mod@bench): the parts of a store on two simulated files.
//! - [`letters`]: messages and entries.
//! - [`leader`]: a peer that leads.

pub mod bench;
pub mod leader;
pub mod letters;
pub mod protocol;
