//! Members change and leaders hand over where everything goes wrong.
//!
//! Nodes that join are new ones, started without members. A node that has applied its own removal is destroyed; one that
//! does not know of it learns it when it speaks to somebody who does. Beside the five properties of figure 3, the
//! monitors look at the groups: who leads counts by members that are at most one change behind anybody's.

use raft_suite::protocol::RaftNode;
use raft_suite::world::World;
use raft_suite::world::chaos::{self, Plan};
use sim::failure::Outcome;
use sim::harness::Test;

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("storm.rs":
        members_change_over_a_network_that_loses_and_doubles,
        members_change_in_a_storm,
        leaders_hand_over_in_a_storm,
        members_change_while_leaders_hand_over,
        members_come_by_snapshot_in_a_storm,
    )
}

/// Messages are lost, doubled and late, and members come and go. Nobody crashes.
///
/// Hint: look at the smaller tests first. Then: who counts whose answers, from which moment on?
fn members_change_over_a_network_that_loses_and_doubles(run: &mut World) -> Outcome {
    chaos::run(run, Plan { changes: 12, ..Plan::lossy(3, 300) }).map(drop)
}

/// Members come and go while nodes die and links go dead. No two leaders in a term, no commit without a majority of those
/// who are members at that moment, and in the end the members that are left are alive, with one log.
///
/// Hint: does a node that was killed come back with the members that it knew? Does it run before it has applied
/// the last change?
fn members_change_in_a_storm(run: &mut World) -> Outcome {
    chaos::run(run, Plan { changes: 15, ..Plan::stormy(4, 400) }).map(drop)
}

/// Everybody wishes for somebody else to lead, all the time, also for nodes that are dead or do not know it. Writes go on.
///
/// Hint: if nothing is committed at the end, somebody still refuses proposals. Why did it not give up?
fn leaders_hand_over_in_a_storm(run: &mut World) -> Outcome {
    chaos::run(run, Plan { transfers: 6, ..Plan::stormy(3, 400) }).map(drop)
}

/// Both at once: leaders hand over to members that are just being removed, and remove themselves.
///
/// Hint: what does a transfer mean for a change that is under way, and a change for a transfer?
fn members_change_while_leaders_hand_over(run: &mut World) -> Outcome {
    let plan = Plan { changes: 10, transfers: 8, straggle: 10, ..Plan::stormy(3, 400) };
    chaos::run(run, plan).map(drop)
}

/// Logs are short, so that new members come by snapshot, while everything else goes wrong.
///
/// Hint: a snapshot brings the members of its place; changes at or before that place are in it already.
fn members_come_by_snapshot_in_a_storm(run: &mut World) -> Outcome {
    let plan = Plan {
        changes: 12,
        transfers: 20,
        compact: true,
        keep: 2,
        proposals: 2,
        ..Plan::stormy(3, 400)
    };
    chaos::run(run, plan).map(drop)
}
