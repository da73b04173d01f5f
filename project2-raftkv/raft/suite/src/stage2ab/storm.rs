//! Replication where everything goes wrong.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::RaftNode;
use crate::world::World;
use crate::world::chaos::{self, Plan};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("storm.rs":
        replicas_agree_in_peace,
        replicas_agree_over_a_network_that_loses_and_doubles,
        three_replicas_agree_in_a_storm,
        five_replicas_agree_in_a_storm,
        replicas_agree_although_leaders_keep_falling,
        reads_in_a_storm_never_see_the_past,
    )
}

/// Three nodes, small delays, no fault: every proposal is committed, all logs are one.
///
/// Hint: when this fails, look for the smaller test of the same step first; the monitors name the rule.
fn replicas_agree_in_peace(run: &mut World) -> Outcome {
    chaos::run(run, Plan::calm(3, 200)).map(drop)
}

/// Messages are lost, arrive twice, overtake each other, or come an election timeout late. Nothing in the
/// paper needs more from a network (section 5.1: RPCs are retried, and idempotent).
///
/// Hint: what does your code do with a message that it has seen before, or that is older than the last
/// one of its kind?
fn replicas_agree_over_a_network_that_loses_and_doubles(run: &mut World) -> Outcome {
    chaos::run(run, Plan::lossy(3, 300)).map(drop)
}

/// Three nodes on a bad network that also die and come back with what was durable, and links that go dead
/// in one direction. Figure 3 must hold at every moment, and when all is healed the group lives.
///
/// Hint: the failure names a property of figure 3, and two facts that contradict each other.
fn three_replicas_agree_in_a_storm(run: &mut World) -> Outcome {
    chaos::run(run, Plan::stormy(3, 600)).map(drop)
}

/// As for three nodes: with five, a majority can be made of other nodes each time.
///
/// Hint: the failure names a property of figure 3, and two facts that contradict each other.
fn five_replicas_agree_in_a_storm(run: &mut World) -> Outcome {
    chaos::run(run, Plan::stormy(5, 400)).map(drop)
}

/// Leaders are cut off or killed every few ticks, often just after their election and with entries that
/// only some followers have: the ground on which figure 8 grows.
///
/// Hint: section 5.4.2: which entries may a leader commit by counting copies?
fn replicas_agree_although_leaders_keep_falling(run: &mut World) -> Outcome {
    let plan = Plan { faults: 12, proposals: 2, straggle: 8, ..Plan::stormy(5, 400) };
    chaos::run(run, plan).map(drop)
}

/// Reads are asked of any node at any time in a storm. One that is released sees at least everything that
/// was committed anywhere when it was asked (section 8): a deposed leader does not know what it missed.
///
/// Hint: a leader may release a read only after a majority has confirmed, later than the question, that it
/// still leads; and only when an entry of its own term is committed.
fn reads_in_a_storm_never_see_the_past(run: &mut World) -> Outcome {
    chaos::run(run, Plan { reads: 3, ..Plan::stormy(3, 500) }).map(drop)
}
