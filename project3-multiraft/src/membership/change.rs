//! A change of members is proposed, here or by a follower.

use bytes::Bytes;
use prost::Message as _;
use proto::eraftpb::{ConfChange, Entry, EntryType};
use raftcore::Storage;

use super::conf;
use super::error::{Error, Result};
use super::node::MemberNode;

impl<S: Storage> MemberNode<S> {
    /// Proposes to change one member; see [`MembershipNode`](super::MembershipNode).
    ///
    /// You will need `may_change`, `must_go_to`, `transfer_leader`, `raw.propose_entry` and
    /// `pending_conf_index`. The data of the entry are the change's bytes (`encode_to_vec`). Who does not lead passes
    /// the proposal on as it is; the leader will look at it.
    ///
    /// # Errors
    /// Nothing was appended.
    pub fn propose_conf_change(&mut self, change: &ConfChange) -> Result<()> {
        // BEGIN SOLUTION 3A.propose
        self.refuse_while_handing_over()?;
        if self.leads() {
            self.may_change(change)?;
            if let Some(other) = self.must_go_to(change) {
                self.transfer_leader(other)?;
                return Err(Error::HandsOver { to: other });
            }
        }
        let data = change.encode_to_vec().into();
        self.raw.propose_entry(EntryType::EntryConfChange, Bytes::new(), data)?;
        if self.leads() {
            self.pending_conf_index = self.raw.raft().log.last_index();
        }
        Ok(())
        // END SOLUTION
    }

    /// Whether this leader may append this change now.
    ///
    /// You will need `pending_conf_index`, `log.applied()` and [`conf::changed`]. There are two reasons against
    /// it.
    fn may_change(&self, change: &ConfChange) -> Result<()> {
        // BEGIN SOLUTION 3A.propose
        let raft = self.raw.raft();
        let (pending, applied) = (self.pending_conf_index, raft.log.applied());
        if pending > applied {
            return Err(Error::ChangePending { pending, applied });
        }
        conf::changed(raft.conf_state(), change).map(drop)
        // END SOLUTION
    }

    /// If leadership must go to another node before this change is proposed: to which.
    fn must_go_to(&self, change: &ConfChange) -> Option<u64> {
        if change.node_id == self.raw.raft().id() { self.last_other_voter(change) } else { None }
    }

    /// The change is one of this leader itself. If it takes its vote away, and there is one other voter: that one.
    ///
    /// Why not let it go? The removal needs both to be committed. If the leader applies it and is destroyed before the
    /// other one has heard that it is committed, the other still counts two voters, and asks the dead for its
    /// vote for ever. With three voters, the two that stay have a majority of the old group, too.
    ///
    /// You will need [`conf::changed`] and the core's `conf_state`.
    fn last_other_voter(&self, change: &ConfChange) -> Option<u64> {
        // BEGIN SOLUTION 3A.go
        let (me, now) = (self.raw.raft().id(), self.raw.raft().conf_state());
        let then = conf::changed(now, change).ok()?;
        let goes = now.voters.contains(&me) && !then.voters.contains(&me);
        let mut others = now.voters.iter().copied().filter(|&id| id != me);
        let other = others.next()?;
        (goes && others.next().is_none()).then_some(other)
        // END SOLUTION
    }

    /// A follower has passed these proposals on. Those that are changes, and may not be made, are replaced by entries
    /// that do nothing; the others stay as they are. Returns the place of the change that stays, if one does.
    ///
    /// You will need `may_change` and `must_go_to`; [`ConfChange::decode`] for an entry of type
    /// `EntryConfChange`; an `EntryConfChangeV2` is joint consensus, and nothing that this node can do. How many
    /// changes may one message bring?
    pub(super) fn sift(&self, entries: &mut [Entry]) -> Option<u64> {
        // BEGIN SOLUTION 3A.sift
        let mut kept = None;
        for (place, entry) in (0..).zip(entries) {
            if entry.entry_type == i32::from(EntryType::EntryNormal) {
                continue;
            }
            let simple = entry.entry_type == i32::from(EntryType::EntryConfChange);
            let change = ConfChange::decode(entry.data.clone()).ok().filter(|_| simple);
            let good = change.is_some_and(|change| {
                self.may_change(&change).is_ok() && self.must_go_to(&change).is_none()
            });
            if good && kept.is_none() {
                kept = Some(place);
            } else {
                // The place stays taken: others behind it keep theirs.
                *entry = Entry::default();
            }
        }
        kept
        // END SOLUTION
    }
}
