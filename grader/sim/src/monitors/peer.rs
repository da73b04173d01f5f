//! One peer: what it showed last, and what must hold from one view of it to the next.

use std::collections::BTreeMap;

use super::{Change, broke, entry};
use crate::cluster::protocol::{Look, NodeId, RegionView, Role};
use crate::coverage::{self, Coverage};
use crate::failure::Outcome;

/// What is known of a peer.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// Its last view, without entries.
    pub view: RegionView,
    /// Its log: index to (term, digest), from `view.truncated.0 + 1` to `view.last`.
    pub log: BTreeMap<u64, (u64, u64)>,
    /// The view is of this life, and the last thing that happened in it.
    pub known: bool,
    /// Its node is up.
    pub alive: bool,
}

impl Peer {
    /// The term of the entry at `index`, if the log, or what it starts after, tells.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.view.truncated.0 {
            return Some(self.view.truncated.1);
        }
        self.log.get(&index).map(|(term, _)| *term)
    }

    /// Whether a view that shows only the end of the log continues what is known: its first entry follows one
    /// that we have, and the last one that we had is unchanged.
    pub fn fits(&self, view: &RegionView) -> bool {
        let before = view.entries.first().map_or(view.last, |first| first.index - 1);
        let anchored = before < view.truncated.0 || self.term_at(before) == Some(view.before);
        let overlap = view
            .entries
            .iter()
            .all(|e| self.log.get(&e.index).is_none_or(|known| *known == (e.term, e.digest)));
        anchored && overlap && view.last >= self.view.last
    }

    /// Tests what must hold from the last view of this peer to this one.
    pub fn goes_on(&self, node: NodeId, view: &RegionView) -> Outcome {
        let old = &self.view;
        if old.peer != view.peer {
            return Ok(()); // destroyed and born again, under another id
        }
        if !self.known {
            return self.survived(node, view);
        }
        for (name, before, now) in [
            ("term", old.term, view.term),
            ("commit index", old.commit, view.commit),
            ("applied index", old.applied, view.applied),
            ("first index", old.truncated.0 + 1, view.truncated.0 + 1),
        ] {
            if now < before {
                return broke(
                    format!("the {name} of n{node} fell; it may only rise"),
                    format!("region {}: it was {before}", view.region),
                    format!("after its next event it is {now}"),
                );
            }
        }
        let rewritten = view.entries.iter().find(|e| {
            e.index <= old.commit
                && self.log.get(&e.index).is_some_and(|had| *had != (e.term, e.digest))
        });
        if let Some(e) = rewritten {
            return broke(
                format!("n{node} replaced an entry of its log that it knew to be committed"),
                format!(
                    "region {}: its commit index was {}, and it had {}",
                    view.region,
                    old.commit,
                    entry(e.index, self.term_at(e.index).unwrap_or_default())
                ),
                format!("now it has {} there", entry(e.index, e.term)),
            );
        }
        if old.term == view.term && old.vote != 0 && old.vote != view.vote {
            return broke(
                format!("n{node} changed its vote within a term"),
                format!(
                    "region {}: in term {} it had voted for peer {}",
                    view.region, old.term, old.vote
                ),
                format!("still in term {} its vote is for {}", view.term, view.vote),
            );
        }
        Ok(())
    }

    // After a crash: what was reported as durable is there, but for what a later leader overwrote.
    fn survived(&self, node: NodeId, view: &RegionView) -> Outcome {
        let now = |index: u64| {
            if index <= view.truncated.0 {
                return None; // below a snapshot or a compaction
            }
            view.entries.iter().find(|e| e.index == index).map(|e| e.term)
        };
        let durable = self.log.iter().filter(|(index, _)| **index <= self.view.persisted);
        for (&index, &(term, _)) in durable {
            if index <= view.truncated.0 || now(index) == Some(term) {
                continue;
            }
            // A newer leader's entry may stand there, or at the end of a log that it cut.
            let replaced = now(index).or_else(|| now(view.last)).unwrap_or(view.before);
            if replaced > term {
                return Ok(());
            }
            return broke(
                format!("n{node} lost an entry that it had reported as durable"),
                format!(
                    "region {}: before the crash it had persisted {} (its log up to {})",
                    view.region,
                    entry(index, term),
                    self.view.persisted
                ),
                format!(
                    "after the restart its log ends at {}, and index {index} is {}",
                    view.last,
                    now(index).map_or("gone".into(), |term| entry(index, term))
                ),
            );
        }
        Ok(())
    }

    /// What others want to know of it once it has gone on.
    pub fn standing(&self) -> Standing {
        Standing {
            known: self.known,
            commit: self.view.commit,
            leads: (self.known && self.view.role == Role::Leader).then_some(self.view.term),
        }
    }

    /// What is known after this view, and what changed.
    pub fn next(
        old: Option<Peer>,
        view: &RegionView,
        coverage: &mut Coverage,
    ) -> (Peer, Option<Change>) {
        let from = view.entries.first().map_or(view.last + 1, |first| first.index);
        let reborn = old.as_ref().is_none_or(|old| old.view.peer != view.peer);
        let mut peer = old.filter(|_| !reborn).unwrap_or_default();
        let had_last = peer.log.last_key_value().map_or(peer.view.truncated.0, |(last, _)| *last);
        // The first index at which the old log and the new one differ.
        let differs = view
            .entries
            .iter()
            .find(|e| peer.log.get(&e.index) != Some(&(e.term, e.digest)))
            .map_or(view.last + 1, |e| e.index);
        let cut = differs <= had_last;
        if !reborn && view.truncated.0 > had_last {
            coverage.hit(coverage::SNAPSHOTS);
        } else if cut {
            coverage.hit(coverage::TRUNCATIONS);
        } else if peer.known && view.truncated.0 > peer.view.truncated.0 {
            coverage.hit(coverage::COMPACTIONS);
        }
        if peer.known && peer.view.voters != view.voters && !peer.view.voters.is_empty() {
            coverage.hit(coverage::CONF_CHANGES);
        }
        let kept = differs.saturating_sub(1).max(from.saturating_sub(1)).min(view.last);
        if had_last > kept {
            peer.log.split_off(&(kept + 1));
        }
        peer.log.extend(view.entries.iter().map(|e| (e.index, (e.term, e.digest))));
        while peer.log.first_key_value().is_some_and(|(first, _)| *first <= view.truncated.0) {
            peer.log.pop_first();
        }
        let fresh: Vec<_> = view.entries.iter().filter(|e| e.index >= differs).copied().collect();
        let bare = RegionView { entries: Vec::new(), ..view.clone() };
        // Shown differently, but no other peer.
        (peer.view.before, peer.view.digest) = (view.before, view.digest);
        let same = peer.known && peer.view == bare && fresh.is_empty() && !cut;
        let change =
            (!same).then(|| Change { view: RegionView { entries: fresh, ..view.clone() }, kept });
        (peer.view, peer.known, peer.alive) = (bare, true, true);
        (peer, change)
    }
}

/// What a peer was before it went on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub known: bool,
    pub commit: u64,
    /// The term that it led.
    pub leads: Option<u64>,
}

/// What must hold in any view by itself.
pub(super) fn sane(node: NodeId, view: &RegionView, asked: &Look) -> Outcome {
    let order = [
        ("truncated", view.truncated.0, "applied", view.applied),
        ("applied", view.applied, "commit", view.commit),
        ("commit", view.commit, "last", view.last),
        ("applied", view.applied, "persisted (R1)", view.persisted),
        ("persisted", view.persisted, "last", view.last),
    ];
    for (low, low_is, high, high_is) in order {
        if low_is > high_is {
            return broke(
                format!("n{node} has gone beyond itself: {low} <= {high} must always hold"),
                format!("region {}: {low} is {low_is}", view.region),
                format!("{high} is {high_is}"),
            );
        }
    }
    let from =
        asked.logs.iter().find(|(region, _)| *region == view.region).map_or(0, |(_, from)| *from);
    let first = from.max(view.truncated.0 + 1);
    let whole = view.entries.iter().map(|e| e.index).eq(first..=view.last);
    if !whole {
        return broke(
            format!(
                "the log of n{node} has a hole: every index from first to last must be readable"
            ),
            format!("region {}: its log is {}..={}", view.region, first, view.last),
            format!("it shows {} entries: {}", view.entries.len(), indexes(view)),
        );
    }
    let mut before = view.before;
    for e in &view.entries {
        if e.term < before {
            return broke(
                format!("the terms in the log of n{node} fall (5.3)"),
                format!("region {}: the entry before {} is of term {before}", view.region, e.index),
                format!("then comes {}", entry(e.index, e.term)),
            );
        }
        before = e.term;
    }
    if before > view.term {
        return broke(
            format!(
                "n{node} has entries of a term that it does not know: its term was not saved (5.1)"
            ),
            format!("region {}: its log ends with {}", view.region, entry(view.last, before)),
            format!("its term is {}", view.term),
        );
    }
    Ok(())
}

fn indexes(view: &RegionView) -> String {
    let shown: Vec<String> = view.entries.iter().take(20).map(|e| entry(e.index, e.term)).collect();
    if shown.is_empty() { "none".into() } else { shown.join(" ") }
}
