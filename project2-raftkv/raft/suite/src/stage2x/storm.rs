//! The extras where everything goes wrong.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::RaftNode;
use crate::world::World;
use crate::world::chaos::{self, Plan};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("storm.rs":
        pre_vote_in_a_storm,
        pre_vote_and_check_quorum_in_a_storm,
    )
}

/// PreVote changes who campaigns when, and nothing else: figure 3 holds, and a group that is well again
/// lives.
///
/// Hint: no deadlock: somebody must be able to win a pre-vote.
fn pre_vote_in_a_storm(run: &mut World) -> Outcome {
    chaos::run(run, Plan { pre_vote: true, ..Plan::stormy(5, 400) }).map(drop)
}

/// Both together, with reads: figure 3 holds, no read sees the past, and a group that is well again lives.
///
/// Hint: who ignores a higher term must tell it in another way.
fn pre_vote_and_check_quorum_in_a_storm(run: &mut World) -> Outcome {
    let plan = Plan { pre_vote: true, check_quorum: true, reads: 4, ..Plan::stormy(3, 600) };
    chaos::run(run, plan).map(drop)
}
