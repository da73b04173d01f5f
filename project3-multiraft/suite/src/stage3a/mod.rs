//! Stage 3A: members change, and leaders hand over (thesis, chapter 4 and section 3.10).

use raft_suite::protocol::RaftNode;
use sim::harness::Test;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    Vec::new()
}
