//! The graded tests of project 4. They link no code of the student's.
//!
//! A test here drives the transactional handlers of a store through the seam of [`sim::seam`]: requests and
//! responses are `kvrpcpb` messages as bytes, and what lies in the storage can be put there, and looked at, behind
//! the handlers' back. The same tests run in two programs: the test program of crate `txn`, where the store lives in
//! the same process, and `txn-judge`, where it lives behind a pipe.
//!
//! - [`protocol`]: the vocabulary.
//! - [`rows`]: what lies in the three column families, in TiKV's bytes, and how it is shown to people. Written a
//!   second time, so that a mistake in the crate is not its own witness.
//! - [`world`]: what the tests hold in their hands: a store that can be asked, looked into, crashed and restarted.
//! - [`stage4a`] to [`stage4c`]: the tests, a module per subject. Each one's doc comment is the long form of its failure
//!   text.
//! - [`raft4c`]: the commands of 4A to 4C on many replicas.
//! - [`parts4d`]: the client's half, with the judge in the place of all stores; its vocabulary is its own.
//! - [`stage4d`]: clients, stores and a scheduler in one simulated world (`sim::world`).

pub mod parts4d;
pub mod protocol;
pub mod raft4c;
pub mod rows;
pub mod stage4a;
pub mod stage4b;
pub mod stage4c;
pub mod stage4d;
pub mod world;

use protocol::Txn;
use sim::harness::Test;

/// All graded tests of project 4.
pub fn tests() -> Vec<Test<Txn>> {
    [stage4a::tests(), stage4b::tests(), stage4c::tests()].into_iter().flatten().collect()
}
