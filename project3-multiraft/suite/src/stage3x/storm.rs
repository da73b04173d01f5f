//! Several members change at once where everything goes wrong.

use raft_suite::protocol::RaftNode;
use raft_suite::world::World;
use raft_suite::world::chaos::{self, Plan};
use sim::failure::Outcome;
use sim::harness::Test;

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("storm.rs":
        groups_move_over_a_network_that_loses_and_doubles,
        groups_move_in_a_storm,
        groups_move_while_leaders_hand_over_and_logs_are_short,
    )
}

/// Messages are lost, doubled and late, and groups move, by one voter or two at once. Nobody crashes.
///
/// Hint: look at the smaller tests first. Then: who counts by which half, from which moment on?
fn groups_move_over_a_network_that_loses_and_doubles(run: &mut World) -> Outcome {
    chaos::run(run, Plan { joint: true, changes: 12, ..Plan::lossy(3, 300) }).map(drop)
}

/// Groups move while nodes die and links go dead. No two leaders in a term, no commit without a majority of both halves, and
/// in the end the members that are left are alive, with one log.
///
/// Hint: does a node that was killed on the way come back with both halves?
fn groups_move_in_a_storm(run: &mut World) -> Outcome {
    chaos::run(run, Plan { joint: true, changes: 15, ..Plan::stormy(3, 400) }).map(drop)
}

/// The same, while leaders hand over to members that are just leaving, and new members come by snapshot.
///
/// Hint: a snapshot brings both halves.
fn groups_move_while_leaders_hand_over_and_logs_are_short(run: &mut World) -> Outcome {
    let plan = Plan {
        joint: true,
        changes: 12,
        transfers: 15,
        compact: true,
        keep: 2,
        proposals: 2,
        ..Plan::stormy(3, 400)
    };
    chaos::run(run, plan).map(drop)
}
