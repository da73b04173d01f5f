//! Stage 3A: members change, and leaders hand over (thesis, chapter 4 and section 3.10).
//!
//! The world is `raft_suite`'s: a node is asked the same questions as in project 2, and three more
//! (`ProposeConfChange`, `ApplyConfChange`, `TransferLeader`). A committed change of members is applied by the world, which
//! knows what each change means, and holds the node's answer against that.

mod apply;
mod campaign;
mod catch_up;
mod forwarded;
mod give_up;
mod leave;
mod pass_on;
mod propose;
pub(crate) mod scene;
mod storm;
mod transfer;

use raft_suite::protocol::RaftNode;
use sim::harness::Test;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [
        campaign::tests(),
        apply::tests(),
        propose::tests(),
        forwarded::tests(),
        transfer::tests(),
        catch_up::tests(),
        give_up::tests(),
        pass_on::tests(),
        leave::tests(),
        storm::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
