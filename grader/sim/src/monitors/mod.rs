//! What must hold after every event, whatever clients saw.
//!
//! A client notices a broken cluster late: the wrong value must be written, survive and be read. The monitors look
//! at the stores themselves. After each input the world asks the store that moved (and no other) what changed
//! ([`Inspected`]), and [`Monitors::observe`] compares it with all that was ever seen:
//!
//! - **on one peer** (`peer`): `truncated <= applied <= commit <= last`, `applied <= persisted`; term, commit and
//!   applied never fall in a life; one vote a term; what was reported as durable is there after a crash;
//! - **the five properties of the paper's Figure 3** (`group`): Election Safety, Leader Append-Only, Log Matching,
//!   Leader Completeness, State Machine Safety, and two that make failures of these visible early: an entry
//!   is on a majority's disks when a leader commits it, and a leader commits by counting only in its own term;
//! - **promises in messages** (`promises`): one vote a term and node even over restarts; what was acknowledged is
//!   still there after a crash;
//! - **regions** (`regions`): on one store ranges do not overlap, nor do they in one version of the map anywhere; the newest
//!   regions leave no gap, and at the end leaders cover all keys. A peer that was destroyed never lives again,
//!   but for one whose death a crash has undone: it has all that it had, or it is gone.
//!
//! To look is cheap: a peer shows its log from the last entry that we know, with the term before it. If that still
//! fits, Log Matching (checked entry by entry: an index and a term name one entry and one predecessor) says that
//! all before it fits, too. If not, or now and then anyway, we ask for the whole log.
//!
//! Nothing here knows how a store is built. Synthetic [`Inspected`] data can be fed just as well, and is in this
//! crate's own tests.

mod group;
mod peer;
mod promises;
mod regions;

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::dialect::MessageInfo;
use crate::cluster::protocol::{Inspected, Look, Micros, NodeId, RegionView, Role};
use crate::coverage::{self, Coverage};
use crate::failure::{Failure, Outcome};
use group::Group;
use peer::Peer;
use promises::Promises;

/// Every so many looks at a node the whole log is asked for.
const WHOLE_EVERY: u32 = 512;

/// Digests are compared where the applied index is a multiple of this, so that replicas that pass it at different
/// times can be compared.
const DIGEST_STRIDE: u64 = 8;

/// What a look led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The log did not fit what was known: look again, at everything ([`Monitors::whole`]).
    pub again: bool,
    /// A digest is wanted now: look again, with [`Look::digest`].
    pub digest: bool,
    /// What changed, for the trace.
    pub changes: Vec<Change>,
}

/// A peer that looks different from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The peer now; its entries are those that are new.
    pub view: RegionView,
    /// What of the old log remains, up to this index.
    pub kept: u64,
}

/// The monitors of one run.
#[derive(Debug, Default)]
pub struct Monitors {
    groups: BTreeMap<u64, Group>,
    peers: BTreeMap<(NodeId, u64), Peer>,
    looks: BTreeMap<NodeId, u32>,
    promises: Promises,
    /// Peers that were destroyed, as they were: by node, region and peer.
    dead: BTreeMap<(NodeId, u64, u64), Peer>,
    /// Those of them that died in the life that their node leads.
    fresh: BTreeSet<(NodeId, u64, u64)>,
    /// Those of them that died in its last life, which may have ended before that was durable. Its next look tells.
    doubted: BTreeSet<(NodeId, u64, u64)>,
    map: regions::Newest,
}

impl Monitors {
    /// A life of the node began: what is known of it is to be compared with what it finds on its disk.
    pub fn opened(&mut self, node: NodeId) {
        self.of(node).for_each(|peer| peer.known = false);
        self.doubted.append(&mut take(&mut self.fresh, node));
    }

    /// The node's life ended. Effects that were not released never happened, so its last view may be wrong.
    pub fn crashed(&mut self, node: NodeId) {
        self.of(node).for_each(|peer| (peer.known, peer.alive) = (false, false));
    }

    fn of(&mut self, node: NodeId) -> impl Iterator<Item = &mut Peer> {
        self.peers.range_mut((node, 0)..=(node, u64::MAX)).map(|(_, peer)| peer)
    }

    /// How to look at this node next.
    pub fn want(&mut self, node: NodeId) -> Look {
        let looks = self.looks.entry(node).or_default();
        *looks += 1;
        let whole = looks.is_multiple_of(WHOLE_EVERY);
        let peers = || self.peers.range((node, 0)..=(node, u64::MAX));
        if whole || peers().next().is_none() || peers().any(|(_, peer)| !peer.known) {
            return self.whole();
        }
        let logs = peers().map(|((_, region), peer)| (*region, peer.view.last)).collect();
        Look { all: false, logs, digest: false }
    }

    /// A look at everything.
    pub fn whole(&self) -> Look {
        Look { all: true, logs: Vec::new(), digest: false }
    }

    /// Tests what a node shows of itself. `asked` is the look that it answers.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn observe(
        &mut self,
        node: NodeId,
        at: Micros,
        asked: &Look,
        shown: &Inspected,
        coverage: &mut Coverage,
    ) -> Outcome<Seen> {
        let mut seen = Seen::default();
        self.comes_back(node, shown);
        for region in &shown.removed {
            if let Some(peer) = self.peers.remove(&(node, *region)) {
                coverage.hit(coverage::DESTROYED);
                let name = (node, *region, peer.view.peer);
                self.fresh.insert(name);
                self.dead.insert(name, peer);
            }
        }
        for view in &shown.regions {
            peer::sane(node, view, asked)?;
            self.is_alive(node, view)?;
            self.map.observe(node, view)?;
            let whole = asked.logs.iter().all(|(region, _)| *region != view.region);
            let old = self.peers.get(&(node, view.region));
            if !whole && old.is_some_and(|old| !old.fits(view)) {
                seen.again = true;
                continue;
            }
            if let Some(change) = self.observe_peer(node, at, view, coverage)? {
                let moved = change.view.applied.is_multiple_of(DIGEST_STRIDE);
                seen.digest |= moved && view.digest.is_none() && view.range.is_some();
                seen.changes.push(change);
            }
        }
        regions::disjoint(
            node,
            self.peers.range((node, 0)..=(node, u64::MAX)).map(|(_, p)| &p.view),
        )?;
        if !seen.again {
            self.map.has_no_gap()?;
        }
        Ok(seen)
    }

    // The first look at a life: who died in the last one is gone for ever, or it is here as if nothing had been, since its
    // death was not durable. Then it must have all that it had.
    fn comes_back(&mut self, node: NodeId, shown: &Inspected) {
        for name in take(&mut self.doubted, node) {
            let (_, region, peer) = name;
            if shown.regions.iter().any(|view| (view.region, view.peer) == (region, peer)) {
                let was = self.dead.remove(&name).unwrap_or_default();
                self.peers.insert((node, region), Peer { known: false, ..was });
            }
        }
    }

    // A peer that was destroyed has forgotten what it promised: it may not come back under its old name.
    fn is_alive(&self, node: NodeId, view: &RegionView) -> Outcome {
        if self.dead.contains_key(&(node, view.region, view.peer)) {
            return broke(
                "a removed peer lives again",
                format!("n{node} destroyed peer {} of region {}", view.peer, view.region),
                format!("it has it again, in term {} with vote {}", view.term, view.vote),
            );
        }
        Ok(())
    }

    fn observe_peer(
        &mut self,
        node: NodeId,
        at: Micros,
        view: &RegionView,
        coverage: &mut Coverage,
    ) -> Outcome<Option<Change>> {
        let group = self.groups.entry(view.region).or_default();
        // Taken out, not cloned: a log may be long. After a violation nobody looks at it again.
        let old = self.peers.remove(&(node, view.region));
        let before = old.as_ref().map(Peer::standing);
        let voters = old.as_ref().map(|old| old.view.voters.clone()).unwrap_or_default();
        if let Some(old) = &old {
            old.goes_on(node, view)?;
            Group::leader_appends_only(node, old, view)?;
            self.promises.kept(node, old.known, view)?;
        } else if self.peers.range((node, 0)..=(node, u64::MAX)).next().is_some() {
            coverage.hit(coverage::SPLITS);
        }
        group.matches(node, at, view)?;
        let (new, change) = Peer::next(old, view, coverage);
        group.elects(node, at, &new, coverage)?;
        group.commits(node, at, before, &new)?;
        group.applies(node, at, view, coverage)?;
        self.peers.insert((node, view.region), new);
        group.is_on_a_majority(node, view.region, &voters, &self.peers, &self.dead)?;
        Ok(change)
    }

    /// A node sent this message.
    ///
    /// # Errors
    /// When it breaks a promise that it made in an earlier one.
    pub fn sent(&mut self, node: NodeId, at: Micros, message: &MessageInfo) -> Outcome {
        let peer = self.peers.get(&(node, message.region)).map_or(0, |peer| peer.view.peer);
        self.promises.made(node, peer, at, message)
    }

    /// The leader of a region with the highest term, among nodes that live.
    pub fn leader(&self, region: u64) -> Option<NodeId> {
        self.views()
            .filter(|(_, view)| view.region == region && view.role == Role::Leader)
            .max_by_key(|(_, view)| view.term)
            .map(|(node, _)| node)
    }

    /// The last view of each peer whose node lives, by node and region.
    pub fn views(&self) -> impl Iterator<Item = (NodeId, &RegionView)> {
        self.peers.iter().filter(|(_, p)| p.alive && p.known).map(|((node, _), p)| (*node, &p.view))
    }

    /// The regions that were seen.
    pub fn regions(&self) -> Vec<u64> {
        self.groups.keys().copied().collect()
    }

    /// Once all is quiet: leaders' regions cover every key, without gap or overlap.
    ///
    /// # Errors
    /// With the gap or the two regions.
    pub fn covers_all_keys(&self) -> Outcome {
        let leaders: Vec<(NodeId, &RegionView)> =
            self.views().filter(|(_, view)| view.role == Role::Leader).collect();
        regions::cover(&leaders)
    }
}

/// The names of a node's peers, out of these.
fn take(names: &mut BTreeSet<(NodeId, u64, u64)>, node: NodeId) -> BTreeSet<(NodeId, u64, u64)> {
    let mut taken = names.split_off(&(node, 0, 0));
    names.append(&mut taken.split_off(&(node + 1, 0, 0)));
    taken
}

/// `5@3`: the entry with index 5 of term 3.
pub(crate) fn entry(index: u64, term: u64) -> String {
    format!("{index}@{term}")
}

fn broke(
    what: impl Into<String>,
    fact: impl Into<String>,
    contradiction: impl Into<String>,
) -> Outcome {
    Err(Failure::broke(what, fact, contradiction))
}
