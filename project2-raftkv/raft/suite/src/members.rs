//! Members and their changes: how they are built, what they mean, how they are shown.

use std::collections::BTreeSet;

use proto::eraftpb::{ConfChange, ConfChangeType, ConfState};

use crate::notation::node;

fn change(kind: ConfChangeType, id: u64) -> ConfChange {
    ConfChange { change_type: kind.into(), node_id: id, ..ConfChange::default() }
}

/// This node becomes a voter.
pub fn add(id: u64) -> ConfChange {
    change(ConfChangeType::AddNode, id)
}

/// This node becomes a learner.
pub fn add_learner(id: u64) -> ConfChange {
    change(ConfChangeType::AddLearnerNode, id)
}

/// This node is no member any more.
pub fn remove(id: u64) -> ConfChange {
    change(ConfChangeType::RemoveNode, id)
}

/// The members after a change; `None` if no group can do it.
pub fn changed(conf: &ConfState, change: &ConfChange) -> Option<ConfState> {
    let kind = ConfChangeType::try_from(change.change_type).ok()?;
    let without = |ids: &[u64]| -> BTreeSet<u64> {
        ids.iter().copied().filter(|&id| id != change.node_id || id == 0).collect()
    };
    let (mut voters, mut learners) = (without(&conf.voters), without(&conf.learners));
    if change.node_id != 0 {
        match kind {
            ConfChangeType::AddNode => drop(voters.insert(change.node_id)),
            ConfChangeType::AddLearnerNode => drop(learners.insert(change.node_id)),
            ConfChangeType::RemoveNode => {}
        }
    }
    (!voters.is_empty()).then(|| conf_state(voters, learners))
}

/// These voters and learners.
pub fn conf_state(
    voters: impl IntoIterator<Item = u64>,
    learners: impl IntoIterator<Item = u64>,
) -> ConfState {
    ConfState {
        voters: voters.into_iter().collect(),
        learners: learners.into_iter().collect(),
        ..ConfState::default()
    }
}

/// With its lists in order: two states that say the same are equal then.
#[must_use]
pub fn sorted(mut conf: ConfState) -> ConfState {
    for ids in
        [&mut conf.voters, &mut conf.learners, &mut conf.voters_outgoing, &mut conf.learners_next]
    {
        ids.sort_unstable();
    }
    conf
}

/// Whether this node belongs to the group, with a vote or without.
pub fn has(conf: &ConfState, id: u64) -> bool {
    conf.voters.contains(&id) || conf.learners.contains(&id)
}

/// `add n4`.
pub fn show_change(change: &ConfChange) -> String {
    let what = match ConfChangeType::try_from(change.change_type) {
        Ok(ConfChangeType::AddNode) => "add",
        Ok(ConfChangeType::AddLearnerNode) => "add learner",
        Ok(ConfChangeType::RemoveNode) => "remove",
        Err(_) => "do something unknown with",
    };
    format!("{what} {}", node(change.node_id))
}

/// `{n1 n2 n3, learner n4}`.
pub fn show(conf: &ConfState) -> String {
    let list = |ids: &[u64]| ids.iter().map(|&id| node(id)).collect::<Vec<_>>().join(" ");
    let mut text = list(&conf.voters);
    for (name, ids) in [
        (", learner ", &conf.learners),
        (", outgoing ", &conf.voters_outgoing),
        (", learner next ", &conf.learners_next),
    ] {
        if !ids.is_empty() {
            text += name;
            text += &list(ids);
        }
    }
    format!("{{{text}}}")
}
