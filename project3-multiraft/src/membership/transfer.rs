//! A leader hands over (thesis 3.10).
//!
//! ```text
//!  transfer_leader(3)     n1 leads, takes no proposals          n3 has all of n1's log
//!        |                          |                                   |
//!  n1 ---+--- append ---> n3 -------+----- n1: MsgTimeoutNow ---> n3 ---+--- n3 campaigns at once
//!        |                                                              |
//!        +------------------- an election timeout, at most -------------+
//! ```
//!
//! The wish may come to a follower, which passes it on: then `from` of the MsgTransferLeader is not who sent it, but who
//! shall lead. So it is in etcd and in raft-rs.

use proto::eraftpb::{Message, MessageType};
use raftcore::{NOBODY, ProgressState, Storage};

use super::error::{Error, Result};
use super::node::MemberNode;

impl<S: Storage> MemberNode<S> {
    /// Begins to hand over to this member; see [`MembershipNode`](super::MembershipNode).
    ///
    /// # Errors
    /// It will not happen.
    pub fn transfer_leader(&mut self, to: u64) -> Result<()> {
        if self.leads() { self.begin_transfer(to) } else { self.pass_on(to) }
    }

    /// This leader begins to hand over.
    ///
    /// You will need `can_lead`, `abort_transfer`, `transferee`, `transfer_elapsed` and `maybe_let_go`. The same wish
    /// twice is one wish: the clock runs on. A wish for somebody else replaces the first, and a wish for this node
    /// itself, which leads, only ends it.
    fn begin_transfer(&mut self, to: u64) -> Result<()> {
        // BEGIN SOLUTION 3A.transfer
        if to == self.transferee {
            return Ok(());
        }
        if to == self.raw.raft().id() {
            self.abort_transfer();
            return Ok(());
        }
        // First of all: a wish that cannot be granted must leave no trace.
        self.can_lead(to)?;
        self.abort_transfer();
        self.transferee = to;
        self.maybe_let_go();
        Ok(())
        // END SOLUTION
    }

    /// Whether leadership may go to this node, now.
    ///
    /// Only to a voter; not while a snapshot is on its way to it, since it would not catch up in time; and only if it has
    /// the last change of members in its log, up to `pending_conf_index`. (Else it could be the one that is about to
    /// be removed, and would find out when it leads.)
    ///
    /// You will need the core's `conf_state` and `progress`.
    pub(super) fn can_lead(&self, id: u64) -> Result<()> {
        // BEGIN SOLUTION 3A.transfer
        let no = |why| Err(Error::CannotLead { id, why });
        let raft = self.raw.raft();
        let Some(progress) = raft.progress().get(&id) else { return no("it is no member") };
        if !raft.conf_state().voters.contains(&id) {
            return no("it has no vote");
        }
        if matches!(progress.state, ProgressState::Snapshot(_)) {
            return no("a snapshot is on its way to it");
        }
        if progress.match_index < self.pending_conf_index {
            return no("it may lack the last change of members, or the leader's first entry");
        }
        Ok(())
        // END SOLUTION
    }

    /// If the transferee has everything, it is told to campaign.
    ///
    /// You will need `transferee`, the core's `progress` and `log.last_index`, and `raw.send`, which adds sender and
    /// term. Whoever has a lease must have given it up before: voters do not refuse a campaign that the leader
    /// asked for.
    pub(super) fn maybe_let_go(&mut self) {
        // BEGIN SOLUTION 3A.let_go
        let raft = self.raw.raft();
        let Some(progress) = raft.progress().get(&self.transferee) else { return };
        if progress.match_index < raft.log.last_index() {
            // An append is on its way, or will be: see `Progress`. Its answer brings us back here.
            return;
        }
        self.raw.suspend_lease();
        self.let_go = true;
        self.raw.send(Message {
            msg_type: MessageType::MsgTimeoutNow.into(),
            to: self.transferee,
            ..Message::default()
        });
        // END SOLUTION
    }

    /// Nobody takes over: this leader goes on.
    pub(super) fn abort_transfer(&mut self) {
        self.transferee = NOBODY;
        self.transfer_elapsed = 0;
    }

    /// A tick of a leader that is handing over.
    ///
    /// You will need `transfer_elapsed`, `abort_transfer` and `self.raw.raft().config().election_tick`. A transferee
    /// that is dead would make this leader refuse proposals for ever.
    pub(super) fn tick_transfer(&mut self) {
        // BEGIN SOLUTION 3A.give_up
        self.transfer_elapsed += 1;
        if self.transfer_elapsed >= self.raw.raft().config().election_tick {
            self.abort_transfer();
        }
        // END SOLUTION
    }

    /// # Errors
    /// While leadership is being handed over: one more entry, and the transferee is behind again.
    pub(super) fn refuse_while_handing_over(&self) -> raftcore::Result<()> {
        if self.transferee == NOBODY {
            return Ok(());
        }
        Err(raftcore::Error::Refused("leadership is being handed over"))
    }

    /// A MsgTransferLeader has arrived: `m.from` shall lead.
    ///
    /// You will need `transfer_leader`. A wish that was uttered in another term is out of date. One that cannot be
    /// granted is no error of whoever brought it.
    pub(super) fn hear_transfer(&mut self, m: &Message) -> raftcore::Result<()> {
        // BEGIN SOLUTION 3A.pass_on
        let raft = self.raw.raft();
        if m.term == raft.term() && (m.to == raft.id() || m.to == NOBODY) {
            match self.transfer_leader(m.from) {
                Err(Error::Raft(error)) if !error.is_definite() => return Err(error),
                _ => {}
            }
        }
        Ok(())
        // END SOLUTION
    }

    /// A follower passes the wish on to its leader.
    ///
    /// You will need `raw.send`, which leaves `from` as it is if it is set.
    fn pass_on(&mut self, to: u64) -> Result<()> {
        // BEGIN SOLUTION 3A.pass_on
        let raft = self.raw.raft();
        let leader = raft.leader_id();
        if leader == NOBODY {
            return Err(raftcore::Error::NoLeader { term: raft.term() }.into());
        }
        self.raw.send(Message {
            msg_type: MessageType::MsgTransferLeader.into(),
            from: to,
            to: leader,
            ..Message::default()
        });
        Ok(())
        // END SOLUTION
    }
}
