//! Stage 3B: a store of many peers. Regions split, members come and go, and clients notice nothing.
//!
//! - [`config`]: how a test sets up a store; opaque to the world.
//! - [`talk`], [`pd`]: the scheduler that the world plays.
//! - [`dialect`]: the raw API over a map of regions.
//! - `city`: a world, its scheduler, and what tests ask of them.
//! - the others: the tests. Each one's doc comment is the long form of its failure text.

mod behind;
mod chaos;
mod city;
pub mod config;
pub mod dialect;
mod idle;
mod leases;
mod meantime;
mod members;
pub mod pd;
mod report;
mod serve;
mod split;
pub mod talk;

use sim::cluster::protocol::Cluster;
use sim::harness::Test;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Cluster>> {
    let extra = if crate::with_extras() { leases::tests() } else { Vec::new() };
    [
        serve::tests(),
        members::tests(),
        split::tests(),
        behind::tests(),
        meantime::tests(),
        report::tests(),
        idle::tests(),
        extra,
        chaos::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
