//! The graded tests of the raftstore: stages 2B and 2C. They link no code of the student's.
//!
//! Two vocabularies. The small tests ask one part of a store after the other, in the order in which they are built
//! ([`parts`]). The others make a world (`sim::world`) of stores that are known only by the bytes they send, write and
//! answer, break what they like, and ask the checkers.
//!
//! - [`parts`]: the vocabulary and the tools of the small tests; [`parts2b`], [`parts2c`]: those tests.
//! - [`config`]: how a test sets up a store; opaque to the world.
//! - [`dialect`]: the raw API and Raft's messages, for the world that knows neither.
//! - [`stage2b`], [`stage2c`]: the tests of whole stores. Each one's doc comment is the long form of its failure text.

pub mod config;
pub mod dialect;
pub mod parts;
pub mod parts2b;
pub mod parts2c;
pub mod stage2b;
pub mod stage2c;

use parts::protocol::Parts;
use sim::cluster::protocol::Cluster;
use sim::harness::Test;

/// The graded tests of single parts.
pub fn part_tests() -> Vec<Test<Parts>> {
    [parts2b::tests(), parts2c::tests()].into_iter().flatten().collect()
}

/// Whether the stores are to be set up as the binary sets them up, with the extra credit of stage 2X: PreVote and
/// `CheckQuorum` in each test, and the tests of leases besides. Graded runs are without: `TINYKV_EXTRA=1 cargo test -p raftkv`.
pub fn with_extras() -> bool {
    std::env::var_os("TINYKV_EXTRA").is_some()
}

/// The graded tests of whole stores.
pub fn tests() -> Vec<Test<Cluster>> {
    let extra = if with_extras() { stage2b::extra_tests() } else { Vec::new() };
    [stage2b::tests(), extra, stage2c::tests()].into_iter().flatten().collect()
}
