//! Members change step by step, everywhere in the same order (thesis, chapter 4).
//!
//! Two groups that differ in one voter have no two majorities without a common node, nor have a joint configuration and
//! one of its halves; two that are further apart may have. So whoever leads, or takes something for committed, must count
//! by a group that is at most one change away from every group that anybody counts by.

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::ConfState;
use sim::failure::{Failure, Outcome};

use crate::members;
use crate::notation;
use crate::protocol::Status;
use crate::world::{Node, When};

/// Who the members were, when.
#[derive(Debug, Default)]
pub struct Groups {
    // Who was a member at the start.
    first: BTreeSet<u64>,
    // index of a change -> the members from there on, and who said so first.
    history: BTreeMap<u64, (ConfState, u64)>,
    // How much of a node's list was looked at.
    seen: BTreeMap<u64, usize>,
    // (node, term, index of its last change) that were seen to lead.
    leaders: BTreeSet<(u64, u64, u64)>,
    /// How many changes were applied by somebody.
    pub changes: u64,
}

impl Groups {
    pub(super) fn start(&mut self, node: &Node<'_>) {
        self.first.extend(&node.conf().voters);
        self.first.extend(&node.conf().learners);
        self.first.extend(&node.conf().voters_outgoing);
    }

    /// Whether this node was a member, and is none any more after the change at `index`.
    pub fn removed(&self, id: u64, index: u64) -> bool {
        let mut until = self.history.range(..=index).map(|(_, (conf, _))| conf).rev();
        let Some(last) = until.next() else { return false };
        let was = self.first.contains(&id) || until.any(|conf| members::has(conf, id));
        was && !members::has(last, id)
    }

    /// Where the last change stands that anybody has applied; 0: there was none.
    pub fn last_change(&self) -> u64 {
        self.history.keys().next_back().copied().unwrap_or(0)
    }

    /// The members after the last change up to `index`, if there was one.
    pub fn members_at(&self, index: u64) -> Option<&ConfState> {
        self.history.range(..=index).next_back().map(|(_, (conf, _))| conf)
    }

    // A new life starts a new list.
    pub(super) fn on_crash(&mut self, id: u64) {
        self.seen.remove(&id);
    }

    pub(super) fn on_applied(&mut self, when: When, node: &Node<'_>) -> Outcome {
        let seen = self.seen.entry(node.id).or_default();
        let from = std::mem::replace(seen, node.confs.len());
        for (index, conf) in &node.confs[from..] {
            if !self.history.contains_key(index) {
                self.changes += 1;
            }
            let (first, who) =
                self.history.entry(*index).or_insert_with(|| (conf.clone(), node.id));
            if first != conf {
                return Err(Failure::broke(
                    "two nodes have different members after the same change",
                    format!("on n{who} they are {} after index {index}", members::show(first)),
                    format!("{when}on n{}: {}", node.id, members::show(conf)),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn on_leader(&mut self, when: When, node: &Node<'_>, status: &Status) -> Outcome {
        let mine = node.disk.written().conf_index;
        if !self.leaders.insert((node.id, status.term, mine)) {
            return Ok(());
        }
        let newer: Vec<_> = self.history.range(mine + 1..).collect();
        // Whoever led before has applied at most one change that this one has not.
        if newer.len() < 2 || self.leaders.iter().any(|&(_, term, _)| term > status.term) {
            return Ok(());
        }
        let (index, (conf, who)) = newer[newer.len() - 1];
        Err(Failure::broke(
            "a node leads a group that is two changes behind: two majorities may have no common node",
            format!(
                "n{who} has applied the change at {index}; the members are {}",
                members::show(conf)
            ),
            format!(
                "{when}{} leads, and has applied changes up to {mine}; it counts by {}",
                notation::status(node.id, status),
                members::show(node.conf())
            ),
        ))
    }
}
