//! The commands of 4A to 4C on the replicated store: three replicas in a simulated world, whose leaders change and whose power
//! is cut in the middle of the commands.

mod commands;

use sim::cluster::protocol::Cluster;
use sim::harness::Test;

/// The tests.
pub fn tests() -> Vec<Test<Cluster>> {
    commands::tests()
}
