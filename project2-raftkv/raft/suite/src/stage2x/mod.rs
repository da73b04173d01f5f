//! Extra credit: PreVote (thesis 9.6), CheckQuorum (thesis 6.2), reads by the leader's lease (thesis
//! 6.4.1). All three are off in every other stage.

mod check_quorum;
mod lease;
mod pre_vote;
mod storm;

use sim::harness::Test;

use crate::protocol::RaftNode;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [pre_vote::tests(), check_quorum::tests(), lease::tests(), storm::tests()]
        .into_iter()
        .flatten()
        .collect()
}
