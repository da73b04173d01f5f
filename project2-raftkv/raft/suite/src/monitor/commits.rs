//! Leader Completeness and State Machine Safety (figure 3), and what "committed" means: at the moment
//! when a node takes an entry for committed, a majority has it on disk.

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::Entry;
use sim::failure::{Failure, Outcome, show};

use super::Nodes;
use crate::members;
use crate::notation::{self, at};
use crate::protocol::Status;
use crate::world::{Taken, When};

/// The history of all commits of all nodes.
#[derive(Debug, Default)]
pub struct Commits {
    // index -> the entry's term, who took it for committed first, in which term.
    history: BTreeMap<u64, (u64, u64, u64)>,
    // index -> what was applied there first, and by whom.
    applied: BTreeMap<u64, (Entry, u64)>,
    // How far a node's commit index was checked.
    seen: BTreeMap<u64, u64>,
    // (node, term) that were seen to lead.
    leaders: BTreeSet<(u64, u64)>,
    /// How many committed entries were handed out, over all nodes.
    pub handed_out: u64,
}

impl Commits {
    /// The highest index that any node knows to be committed.
    pub fn highest(&self) -> u64 {
        self.history.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// The entry that was applied at this index, if any was.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        self.applied.get(&index).map(|(entry, _)| entry)
    }

    pub(super) fn on_crash(&mut self, id: u64) {
        self.seen.remove(&id);
    }

    pub(super) fn on_apply(&mut self, when: When, id: u64, taken: &Taken) -> Outcome {
        for entry in &taken.committed {
            self.handed_out += 1;
            let (first, who) =
                self.applied.entry(entry.index).or_insert_with(|| (entry.clone(), id));
            if first != entry {
                let tell =
                    |e: &Entry| format!("{} with data {}", at(e.index, e.term), show(&e.data));
                return Err(Failure::broke(
                    "two nodes apply different entries at one index: State Machine Safety is broken",
                    format!("n{who} applied {}", tell(first)),
                    format!("{when}n{id} applies {}", tell(entry)),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn on_leader(
        &mut self,
        when: When,
        nodes: &Nodes<'_>,
        id: u64,
        term: u64,
    ) -> Outcome {
        if !self.leaders.insert((id, term)) {
            return Ok(());
        }
        let log = nodes[&id].disk.written();
        let earlier = self.history.iter().rev().find(|(_, (_, _, by))| *by < term);
        if let Some((&index, &(entry_term, who, by))) = earlier
            && !log.holds(index, entry_term)
        {
            let there = log.term(index).map_or("nothing".into(), |t| at(index, t));
            return Err(Failure::broke(
                "a leader lacks an entry that was committed in an earlier term: Leader Completeness is broken",
                format!("n{who}, in term {by}, took {} for committed", at(index, entry_term)),
                format!("{when}n{id} leads term {term}, and its log has {there} there"),
            ));
        }
        Ok(())
    }

    pub(super) fn on_commit(
        &mut self,
        when: When,
        nodes: &Nodes<'_>,
        id: u64,
        status: &Status,
    ) -> Outcome {
        let log = nodes[&id].disk.written();
        // What has not come in a Ready yet cannot be held against the disk; it will be.
        let upto = status.committed.min(log.last().0);
        let from = self.seen.insert(id, upto).unwrap_or(0).max(log.truncated.0) + 1;
        for index in from..=upto {
            let Some(term) = log.term(index) else { continue };
            match self.history.get(&index) {
                Some(&(known, _, _)) if known == term => {}
                Some(&(known, who, by)) => {
                    return Err(Failure::broke(
                        "two nodes take different entries at one index for committed: State Machine Safety is broken",
                        format!("n{who}, in term {by}, took {} for committed", at(index, known)),
                        format!(
                            "{when}{} takes {} for committed",
                            notation::status(id, status),
                            at(index, term)
                        ),
                    ));
                }
                None => {
                    has_majority(when, nodes, (id, status), (index, term))?;
                    self.history.insert(index, (term, id, status.term));
                }
            }
        }
        Ok(())
    }
}

fn has_majority(
    when: When,
    nodes: &Nodes<'_>,
    (id, status): (u64, &Status),
    (index, term): (u64, u64),
) -> Outcome {
    let conf = nodes[&id].conf();
    // The old half of a joint configuration has to agree as well.
    let halves = [&conf.voters, &conf.voters_outgoing].into_iter().filter(|half| !half.is_empty());
    for voters in halves {
        let has_it =
            |voter: &&u64| nodes.get(voter).is_some_and(|n| n.disk.durable().holds(index, term));
        let holders: Vec<String> =
            voters.iter().filter(has_it).map(|voter| notation::node(*voter)).collect();
        if holders.len() > voters.len() / 2 {
            continue;
        }
        return Err(Failure::broke(
            "an entry counts as committed that no majority has on disk",
            format!(
                "{when}{} takes {} for committed",
                notation::status(id, status),
                at(index, term)
            ),
            format!(
                "of {} voters{} only these have it durably: {}",
                voters.len(),
                if members::is_joint(conf) { " of one half" } else { "" },
                if holders.is_empty() { "nobody".into() } else { holders.join(", ") }
            ),
        ));
    }
    Ok(())
}
