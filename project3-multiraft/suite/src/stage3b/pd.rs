//! The scheduler that a world plays: it knows what leaders tell, gives ids, and wishes.
//!
//! A wish is what a test wants of the cluster: a peer there, a leader here, a cut at this key. It is said again in answer to
//! every heartbeat of its region until the heartbeats show that it is fulfilled, as a real scheduler's operators are.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::eraftpb::ConfChangeType;
use proto::metapb::{Peer, PeerRole, Region};
use proto::pdpb;
use sim::cluster::protocol::{Micros, NodeId};

use super::talk::{FromScheduler, ToScheduler};

/// What a test wants, of the region that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A voter on this store.
    Add(NodeId),
    /// A learner on this store.
    AddLearner(NodeId),
    /// No peer on this store.
    Remove(NodeId),
    /// The leader on this store.
    Lead(NodeId),
    /// A region that begins at this raw key's encoding.
    Split(Vec<u8>),
}

#[derive(Debug, Clone)]
struct Known {
    region: Region,
    leader: Peer,
    term: u64,
    pending: Vec<NodeId>,
    down: Vec<(NodeId, u64)>,
}

/// A scheduler that finds something to change all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unrest {
    /// On stores 1 to this.
    pub stores: u64,
    /// Of a hundred heartbeats so many make it wish something.
    pub percent: u64,
    /// Whether it cuts regions.
    pub splits: bool,
    /// Whether it moves peers.
    pub members: bool,
    /// Until then.
    pub until: Micros,
}

/// The scheduler. See the module.
#[derive(Debug, Default)]
pub struct Pd {
    regions: BTreeMap<u64, Known>,
    wishes: Vec<(Vec<u8>, Wish, u64)>,
    unrest: Option<Unrest>,
    last_id: u64,
    beats: u64,
    /// The next request, in place of what the operation would be.
    pub command: Option<(String, Vec<u8>)>,
    /// The answer to that.
    pub answered: Option<Vec<u8>>,
}

/// The memcomparable encoding: where a region that begins with this raw key begins.
pub fn boundary(key: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for at in 0..=key.len() / 8 {
        let group = &key[at * 8..key.len().min((at + 1) * 8)];
        encoded.extend_from_slice(group);
        encoded.resize((at + 1) * 9 - 1, 0);
        encoded.push(0xff - u8::try_from(8 - group.len()).unwrap_or(0));
    }
    encoded
}

fn has(region: &Region, key: &[u8]) -> bool {
    key >= &region.start_key[..] && (region.end_key.is_empty() || key < &region.end_key[..])
}

fn epoch(region: &Region) -> (u64, u64) {
    let epoch = region.region_epoch.unwrap_or_default();
    (epoch.version, epoch.conf_ver)
}

impl Pd {
    /// A scheduler without a wish.
    pub fn new() -> Self {
        Pd { last_id: 100, ..Pd::default() }
    }

    /// One that is never content.
    pub fn restless(unrest: Unrest) -> Self {
        Pd { unrest: Some(unrest), ..Pd::new() }
    }

    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// From now on this is wanted of the region that has `key`.
    pub fn wish(&mut self, key: &[u8], wish: Wish) {
        let id = self.id();
        let key = match &wish {
            Wish::Split(at) => boundary(at),
            _ => key.to_vec(),
        };
        self.wishes.push((key, wish, id));
    }

    /// Whether all wishes are fulfilled.
    pub fn is_content(&self) -> bool {
        self.wishes.is_empty()
    }

    /// The region that has this position, and its leader, as far as heartbeats tell.
    pub fn find(&self, position: &[u8]) -> Option<(&Region, Peer)> {
        let known = self.known(position)?;
        Some((&known.region, known.leader))
    }

    /// On which stores the members of the region with this position are that its last report calls pending.
    pub fn pending(&self, position: &[u8]) -> Vec<NodeId> {
        self.known(position).map(|known| known.pending.clone()).unwrap_or_default()
    }

    /// On which stores those are that it calls down, and for how many seconds they were silent.
    pub fn down(&self, position: &[u8]) -> Vec<(NodeId, u64)> {
        self.known(position).map(|known| known.down.clone()).unwrap_or_default()
    }

    fn known(&self, position: &[u8]) -> Option<&Known> {
        self.regions.values().find(|known| has(&known.region, position))
    }

    /// How many regions there are.
    pub fn regions(&self) -> usize {
        self.regions.len()
    }

    /// A store speaks; what the answer is.
    pub fn hear(&mut self, now: Micros, bytes: &[u8]) -> Option<FromScheduler> {
        match ToScheduler::decode(bytes)? {
            ToScheduler::Region(bytes) => {
                let heartbeat = pdpb::RegionHeartbeatRequest::decode(&bytes[..]).ok()?;
                self.heartbeat(now, heartbeat)
            }
            ToScheduler::AskSplit(bytes) => {
                let asked = pdpb::AskBatchSplitRequest::decode(&bytes[..]).ok()?;
                let region = asked.region?;
                let ids = (0..asked.split_count)
                    .map(|_| pdpb::SplitId {
                        new_region_id: self.id(),
                        new_peer_ids: region.peers.iter().map(|_| self.id()).collect(),
                    })
                    .collect();
                let ids = pdpb::AskBatchSplitResponse { ids, ..Default::default() };
                let asked = region.encode_to_vec();
                Some(FromScheduler::SplitIds { asked, ids: ids.encode_to_vec() })
            }
            ToScheduler::ReportSplit(_) => None,
        }
    }

    fn heartbeat(
        &mut self,
        now: Micros,
        heartbeat: pdpb::RegionHeartbeatRequest,
    ) -> Option<FromScheduler> {
        let (region, leader, term) = (heartbeat.region?, heartbeat.leader?, heartbeat.term);
        let pending = heartbeat.pending_peers.iter().map(|peer| peer.store_id).collect();
        let down = heartbeat.down_peers.iter();
        let down = down.filter_map(|stats| Some((stats.peer?.store_id, stats.down_seconds)));
        let down = down.collect();
        let over = |known: &Known| {
            let other = &known.region;
            let before = |a: &[u8], b: &[u8]| b.is_empty() || a < b;
            other.id == region.id
                || (before(&other.start_key, &region.end_key)
                    && before(&region.start_key, &other.end_key))
        };
        let stale = self.regions.values().filter(|known| over(known)).any(|known| {
            let (version, conf_ver) = epoch(&known.region);
            let here = epoch(&region);
            if known.region.id == region.id {
                here.0 < version || here.1 < conf_ver || term < known.term
            } else {
                here.0 < version
            }
        });
        if stale {
            return None;
        }
        self.regions.retain(|_, known| !over(known));
        self.regions
            .insert(region.id, Known { region: region.clone(), leader, term, pending, down });
        self.complain(now, &region, leader);
        let response = self.next_wish(&region, leader)?;
        Some(FromScheduler::Operator(response.encode_to_vec()))
    }

    fn next_wish(
        &mut self,
        region: &Region,
        leader: Peer,
    ) -> Option<pdpb::RegionHeartbeatResponse> {
        let regions = &self.regions;
        self.wishes.retain(|(key, wish, _)| {
            let Some(known) = regions.values().find(|known| has(&known.region, key)) else {
                return true;
            };
            let on = |store: NodeId| known.region.peers.iter().find(|p| p.store_id == store);
            match wish {
                Wish::Add(store) => on(*store).is_none_or(|p| p.role() != PeerRole::Voter),
                Wish::AddLearner(store) => on(*store).is_none(),
                Wish::Remove(store) => on(*store).is_some(),
                Wish::Lead(store) => known.leader.store_id != *store,
                Wish::Split(at) => known.region.start_key != boundary(at),
            }
        });
        let (_, wish, id) = self.wishes.iter().find(|(key, ..)| has(region, key))?;
        let mut response = pdpb::RegionHeartbeatResponse {
            region_id: region.id,
            region_epoch: region.region_epoch,
            target_peer: Some(leader),
            ..Default::default()
        };
        let here = |store: NodeId| region.peers.iter().find(|peer| peer.store_id == store).copied();
        let change = |kind: ConfChangeType, peer| {
            Some(pdpb::ChangePeer { change_type: kind.into(), peer: Some(peer) })
        };
        let new = |store_id| Peer { id: *id, store_id, ..Default::default() };
        match wish {
            Wish::Add(store) => {
                let peer = here(*store).unwrap_or(new(*store));
                response.change_peer = change(ConfChangeType::AddNode, peer);
            }
            Wish::AddLearner(store) => {
                let peer = Peer { role: PeerRole::Learner.into(), ..new(*store) };
                response.change_peer = change(ConfChangeType::AddLearnerNode, peer);
            }
            Wish::Remove(store) => {
                response.change_peer = change(ConfChangeType::RemoveNode, here(*store)?);
            }
            Wish::Lead(store) => {
                let peer = Some(here(*store)?);
                response.transfer_leader =
                    Some(pdpb::TransferLeader { peer, ..Default::default() });
            }
            Wish::Split(at) => {
                let keys = vec![boundary(at).into()];
                response.split_region = Some(pdpb::SplitRegion { keys, ..Default::default() });
            }
        }
        Some(response)
    }

    // Finds something to wish, now and then.
    fn complain(&mut self, now: Micros, region: &Region, leader: Peer) {
        let Some(unrest) = self.unrest.filter(|unrest| now < unrest.until) else { return };
        self.beats += 1;
        let luck = mix(self.beats, now);
        if !self.wishes.is_empty() || luck % 100 >= unrest.percent {
            return;
        }
        let key = region.start_key.to_vec();
        let voters: Vec<&Peer> = region.peers.iter().collect();
        let absent = (1..=unrest.stores).filter(|s| voters.iter().all(|p| p.store_id != *s));
        let absent: Vec<NodeId> = absent.collect();
        let (kind, pick) = (luck / 100 % 10, usize::try_from(luck / 1000 % 1000).unwrap_or(0));
        let wish = match kind {
            _ if unrest.members && voters.len() > 3 => {
                Some(Wish::Remove(voters[pick % voters.len()].store_id))
            }
            _ if unrest.members && voters.len() < 3 && !absent.is_empty() => {
                Some(Wish::Add(absent[pick % absent.len()]))
            }
            0..=3 if unrest.members && !absent.is_empty() => {
                let store = absent[pick % absent.len()];
                Some(if kind == 0 { Wish::AddLearner(store) } else { Wish::Add(store) })
            }
            4..=5 => {
                let to = voters[pick % voters.len()];
                (to.store_id != leader.store_id && to.role() == PeerRole::Voter)
                    .then_some(Wish::Lead(to.store_id))
            }
            _ if unrest.splits && self.regions.len() < 5 => {
                let at = format!("k{}", pick % 8).into_bytes();
                (has(region, &boundary(&at)) && region.start_key != boundary(&at))
                    .then_some(Wish::Split(at))
            }
            _ => None,
        };
        if let Some(wish) = wish {
            self.wish(&key, wish);
        }
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 32)
}
