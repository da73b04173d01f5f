//! raft-rs behind the seam of the Raft suite.
//!
//! The suite must test the paper and not our design. The proof is a Raft that we did not write and that
//! has run TiKV for years: [`Oracle`] answers the suite's questions with a `RawNode` of the crate `raft`,
//! and must pass every test with every seed.
//!
//! The other half of the proof is that the tests can fail: [`Lie`]s plant, at the level of the protocol,
//! what a wrong Raft would do, and `tests/lies.rs` says which test must name which lie.
//!
//! - [`subject`]: the translation. raft-rs's types and ours are different Rust types for the same bytes,
//!   so messages cross as bytes.
//! - [`storage`]: the `raft::Storage` that the node reads. Not raft-rs's own `MemStorage`, because that one
//!   holds no snapshot data and forgets the term just before its first entry.
//! - [`peer`]: what TiKV's peer asks before it lets raft-rs change members or hand over.
//! - [`node`]: raft-rs under our peers, for the suite of stage 3B.
//! - [`lies`]: what can be wrong.
//!
//! raft-rs draws its election timeouts from the operating system. The adapter draws them anew, from the
//! seed, whenever the node may have: the same seed then gives the same run here, too.

pub mod lies;
pub mod node;
pub mod peer;
pub mod storage;
pub mod subject;

pub use lies::Lie;
pub use subject::Oracle;
