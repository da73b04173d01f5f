//! Stage 2AB: log replication (sections 5.3, 5.4 and 8 of the paper).

mod storm;

use sim::harness::Test;

use crate::protocol::RaftNode;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [storm::tests()].into_iter().flatten().collect()
}
