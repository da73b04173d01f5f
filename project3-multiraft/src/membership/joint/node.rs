//! The node: a [`MemberNode`], and what it takes to change several members at once.

use bytes::Bytes;
use prost::Message as _;
use proto::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType};
use raftcore::{Config, NOBODY, Storage};

use super::conf;
use super::quorum::Joint;
use crate::membership::MemberNode;
use crate::membership::error::{Error, Result};

/// A Raft node whose members change by several at once. See the module.
///
/// Whatever is not here is done by the [`MemberNode`] inside: [`mut_member`](Self::mut_member). Its changes of one member
/// are changes here, too: [`conf::as_v2`].
#[derive(Debug)]
pub struct JointNode<S: Storage> {
    member: MemberNode<S>,
}

impl<S: Storage> JointNode<S> {
    /// A node that starts from what its storage holds, be it in the middle of a joint configuration.
    ///
    /// # Errors
    /// A configuration that cannot be used, or a storage that failed.
    pub fn new(config: Config, store: S) -> raftcore::Result<Self> {
        let config = Config { quorum: Joint::of, ..config };
        Ok(JointNode { member: MemberNode::new(config, store)? })
    }

    /// The node inside.
    pub fn member(&self) -> &MemberNode<S> {
        &self.member
    }

    /// As [`member`](Self::member).
    pub fn mut_member(&mut self) -> &mut MemberNode<S> {
        &mut self.member
    }

    /// One tick of the logical clock.
    ///
    /// # Errors
    /// The storage failed.
    pub fn tick(&mut self) -> raftcore::Result<()> {
        self.member.tick()?;
        self.maybe_leave()
    }

    /// Everything up to this index is applied.
    ///
    /// # Errors
    /// The storage failed.
    pub fn advance_apply_to(&mut self, index: u64) -> raftcore::Result<()> {
        self.member.raw.advance_apply_to(index);
        self.maybe_leave()
    }

    /// A message from another node has arrived.
    ///
    /// # Errors
    /// The message was refused, and nothing has changed; or the storage failed.
    pub fn step(&mut self, mut m: Message) -> raftcore::Result<()> {
        if m.msg_type != i32::from(MessageType::MsgPropose) || !self.member.leads() {
            return self.member.step(m);
        }
        self.member.refuse_while_handing_over()?;
        let change = self.sift(&mut m.entries);
        let last_index = self.member.raft().log.last_index();
        self.member.raw.step(m)?;
        if let Some(place) = change {
            self.member.pending_conf_index = last_index + 1 + place;
        }
        Ok(())
    }

    /// Proposes to change any number of members, or to leave a joint configuration. On a leader the entry, of type
    /// `EntryConfChangeV2`, is then the last one of its log; on a follower it was sent to the leader, no more.
    ///
    /// You will need `may_change`, `must_go_to`, and what `MemberNode::propose_conf_change` needs.
    ///
    /// # Errors
    /// Nothing was appended.
    pub fn propose_conf_change(&mut self, change: &ConfChangeV2) -> Result<()> {
        // BEGIN SOLUTION 3X.propose
        self.member.refuse_while_handing_over()?;
        if self.member.leads() {
            self.may_change(change)?;
            if let Some(other) = self.must_go_to(change)? {
                self.member.transfer_leader(other)?;
                return Err(Error::HandsOver { to: other });
            }
        }
        let data = change.encode_to_vec().into();
        self.member.raw.propose_entry(EntryType::EntryConfChangeV2, Bytes::new(), data)?;
        if self.member.leads() {
            self.member.pending_conf_index = self.member.raft().log.last_index();
        }
        Ok(())
        // END SOLUTION
    }

    /// Whether this leader may append this change now.
    ///
    /// You will need `pending_conf_index`, `log.applied()` and [`conf::changed`], which knows what may follow on
    /// what.
    fn may_change(&self, change: &ConfChangeV2) -> Result<()> {
        // BEGIN SOLUTION 3X.propose
        let raft = self.member.raft();
        let (pending, applied) = (self.member.pending_conf_index, raft.log.applied());
        if pending > applied {
            return Err(Error::ChangePending { pending, applied });
        }
        conf::changed(raft.conf_state(), change).map(drop)
        // END SOLUTION
    }

    /// If this leader has no vote after this change: to whom it must hand over before.
    ///
    /// # Errors
    /// Nobody can take over.
    fn must_go_to(&self, change: &ConfChangeV2) -> Result<Option<u64>> {
        let then = conf::changed(self.member.raft().conf_state(), change)?;
        let stays = then.voters.contains(&self.member.raft().id());
        if stays { Ok(None) } else { self.successor(&then).map(Some) }
    }

    /// Who shall lead, if the members are to be these: a voter that stays, and can lead now.
    ///
    /// You will need the core's `conf_state`, and `can_lead`.
    ///
    /// # Errors
    /// Nobody can take over now; or nobody stays at all, and then nobody could lead from the first step to the last.
    fn successor(&self, then: &ConfState) -> Result<u64> {
        // BEGIN SOLUTION 3X.go
        let now = self.member.raft().conf_state();
        let mut why_not = Error::BadChange("no voter stays, to lead from one group to the other");
        for &id in now.voters.iter().filter(|id| then.voters.contains(id)) {
            match self.member.can_lead(id) {
                Ok(()) => return Ok(id),
                Err(error) => why_not = error,
            }
        }
        Err(why_not)
        // END SOLUTION
    }

    /// A follower has passed these proposals on; as in stage 3A, changes that may not be made become entries that do
    /// nothing. Returns the place of the change that stays, if one does.
    ///
    /// You will need `read`, `may_change` and `must_go_to`.
    fn sift(&self, entries: &mut [Entry]) -> Option<u64> {
        // BEGIN SOLUTION 3X.sift
        let mut kept = None;
        for (place, entry) in (0..).zip(entries) {
            if entry.entry_type == i32::from(EntryType::EntryNormal) {
                continue;
            }
            let good = read(entry).is_some_and(|change| {
                self.may_change(&change).is_ok() && matches!(self.must_go_to(&change), Ok(None))
            });
            if good && kept.is_none() {
                kept = Some(place);
            } else {
                *entry = Entry::default();
            }
        }
        kept
        // END SOLUTION
    }

    /// A change is applied: from now on it counts. As `MembershipNode::apply_conf_change`, and of an entry of type
    /// `EntryConfChange` with [`conf::as_v2`].
    ///
    /// You will need [`conf::changed`], `raw.set_conf`, and what becomes of a transfer whose transferee has no
    /// vote any more.
    ///
    /// # Errors
    /// The change cannot be made: nothing has changed, on any replica. Or the storage failed.
    pub fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<ConfState> {
        // BEGIN SOLUTION 3X.apply
        let next = conf::changed(self.member.raft().conf_state(), change)?;
        self.member.raw.set_conf(&next)?;
        if self.member.transferee != NOBODY && !next.voters.contains(&self.member.transferee) {
            self.member.abort_transfer();
        }
        Ok(next)
        // END SOLUTION
    }

    /// Something was applied, or time has passed: is it time to leave?
    fn maybe_leave(&mut self) -> raftcore::Result<()> {
        let due = self.member.leads() && self.member.raft().conf_state().auto_leave;
        if due { self.leave() } else { Ok(()) }
    }

    /// This node leads a joint configuration that ends by itself, begun by itself or by another leader, and has applied its
    /// beginning. It proposes the end, if it may by now.
    ///
    /// You will need `propose_conf_change`, which refuses for a while, or hands over: then the next tick asks
    /// again. Only a storage that failed is an error.
    fn leave(&mut self) -> raftcore::Result<()> {
        // BEGIN SOLUTION 3X.auto_leave
        match self.propose_conf_change(&ConfChangeV2::default()) {
            Err(Error::Raft(error)) if !error.is_definite() => Err(error),
            _ => Ok(()),
        }
        // END SOLUTION
    }
}

/// The change that an entry holds, of either kind; `None` if it cannot be read.
fn read(entry: &Entry) -> Option<ConfChangeV2> {
    if entry.entry_type == i32::from(EntryType::EntryConfChangeV2) {
        return ConfChangeV2::decode(entry.data.clone()).ok();
    }
    ConfChange::decode(entry.data.clone()).ok().map(|change| conf::as_v2(&change))
}
