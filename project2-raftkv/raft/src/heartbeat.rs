//! Heartbeats: a leader's sign of life (paper, 5.2).
//!
//! The paper uses empty AppendEntries for it. Here, as in etcd and raft-rs, a heartbeat is a message of its
//! own, since it does less: it claims nothing about the log, and so it may be sent to a member whose log is not
//! known to agree. It carries a commit index, but never one beyond what the member has acknowledged.
//!
//! Each time that a leader sends heartbeats to all is a *round*, and rounds are numbered within a leadership.
//! The number travels in `context`, and the answer brings it back. So a leader knows which of its heartbeats
//! was heard, and that is all it needs for reads and leases ([`read`](crate::read)).

use bytes::Bytes;
use proto::eraftpb::{Message, MessageType};

use crate::progress::ProgressState;
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::message;

impl<S: Storage> Raft<S> {
    /// Begins a round: a heartbeat to every other member.
    pub(crate) fn bcast_heartbeat(&mut self) {
        let round = self.reads.next_round(self.config.lease_read);
        if !self.peers.is_empty() {
            self.send_heartbeats(round);
        }
    }

    /// Sends a heartbeat with this context to every other member.
    ///
    /// You will need `peers`, `progress`, `log.committed` and `send`. The commit index must be one that the
    /// member can believe: what does the leader know that it has?
    fn send_heartbeats(&mut self, context: Bytes) {
        // BEGIN SOLUTION 2AA.heartbeat
        for &to in self.peers.clone().iter() {
            // Behind its match index a member may have entries of another leader.
            let matched = self.progress.get(&to).map_or(0, |progress| progress.match_index);
            self.send(Message {
                commit: self.log.committed.min(matched),
                context: context.clone(),
                ..message(MessageType::MsgHeartbeat, to)
            });
        }
        // END SOLUTION
    }

    /// The leader of this term has spoken. Returns whether this node follows it now.
    ///
    /// You will need `role`, `become_follower`, `leader_id` and `election_elapsed`. What does a candidate
    /// learn from it? And can a leader hear that?
    pub(crate) fn follow(&mut self, leader: u64) -> bool {
        // BEGIN SOLUTION 2AA.follow
        match self.role {
            // Election Safety: there is one leader a term, and that is this node. Somebody lies.
            Role::Leader => return false,
            // 5.2: the term has been won, by someone else.
            Role::Candidate | Role::PreCandidate => self.become_follower(self.term, leader),
            Role::Follower => {
                self.leader_id = leader;
                self.election_elapsed = 0;
            }
        }
        true
        // END SOLUTION
    }

    /// The leader of this term lives; `follow` has taken note of it.
    ///
    /// You will need `log.commit_to` and `send`. The answer carries the heartbeat's context.
    pub(crate) fn handle_heartbeat(&mut self, m: Message) {
        // BEGIN SOLUTION 2AA.follow
        // A leader that believes we have more than we have knows an earlier life of this node, one whose
        // disk is lost. Then nothing can be said about what we hold.
        if m.commit <= self.log.last_index() {
            self.log.commit_to(m.commit);
        }
        self.send(Message {
            context: m.context,
            commit: self.log.committed,
            ..message(MessageType::MsgHeartbeatResponse, m.from)
        });
        // END SOLUTION
    }

    /// A member has answered a heartbeat: it lives, so whatever waits for its word may be tried again.
    pub(crate) fn handle_heartbeat_response(&mut self, m: &Message) {
        let (newest, last_index) = (self.reads.round(), self.log.last_index());
        let Some(progress) = self.progress.get_mut(&m.from) else { return };
        progress.recent_active = true;
        progress.paused = false;
        if let Ok(round) = m.context.as_ref().try_into().map(u64::from_be_bytes) {
            // No more than was asked, whatever it says.
            progress.acked_round = progress.acked_round.max(round.min(newest));
        }
        if progress.state == ProgressState::Replicate && progress.inflights.is_full() {
            progress.inflights.free_first();
        }
        if progress.match_index < last_index {
            // What we sent, or its answer, may be lost: an append behind it finds out.
            progress.owed = true;
        }
        self.confirm_reads();
    }
}
