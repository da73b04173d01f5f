//! Stage 2C, the half of it that is Raft's: snapshots and log compaction (section 7 of the paper).

mod compact;
pub(crate) mod install;
mod send;
mod storm;

use sim::harness::Test;

use crate::protocol::RaftNode;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [install::tests(), send::tests(), compact::tests(), storm::tests()]
        .into_iter()
        .flatten()
        .collect()
}
