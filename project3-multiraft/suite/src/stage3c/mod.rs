//! Stage 3C: the scheduler. Numbers first, then the map, the stores, the reports; then what is planned, and a cluster
//! of stores that are played by the judge.

pub mod protocol;
pub mod shape;
pub mod world;

mod balance;
mod cluster;
mod fake;
mod heartbeat;
mod map;
mod numbers;
mod operator;
mod replicas;
mod split;
mod stores;

use sim::harness::Test;

use protocol::Scheduler;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Scheduler>> {
    [
        numbers::tests(),
        map::tests(),
        stores::tests(),
        heartbeat::tests(),
        split::tests(),
        operator::tests(),
        replicas::tests(),
        balance::tests(),
        cluster::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
