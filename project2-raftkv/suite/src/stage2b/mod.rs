//! Stage 2B: a region that is replicated, and stays right whatever crashes.

mod cluster;

use sim::cluster::protocol::Cluster;
use sim::harness::Test;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Cluster>> {
    cluster::tests()
}
