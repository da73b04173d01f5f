//! The arithmetic of joint configurations.

use std::collections::BTreeSet;

use proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};
use raftcore::NOBODY;

use crate::membership::conf;
use crate::membership::error::{Error, Result};

/// Whether two halves decide together.
pub fn is_joint(conf: &ConfState) -> bool {
    !conf.voters_outgoing.is_empty()
}

/// Whether this change ends a joint configuration.
pub fn leaves(change: &ConfChangeV2) -> bool {
    change.changes.is_empty() && change.transition == i32::from(ConfChangeTransition::Auto)
}

/// A change of one member, as one of several.
pub fn as_v2(change: &ConfChange) -> ConfChangeV2 {
    let single = ConfChangeSingle { change_type: change.change_type, node_id: change.node_id };
    ConfChangeV2 {
        changes: vec![single],
        context: change.context.clone(),
        ..ConfChangeV2::default()
    }
}

/// The group after this change.
///
/// | the change | what it does |
/// |---|---|
/// | no changes, `Auto` | leaves the joint configuration |
/// | one change, `Auto` | what stage 3A does with it, without a joint configuration |
/// | several changes, or `Implicit` | enters a joint configuration that ends by itself |
/// | `Explicit` | enters one that stays until it is left |
///
/// # Errors
/// [`Error::InJoint`] for anything but leaving while two halves decide. [`Error::BadChange`] for a change that no
/// group can do. Deterministic: every replica finds the same.
pub fn changed(conf: &ConfState, change: &ConfChangeV2) -> Result<ConfState> {
    let transition = ConfChangeTransition::try_from(change.transition);
    let transition = transition.map_err(|_| Error::BadChange("a transition that is not known"))?;
    if leaves(change) {
        return leave(conf);
    }
    if is_joint(conf) {
        return Err(Error::InJoint);
    }
    match (transition, change.changes.as_slice()) {
        (ConfChangeTransition::Auto, [one]) => {
            let ConfChangeSingle { change_type, node_id } = *one;
            conf::changed(conf, &ConfChange { change_type, node_id, ..ConfChange::default() })
        }
        (_, several) => enter(conf, several, transition != ConfChangeTransition::Explicit),
    }
}

/// The joint configuration that these changes lead into, from a simple one. The voters of now are its old half; the new
/// half and the learners are what the changes make of them, one after the other as in stage 3A, but that a voter of the old
/// half cannot be a learner yet: it waits in `learners_next`.
///
/// You will need sets of voters, of learners and of those that wait; the lists of the answer are in rising order.
/// Node 0 is nobody.
///
/// # Errors
/// [`Error::BadChange`] for a type that is not known, and if the new half would have no voter.
fn enter(conf: &ConfState, changes: &[ConfChangeSingle], auto_leave: bool) -> Result<ConfState> {
    // BEGIN SOLUTION 3X.enter
    let set = |ids: &[u64]| -> BTreeSet<u64> { ids.iter().copied().collect() };
    let outgoing = set(&conf.voters);
    let (mut voters, mut learners) = (outgoing.clone(), set(&conf.learners));
    let mut learners_next = BTreeSet::new();
    for change in changes {
        let kind = ConfChangeType::try_from(change.change_type);
        let kind = kind.map_err(|_| Error::BadChange("a kind that is not known"))?;
        let id = change.node_id;
        if id == NOBODY {
            continue;
        }
        for members in [&mut voters, &mut learners, &mut learners_next] {
            members.remove(&id);
        }
        match kind {
            ConfChangeType::AddNode => voters.insert(id),
            ConfChangeType::AddLearnerNode if outgoing.contains(&id) => learners_next.insert(id),
            ConfChangeType::AddLearnerNode => learners.insert(id),
            ConfChangeType::RemoveNode => continue,
        };
    }
    if voters.is_empty() {
        return Err(Error::BadChange("no voter would be left"));
    }
    Ok(ConfState {
        voters: voters.into_iter().collect(),
        learners: learners.into_iter().collect(),
        voters_outgoing: outgoing.into_iter().collect(),
        learners_next: learners_next.into_iter().collect(),
        auto_leave,
    })
    // END SOLUTION
}

/// The group when the joint configuration is over: the new half alone. Who waited to be a learner is one.
///
/// You will need `is_joint`; the lists of the answer are in rising order.
///
/// # Errors
/// [`Error::BadChange`] if there is nothing to leave.
fn leave(conf: &ConfState) -> Result<ConfState> {
    // BEGIN SOLUTION 3X.leave
    if !is_joint(conf) {
        return Err(Error::BadChange("there is no joint configuration to leave"));
    }
    let learners: BTreeSet<u64> =
        conf.learners.iter().chain(&conf.learners_next).copied().collect();
    Ok(ConfState {
        voters: conf.voters.clone(),
        learners: learners.into_iter().collect(),
        ..ConfState::default()
    })
    // END SOLUTION
}
