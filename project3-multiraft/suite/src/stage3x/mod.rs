//! Stage 3X, extra credit: several members change at once (paper, section 6).
//!
//! The world is that of stage 3A, and so are most of its questions; two are new (`ProposeConfChangeV2`,
//! `ApplyConfChangeV2`). The monitors know joint configurations: what counts as committed is on a majority of both halves.

mod apply;
mod auto_leave;
mod enter;
mod go;
mod leave;
mod propose;
mod quorum;
mod scene;
mod sift;
mod storm;

use raft_suite::protocol::RaftNode;
use sim::harness::Test;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [
        quorum::tests(),
        apply::tests(),
        enter::tests(),
        leave::tests(),
        propose::tests(),
        go::tests(),
        sift::tests(),
        auto_leave::tests(),
        storm::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
