//! What TiKV's peer asks before it lets raft-rs change members or hand over.
//!
//! raft-rs leaves some of the rules of stage 3A to whoever drives it, and TiKV's peer keeps them
//! (`check_conf_change`, `propose_conf_change`, `ready_to_transfer_leader`): no change before an entry of this term is
//! applied, nor one that leaves no voter; no transfer to a member that waits for a snapshot or lacks the last change. TiKV's
//! peer refuses to remove its own leader unless it is allowed to; here one of two hands over first.

use std::fmt;

use raft::eraftpb::{ConfChange, ConfChangeType};
use raft::{ProgressState, RawNode, StateRole, Storage};

/// Why not.
#[derive(Debug)]
pub enum WhyNot {
    /// An earlier change, or the first entry of the term, is not applied.
    ChangePending,
    /// The last voter would go.
    NoVoterLeft,
    /// The leader is one of two voters, and hands over to this one first.
    HandsOver(u64),
    /// This member cannot lead, and why.
    CannotLead(u64, &'static str),
    /// raft-rs itself refuses.
    Raft(raft::Error),
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyNot::ChangePending => {
                f.write_str("an earlier change, or the first entry of the term, is not applied")
            }
            WhyNot::NoVoterLeft => f.write_str("no voter would be left"),
            WhyNot::HandsOver(to) => write!(f, "handing over to {to} first"),
            WhyNot::CannotLead(id, why) => write!(f, "{id} cannot lead: {why}"),
            WhyNot::Raft(error) => error.fmt(f),
        }
    }
}

/// Proposes a change, if nothing speaks against it.
///
/// # Errors
/// Why not.
pub fn propose<S: Storage>(raw: &mut RawNode<S>, change: ConfChange) -> Result<(), WhyNot> {
    let raft = &raw.raft;
    if raft.state == StateRole::Leader {
        let applied = raft.raft_log.applied;
        if raft.has_pending_conf() || raft.raft_log.term(applied).ok() != Some(raft.term) {
            return Err(WhyNot::ChangePending);
        }
        let (me, voters) = (raft.id, raft.prs().conf().to_conf_state().voters);
        let goes =
            change.get_change_type() != ConfChangeType::AddNode && voters.contains(&change.node_id);
        if goes && voters.len() == 1 {
            return Err(WhyNot::NoVoterLeft);
        }
        let other = voters.iter().copied().find(|&id| id != me);
        if goes
            && change.node_id == me
            && voters.len() == 2
            && let Some(other) = other
        {
            raw.transfer_leader(other);
            return Err(WhyNot::HandsOver(other));
        }
    }
    raw.propose_conf_change(Vec::new(), change).map_err(WhyNot::Raft)
}

/// Begins to hand over, if nothing speaks against it.
///
/// # Errors
/// Why not.
pub fn transfer<S: Storage>(raw: &mut RawNode<S>, to: u64) -> Result<(), WhyNot> {
    let raft = &raw.raft;
    if raft.state == StateRole::Leader
        && let Some(progress) = raft.prs().get(to)
        && to != raft.id
    {
        if progress.state == ProgressState::Snapshot {
            return Err(WhyNot::CannotLead(to, "a snapshot is on its way to it"));
        }
        if progress.matched < raft.pending_conf_index {
            return Err(WhyNot::CannotLead(to, "it may lack the last change of members"));
        }
    }
    raw.transfer_leader(to);
    Ok(())
}
