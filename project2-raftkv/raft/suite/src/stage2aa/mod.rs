//! Stage 2AA: leader election (sections 5.1, 5.2 and 5.4.1 of the paper).

mod campaign;
mod group;
mod heartbeat;
mod proposals;
mod restriction;
mod steps;
mod storm;
mod term;
mod timeout;
mod vote;

use sim::harness::Test;

use crate::protocol::RaftNode;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [
        steps::tests(),
        term::tests(),
        timeout::tests(),
        vote::tests(),
        restriction::tests(),
        proposals::tests(),
        campaign::tests(),
        heartbeat::tests(),
        group::tests(),
        storm::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
