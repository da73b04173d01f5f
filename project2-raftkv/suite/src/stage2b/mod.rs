//! Stage 2B: a region that is replicated, and stays right whatever crashes.

mod cluster;
mod disks;
mod leaders;
mod leases;

use sim::cluster::protocol::Cluster;
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::world::World;

use crate::config::StoreConfig;
use crate::dialect::dialect;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Cluster>> {
    [cluster::tests(), leaders::tests(), disks::tests()].into_iter().flatten().collect()
}

/// Tests of what is extra credit: their core is a hole of stage 2X, so that they stand outside the points.
pub fn extra_tests() -> Vec<Test<Cluster>> {
    leases::tests()
}

/// A world of so many stores.
fn world<'w, 'a>(run: &'w mut Run<'a, Cluster>, count: u64) -> Outcome<World<'w, 'a>> {
    World::new(run, StoreConfig::new(count).setup(), dialect())
}

/// A request in a calm world, with its answer.
fn expect(world: &mut World<'_, '_>, node: u64, op: Op, wanted: &OpResult) -> Outcome {
    let text = op.to_string();
    let end = world.call(1, op, node)?;
    if end.result() == Some(wanted) {
        return Ok(());
    }
    Err(Failure::broke(
        "a request in a calm world was not served as it must be",
        format!("client 1 asked n{node}, the leader, to {text}: the answer must be {wanted}"),
        format!("it was {end:?}"),
    ))
}
