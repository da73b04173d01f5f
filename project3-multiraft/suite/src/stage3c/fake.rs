//! Stores that the judge plays: they report, and do what they are told, as far as a real group could.
//!
//! Whatever no real group could survive ends the test: an order to remove the leader, a second peer on one store, a group
//! left without a majority that is alive. That is how "it adds before it removes" is checked, without asking how.

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::ConfChangeType;
use proto::metapb::PeerRole;
use proto::pdpb::RegionHeartbeatResponse;
use sim::failure::{Failure, Outcome};

use super::world::{Pd, Shape, told};

/// A cluster of stores.
pub struct Fake {
    /// By id.
    pub regions: BTreeMap<u64, Shape>,
    /// Those that report; one that does not is dead.
    pub alive: BTreeSet<u64>,
    /// These are being emptied, and stop when they are empty.
    pub leaving: BTreeSet<u64>,
    /// New peers on these stores never catch up.
    pub stuck: BTreeSet<u64>,
    /// Peers that were added, over all regions.
    pub added: u64,
    changed: BTreeSet<u64>,
    fresh: BTreeSet<u64>,
}

impl Fake {
    /// Stores 1 to `stores`, and these regions, none of which has reported yet.
    pub fn new(stores: u64, regions: impl IntoIterator<Item = Shape>) -> Self {
        let regions: BTreeMap<u64, Shape> = regions.into_iter().map(|r| (r.id, r)).collect();
        Fake {
            changed: regions.keys().copied().collect(),
            regions,
            alive: (1..=stores).collect(),
            leaving: BTreeSet::new(),
            stuck: BTreeSet::new(),
            added: 0,
            fresh: BTreeSet::new(),
        }
    }

    /// A store dies. What it led is led by another of its peers.
    pub fn kill(&mut self, store: u64) {
        self.alive.remove(&store);
        for shape in self.regions.values_mut() {
            if shape.leader_store() != store {
                continue;
            }
            let heir = shape
                .peers
                .iter()
                .find(|peer| self.alive.contains(&peer.store_id) && peer.role() == PeerRole::Voter);
            if let Some(heir) = heir {
                shape.leader = heir.store_id;
                shape.term += 1;
                self.changed.insert(shape.id);
            }
        }
    }

    /// All regions report again, as they do every minute.
    pub fn report_all(&mut self) {
        self.changed.extend(self.regions.keys());
    }

    /// A second passes: what has changed is reported, the scheduler ticks, its orders are followed. Returns how many
    /// orders there were.
    ///
    /// # Errors
    /// A broken rule.
    pub fn second(&mut self, pd: &mut Pd) -> Outcome<usize> {
        // Who got a peer in the last second has sent its snapshot.
        for id in std::mem::take(&mut self.fresh) {
            if let Some(shape) = self.regions.get_mut(&id) {
                let before = shape.pending.len();
                shape.pending.retain(|s| self.stuck.contains(s) || !self.alive.contains(s));
                if shape.pending.len() < before {
                    self.changed.insert(id);
                } else {
                    self.fresh.insert(id);
                }
            }
        }
        let changed = std::mem::take(&mut self.changed);
        let reporting = changed.iter().map(|id| &self.regions[id]);
        let beats =
            reporting.filter(|shape| self.alive.contains(&shape.leader_store())).map(Shape::beat);
        let beats = beats.collect();
        if let Some(error) = pd.beats(beats)?.into_iter().flatten().next() {
            return Err(Failure::broke(
                "the report of a region was refused that is the newest there is",
                "the leader reports what has just been done",
                error.message,
            ));
        }
        let stopped = |store: &u64| {
            self.leaving.contains(store)
                && !self.regions.values().any(|shape| shape.peer_on(*store).is_some())
        };
        let alive: Vec<u64> = self.alive.iter().copied().filter(|store| !stopped(store)).collect();
        pd.store_beats(&alive)?;
        pd.wait(1000)?;
        let orders = pd.take_orders();
        let count = orders.len();
        for order in orders {
            self.follow(&order)?;
        }
        Ok(count)
    }

    /// Seconds pass until nothing was ordered for `calm` of them; at most `most`.
    ///
    /// # Errors
    /// A broken rule, or it never comes to rest.
    pub fn settle(&mut self, pd: &mut Pd, calm: u32, most: u32) -> Outcome<u32> {
        let mut quiet = 0;
        for second in 0..most {
            quiet = if self.second(pd)? == 0 { quiet + 1 } else { 0 };
            if quiet == calm {
                return Ok(second);
            }
        }
        Err(Failure::broke(
            "the cluster never comes to rest",
            format!("for {most} s nothing has happened to it but what was ordered"),
            format!("in each stretch of {calm} s there was an order"),
        ))
    }

    /// A leader does what it is told, if it is meant.
    ///
    /// # Errors
    /// A broken rule.
    pub fn follow(&mut self, order: &RegionHeartbeatResponse) -> Outcome {
        let Some(shape) = self.regions.get_mut(&order.region_id) else { return Ok(()) };
        let leader = shape.peer_on(shape.leader_store());
        if order.region_epoch != shape.region().region_epoch
            || order.target_peer != leader
            || !self.alive.contains(&shape.leader_store())
        {
            return Ok(());
        }
        let before = (shape.conf_ver, shape.leader);
        obey(shape, order, &self.alive)?;
        if before == (shape.conf_ver, shape.leader) {
            return Ok(());
        }
        self.changed.insert(shape.id);
        if !shape.pending.is_empty() {
            self.added +=
                u64::from(shape.peers.last().is_some_and(|p| shape.pending.contains(&p.store_id)));
            self.fresh.insert(shape.id);
        }
        Ok(())
    }

    /// How many peers each store has; those without any, too.
    pub fn peers(&self, stores: u64) -> BTreeMap<u64, usize> {
        let mut all: BTreeMap<u64, usize> = (1..=stores).map(|store| (store, 0)).collect();
        for peer in self.regions.values().flat_map(|shape| &shape.peers) {
            *all.entry(peer.store_id).or_default() += 1;
        }
        all
    }

    /// How many regions each store leads.
    pub fn leaders(&self, stores: u64) -> BTreeMap<u64, usize> {
        let mut all: BTreeMap<u64, usize> = (1..=stores).map(|store| (store, 0)).collect();
        for shape in self.regions.values() {
            *all.entry(shape.leader_store()).or_default() += 1;
        }
        all
    }
}

/// A group does what its leader was told. A new peer is far behind at first.
///
/// # Errors
/// No real group could do that and live.
pub fn obey(shape: &mut Shape, order: &RegionHeartbeatResponse, alive: &BTreeSet<u64>) -> Outcome {
    let deadly = |what: &str, shape: &Shape| {
        Err(Failure::broke(
            what,
            format!("the region: {shape}"),
            format!("the order: {}", told(order)),
        ))
    };
    if let Some(transfer) = &order.transfer_leader {
        let to = transfer.peer.unwrap_or_default();
        let heir = shape.peers.contains(&to) && to.role() == PeerRole::Voter;
        if !heir {
            return deadly("leadership was ordered to go to a peer that cannot lead", shape);
        }
        if alive.contains(&to.store_id) && !shape.pending.contains(&to.store_id) {
            shape.leader = to.store_id;
            shape.term += 1;
        }
        return Ok(());
    }
    let Some(change) = &order.change_peer else { return Ok(()) };
    let peer = change.peer.unwrap_or_default();
    let known = shape.peer_on(peer.store_id);
    if known.is_some_and(|known| known.id != peer.id) {
        return deadly("a second peer of a region was ordered on one store", shape);
    }
    shape.leader = shape.leader_store();
    match change.change_type() {
        ConfChangeType::RemoveNode => {
            if peer.store_id == shape.leader_store() {
                return deadly("the leader was ordered to be removed", shape);
            }
            if known.is_none() {
                return Ok(());
            }
            shape.peers.retain(|old| old.id != peer.id);
            shape.pending.retain(|store| *store != peer.store_id);
        }
        kind => {
            let learner = kind == ConfChangeType::AddLearnerNode;
            let role = if learner { PeerRole::Learner } else { PeerRole::Voter };
            match shape.peers.iter_mut().find(|old| old.id == peer.id) {
                Some(old) if old.role() == role => return Ok(()),
                Some(old) => old.set_role(role),
                None => {
                    shape.peers.push(proto::metapb::Peer { role: role.into(), ..peer });
                    shape.pending.push(peer.store_id);
                }
            }
        }
    }
    shape.conf_ver += 1;
    let voters = shape.peers.iter().filter(|peer| peer.role() == PeerRole::Voter);
    let fit = |store: u64| alive.contains(&store) && !shape.pending.contains(&store);
    let (all, up) =
        voters.fold((0, 0), |(all, up), peer| (all + 1, up + usize::from(fit(peer.store_id))));
    if up * 2 <= all {
        return deadly("a group was left without a majority that is alive and has the data", shape);
    }
    Ok(())
}
