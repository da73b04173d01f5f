//! One group of replicas: Figure 3 of the paper, over everything that was ever seen.

use std::collections::BTreeMap;
use std::fmt;

use serde_bytes::ByteBuf;

use super::peer::{Peer, Standing};
use super::{broke, entry};
use crate::cluster::protocol::{Member, Micros, NodeId, RegionView, Role};
use crate::coverage::{self, Coverage};
use crate::failure::Outcome;
use crate::history::{at as when, plain};

#[derive(Debug, Clone, Copy)]
struct Known {
    digest: u64,
    before: u64,
    node: NodeId,
}

#[derive(Debug, Clone, Copy)]
struct Committed {
    term: u64,
    digest: u64,
    node: NodeId,
    at: Micros,
    // The term in which somebody knew it to be committed; leaders of later terms must have it.
    in_term: u64,
}

/// Where a region lies, and its epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    range: (ByteBuf, ByteBuf),
    epoch: (u64, u64),
}

#[derive(Debug, Clone)]
struct Applied {
    digest: u64,
    node: NodeId,
    at: Micros,
}

/// What is known of a group.
#[derive(Debug, Default)]
pub(super) struct Group {
    leaders: BTreeMap<u64, (NodeId, Micros)>,
    entries: BTreeMap<(u64, u64), Known>,
    committed: BTreeMap<u64, Committed>,
    states: BTreeMap<u64, Applied>,
    shapes: BTreeMap<u64, (NodeId, Shape)>,
    last_leader: NodeId,
    // A leader has just moved its commit index: where its majority is to be looked for.
    counted: Option<u64>,
}

impl Group {
    /// Election Safety (5.2), and Leader Completeness (5.4) for who has just been elected.
    pub fn elects(
        &mut self,
        node: NodeId,
        at: Micros,
        peer: &Peer,
        coverage: &mut Coverage,
    ) -> Outcome {
        let view = &peer.view;
        if view.role != Role::Leader {
            return Ok(());
        }
        if let Some((leader, since)) = self.leaders.get(&view.term) {
            if *leader == node {
                return Ok(());
            }
            return broke(
                "Election Safety: two leaders in one term (5.2)",
                format!(
                    "region {}: n{leader} became leader of term {} at {}",
                    view.region,
                    view.term,
                    when(*since)
                ),
                format!("n{node} is leader of term {}, too, at {}", view.term, when(at)),
            );
        }
        self.leaders.insert(view.term, (node, at));
        coverage.hit(coverage::ELECTIONS);
        if self.last_leader != 0 && self.last_leader != node {
            coverage.hit(coverage::LEADER_CHANGES);
        }
        self.last_leader = node;
        for (&index, committed) in self.committed.range(view.truncated.0.max(1)..) {
            if committed.in_term >= view.term {
                continue;
            }
            let has = peer.log.get(&index);
            let same = match has {
                Some(has) => *has == (committed.term, committed.digest),
                None => peer.term_at(index) == Some(committed.term),
            };
            if !same {
                let has =
                    peer.term_at(index).map_or("nothing there".into(), |term| entry(index, term));
                return broke(
                    "Leader Completeness: a leader lacks an entry that was committed in an earlier term (5.4)",
                    format!(
                        "region {}: n{} knew {} to be committed at {}, in term {}",
                        view.region,
                        committed.node,
                        entry(index, committed.term),
                        when(committed.at),
                        committed.in_term
                    ),
                    format!(
                        "n{node}, leader of term {} since {}, has {has}; its log ends at {}",
                        view.term,
                        when(at),
                        view.last
                    ),
                );
            }
        }
        Ok(())
    }

    /// Leader Append-Only (5.3).
    pub fn leader_appends_only(node: NodeId, old: &Peer, view: &RegionView) -> Outcome {
        let leads = old.known
            && old.view.role == Role::Leader
            && view.role == Role::Leader
            && old.view.term == view.term;
        if !leads {
            return Ok(());
        }
        let changed = view
            .entries
            .iter()
            .find(|e| old.log.get(&e.index).is_some_and(|had| *had != (e.term, e.digest)))
            .map(|e| {
                let same = old.term_at(e.index) == Some(e.term);
                let other = if same { ", with other data" } else { "" };
                (e.index, format!("{}{other}", entry(e.index, e.term)))
            });
        let cut = (view.last < old.view.last).then(|| (view.last + 1, "nothing".into()));
        let Some((index, now)) = changed.or(cut) else { return Ok(()) };
        broke(
            "Leader Append-Only: a leader overwrote or deleted an entry of its own log (5.3)",
            format!(
                "region {}: n{node} leads term {} and had {} in its log",
                view.region,
                view.term,
                entry(index, old.term_at(index).unwrap_or_default())
            ),
            format!("still leader of term {}, it has {now} there", view.term),
        )
    }

    /// Log Matching (5.3): an index and a term name one entry, with one predecessor.
    pub fn matches(&mut self, node: NodeId, at: Micros, view: &RegionView) -> Outcome {
        let mut before = view.before;
        for e in &view.entries {
            let here = Known { digest: e.digest, before, node };
            let known = *self.entries.entry((e.index, e.term)).or_insert(here);
            if known.digest != e.digest {
                return broke(
                    "Log Matching: one index and term, two different entries (5.3)",
                    format!(
                        "region {}: n{} holds {} with one content",
                        view.region,
                        known.node,
                        entry(e.index, e.term)
                    ),
                    format!("n{node} holds it with another, at {}", when(at)),
                );
            }
            if known.before != before {
                let previous = |term| entry(e.index - 1, term);
                return broke(
                    "Log Matching: two logs hold the same entry after different ones (5.3)",
                    format!(
                        "region {}: on n{} {} stands after {}",
                        view.region,
                        known.node,
                        entry(e.index, e.term),
                        previous(known.before)
                    ),
                    format!("on n{node} it stands after {}, at {}", previous(before), when(at)),
                );
            }
            before = e.term;
        }
        Ok(())
    }

    /// State Machine Safety (5.4.3): what is committed at an index is committed there for ever and everywhere.
    pub fn commits(
        &mut self,
        node: NodeId,
        at: Micros,
        old: Option<Standing>,
        new: &Peer,
    ) -> Outcome {
        let view = &new.view;
        let from = old.filter(|old| old.known).map_or(0, |old| old.commit);
        // What lies below was compared when the index rose; a whole look compares everything again.
        for (&index, &(term, digest)) in
            new.log.range(from + 1..).take_while(|(index, _)| **index <= view.commit)
        {
            let here = Committed { term, digest, node, at, in_term: view.term };
            let known = self.committed.entry(index).or_insert(here);
            known.in_term = known.in_term.min(view.term);
            if (known.term, known.digest) != (term, digest) {
                return Self::two_commits(view, (index, term), known, node, at);
            }
        }
        let (index, term) = view.truncated;
        if let Some(known) = self.committed.get(&index)
            && known.term != term
        {
            return Self::two_commits(view, (index, term), known, node, at);
        }
        if view.commit > from
            && view.role == Role::Leader
            && old.and_then(|old| old.leads) == Some(view.term)
        {
            let counted = new.term_at(view.commit).unwrap_or(view.term);
            if counted != view.term {
                return broke(
                    "a leader committed an entry of an older term by counting its copies (5.4.2, figure 8)",
                    format!("region {}: n{node} leads term {}", view.region, view.term),
                    format!(
                        "at {} it moved its commit index to {}",
                        when(at),
                        entry(view.commit, counted)
                    ),
                );
            }
            self.counted = Some(view.commit);
        }
        Ok(())
    }

    fn two_commits(
        view: &RegionView,
        (index, term): (u64, u64),
        known: &Committed,
        node: NodeId,
        at: Micros,
    ) -> Outcome {
        broke(
            "State Machine Safety: two different entries are committed at one index (5.4.3)",
            format!(
                "region {}: n{} committed {} at {}",
                view.region,
                known.node,
                entry(index, known.term),
                when(known.at)
            ),
            format!("n{node} has committed {} there, at {}", entry(index, term), when(at)),
        )
    }

    /// When a leader commits an entry, it is durable on a majority (5.3).
    pub fn is_on_a_majority(
        &mut self,
        node: NodeId,
        region: u64,
        before: &[Member],
        peers: &BTreeMap<(NodeId, u64), Peer>,
        dead: &BTreeMap<(NodeId, u64, u64), Peer>,
    ) -> Outcome {
        let Some(index) = self.counted.take() else { return Ok(()) };
        let leader = &peers[&(node, region)];
        let term = leader.term_at(index);
        let has = |peer: &Peer, durable: u64| {
            peer.view.truncated.0 >= index || (durable >= index && peer.term_at(index) == term)
        };
        let holds = |member: &&Member| {
            let here = peers.get(&(member.store, region));
            // One whose last effects were cut off by a crash may hold more than it showed: benefit of doubt.
            if let Some(peer) = here.filter(|peer| !peer.known || peer.view.peer == member.peer) {
                return !peer.known || has(peer, peer.view.persisted);
            }
            // One that was removed and has gone counts for a leader that does not know yet, with what it had: whoever led
            // the group when it was removed has the entry, too (5.4).
            let gone = dead.get(&(member.store, region, member.peer));
            gone.is_some_and(|peer| {
                has(peer, if peer.known { peer.view.persisted } else { peer.view.last })
            })
        };
        for voters in [&leader.view.voters, &leader.view.outgoing] {
            let count = voters.iter().filter(holds).count();
            // The event may have committed it and then changed the members: it was counted by those before.
            let enough = before.iter().filter(holds).count() > before.len() / 2;
            if !voters.is_empty() && count <= voters.len() / 2 && !enough {
                let names: Vec<String> =
                    voters.iter().filter(holds).map(|m| format!("n{}", m.store)).collect();
                return broke(
                    "a leader committed an entry that no majority has on disk (5.3)",
                    format!(
                        "region {region}: n{node}, leader of term {}, moved its commit index to {}",
                        leader.view.term,
                        entry(index, term.unwrap_or_default())
                    ),
                    format!(
                        "of {} voters only {} hold it durably: {}",
                        voters.len(),
                        names.len(),
                        if names.is_empty() { "none".into() } else { names.join(", ") }
                    ),
                );
            }
        }
        Ok(())
    }

    /// Equal applied index, equal data, range, epoch and members.
    pub fn applies(
        &mut self,
        node: NodeId,
        at: Micros,
        view: &RegionView,
        coverage: &mut Coverage,
    ) -> Outcome {
        if let Some(digest) = view.digest {
            let known = self.states.entry(view.applied).or_insert(Applied { digest, node, at });
            if known.node != node {
                coverage.hit(coverage::DIGESTS);
            }
            if known.digest != digest {
                return broke(
                    "State Machine Safety: two replicas applied the same log and hold different data (5.4.3)",
                    format!(
                        "region {}: n{} had applied up to {} at {} and held one state",
                        view.region,
                        known.node,
                        view.applied,
                        when(known.at)
                    ),
                    format!(
                        "n{node} has applied up to {}, too, at {}, and holds another",
                        view.applied,
                        when(at)
                    ),
                );
            }
        }
        let Some(range) = view.range.clone() else { return Ok(()) };
        let here = Shape { range, epoch: view.epoch };
        let (known_by, known) =
            self.shapes.entry(view.applied).or_insert_with(|| (node, here.clone()));
        if *known != here {
            return broke(
                "two replicas applied the same log and disagree about their region",
                format!(
                    "region {} at applied {}: n{known_by} says {known}",
                    view.region, view.applied
                ),
                format!("n{node} says {here}, at {}", when(at)),
            );
        }
        Ok(())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((start, end), (conf_ver, version)) = (&self.range, self.epoch);
        write!(f, "[{}, {}) at epoch {conf_ver}:{version}", plain(start), plain(end))
    }
}
