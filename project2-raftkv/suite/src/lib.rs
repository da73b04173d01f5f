//! The graded tests of the raftstore: stages 2B and 2C. They link no code of the student's.
//!
//! A test makes a world (`sim::world`) of stores that are known only by the bytes they send, write and answer, breaks
//! what it likes, and asks the checkers.
//!
//! - [`config`]: how a test sets up a store; opaque to the world.
//! - [`dialect`]: the raw API and Raft's messages, for the world that knows neither.
//! - [`stage2b`], [`stage2c`]: the tests. Each one's doc comment is the long form of its failure text.

pub mod config;
pub mod dialect;
pub mod stage2b;
pub mod stage2c;

use sim::cluster::protocol::Cluster;
use sim::harness::Test;

/// All graded tests of the raftstore.
pub fn tests() -> Vec<Test<Cluster>> {
    [stage2b::tests(), stage2c::tests()].into_iter().flatten().collect()
}
