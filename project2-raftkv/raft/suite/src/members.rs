//! Members and their changes: how they are built, what they mean, how they are shown.

use std::collections::BTreeSet;

use prost::Message as _;
use proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
    Entry, EntryType,
};
use sim::failure::Outcome;

use crate::mail::decode;
use crate::notation::node;
use crate::protocol::Input;

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

/// These changes at once, through a joint configuration that ends by itself.
pub fn at_once<const N: usize>(changes: [ConfChange; N]) -> ConfChangeV2 {
    joint(ConfChangeTransition::Implicit, &changes)
}

/// These changes at once, through a joint configuration that stays until it is told to end.
pub fn at_once_until_told<const N: usize>(changes: [ConfChange; N]) -> ConfChangeV2 {
    joint(ConfChangeTransition::Explicit, &changes)
}

/// These changes at once, in this way.
pub fn joint(transition: ConfChangeTransition, changes: &[ConfChange]) -> ConfChangeV2 {
    let single =
        |c: &ConfChange| ConfChangeSingle { change_type: c.change_type, node_id: c.node_id };
    ConfChangeV2 {
        transition: transition.into(),
        changes: changes.iter().map(single).collect(),
        ..ConfChangeV2::default()
    }
}

/// The joint configuration ends.
pub fn leave() -> ConfChangeV2 {
    ConfChangeV2::default()
}

/// A change of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Of one member.
    One(ConfChange),
    /// Of any number of members: joint consensus (stage 3X).
    Many(ConfChangeV2),
}

impl From<&ConfChange> for Change {
    fn from(change: &ConfChange) -> Self {
        Change::One(change.clone())
    }
}

impl From<&ConfChangeV2> for Change {
    fn from(change: &ConfChangeV2) -> Self {
        Change::Many(change.clone())
    }
}

impl Change {
    /// The change that this entry of a log holds.
    ///
    /// # Errors
    /// When its bytes are none.
    pub fn of(entry: &Entry) -> Outcome<Self> {
        Ok(if entry.entry_type == i32::from(EntryType::EntryConfChangeV2) {
            Change::Many(decode(&entry.data)?)
        } else {
            Change::One(decode(&entry.data)?)
        })
    }

    /// It is proposed.
    pub fn proposed(&self) -> Input {
        match self {
            Change::One(change) => Input::ProposeConfChange(change.encode_to_vec().into()),
            Change::Many(change) => Input::ProposeConfChangeV2(change.encode_to_vec().into()),
        }
    }

    /// It is applied.
    pub fn applied(&self) -> Input {
        match self {
            Change::One(change) => Input::ApplyConfChange(change.encode_to_vec().into()),
            Change::Many(change) => Input::ApplyConfChangeV2(change.encode_to_vec().into()),
        }
    }

    /// The members after it; `None` if no group can do it.
    pub fn made_of(&self, conf: &ConfState) -> Option<ConfState> {
        match self {
            Change::One(change) => changed(conf, change),
            Change::Many(change) => changed_at_once(conf, change),
        }
    }

    /// `add n4`, or `remove n1 and add n4`.
    pub fn show(&self) -> String {
        match self {
            Change::One(change) => show_change(change),
            Change::Many(change) if *change == leave() => "leave the joint configuration".into(),
            Change::Many(change) => {
                let single = |c: &ConfChangeSingle| {
                    let ConfChangeSingle { change_type, node_id } = *c;
                    show_change(&ConfChange { change_type, node_id, ..ConfChange::default() })
                };
                let all: Vec<String> = change.changes.iter().map(single).collect();
                let how = match ConfChangeTransition::try_from(change.transition) {
                    Ok(ConfChangeTransition::Explicit) => ", until told to leave",
                    _ => "",
                };
                format!("at once: {}{how}", all.join(" and "))
            }
        }
    }
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
    (!voters.is_empty() && !is_joint(conf)).then(|| conf_state(voters, learners))
}

/// The members after a change of several; `None` if no group can do it.
pub fn changed_at_once(conf: &ConfState, change: &ConfChangeV2) -> Option<ConfState> {
    let auto = change.transition == i32::from(ConfChangeTransition::Auto);
    match change.changes.as_slice() {
        [] if auto => left(conf),
        [one] if auto => {
            let ConfChangeSingle { change_type, node_id } = *one;
            changed(conf, &ConfChange { change_type, node_id, ..ConfChange::default() })
        }
        many => entered(conf, many, change.transition != i32::from(ConfChangeTransition::Explicit)),
    }
}

// What becomes of each node that is spoken of, one by one.
fn entered(conf: &ConfState, changes: &[ConfChangeSingle], auto_leave: bool) -> Option<ConfState> {
    if is_joint(conf) {
        return None;
    }
    let mut next = conf.clone();
    next.voters_outgoing.clone_from(&conf.voters);
    next.auto_leave = auto_leave;
    for change in changes.iter().filter(|change| change.node_id != 0) {
        let id = change.node_id;
        let kind = ConfChangeType::try_from(change.change_type).ok()?;
        for list in [&mut next.voters, &mut next.learners, &mut next.learners_next] {
            list.retain(|&other| other != id);
        }
        match kind {
            ConfChangeType::AddNode => next.voters.push(id),
            // No node is voter and learner at once, not even in two halves.
            ConfChangeType::AddLearnerNode if conf.voters.contains(&id) => {
                next.learners_next.push(id);
            }
            ConfChangeType::AddLearnerNode => next.learners.push(id),
            ConfChangeType::RemoveNode => {}
        }
    }
    (!next.voters.is_empty()).then(|| sorted(next))
}

fn left(conf: &ConfState) -> Option<ConfState> {
    let learners = [&conf.learners[..], &conf.learners_next[..]].concat();
    is_joint(conf).then(|| sorted(conf_state(conf.voters.iter().copied(), learners)))
}

/// Whether two halves decide together.
pub fn is_joint(conf: &ConfState) -> bool {
    !conf.voters_outgoing.is_empty()
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
    // Who is to be a learner next is a voter of the old half.
    [&conf.voters, &conf.learners, &conf.voters_outgoing].iter().any(|ids| ids.contains(&id))
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
    if conf.auto_leave {
        text += ", ends by itself";
    }
    format!("{{{text}}}")
}
