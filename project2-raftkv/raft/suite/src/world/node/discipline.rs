//! What one node must keep by itself, whatever the others do.
//!
//! - Readys are numbered 1, 2, 3, ...
//! - `entries` have no gap, neither among themselves nor to the log that they go onto.
//! - `committed` has no gap, hands out each entry once, and only what is durable and as it is on disk.
//! - The commit index never falls, nor does the term; in one term a vote is given once.
//! - On a leader, `match` of a follower never falls within a term.

use std::collections::BTreeMap;

use sim::failure::{Failure, Outcome, show};

use crate::notation;
use crate::protocol::{Role, Status};
use crate::world::{Disk, Taken};

/// What one node has shown in this life.
#[derive(Debug, Default)]
pub struct Discipline {
    id: u64,
    ready: u64,
    applied: u64,
    status: Option<Status>,
    // Of the leadership in this term: match by follower.
    matches: (u64, BTreeMap<u64, u64>),
}

impl Discipline {
    /// A new life of node `id`, in which everything up to `applied` was applied before.
    pub fn new(id: u64, applied: u64) -> Self {
        Discipline { id, applied, ..Self::default() }
    }

    /// The last entry that was handed out to be applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    pub(super) fn on_ready(&mut self, disk: &Disk, taken: &Taken) -> Outcome {
        let id = self.id;
        if taken.number != self.ready + 1 {
            return Err(Failure::broke(
                "Readys are not numbered one after the other",
                format!("n{id} gave Ready {} before", self.ready),
                format!("the next one has number {}", taken.number),
            ));
        }
        self.ready = taken.number;
        let mut last = disk.written().last().0;
        if let Some(place) = taken.snapshot.as_ref().and_then(|s| s.metadata.as_ref()) {
            if place.index < self.applied {
                return Err(Failure::broke(
                    "a snapshot takes the state machine back",
                    format!("n{id} has applied everything up to {}", self.applied),
                    format!("Ready {} installs a snapshot up to {}", taken.number, place.index),
                ));
            }
            (last, self.applied) = (place.index, place.index);
        }
        let first = taken.entries.first().map_or(0, |entry| entry.index);
        if first > last + 1 {
            return Err(Failure::broke(
                "a Ready leaves a hole in the log",
                format!("the log on n{id}'s disk ends at {last}"),
                format!("Ready {} appends {}", taken.number, notation::entries(&taken.entries)),
            ));
        }
        if let Some((next, _)) = (first..).zip(&taken.entries).find(|(i, e)| *i != e.index) {
            return Err(Failure::broke(
                "the entries of a Ready are not one after the other",
                format!("n{id}: after {} comes {next}", next.saturating_sub(1)),
                format!("Ready {} appends {}", taken.number, notation::entries(&taken.entries)),
            ));
        }
        taken.committed.iter().try_for_each(|entry| self.on_apply(disk, taken.number, entry))
    }

    fn on_apply(&mut self, disk: &Disk, number: u64, entry: &proto::eraftpb::Entry) -> Outcome {
        let (id, place) = (self.id, notation::at(entry.index, entry.term));
        if entry.index != self.applied + 1 {
            return Err(Failure::broke(
                "committed entries are not handed out each once and in order",
                format!("n{id} was given everything up to {} to apply", self.applied),
                format!("Ready {number} goes on with {place}"),
            ));
        }
        let there = disk.durable().entry(entry.index);
        if let Some(there) = there.filter(|there| there.term == entry.term && *there != entry) {
            return Err(Failure::broke(
                "an entry is handed out to be applied with another content than it has in the log",
                format!("on n{id}'s disk {place} has data {}", show(&there.data)),
                format!("Ready {number} wants it applied with data {}", show(&entry.data)),
            ));
        }
        if there != Some(entry) {
            let there = there.map(|there| there.term);
            let there = there.map_or("nothing".into(), |term| notation::at(entry.index, term));
            return Err(Failure::broke(
                "an entry is handed out to be applied before it is durable on this node",
                format!("Ready {number} of n{id} wants {place} applied"),
                format!(
                    "its disk holds {there} there, for certain; a crash now would lose the log under the state machine"
                ),
            ));
        }
        self.applied = entry.index;
        Ok(())
    }

    pub(super) fn on_status(&mut self, new: &Status) -> Outcome {
        let id = self.id;
        if let Some(old) = &self.status {
            let broke = |what: &str| {
                Err(Failure::broke(
                    what,
                    format!(
                        "before: {}, vote {}",
                        notation::status(id, old),
                        notation::node(old.vote)
                    ),
                    format!(
                        "after:  {}, vote {}",
                        notation::status(id, new),
                        notation::node(new.vote)
                    ),
                ))
            };
            if new.committed < old.committed {
                return broke("the commit index fell");
            }
            if new.term < old.term {
                return broke("the term fell");
            }
            if new.term == old.term && old.vote != 0 && new.vote != old.vote {
                return broke("a node changed its vote within a term");
            }
        }
        if new.role == Role::Leader {
            if self.matches.0 != new.term {
                self.matches = (new.term, BTreeMap::new());
            }
            for &(follower, matched, _) in &new.progress {
                let known = self.matches.1.entry(follower).or_insert(matched);
                if matched < *known {
                    return Err(Failure::broke(
                        "what a leader knows of a follower went backwards",
                        format!("n{id}@{}: match of n{follower} was {known}", new.term),
                        format!(
                            "now it is {matched}, in the same term: what was stored stays stored"
                        ),
                    ));
                }
                *known = matched;
            }
        }
        self.status = Some(new.clone());
        Ok(())
    }
}
