//! What a peer drives: a consensus node, seen from outside.
//!
//! [`RaftNode`] is the seam between the two halves of this project. Our own core stands behind it ([`Node`]); so could
//! raft-rs, with an adapter, or project 3's node that also knows how members change and wraps ours. The names are
//! raft-rs's, and the contract of each method is that of `raftcore::RawNode`; `raftcore::ready` tells how they play
//! together.

use bytes::Bytes;
use proto::eraftpb::Message;
use raftcore::{Ready, Role};

use crate::peer_storage::PeerStorage;

/// The node that this project's peers drive.
pub type Node = raftcore::RawNode<PeerStorage>;

/// What a peer wants to know of its node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// The role.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// Whom it voted for in this term; 0: nobody.
    pub vote: u64,
    /// Whom it takes for the leader of its term; 0: nobody.
    pub leader_id: u64,
    /// The last index that it knows to be committed.
    pub committed: u64,
    /// The last index of its log, durable or not.
    pub last_index: u64,
    /// On a leader, the match index of the member that is furthest behind.
    pub slowest_match: u64,
}

impl NodeStatus {
    /// Whether this node leads its term.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}

/// A consensus node over a [`PeerStorage`].
pub trait RaftNode: Send {
    /// The storage, to read from.
    fn storage(&self) -> &PeerStorage;

    /// The storage, to put there what a Ready asks for.
    fn storage_mut(&mut self) -> &mut PeerStorage;

    /// One tick of the logical clock.
    ///
    /// # Errors
    /// The storage failed.
    fn tick(&mut self) -> raftcore::Result<()>;

    /// What time it is, in ticks since this node was started, fractions dropped. Only a lease looks at it: ticks can come
    /// late, and then nobody else must have been elected meanwhile.
    fn set_now(&mut self, now: u64);

    /// A message has arrived.
    ///
    /// # Errors
    /// The message was refused, or the storage failed.
    fn step(&mut self, message: Message) -> raftcore::Result<()>;

    /// Campaigns now.
    ///
    /// # Errors
    /// The storage failed.
    fn campaign(&mut self) -> raftcore::Result<()>;

    /// Appends a command to a leader's log, at [`NodeStatus::last_index`].
    ///
    /// # Errors
    /// Nothing was appended.
    fn propose(&mut self, data: Bytes) -> raftcore::Result<()>;

    /// All members are to hear at once when the last entry of the log is committed. A node that always tells them has
    /// nothing to do.
    fn announce_last(&mut self) {}

    /// Asks for an index at which a read is linearizable.
    ///
    /// # Errors
    /// No answer will come; try later.
    fn read_index(&mut self, context: Bytes) -> raftcore::Result<()>;

    /// Whether there is something to do.
    fn has_ready(&self) -> bool;

    /// Takes a Ready.
    ///
    /// # Errors
    /// The storage failed.
    fn ready(&mut self) -> raftcore::Result<Ready>;

    /// What the Ready asked to be stored is readable.
    fn advance_append_async(&mut self, ready: Ready);

    /// Readys up to this number are durable.
    ///
    /// # Errors
    /// The storage failed.
    fn on_persist_ready(&mut self, number: u64) -> raftcore::Result<()>;

    /// Everything up to this index is applied.
    fn advance_apply_to(&mut self, index: u64);

    /// A message to this member could not be delivered.
    fn report_unreachable(&mut self, id: u64);

    /// The snapshot to this member has arrived, or was lost.
    fn report_snapshot(&mut self, id: u64, arrived: bool);

    /// What the node says of itself.
    fn status(&self) -> NodeStatus;
}

impl RaftNode for Node {
    fn storage(&self) -> &PeerStorage {
        self.store()
    }

    fn storage_mut(&mut self) -> &mut PeerStorage {
        self.mut_store()
    }

    fn tick(&mut self) -> raftcore::Result<()> {
        self.tick()
    }

    fn set_now(&mut self, now: u64) {
        self.set_now(now);
    }

    fn step(&mut self, message: Message) -> raftcore::Result<()> {
        self.step(message)
    }

    fn campaign(&mut self) -> raftcore::Result<()> {
        self.campaign()
    }

    fn propose(&mut self, data: Bytes) -> raftcore::Result<()> {
        self.propose(Bytes::new(), data)
    }

    fn announce_last(&mut self) {
        self.announce_last();
    }

    fn read_index(&mut self, context: Bytes) -> raftcore::Result<()> {
        self.read_index(context)
    }

    fn has_ready(&self) -> bool {
        self.has_ready()
    }

    fn ready(&mut self) -> raftcore::Result<Ready> {
        self.ready()
    }

    fn advance_append_async(&mut self, ready: Ready) {
        self.advance_append_async(ready);
    }

    fn on_persist_ready(&mut self, number: u64) -> raftcore::Result<()> {
        self.on_persist_ready(number)
    }

    fn advance_apply_to(&mut self, index: u64) {
        self.advance_apply_to(index);
    }

    fn report_unreachable(&mut self, id: u64) {
        self.report_unreachable(id);
    }

    fn report_snapshot(&mut self, id: u64, arrived: bool) {
        self.report_snapshot(id, arrived);
    }

    fn status(&self) -> NodeStatus {
        let status = self.status();
        let slowest = status.progress.and_then(|all| all.values().map(|p| p.match_index).min());
        NodeStatus {
            role: status.soft_state.role,
            term: status.hard_state.term,
            vote: status.hard_state.vote,
            leader_id: status.soft_state.leader_id,
            committed: status.hard_state.commit,
            last_index: status.last_index,
            slowest_match: slowest.unwrap_or(0),
        }
    }
}
