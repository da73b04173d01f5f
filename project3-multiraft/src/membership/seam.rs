//! What project 3's peers drive: a consensus node that can change its members and hand over.
//!
//! [`MembershipNode`] is project 2's [`RaftNode`] and more, so that a `Peer` drives both kinds. Ours is [`Node`]; in
//! `grader/oracle` raft-rs stands behind the same trait. The names are raft-rs's.

use proto::eraftpb::{ConfChange, ConfState};
use raftcore::ProgressState;
use raftkv::node::RaftNode;

use super::error::Result;
use super::node::Node;

/// What a leader knows of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberStatus {
    /// Which.
    pub id: u64,
    /// It has no vote.
    pub learner: bool,
    /// It has everything up to here.
    pub match_index: u64,
    /// A snapshot is on its way to it.
    pub snapshot: bool,
}

/// A consensus node whose members change.
pub trait MembershipNode: RaftNode {
    /// Proposes to change one member. On a leader the entry, of type `EntryConfChange`, is then the last one of its
    /// log; on a follower it was sent to the leader, no more.
    ///
    /// # Errors
    /// Nothing was appended; see [`Error`](super::Error).
    fn propose_conf_change(&mut self, change: &ConfChange) -> Result<()>;

    /// A change is applied: from now on it counts. Every replica calls this for each committed entry of type
    /// `EntryConfChange`, *before* [`RaftNode::advance_apply_to`] of its index, and keeps the answer durably, as the
    /// members that its storage tells on a restart. A change of node 0 does nothing, and so does one that finds
    /// everything as it should be.
    ///
    /// # Errors
    /// [`Error::BadChange`](super::Error::BadChange): nothing has changed, on any replica. Or the storage failed.
    fn apply_conf_change(&mut self, change: &ConfChange) -> Result<ConfState>;

    /// Begins to hand leadership over to this member. A follower passes the wish on to its leader. Whether it
    /// happened shows in [`RaftNode::status`], or does not within an election timeout.
    ///
    /// # Errors
    /// It will not happen; see [`Error`](super::Error).
    fn transfer_leader(&mut self, to: u64) -> Result<()>;

    /// The members, as of the last change that was applied, or of the snapshot that was restored.
    fn conf_state(&self) -> ConfState;

    /// On a leader: the last change is at this index, or before it. A change may be proposed when this is applied.
    fn pending_conf_index(&self) -> u64;

    /// To whom this leader is handing over.
    fn transferee(&self) -> Option<u64>;

    /// On a leader: what it knows of each member, itself included. Empty on others.
    fn members(&self) -> Vec<MemberStatus>;

    /// Ends the lease until [`resume_lease`](Self::resume_lease), or until this leadership ends; see
    /// `raftcore::lease`. Does nothing on a node without leases.
    fn suspend_lease(&mut self) {}

    /// Leases may be won again.
    fn resume_lease(&mut self) {}

    /// Whether this node receives the log and has no vote.
    fn is_learner(&self) -> bool {
        self.conf_state().learners.contains(&self.id())
    }

    /// This node.
    fn id(&self) -> u64;
}

impl MembershipNode for Node {
    fn propose_conf_change(&mut self, change: &ConfChange) -> Result<()> {
        self.propose_conf_change(change)
    }

    fn apply_conf_change(&mut self, change: &ConfChange) -> Result<ConfState> {
        self.apply_conf_change(change)
    }

    fn transfer_leader(&mut self, to: u64) -> Result<()> {
        self.transfer_leader(to)
    }

    fn conf_state(&self) -> ConfState {
        self.raft().conf_state().clone()
    }

    fn pending_conf_index(&self) -> u64 {
        self.pending_conf_index()
    }

    fn transferee(&self) -> Option<u64> {
        self.transferee()
    }

    fn members(&self) -> Vec<MemberStatus> {
        let learners = &self.raft().conf_state().learners;
        let progress = self.raft().status().progress;
        let all = progress.into_iter().flatten().map(|(&id, p)| MemberStatus {
            id,
            learner: learners.contains(&id),
            match_index: p.match_index,
            snapshot: matches!(p.state, ProgressState::Snapshot(_)),
        });
        all.collect()
    }

    fn suspend_lease(&mut self) {
        self.raw.suspend_lease();
    }

    fn resume_lease(&mut self) {
        self.resume_lease();
    }

    fn id(&self) -> u64 {
        self.raft().id()
    }
}
