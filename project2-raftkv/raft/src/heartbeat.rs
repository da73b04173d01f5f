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
use crate::raft::Raft;
use crate::storage::Storage;
use crate::wire::{NOBODY, message};

impl<S: Storage> Raft<S> {
    /// A tick of a leader.
    ///
    /// You will need `heartbeat_elapsed` and `bcast_heartbeat`. Once an election timeout, if
    /// `Config::check_quorum` is set, a leader asks itself whether it still `hears_a_quorum`, and becomes a
    /// follower if not; `election_elapsed` counts for that.
    pub(crate) fn tick_leader(&mut self) {
        // BEGIN SOLUTION 2AA.heartbeat
        self.election_elapsed += 1;
        if self.election_elapsed >= self.config.election_tick {
            self.election_elapsed = 0;
            if self.config.check_quorum && !self.hears_a_quorum() {
                self.become_follower(self.term, NOBODY);
                return;
            }
        }
        self.heartbeat_elapsed += 1;
        if self.heartbeat_elapsed >= self.config.heartbeat_tick {
            self.heartbeat_elapsed = 0;
            self.bcast_heartbeat();
        }
        // END SOLUTION
    }

    /// Sends a heartbeat to every other member: a new round.
    ///
    /// You will need `peers`, `progress`, `log.committed` and `send`. The commit index must be one that the
    /// member can believe: what does the leader know that it has? The context is given.
    pub(crate) fn bcast_heartbeat(&mut self) {
        let context = self.reads.next_round(self.config.lease_read);
        self.send_heartbeats(context);
    }

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

    /// The leader of this term lives; `follow` has taken note of it.
    ///
    /// You will need `log.commit_to` and `send`. The answer carries the heartbeat's context.
    pub(crate) fn handle_heartbeat(&mut self, m: Message) {
        // BEGIN SOLUTION 2AA.heartbeat
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
