//! What TiKV's peer asks before it lets raft-rs change members or hand over.
//!
//! raft-rs leaves some of the rules of stage 3A to whoever drives it, and TiKV's peer keeps them
//! (`check_conf_change`, `propose_conf_change`, `ready_to_transfer_leader`): no change before an entry of this term is
//! applied, nor one that leaves no voter; no transfer to a member that waits for a snapshot or lacks the last change. TiKV's
//! peer refuses to remove its own leader unless it is allowed to; here one of two hands over first.

use raft::eraftpb::{ConfChange, ConfChangeType};
use raft::{ProgressState, RawNode, StateRole, Storage};

/// Proposes a change, if nothing speaks against it.
///
/// # Errors
/// Why not.
pub fn propose<S: Storage>(raw: &mut RawNode<S>, change: ConfChange) -> Result<(), String> {
    let raft = &raw.raft;
    if raft.state == StateRole::Leader {
        let applied = raft.raft_log.applied;
        if raft.has_pending_conf() || raft.raft_log.term(applied).ok() != Some(raft.term) {
            return Err("an earlier change, or the first entry of the term, is not applied".into());
        }
        let (me, voters) = (raft.id, raft.prs().conf().to_conf_state().voters);
        let goes =
            change.get_change_type() != ConfChangeType::AddNode && voters.contains(&change.node_id);
        if goes && voters.len() == 1 {
            return Err("no voter would be left".into());
        }
        let other = voters.iter().copied().find(|&id| id != me);
        if goes
            && change.node_id == me
            && voters.len() == 2
            && let Some(other) = other
        {
            raw.transfer_leader(other);
            return Err(format!("handing over to {other} first"));
        }
    }
    raw.propose_conf_change(Vec::new(), change).map_err(|e| e.to_string())
}

/// Begins to hand over, if nothing speaks against it.
///
/// # Errors
/// Why not.
pub fn transfer<S: Storage>(raw: &mut RawNode<S>, to: u64) -> Result<(), String> {
    let raft = &raw.raft;
    if raft.state == StateRole::Leader
        && let Some(progress) = raft.prs().get(to)
        && to != raft.id
    {
        if progress.state == ProgressState::Snapshot {
            return Err("a snapshot is on its way to it".into());
        }
        if progress.matched < raft.pending_conf_index {
            return Err("it may lack the last change of members".into());
        }
    }
    raw.transfer_leader(to);
    Ok(())
}
