//! The contract where everything goes wrong.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::RaftNode;
use crate::world::World;
use crate::world::chaos::{self, Plan};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("storm.rs":
        slow_disks_and_late_drivers_lose_nothing,
        crashes_between_ready_disk_and_network_lose_nothing,
    )
}

/// A write takes up to a heartbeat interval and more, many are under way at once, drivers come late to take
/// their Readys; nobody crashes. Every acknowledgement is durable when it leaves, and every entry is
/// applied everywhere.
///
/// Hint: what does your node take for durable, and since when?
fn slow_disks_and_late_drivers_lose_nothing(run: &mut World) -> Outcome {
    let plan = Plan { disk: 400, lazy: 40, proposals: 1, ..Plan::lossy(3, 300) };
    chaos::run(run, plan).map(drop)
}

/// Nodes die with Readys on the way to the disk, and with messages that wait for it; each comes back with
/// what was durable.
///
/// Hint: the monitors name the promise that was broken: a vote, an acknowledgement, a commit.
fn crashes_between_ready_disk_and_network_lose_nothing(run: &mut World) -> Outcome {
    let plan = Plan {
        disk: 300,
        faults: 8,
        crashes: 90,
        crash_at_persist: 4,
        proposals: 1,
        ..Plan::stormy(3, 600)
    };
    chaos::run(run, plan).map(drop)
}
