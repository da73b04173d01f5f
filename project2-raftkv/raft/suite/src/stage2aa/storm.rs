//! Elections where everything goes wrong.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::RaftNode;
use crate::world::World;
use crate::world::chaos::{self, Plan};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("storm.rs":
        no_term_has_two_leaders_although_messages_come_late,
        no_term_has_two_leaders_although_nodes_crash,
    )
}

/// Messages take up to several election timeouts, arrive twice, or not at all; nobody crashes. At no
/// moment do two nodes lead one term (figure 3: Election Safety), and when the network is well again
/// there is a leader soon.
///
/// Hint: the failure lists who voted for whom. Which vote should not have been given, or counted?
fn no_term_has_two_leaders_although_messages_come_late(run: &mut World) -> Outcome {
    let plan = Plan { straggle: 40, faults: 30, proposals: 0, ..Plan::lossy(5, 400) };
    chaos::run(run, plan).map(drop)
}

/// Nodes die all the time, also just before and just after a vote is on disk, and come back (figure 2:
/// term and vote are persistent).
///
/// Hint: the failure lists who voted for whom. Was the vote on disk before the answer left?
fn no_term_has_two_leaders_although_nodes_crash(run: &mut World) -> Outcome {
    let plan = Plan {
        faults: 4,
        crashes: 85,
        crash_at_persist: 10,
        proposals: 0,
        straggle: 20,
        ..Plan::stormy(3, 800)
    };
    chaos::run(run, plan).map(drop)
}
