//! Snapshots and compaction where everything goes wrong.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::RaftNode;
use crate::world::World;
use crate::world::chaos::{self, Plan};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("storm.rs":
        snapshots_over_a_network_that_loses_and_doubles,
        snapshots_in_a_storm,
    )
}

fn compacting(plan: Plan) -> Plan {
    Plan { compact: true, keep: 2, proposals: 1, ..plan }
}

/// Logs are compacted all the time, and the network loses, doubles and delays snapshots as anything else.
/// A follower that has fallen behind the leader's log is brought up by a snapshot, and goes on with
/// entries.
///
/// Hint: a snapshot may arrive late, when the log is already longer; or twice.
fn snapshots_over_a_network_that_loses_and_doubles(run: &mut World) -> Outcome {
    chaos::run(run, compacting(Plan { loss: 25, ..Plan::lossy(3, 300) })).map(drop)
}

/// The same, with nodes that die before or after a snapshot is durable, and links that go dead.
///
/// Hint: the failure names a property of figure 3, and two facts that contradict each other.
fn snapshots_in_a_storm(run: &mut World) -> Outcome {
    chaos::run(run, compacting(Plan::stormy(3, 600))).map(drop)
}
