//! Stage 2C: logs that are cut, and snapshots for those who then lack entries.

mod gc;
mod snapshots;

use sim::cluster::protocol::Cluster;
use sim::harness::Test;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Cluster>> {
    [snapshots::tests(), gc::tests()].into_iter().flatten().collect()
}
