//! The arithmetic of members: what a change makes of a group, what it means when it is applied, and what it means for a
//! campaign when it is not.

use std::collections::BTreeSet;

use proto::eraftpb::{ConfChange, ConfChangeType, ConfState, Entry, EntryType};
use raftcore::{NOBODY, Storage};

use super::error::{Error, Result};
use super::node::MemberNode;

/// The group after this change. No node is voter and learner at once.
///
/// | change | of a voter | of a learner | of a stranger |
/// |---|---|---|---|
/// | `AddNode` | nothing | promoted | a voter |
/// | `AddLearnerNode` | loses its vote | nothing | a learner |
/// | `RemoveNode` | gone | gone | nothing |
///
/// Node 0 is nobody: a change of it does nothing. (Whoever refuses a change when it is applied puts 0 in its place.)
///
/// You will need a set of `conf.voters` and one of `conf.learners`; the lists of the answer are in rising order.
///
/// # Errors
/// [`Error::BadChange`] for a type that is not known, and if no voter would be left: such a group could never
/// decide anything again, not even to take somebody in.
pub fn changed(conf: &ConfState, change: &ConfChange) -> Result<ConfState> {
    // BEGIN SOLUTION 3A.apply
    let kind = ConfChangeType::try_from(change.change_type);
    let kind = kind.map_err(|_| Error::BadChange("a kind that is not known"))?;
    let mut voters: BTreeSet<u64> = conf.voters.iter().copied().collect();
    let mut learners: BTreeSet<u64> = conf.learners.iter().copied().collect();
    let id = change.node_id;
    if id != NOBODY {
        voters.remove(&id);
        learners.remove(&id);
        match kind {
            ConfChangeType::AddNode => drop(voters.insert(id)),
            ConfChangeType::AddLearnerNode => drop(learners.insert(id)),
            ConfChangeType::RemoveNode => {}
        }
    }
    if voters.is_empty() {
        return Err(Error::BadChange("no voter would be left"));
    }
    Ok(ConfState {
        voters: voters.into_iter().collect(),
        learners: learners.into_iter().collect(),
        ..ConfState::default()
    })
    // END SOLUTION
}

/// Whether a node may campaign while this entry is committed, and not applied here: the core asks this of each
/// (`raftcore::Config::campaign_gate`).
pub fn harmless(entry: &Entry) -> bool {
    // Whoever campaigns counts votes by its own members. If a change of them is committed, there may be a leader
    // already that counts by the new ones.
    entry.entry_type == i32::from(EntryType::EntryNormal)
}

impl<S: Storage> MemberNode<S> {
    /// A change is applied: from now on it counts; see [`MembershipNode`](super::MembershipNode).
    ///
    /// You will need [`changed`] and `raw.set_conf`, on every node, not only on a leader: the next leader is one
    /// of the others. What becomes of a transfer whose transferee has no vote any more?
    ///
    /// # Errors
    /// [`Error::BadChange`], or the storage failed.
    pub fn apply_conf_change(&mut self, change: &ConfChange) -> Result<ConfState> {
        // BEGIN SOLUTION 3A.apply
        let next = changed(self.raw.raft().conf_state(), change)?;
        self.raw.set_conf(&next)?;
        if self.transferee != NOBODY && !next.voters.contains(&self.transferee) {
            self.abort_transfer();
        }
        Ok(next)
        // END SOLUTION
    }
}
