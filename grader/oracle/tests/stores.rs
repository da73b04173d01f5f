//! The suite of stage 3B, with raft-rs in the place of our consensus node: the same stores, peers, splits, snapshots and
//! crashes, the same worlds and monitors. Where raft-rs decides differently stands in `oracle::node`.

#[path = "../../../project3-multiraft/tests/support/calls.rs"]
mod calls;
#[path = "../../../project3-multiraft/tests/support/store/mod.rs"]
mod store;

use std::process::ExitCode;

use multiraft_suite::stage3b;
use oracle::node::RaftRs;
use proto::eraftpb::Entry;
use raftkv::peer_storage::PeerStorage;
use store::{Life, Shown};

impl Shown for RaftRs {
    fn make(config: raftcore::Config, log: PeerStorage) -> raftcore::Result<Self> {
        RaftRs::new(config, log)
    }

    fn entries_from(&self, index: u64) -> Vec<Entry> {
        self.entries_from(index)
    }

    fn term_of(&self, index: u64) -> u64 {
        self.raw().raft.raft_log.term(index).unwrap_or(0)
    }

    fn has_snapshot(&self) -> bool {
        self.raw().snap().is_some_and(|snapshot| !snapshot.is_empty())
    }
}

fn main() -> ExitCode {
    sim::harness::run_tests(stage3b::tests(), Life::<calls::Calls, RaftRs>::default)
}
