//! What a node says of itself.

use std::collections::BTreeMap;

use proto::eraftpb::HardState;

use crate::progress::Progress;
use crate::raft::{Raft, Role, SoftState};
use crate::storage::Storage;

/// A look at a node.
#[derive(Debug, Clone)]
pub struct Status<'a> {
    /// Which node.
    pub id: u64,
    /// Role and leader.
    pub soft_state: SoftState,
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// What is applied.
    pub applied: u64,
    /// Where its log ends.
    pub last_index: u64,
    /// The term of that entry.
    pub last_term: u64,
    /// On a leader: what it knows of each member, itself included.
    pub progress: Option<&'a BTreeMap<u64, Progress>>,
}

impl<'a> Status<'a> {
    pub(crate) fn new<S: Storage>(raft: &'a Raft<S>) -> Self {
        Status {
            id: raft.id(),
            soft_state: raft.soft_state(),
            hard_state: raft.hard_state(),
            applied: raft.log.applied(),
            last_index: raft.log.last_index(),
            last_term: raft.log.last_term(),
            progress: (raft.role() == Role::Leader).then(|| raft.progress()),
        }
    }
}
