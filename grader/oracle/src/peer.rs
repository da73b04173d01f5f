//! What TiKV's peer asks before it lets raft-rs change members or hand over.
//!
//! raft-rs leaves some of the rules of stage 3A to whoever drives it, and TiKV's peer keeps them
//! (`check_conf_change`, `propose_conf_change`, `ready_to_transfer_leader`): no change before an entry of this term is
//! applied, nor one that leaves no voter; no transfer to a member that waits for a snapshot or lacks the last change. TiKV's
//! peer refuses to remove its own leader unless it is allowed to; here one of two hands over first.

use std::fmt;

use prost::Message as _;
use proto::eraftpb;
use protobuf::Message as _;
use raft::eraftpb::{ConfChange, ConfChangeType, ConfChangeV2};
use raft::{ProgressState, RawNode, StateRole, Storage};
use raft_suite::members;

/// Why not.
#[derive(Debug)]
pub enum WhyNot {
    /// An earlier change, or the first entry of the term, is not applied.
    ChangePending,
    /// The last voter would go.
    NoVoterLeft,
    /// No group can do that, or not now; or no voter would stay who could lead.
    CannotChange,
    /// The leader would lose its vote, and hands over to this one first.
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
            WhyNot::CannotChange => f.write_str("the members cannot change so, now"),
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

/// Proposes a change of several members, if nothing speaks against it. The rules are stage 3X's: raft-rs asks whether the
/// group is between two others; that the leader must keep its vote is what TiKV's peer and its scheduler see to.
///
/// # Errors
/// Why not.
pub fn propose_v2<S: Storage>(raw: &mut RawNode<S>, change: &[u8]) -> Result<(), WhyNot> {
    let theirs = ConfChangeV2::parse_from_bytes(change).map_err(|_| WhyNot::CannotChange)?;
    let raft = &raw.raft;
    if raft.state == StateRole::Leader {
        let applied = raft.raft_log.applied;
        if raft.has_pending_conf() || raft.raft_log.term(applied).ok() != Some(raft.term) {
            return Err(WhyNot::ChangePending);
        }
        let now = members_of(raw);
        let change = eraftpb::ConfChangeV2::decode(change).map_err(|_| WhyNot::CannotChange)?;
        let then = members::changed_at_once(&now, &change).ok_or(WhyNot::CannotChange)?;
        if !then.voters.contains(&raw.raft.id) {
            let stay = now.voters.iter().copied().filter(|id| then.voters.contains(id));
            return match hand_over(raw, stay) {
                Some(to) => Err(WhyNot::HandsOver(to)),
                None => Err(WhyNot::CannotChange),
            };
        }
    }
    raw.propose_conf_change(Vec::new(), theirs).map_err(WhyNot::Raft)
}

/// Everything up to this index is applied. raft-rs ends a joint configuration by itself then, also one that takes the
/// leader's own vote; here such a leader hands over instead.
pub fn applied<S: Storage>(raw: &mut RawNode<S>, index: u64) {
    let (conf, pending) = (members_of(raw), raw.raft.pending_conf_index);
    let leads = raw.raft.state == StateRole::Leader;
    if !leads || !conf.auto_leave || conf.voters.contains(&raw.raft.id) {
        raw.advance_apply_to(index);
        return;
    }
    // So it looks as if the change were not applied yet.
    raw.raft.pending_conf_index = u64::MAX;
    raw.advance_apply_to(index);
    raw.raft.pending_conf_index = pending;
    if index >= pending {
        hand_over(raw, conf.voters);
    }
}

fn members_of<S: Storage>(raw: &RawNode<S>) -> eraftpb::ConfState {
    let conf = raw.raft.prs().conf().to_conf_state();
    let ids = |ids: Vec<u64>| {
        let mut ids = ids;
        ids.sort_unstable();
        ids
    };
    eraftpb::ConfState {
        voters: ids(conf.voters),
        learners: ids(conf.learners),
        voters_outgoing: ids(conf.voters_outgoing),
        learners_next: ids(conf.learners_next),
        auto_leave: conf.auto_leave,
    }
}

// To the first of these that can lead.
fn hand_over<S: Storage>(raw: &mut RawNode<S>, to: impl IntoIterator<Item = u64>) -> Option<u64> {
    to.into_iter().find(|&id| transfer(raw, id).is_ok())
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
