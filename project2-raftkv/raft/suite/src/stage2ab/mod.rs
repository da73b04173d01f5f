//! Stage 2AB: log replication (sections 5.3, 5.4 and 8 of the paper).

mod append;
mod crash;
mod figures;
mod flow;
mod group;
mod progress;
mod read;
mod replicate;
mod steps;
mod storm;
mod uptodate;

use sim::harness::Test;

use crate::protocol::RaftNode;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [
        steps::tests(),
        append::tests(),
        replicate::tests(),
        uptodate::tests(),
        progress::tests(),
        group::tests(),
        figures::tests(),
        crash::tests(),
        flow::tests(),
        read::tests(),
        storm::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
