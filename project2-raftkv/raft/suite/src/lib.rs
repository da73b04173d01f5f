//! The graded tests of consensus. They link no code of the student's.
//!
//! - [`protocol`]: what a suite says to one Raft node, and what the node says back. Any Raft that has the
//!   Ready interface of raft-rs can answer it: ours, the student's, raft-rs itself (in `grader/oracle`).
//! - [`world`]: what the tests hold in their hands: a node, puppets around it, a group on a network that
//!   can be told step by step, and one where everything goes wrong.
//! - [`monitor`]: what must hold over all nodes, checked after every event.
//! - [`notation`], [`mail`], [`members`]: how messages and groups are shown, and how they are built.
//! - `stage2aa`, `stage2ab`, `stage2ac`, `stage2c`, `stage2x`: the tests, a module for each. A test's doc
//!   comment is the long form of its failure text.
//!
//! A test says nothing about *when* a leader sends what, beyond the paper: raft-rs, etcd and TinyKV differ
//! there, and all are right. It looks at promises: what is durable when a message leaves, what a majority
//! holds when an entry counts as committed, who leads when.

mod determinism;

pub mod mail;
pub mod members;
pub mod monitor;
pub mod notation;
pub mod protocol;
pub mod stage2aa;
pub mod stage2ab;
pub mod stage2ac;
pub mod stage2c;
pub mod stage2x;
pub mod world;

use protocol::RaftNode;
use sim::harness::Test;

/// Not graded: whether a node under test is deterministic. A node that is not cannot be replayed, and a
/// failure then says so beside its verdict.
pub fn determinism_tests() -> Vec<Test<RaftNode>> {
    determinism::tests()
}

/// All graded tests of Raft, extra credit included.
pub fn tests() -> Vec<Test<RaftNode>> {
    [stage2aa::tests(), stage2ab::tests(), stage2ac::tests(), stage2c::tests(), stage2x::tests()]
        .into_iter()
        .flatten()
        .collect()
}
